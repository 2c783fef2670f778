"""The inputs of the cache node."""

from comfy_api.latest import io

from ..cache.forecast import ORDERS
from ..cache.policy import KINDS

AUTO = "auto"


def cache_inputs():
    """The MODEL, and how it is cached."""
    return [
        io.Model.Input("model", tooltip="After all its LoRAs; goes on into the sampler."),
        io.Combo.Input(
            "policy",
            options=[AUTO, *KINDS],
            default=AUTO,
            tooltip=(
                "When a step is reused. auto: as suits the network, with a threshold of its own. "
                "first block: the first blocks have changed little since the last computed step. "
                "accumulated change: the same, added up over the steps. fixed: max_skips steps "
                "after each computed one. whole step: the whole output, for networks whose blocks "
                "cannot be reached."
            ),
        ),
        io.Float.Input(
            "threshold",
            default=0.1,
            min=0.0,
            max=10.0,
            step=0.01,
            round=False,
            tooltip=(
                "Relative change up to which a step is reused: 0.1 is 10 %, 0 is never. More is "
                "faster and further off. auto and fixed do not look at it."
            ),
        ),
        *_span_inputs(),
        *_whole_numbers(),
        io.Combo.Input(
            "forecast",
            options=list(ORDERS),
            default="taylor",
            tooltip=(
                "What takes the place of what is left out. reuse: the same as at the last computed "
                "step. taylor: continued in a line through the last two; closer, and keeps twice "
                "as much in memory."
            ),
        ),
        io.String.Input(
            "coefficients",
            default="",
            tooltip=(
                "For accumulated change: the five numbers of a polynomial as TeaCache has it, "
                "highest power first, that the change is put into. Empty: the change itself."
            ),
        ),
        io.Boolean.Input(
            "force",
            default=False,
            tooltip="Also below 10 steps, where the picture suffers more than by fewer steps.",
        ),
        io.Boolean.Input(
            "compare",
            default=False,
            tooltip=(
                "Runs a second time without the cache and says how far apart the two are. Takes "
                "the time of both."
            ),
        ),
    ]


def _span_inputs():
    span = {"min": 0.0, "max": 1.0, "step": 0.01}
    return [
        io.Float.Input(
            "start_percent",
            default=0.1,
            tooltip="Where in the run reuse begins; before, every step is computed.",
            **span,
        ),
        io.Float.Input("end_percent", default=1.0, tooltip="Where in the run reuse ends.", **span),
    ]


def _whole_numbers():
    return [
        io.Int.Input(
            "max_skips",
            default=3,
            min=0,
            max=100,
            tooltip="Most steps in a row that are reused; 0 is none.",
        ),
        io.Int.Input(
            "guidance_interval",
            default=1,
            min=1,
            max=100,
            tooltip=(
                "Every how many steps the second pass of cfg is computed; in between its "
                "difference to the first is used again. 1 is every step."
            ),
        ),
        io.Int.Input(
            "front_blocks",
            default=0,
            min=0,
            max=200,
            tooltip="Blocks at the front that are always computed. 0: as suits the network.",
        ),
        io.Int.Input(
            "back_blocks",
            default=0,
            min=0,
            max=200,
            tooltip="Blocks at the back that are always computed. In UNets as many as in front.",
        ),
    ]
