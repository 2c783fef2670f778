"""The node that takes a negative prompt at cfg 1."""

from comfy_api.latest import io

from .host import negative as in_attention
from .schema import schema


class FewStepNegative(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder="guidance",
            node_id="FewStepNegative",
            display_name="Negative (FewStep)",
            description=(
                "A negative prompt that works at cfg 1, where the sampler leaves its own out: the "
                "network still runs once per step, and only its attention looks at both prompts "
                "(normalised attention guidance, NAG). SD, SDXL, SD3, FLUX, Chroma, Qwen-Image."
            ),
            search_aliases=["negative prompt", "nag", "normalized attention guidance", "cfg 1"],
            inputs=[
                io.Model.Input("model", tooltip="After all its LoRAs; goes on into the sampler."),
                io.Conditioning.Input(
                    "negative",
                    tooltip="What must not be in the picture: one prompt for all of it.",
                ),
                *_numbers(),
            ],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(cls, model, negative, scale, tau, alpha) -> io.NodeOutput:
        return io.NodeOutput(in_attention.with_negative(model, negative, scale, tau, alpha))


def _numbers():
    return [
        _number(
            *("scale", 4.0, 0.0, 50.0, 0.1),
            "How far attention moves away from the negative prompt. 0 is off. Nodes with an input "
            "called nag_scale count from 1: their 5 is 4 here.",
        ),
        _number(
            *("tau", 2.5, 1.0, 10.0, 0.1),
            "How many times as large as without a negative prompt attention may become.",
        ),
        _number(
            *("alpha", 0.25, 0.0, 1.0, 0.01),
            "Share of the guided attention. 0 is off. Programs take 0.25 for FLUX, else 0.5.",
        ),
    ]


def _number(name, default, low, high, step, tooltip):
    return io.Float.Input(name, default=default, min=low, max=high, step=step, tooltip=tooltip)
