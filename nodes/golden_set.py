"""The node that gives the golden set on which models are compared."""

from collections.abc import Sequence

from comfy_api.latest import io

from ..evaluate.golden_set import (
    SHIPPED,
    Golden,
    Size,
    chosen,
    of_text,
    read_golden_set,
    shipped,
    with_seeds,
)
from .evaluation_sockets import FOLDER, GoldenSetSocket
from .host import files, texts
from .schema import check_choice, schema
from .sockets import prompt_inputs, report_output

SOURCES = *SHIPPED, TEXT, FILE = *SHIPPED, "text", "file"


def golden_set_of(
    source: str, text: str, file: str, count: int, tag: str, seeds: int, size: Size
) -> list[Golden]:
    """The golden set that the user has chosen, a size in every row.

    Raises:
        ValueError: the source is none, a file or text is refused, no row has the tag, or there are
            fewer than count.
    """
    check_choice("source", source, SOURCES)
    if source == TEXT:
        rows = of_text(text)
    else:
        rows = read_golden_set(files.input_path(file)) if source == FILE else shipped(source)
    return with_seeds(chosen(rows, tag=tag.strip(), count=count, size=size), seeds)


def said(golden_set: Sequence[Golden]) -> str:
    """How many pictures of how many prompts, and of what sizes."""
    sizes = dict.fromkeys(f"{golden.width}x{golden.height}" for golden in golden_set)
    prompts = len({golden.prompt for golden in golden_set})
    return (
        f"{len(golden_set)} pictures of {prompts} prompts, {', '.join(sizes)}, such as: "
        f"{golden_set[0].prompt}\n"
    )


class FewStepGoldenSet(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepGoldenSet",
            hidden=texts.NEEDED,
            display_name="Golden Set (FewStep)",
            description=(
                "Prompts, seeds and sizes on which a model and its faster twin are compared: a set "
                "that comes along, your own text, or your own file."
            ),
            search_aliases=[
                "golden set",
                "evaluate",
                "benchmark",
                "prompts",
                "compare",
                "test set",
            ],
            inputs=[*_source_inputs(), *_choice_inputs(), *_size_inputs()],
            outputs=[
                GoldenSetSocket.Output(
                    display_name="golden_set", tooltip="Goes into Golden Pictures (FewStep)."
                ),
                report_output("How many pictures there will be, and of what sizes."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, source, file, **others):
        return files.input_stamp(file) if source == FILE else ""

    @classmethod
    def execute(cls, source, text, file, count, tag, seeds, width, height, scale) -> io.NodeOutput:
        size = Size(width, height, scale)
        golden_set = golden_set_of(source, text, file, count, tag, seeds, size)
        texts.show(cls, said(golden_set))
        return io.NodeOutput(tuple(golden_set), said(golden_set))


def _source_inputs():
    return [
        io.Combo.Input(
            "source",
            options=list(SOURCES),
            default=SHIPPED[0],
            tooltip=(
                "general: 300 prompts of FewStep's for any model. demo: 300 captions of the demo "
                "model's world. text: the box below. file: a .txt, .csv or .jsonl file in "
                "ComfyUI's input folder."
            ),
        ),
        *prompt_inputs(),
    ]


def _choice_inputs():
    return [
        io.String.Input(
            "tag",
            default="",
            tooltip=(
                "Only prompts with this tag, such as faces, hands, text, counting or texture. "
                "Empty takes all."
            ),
        ),
        io.Int.Input(
            "seeds",
            default=1,
            min=1,
            max=64,
            tooltip="Pictures of each prompt. How varied a model is can be told from 2 on.",
        ),
    ]


def _size_inputs():
    size = {"default": 1024, "min": 64, "max": 16384, "step": 8}
    return [
        io.Int.Input("width", **size, tooltip="In pixels, of prompts whose file says none."),
        io.Int.Input("height", **size, tooltip="In pixels, of prompts whose file says none."),
        io.Float.Input(
            "scale",
            default=1.0,
            min=0.05,
            max=4.0,
            step=0.05,
            tooltip=(
                "Sizes are multiplied by it, to multiples of 32 pixels. 0.5 makes of the general "
                "set one for SD 1.5."
            ),
        ),
    ]
