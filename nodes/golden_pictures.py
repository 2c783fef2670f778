"""The node that makes a model's pictures of a golden set, each once whatever happens."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from comfy_api.latest import io

from ..evaluate.golden_set import Golden, fingerprint
from ..evaluate.picture_file import PASSES, to_png
from ..evaluate.picture_set import PictureSet
from ..evaluate.upstream import upstream
from .evaluation_sockets import FOLDER, GoldenSetSocket, Pictures, PictureSetSocket
from .host import files, runs, texts
from .host.encoding import encode, encoded_shape
from .host.golden import decoded, empty_latent
from .host.passes import with_passes
from .host.progress import Progress
from .plan import Plan, planner
from .schema import schema
from .sockets import report_output, sampling_inputs

# of run folders
KIND = "pictures"
# rows whose texts are encoded together: between them the text encoder may have to make room
CHUNK = 32
# characters of a prompt under the node
SHOWN = 80


class Model(NamedTuple):
    """All that makes pictures of rows.

    Attributes:
        plan: latent -> Plan, by the recipe or by hand.
    """

    model: Any
    clip: Any
    vae: Any
    plan: Callable[[dict], Plan]


def make_pictures(node, of: Model, golden_set: Sequence[Golden], made: PictureSet) -> str:
    """Make those pictures that are missing; returns a report.

    Raises:
        ValueError: the VAE has no such size, the recipe does not fit, or a picture holds no
            numbers.
    """
    left, there = made.missing(), f"{made.count} pictures in\n{made.folder}\n"
    if not left:
        return f"{there}all of them were there\n"
    # what does not fit is refused before the first pass
    sizes = dict.fromkeys((golden_set[number].width, golden_set[number].height) for number in left)
    empty = {size: empty_latent(encoded_shape(of.model, of.vae, *size)) for size in sizes}
    planned = {size: (of.plan(latent), latent) for size, latent in empty.items()}
    progress, began = Progress(node, len(left)), time.monotonic()
    for first in range(0, len(left), CHUNK):
        numbers = left[first : first + CHUNK]
        words = _encoded(of.clip, [golden_set[number] for number in numbers])
        for number in numbers:
            row = golden_set[number]
            picture, passes = _made(of.vae, planned[row.width, row.height], words, row, number)
            told = {**row._asdict(), PASSES: passes, **made.request}
            made.put(number, to_png(picture, told))
            progress.advance(1, row.prompt[:SHOWN])
    seconds = (time.monotonic() - began) / len(left)
    return f"{there}{len(left)} made now, {seconds:.2f} s each\n"


def _encoded(clip, rows):
    """CONDITIONING of each text of these rows."""
    words = dict.fromkeys(text for row in rows for text in (row.prompt, row.negative or ""))
    return dict(zip(words, encode(clip, list(words)), strict=True))


def _made(vae, planned, words, row, number):
    """The picture of a row, and the network passes that it took."""
    (model, *how), latent = planned
    found, conditions = [], (words[row.prompt], words[row.negative or ""])
    sampled = runs.sample(with_passes(model, found.append), *how, *conditions, latent, row.seed)
    if not runs.is_finite(sampled):
        raise ValueError(
            f"the picture of row {number + 1} has values that are NaN or infinite: float16 is too "
            "narrow for this model, or a weight is no number. Start ComfyUI with --force-fp32 to "
            "see which it is."
        )
    return decoded(vae, sampled), found[0].total


class FewStepGoldenPictures(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepGoldenPictures",
            hidden=[*texts.NEEDED, io.Hidden.prompt],
            display_name="Golden Pictures (FewStep)",
            description=(
                "Makes a model's pictures of a golden set, each from the noise of its own seed, so "
                "that those of another model can be compared one by one. Kept as PNG files that "
                "say how they were made; cancelled or killed, it goes on where it was."
            ),
            search_aliases=["evaluate", "benchmark", "compare", "batch", "golden set", "generate"],
            inputs=[*_what_inputs(), *sampling_inputs()],
            outputs=[
                PictureSetSocket.Output(
                    display_name="pictures", tooltip="Goes into Evaluate (FewStep)."
                ),
                report_output("How many pictures there are, where, and how long one took."),
            ],
            is_output_node=True,
        )

    @classmethod
    def fingerprint_inputs(cls, name, **others):
        # so that pictures that have gone are made again
        return sum(1 for _ in files.run_folder(KIND, name).glob("*.png"))

    @classmethod
    def execute(
        cls, model, clip, vae, golden_set, name, cfg, guidance, recipe=None, **by_hand
    ) -> io.NodeOutput:
        planned = planner(model, recipe, cfg, guidance, **by_hand)
        request = request_of(cls, golden_set, cfg=cfg, guidance=guidance)
        made = PictureSet(files.run_folder(KIND, name), request, len(golden_set))
        report = make_pictures(cls, Model(model, clip, vae, planned), golden_set, made)
        texts.show(cls, report)
        return io.NodeOutput(Pictures(made.folder, golden_set), report)


def request_of(node, golden_set: Sequence[Golden], **settings) -> dict:
    """What the pictures depend on: the golden set, this node's settings, and the graph above it."""
    hidden = getattr(node, "hidden", None)
    graph = upstream(getattr(hidden, "prompt", None), getattr(hidden, "unique_id", None))
    above = {way: told for way, told in graph.items() if way.split(".")[0] != "golden_set"}
    return {"golden set": fingerprint(golden_set), **settings, **above}


def _what_inputs():
    return [
        io.Model.Input("model", tooltip="The model to judge, after all its LoRAs."),
        io.Clip.Input("clip", tooltip="Its text encoder."),
        io.Vae.Input("vae", tooltip="Its VAE."),
        GoldenSetSocket.Input("golden_set", tooltip="From Golden Set (FewStep)."),
        io.String.Input(
            "name",
            default="teacher",
            tooltip=(
                "Of the folder in ComfyUI's output folder, in fewstep/pictures. Each model has its "
                "own; a set of something else is never written over."
            ),
        ),
    ]
