"""A training as a workflow does it, node after node, on the demo model.

Import only after the host fixture has prepared ComfyUI.
"""

import torch
from host.training_options import OPTIONS

from fewstep.nodes.bake import FewStepBakeGuidance, FewStepDistill
from fewstep.nodes.demo import FewStepDemoModel
from fewstep.nodes.prompts import FewStepPrompts
from fewstep.nodes.teacher_data import FewStepTeacherData
from fewstep.nodes.train_options import FewStepTrainOptions

# pictures of 64 x 64: what a training does is the same, in a quarter of the time
LATENT = {"samples": torch.zeros(1, 4, 8, 8)}


def prompts(text="a red circle on a blue background", negative="", clip=None):
    clip = clip or FewStepDemoModel.execute("teacher")[1]
    return FewStepPrompts.execute(clip, "text", text, "", 0, negative)[0]


def teacher_data(model, words, **changed):
    given = {
        "latent_image": LATENT,
        "steps": 4,
        "cfg": 4.0,
        "seeds": 1,
        "seed": 5,
        "name": "teacher",
        "budget_gb": 1.0,
        "if_distilled": "stop",
    }
    return FewStepTeacherData.execute(model, words, **(given | changed))[0]


def options(**changed):
    return FewStepTrainOptions.execute(**(OPTIONS | changed))[0]


def bake(model, data, name="student", if_distilled="stop", vae=None, **changed):
    """What Bake Guidance gives: lora, losses, recipe, report, pictures."""
    return FewStepBakeGuidance.execute(
        model, data, name, if_distilled, options(**changed), vae
    ).result


def distill(model, data, method="segments", steps=2, base=None, name="student", **changed):
    """What Distill gives: lora, losses, recipe, report, pictures."""
    return FewStepDistill.execute(
        model, data, method, steps, name, "stop", base, options(**changed)
    ).result
