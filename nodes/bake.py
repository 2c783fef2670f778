"""The nodes that train a student: guidance baked in, or steps."""

from functools import partial

from comfy_api.latest import io

from ..distill.methods import STEPS, bake_guidance
from .baking import Baked, Order, bake
from .host import texts
from .prompts import FOLDER
from .schema import check_choice, schema
from .sockets import RecipeSocket, report_output
from .students import GUIDANCE_FAMILY, STEPS_FAMILY, Kind
from .teacher_data import if_distilled_input
from .teachers import check_teacher
from .train_options import DEFAULTS
from .training_sockets import DataSocket, LoraSocket, LossSocket, OptionsSocket

# fewer passes than this make no picture without distilling the steps too
FEWEST = 10


def _inputs(name, *own):
    return [
        io.Model.Input("model", tooltip="The teacher, as it went into Teacher Data (FewStep)."),
        DataSocket.Input("data", tooltip="From Teacher Data (FewStep)."),
        *own,
        io.String.Input(
            "name",
            default=name,
            tooltip=(
                "Of the folder in ComfyUI's output/fewstep/runs for checkpoints. Interrupted, the "
                "same name goes on; another run wants another name."
            ),
        ),
        if_distilled_input(),
        OptionsSocket.Input(
            "options", optional=True, tooltip="From Train Options (FewStep); else its defaults."
        ),
        io.Vae.Input("vae", optional=True, tooltip="For pictures; else they are rough."),
    ]


def _outputs():
    return [
        LoraSocket.Output(
            display_name="lora",
            tooltip="Goes into Save LoRA (FewStep), or into ComfyUI's Load LoRA Model.",
        ),
        LossSocket.Output(display_name="losses", tooltip="Goes into Plot Loss Graph."),
        RecipeSocket.Output(
            display_name="recipe", tooltip="What the LoRA needs; goes into Save LoRA (FewStep)."
        ),
        report_output("The plan, the meters of every validation, and what to do about them."),
        io.Image.Output(
            display_name="pictures",
            tooltip="The teacher's to the left, the student's to the right.",
        ),
    ]


def _check_guided(data):
    if data.request.cfg_scale == 1.0:
        raise ValueError(
            "the teacher's data was made with cfg 1, which is no guidance, so there is nothing to "
            "bake. Make data with the cfg you like best."
        )


def _given(node, baked: Baked) -> io.NodeOutput:
    texts.show(node, baked.report)
    return io.NodeOutput(*baked)


class FewStepBakeGuidance(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepBakeGuidance",
            hidden=texts.NEEDED,
            display_name="Bake Guidance (FewStep)",
            description=(
                "Trains a LoRA with which the model needs no guidance any more: one network pass a "
                "step instead of two, the same pictures at cfg 1. The cfg and the negative prompt "
                "of the data are baked in."
            ),
            search_aliases=["bake cfg", "guidance distillation", "train", "lora", "cfg"],
            inputs=_inputs("guidance"),
            outputs=_outputs(),
        )

    @classmethod
    def execute(cls, model, data, name, if_distilled, options=None, vae=None) -> io.NodeOutput:
        check_teacher(model, if_distilled)
        counts = tuple(sorted({min(FEWEST, data.steps), data.steps}))
        kind = Kind(f"guidance baked in ({name})", GUIDANCE_FAMILY, counts)
        order = Order(bake_guidance, kind, {"method": "guidance"}, name, check=_check_guided)
        return _given(cls, bake(cls, model, data, order, options or DEFAULTS, vae))


class FewStepDistill(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepDistill",
            hidden=texts.NEEDED,
            display_name="Distill (FewStep)",
            description=(
                "Trains a LoRA that makes the teacher's pictures in few steps at cfg 1. segments: "
                "each step learns the stretch of the teacher's path that it stands for; each "
                "iteration is one pass. endpoint: the whole run is trained by where it ends; each "
                "iteration is all steps of a picture."
            ),
            search_aliases=["distill", "few step", "train", "lora", "fast", "turbo"],
            inputs=_inputs(
                "student",
                io.Combo.Input(
                    "method", options=list(STEPS), default="segments", tooltip="How it is taught."
                ),
                io.Int.Input(
                    "steps",
                    default=4,
                    min=1,
                    max=1000,
                    tooltip="Of the student; a divisor of the teacher's.",
                ),
                LoraSocket.Input(
                    "base_lora",
                    optional=True,
                    tooltip=(
                        "A LoRA that FewStep trained, such as a baked guidance, to start from; it "
                        "goes into the result."
                    ),
                ),
            ),
            outputs=_outputs(),
        )

    @classmethod
    def execute(
        cls, model, data, method, steps, name, if_distilled, base_lora=None, options=None, vae=None
    ) -> io.NodeOutput:
        check_choice("method", method, STEPS)
        check_teacher(model, if_distilled)
        kind = Kind(f"{steps} steps ({name})", STEPS_FAMILY, (steps,))
        about = {"method": method, "steps": steps}
        order = Order(partial(STEPS[method], steps=steps), kind, about, name, base_lora)
        return _given(cls, bake(cls, model, data, order, options or DEFAULTS, vae))
