"""How often a sampling run calls its network, and the line that says so.

A pass is the network once, for the whole batch, under one condition. A call may carry several: at
cfg 2 the prompts of a step come in one call where memory allows, and are 2 passes all the same.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager

from comfy.model_patcher import create_model_options_clone
from comfy.patcher_extension import WrappersMP, add_wrapper_with_key, get_wrappers_with_key

from .serving import server
from .wrapping import with_run, wrap_run

KEY = "fewstep.passes"
# the window that runs a sampler of ours is told {"prompt_id": str, "passes": int}
EVENT = "fewstep.passes"


class Passes:
    """The passes of one sampling run; it begins with the run and ends with it."""

    def __init__(self, steps: int):
        self.steps = steps
        # how often the sampler has asked so far, and (at which time, passes) of every call
        self.asked = 0
        self.calls: list[tuple[int, int]] = []

    def ask(self, executor, *arguments):
        """A PREDICT_NOISE wrapper: the sampler asks what a noisy latent shows."""
        self.asked += 1
        return executor(*arguments)

    def call(self, executor, x, sigma, concat, context, control, transformer_options, **conditions):
        """An APPLY_MODEL wrapper: the network is called."""
        # some packs call it on their own, under one condition
        self.calls.append((self.asked, len(transformer_options.get("cond_or_uncond", [0]))))
        return executor(x, sigma, concat, context, control, transformer_options, **conditions)

    @property
    def total(self) -> int:
        return sum(passes for _, passes in self.calls)

    def line(self) -> str:
        """5 network passes in 4 steps: 2 on 1 of them."""
        total = f"{self.total} network {'pass' if self.total == 1 else 'passes'}"
        return f"{total} in {self.steps} {'step' if self.steps == 1 else 'steps'}{self._detail()}"

    def _detail(self):
        of_times = Counter()
        for time, passes in self.calls:
            of_times[time] += passes
        counts = Counter(of_times[time] for time in range(1, self.asked + 1))
        # samplers such as heun ask more than once a step
        if self.asked != self.steps or set(counts) <= {1}:
            return ""
        if len(counts) == 1:
            return f": {next(iter(counts))} on each"
        unusual = sorted((passes, times) for passes, times in counts.items() if passes != 1)
        return ": " + ", ".join(f"{passes} on {times} of them" for passes, times in unusual)


def counted(model, tell: Callable[[str], None]):
    """A copy of a MODEL that tells after every sampling run how often the network was called.

    Calls that another node's wrapper has answered without the network do not count, so put it on
    last. A run that is cancelled or fails tells nothing.

    Args:
        tell: given `Passes.line`.
    """
    return with_passes(model, lambda passes: tell(passes.line()))


def with_passes(model, on_end: Callable[[Passes], None]):
    """A copy of a MODEL that gives the passes of every sampling run, as of `counted`."""

    @contextmanager
    def run(guider, sampler, sigmas):
        passes = Passes(max(len(sigmas) - 1, 0))
        wrap_run(guider, WrappersMP.PREDICT_NOISE, KEY, passes.ask)
        wrap_run(guider, WrappersMP.APPLY_MODEL, KEY, passes.call)
        yield
        on_end(passes)

    return with_run(model, KEY, run)


@contextmanager
def told(model_options: dict):
    """Tell the window that runs a sampler of ours how many passes it took; not where a node counts.

    Args:
        model_options: as the sampler was given them.

    Yields:
        Those that it should work with.
    """
    if get_wrappers_with_key(WrappersMP.APPLY_MODEL, KEY, model_options, is_model_options=True):
        yield model_options
        return
    own = create_model_options_clone(model_options)
    passes = Passes(0)
    add_wrapper_with_key(WrappersMP.APPLY_MODEL, KEY, passes.call, own, is_model_options=True)
    yield own
    _send(passes.total)


def _send(passes):
    instance = server()
    # of the run that is under way; None in a ComfyUI that has run nothing, as in a script
    prompt_id = getattr(instance, "last_prompt_id", None)
    if prompt_id is not None:
        data = {"prompt_id": prompt_id, "passes": passes}
        instance.send_sync(EVENT, data, instance.client_id)
