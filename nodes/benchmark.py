"""The node that times ways to make a picture beside each other."""

import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

from comfy_api.latest import io

from ..evaluate.latency import Latency, by_turns, device_of
from ..evaluate.table import aligned
from .evaluation_sockets import FOLDER, WaysSocket
from .host import runs as sampling
from .host import texts
from .host.latency_plot import latency_plot
from .host.passes import with_passes
from .host.progress import Progress
from .plan import Plan, planner
from .schema import schema
from .sockets import report_output, sampling_inputs

WARM_UP, SEED = 2, 0
HEADER = "", "passes", "median s", "95 % s", "times as fast", "peak GB"


class Way(NamedTuple):
    """A way to make a picture that is timed beside others."""

    name: str
    plan: Plan
    run: Callable[[], int]


def way(name: str, planned: Plan, words, latent_image) -> Way:
    """The latents of one batch, by a plan; decoding is the same for all and not in it."""

    def run():
        found = []
        made = planned._replace(model=with_passes(planned.model, found.append))
        sampling.sample(*made, *words, latent_image, SEED)
        return found[0].total

    return Way(name, planned, run)


def with_way(ways: Sequence[Way], added: Way) -> tuple[Way, ...]:
    """Those before, and one more.

    Raises:
        ValueError: it has no name, or that of another.
    """
    if not added.name.strip():
        raise ValueError("name is empty; write what this way is, such as 4 steps.")
    if added.name in (one.name for one in ways):
        raise ValueError(f"name is {added.name!r}, and another way is called so. Choose another.")
    return (*ways, added)


def timed(node, ways: Sequence[Way], count: int) -> dict[str, Latency]:
    """Time all ways by turns; shows progress and can be cancelled."""
    progress = Progress(node, len(ways) * (count + WARM_UP))
    models = {one.name: one.plan.model for one in ways}
    return by_turns(
        {one.name: one.run for one in ways},
        runs=count,
        warm_up=WARM_UP,
        device=device_of(ways[0].plan.model.load_device),
        prepare=lambda name: sampling.load(models[name]),
        on_run=lambda: progress.advance(1),
    )


def as_text(found: dict[str, Latency]) -> str:
    """A row for each way."""
    rows = [HEADER]
    for name, of in found.items():
        seconds = f"{of.median:.3f}", f"{of.late:.3f}", f"{of.ratio:.1f}"
        rows.append((name, str(of.passes), *seconds, _gigabytes(of.peak)))
    return "\n".join(aligned(rows)) + "\n"


def _gigabytes(peak):
    return "-" if peak is None else f"{peak / 1e9:.1f}"


class FewStepBenchmark(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepBenchmark",
            hidden=texts.NEEDED,
            display_name="Benchmark (FewStep)",
            description=(
                "Times ways to make a picture beside each other: warmed up, by turns, with network "
                "passes and memory. Chain one of these for each way; the last one times them all."
            ),
            search_aliases=["benchmark", "time", "speed", "latency", "seconds", "compare", "fast"],
            inputs=[*_what_inputs(), *sampling_inputs()],
            outputs=[
                WaysSocket.Output(
                    display_name="ways", tooltip="All so far, for the next Benchmark (FewStep)."
                ),
                report_output("Seconds, passes and memory of every way."),
                io.Image.Output(display_name="images", tooltip="A bar for each way."),
                io.String.Output(display_name="json", tooltip="The same figures for programs."),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls, name, positive, latent_image, runs, cfg, guidance, model, negative=None, ways=(), **how
    ) -> io.NodeOutput:
        planned = planner(model, how.pop("recipe", None), cfg, guidance, **how)(latent_image)
        words = positive, positive if negative is None else negative
        ways = with_way(ways, way(name, planned, words, latent_image))
        if not runs:
            return io.NodeOutput(ways, "", latency_plot({}), "{}")
        found = timed(cls, ways, runs)
        texts.show(cls, as_text(found))
        told = json.dumps({name: of._asdict() for name, of in found.items()}, indent=1)
        return io.NodeOutput(ways, as_text(found), latency_plot(found), told)


def _what_inputs():
    return [
        io.Model.Input("model", tooltip="With all its LoRAs and patches."),
        io.Conditioning.Input("positive", tooltip="Any prompt; the time hardly depends on it."),
        io.Latent.Input("latent_image", tooltip="An empty latent of the size that you use."),
        io.String.Input("name", default="teacher", tooltip="What this way is called in the table."),
        io.Int.Input(
            "runs",
            default=10,
            min=0,
            max=1000,
            tooltip=(
                "Timed runs of each way so far. 0 hands the ways on without timing: set it so in "
                "all but the last of a chain."
            ),
        ),
        io.Conditioning.Input(
            "negative", optional=True, tooltip="Only for cfg above 1; the time is that of two."
        ),
        WaysSocket.Input(
            "ways",
            optional=True,
            tooltip="From the Benchmark (FewStep) before; the first is what others are told by.",
        ),
    ]
