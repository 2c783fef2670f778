"""The node that lays two batches of pictures over each other, with a divider between them."""

from comfy_api.latest import io

from .evaluation_sockets import FOLDER
from .host.side_by_side import check_batches, for_the_page, pairs_sheet
from .schema import schema


class FewStepCompare(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepCompare",
            display_name="Compare (FewStep)",
            description=(
                "Lays two batches of pictures over each other, with a divider that follows the "
                "pointer: the first of one over the first of the other, and so on. Both must hold "
                "as many pictures, or one of them a single one."
            ),
            search_aliases=[
                "compare",
                "slider",
                "before after",
                "ab",
                "difference",
                "side by side",
            ],
            inputs=_inputs(),
            outputs=[
                io.Image.Output(
                    display_name="sheet",
                    tooltip="One picture of all pairs, a left and b right, none of them scaled.",
                )
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, images_a, images_b, label_a, label_b) -> io.NodeOutput:
        check_batches(images_a, images_b)
        shown = for_the_page(cls, images_a, images_b, label_a, label_b)
        return io.NodeOutput(pairs_sheet(images_a, images_b), ui=shown)


def _inputs():
    pictures = "Pictures at the {} of the divider. Of another size than a's, b's are scaled to fit."
    label = "Stands on the pictures at the {} of the divider."
    return [
        io.Image.Input("images_a", tooltip=pictures.format("left")),
        io.Image.Input("images_b", tooltip=pictures.format("right")),
        io.String.Input("label_a", default="A", tooltip=label.format("left")),
        io.String.Input("label_b", default="B", tooltip=label.format("right")),
    ]
