"""Inputs and outputs that the nodes which make data have in common."""

from comfy_api.latest import io

from .known import STOP, WARN
from .sockets import report_output
from .training_sockets import DataSocket


def data_outputs():
    return [data_output(), report_output("How much was made, and where it lies.")]


def data_output():
    return DataSocket.Output(
        display_name="data",
        tooltip=(
            "Goes into Bake Guidance (FewStep) and Distill (FewStep); with data of other sizes "
            "first into Join Data (FewStep)."
        ),
    )


def steps_input(what: str):
    return io.Int.Input(
        "steps",
        default=24,
        min=2,
        max=1000,
        tooltip=f"{what} Students have a divisor of it: 24 serves for 1, 2, 3, 4, 6, 8 and 12.",
    )


def cfg_input():
    return io.Float.Input(
        "cfg",
        default=5.0,
        min=1.0,
        max=100.0,
        step=0.1,
        tooltip="The guidance that is baked in: the cfg you like best.",
    )


def seed_input(tooltip: str, most: int = 0xFFFFFFFFFFFFFFFF):
    """A seed that stays: the page would change it after every run, and each run would be new."""
    options = {"min": 0, "max": most, "control_after_generate": False}
    return io.Int.Input("seed", default=0, tooltip=tooltip, **options)


def cfg_max_input():
    return io.Float.Input(
        "cfg_max",
        optional=True,
        default=0.0,
        min=0.0,
        max=100.0,
        step=0.1,
        tooltip=(
            "0 bakes in the one cfg. Above cfg, each picture has its own between the two, and "
            "students are told theirs: the cfg can then be chosen in use, without its cost. "
            "For UNets such as SD 1.5's and SDXL's."
        ),
    )


def where_inputs(name: str):
    return [
        io.String.Input(
            "name",
            default=name,
            tooltip="Of the folder in ComfyUI's output/fewstep/data that it is kept in.",
        ),
        io.Float.Input(
            "budget_gb",
            default=5.0,
            min=0.001,
            max=100000.0,
            step=0.1,
            tooltip="The most that it may take on disk; asked before the first step.",
        ),
    ]


def if_distilled_input():
    return io.Combo.Input(
        "if_distilled",
        options=[STOP, WARN],
        default=STOP,
        tooltip=(
            "What happens where model is distilled already (Turbo, schnell, Lightning, klein). "
            "stop: an error that says why. warn: it goes on."
        ),
    )
