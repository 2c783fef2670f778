"""The node that tells a network its guidance as a number."""

from comfy_api.latest import io

from .host import told_guidance
from .schema import schema


class FewStepGuidance(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder="guidance",
            node_id="FewStepGuidance",
            display_name="Guidance (FewStep)",
            description=(
                "Tells a network how strongly to follow the prompt where it was trained to be "
                "told: full LCM UNets loaded by FewStep, FLUX-dev and its kin. One pass per step, "
                "so cfg in the sampler stays at 1."
            ),
            search_aliases=["guidance", "cfg", "w embedding", "lcm", "flux guidance", "embedded"],
            inputs=[
                io.Model.Input("model", tooltip="A model that takes its guidance as a number."),
                io.Float.Input(
                    "guidance",
                    default=8.0,
                    min=1.0,
                    max=100.0,
                    step=0.1,
                    tooltip=(
                        "As cfg is counted: 1 is none. LCM UNets know 3 to 13, FLUX-dev about 2.5 "
                        "to 4. It counts for the whole run and goes before FluxGuidance."
                    ),
                ),
            ],
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(cls, model, guidance) -> io.NodeOutput:
        return io.NodeOutput(told_guidance.with_told_guidance(model, guidance))
