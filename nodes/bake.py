"""The nodes that train a student: guidance baked in, or steps."""

from comfy_api.latest import io

from ..distill.names import GUIDANCE, STEPS
from .data_inputs import if_distilled_input
from .host import texts
from .prompts import FOLDER
from .schema import check_choice, schema
from .sockets import RecipeSocket, report_output
from .teachers import check_teacher
from .train_options import DEFAULTS
from .training_sockets import DataSocket, LoraSocket, LossSocket, OptionsSocket


def _inputs(name, *own):
    return [
        io.Model.Input("model", tooltip="The teacher, as it went into Teacher Data (FewStep)."),
        DataSocket.Input("data", tooltip="From Teacher Data, Picture Data or Join Data (FewStep)."),
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


def _trained(node, model, data, options, vae, *order) -> io.NodeOutput:
    # only now, since it takes as long to load as all other nodes together
    from .baking import Order, bake

    baked = bake(node, model, data, Order(*order), options or DEFAULTS, vae)
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
        order = GUIDANCE, 0, "guidance baked in", name
        return _trained(cls, model, data, options, vae, *order)


class FewStepDistill(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepDistill",
            hidden=texts.NEEDED,
            display_name="Distill (FewStep)",
            description=(
                "Trains a LoRA that makes the teacher's pictures in few steps at cfg 1. Methods "
                "are ways to teach it; segments is the plain one. The help says which is for what."
            ),
            search_aliases=[
                *("distill", "few step", "train", "lora", "fast", "turbo"),
                *("lcm", "tcd", "progressive", "consistency", "dmd", "adversarial"),
            ],
            inputs=_inputs(
                "student",
                io.Combo.Input(
                    "method",
                    options=list(STEPS),
                    default="segments",
                    tooltip=(
                        "segments, endpoint, progressive, pcm: the teacher's pictures, at these "
                        "steps. lcm, tcd: any 1 to 8 steps. ict: without a teacher. tdm, dmd, "
                        "adversarial: experimental, for a few hundred iterations at the end."
                    ),
                ),
                io.Int.Input(
                    "steps",
                    default=4,
                    min=1,
                    max=1000,
                    tooltip=(
                        "Network passes of a picture. A divisor of the teacher's steps; for "
                        "progressive below them."
                    ),
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
        order = method, steps, f"{steps} steps by {method}", name, base_lora
        return _trained(cls, model, data, options, vae, *order)
