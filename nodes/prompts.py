"""The node that gives the prompts to distill with, encoded."""

from comfy_api.latest import io

from ..distill.prompt_file import (
    Prompt,
    from_text,
    only_negative,
    read_prompts,
    shipped,
    take,
)
from .host import files, texts
from .host.encoding import encode
from .schema import check_choice, schema
from .sockets import prompt_inputs, report_output
from .training_sockets import Prompts, PromptsSocket

SOURCES = SHIPPED, TEXT, FILE = "shipped", "text", "file"
FOLDER = "training"


def prompts_of(source: str, text: str, file: str, count: int) -> list[Prompt]:
    """The prompts that the user has chosen.

    Raises:
        ValueError: the source is none, the file or text is refused, or there are fewer than count.
    """
    check_choice("source", source, SOURCES)
    if source == SHIPPED:
        return take(shipped(), count)
    found = from_text(text) if source == TEXT else read_prompts(files.input_path(file))
    return take(found, count)


def encoded(clip, prompts: list[Prompt], negative: str) -> Prompts:
    """The CONDITIONING of each prompt.

    Raises:
        ValueError: not all prompts have one negative.
    """
    words = [prompt.text for prompt in prompts]
    without = only_negative(prompts, negative, "those of the file and that of the node")
    *positive, without = encode(clip, [*words, without])
    return Prompts(tuple(words), positive, without)


class FewStepPrompts(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepPrompts",
            hidden=texts.NEEDED,
            display_name="Prompts (FewStep)",
            description=(
                "Prompts to distill with, encoded once. No pictures are needed: the teacher draws "
                "its own. 100 to 500 prompts of the kind the model is used for are enough."
            ),
            search_aliases=["prompts", "dataset", "distill", "train", "wildcards"],
            inputs=[
                io.Clip.Input("clip", tooltip="The text encoder of the model to distill."),
                io.Combo.Input(
                    "source",
                    options=list(SOURCES),
                    default=SHIPPED,
                    tooltip=(
                        "shipped: FewStep's own list of 400. text: the box below. file: a .txt, "
                        ".csv or .jsonl file in ComfyUI's input folder."
                    ),
                ),
                *prompt_inputs(),
                io.String.Input(
                    "negative",
                    default="",
                    multiline=True,
                    tooltip="What guidance leads away from. It is baked in with the guidance.",
                ),
            ],
            outputs=[
                PromptsSocket.Output(
                    display_name="prompts", tooltip="Goes into Teacher Data (FewStep)."
                ),
                report_output("How many prompts there are, and the first of them."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, source, file, **others):
        return files.input_stamp(file) if source == FILE else ""

    @classmethod
    def execute(cls, clip, source, text, file, count, negative) -> io.NodeOutput:
        prompts = encoded(clip, prompts_of(source, text, file, count), negative)
        report = f"{len(prompts.texts)} prompts, such as: {prompts.texts[0]}\n"
        texts.show(cls, report)
        return io.NodeOutput(prompts, report)
