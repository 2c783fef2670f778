"""The node that says how far a model's golden pictures are from those it shall equal."""

from comfy_api.latest import io

from ..evaluate.figures import Figure
from ..evaluate.table import cell
from .comparing import check, compare, figures, measured, worst_pairs
from .evaluation_page import keep_page
from .evaluation_sockets import FOLDER, FiguresSocket, Pictures, PictureSetSocket
from .host import texts
from .schema import schema
from .sockets import report_output


def report(reference: Pictures, pictures: Pictures, found: list[Figure]) -> str:
    """Each figure with its interval, and what must be known to read it."""
    prompts = len({golden.prompt for golden in pictures.golden_set})
    lines = [
        f"{pictures.folder.name} beside {reference.folder.name}: {len(pictures.golden_set)} "
        f"pictures of {prompts} prompts",
        *(f"{figure.name}: {cell(figure)}" for figure in found),
    ]
    if any(figure.estimate.low is None for figure in found):
        lines.append("Fewer than 10 prompts are too few for intervals.")
    else:
        lines.append("In brackets what chance leaves: 95 % intervals, by drawing prompts anew.")
    lines += [figure.note for figure in found if figure.note]
    return "\n".join(lines) + "\n"


class FewStepEvaluate(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepEvaluate",
            hidden=texts.NEEDED,
            display_name="Evaluate (FewStep)",
            description=(
                "Measures a model's golden pictures beside those of the model it shall equal: pair "
                "by pair, and with a CLIP Vision model how far and how varied they are. Every "
                "figure has the interval that chance leaves."
            ),
            search_aliases=["FID", "KID", "CMMD", "CLIP score", "PSNR", "SSIM", "compare"],
            inputs=_inputs(),
            outputs=[
                report_output("Every figure with its interval, and what it can tell."),
                io.Image.Output(
                    display_name="images",
                    tooltip="The pairs that are least alike, the worst first; reference left.",
                ),
                FiguresSocket.Output(display_name="figures", tooltip="Goes into Ledger (FewStep)."),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, reference, pictures, worst, clip_vision=None, clip=None) -> io.NodeOutput:
        check(reference, pictures, clip_vision, clip)
        compared = compare(cls, reference, pictures, clip_vision)
        found, theirs = figures(compared, clip)
        page = keep_page(compared, reference, pictures, found, theirs, worst)
        text = f"{report(reference, pictures, found)}Page: {page}\n"
        texts.show(cls, text)
        shown = worst_pairs(compared, reference, pictures, worst)
        return io.NodeOutput(text, shown, measured(reference, pictures, found, theirs))


def _inputs():
    return [
        PictureSetSocket.Input(
            "reference", tooltip="Of the model that is trusted, such as the teacher."
        ),
        PictureSetSocket.Input("pictures", tooltip="Of the model to judge."),
        io.Int.Input(
            "worst",
            default=12,
            min=1,
            max=64,
            tooltip="How many of the pairs that are least alike are shown.",
        ),
        io.ClipVision.Input(
            "clip_vision",
            optional=True,
            tooltip=(
                "Any CLIP Vision model: gives KID, CMMD, FID, and how varied the seeds of "
                "a prompt are."
            ),
        ),
        io.Clip.Input(
            "clip",
            optional=True,
            tooltip=(
                "The text encoder of the same CLIP model: gives the CLIP score. SD 1.5's "
                "goes with CLIP ViT-L."
            ),
        ),
    ]
