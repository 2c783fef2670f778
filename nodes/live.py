"""The node whose picture the page follows while one types."""

import time

from comfy_api.latest import io

from .host import live, texts
from .schema import schema


class FewStepLiveOutput(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder="live",
            node_id="FewStepLiveOutput",
            hidden=texts.NEEDED,
            display_name="Live Output (FewStep)",
            description=(
                "Shows pictures without writing a file. With Live switched on, every edit of what "
                "leads to it makes the picture anew, and only the latest counts."
            ),
            search_aliases=["live", "realtime", "real time", "preview", "auto queue", "lcm"],
            inputs=[io.Image.Input("images", tooltip="What is shown; several as one sheet.")],
            outputs=[],
            is_output_node=True,
        )

    @classmethod
    def fingerprint_inputs(cls, **inputs):
        # what was sent before is nowhere, so it is sent again
        return time.time_ns()

    @classmethod
    def execute(cls, images) -> io.NodeOutput:
        live.send(cls, images)
        return io.NodeOutput()
