"""The node that keeps what each step to a fast model cost, and shows how the losses add up."""

from pathlib import Path

from comfy_api.latest import io

from ..evaluate.ledger import read
from ..evaluate.ledger_steps import keep
from ..evaluate.waterfall import Waterfall, notes, summary, waterfall
from .evaluation_sockets import FOLDER, FiguresSocket
from .host import files, texts
from .host.waterfall_plot import waterfall_plot
from .schema import check_choice, schema
from .sockets import report_output

# metrics that the reference has too, so that there is something to take per cent of
METRICS = "SSIM", "CLIP score", "diversity"


def told(path: Path, metric: str, tolerance: float, total_tolerance: float) -> Waterfall:
    """The losses of a ledger by a metric.

    Raises:
        ValueError: there is no such ledger, or fewer than two steps, or the metric was not
            measured throughout.
    """
    check_choice("metric", metric, METRICS)
    limits = {"step_tolerance": tolerance, "total_tolerance": total_tolerance}
    return waterfall(read(path), metric, **limits)


class FewStepLedger(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepLedger",
            hidden=texts.NEEDED,
            display_name="Ledger (FewStep)",
            description=(
                "Keeps what each step to a fast model cost, one line for each evaluation, and "
                "draws how the losses add up. Nothing in it is ever changed."
            ),
            search_aliases=["ledger", "waterfall", "log", "history", "quality", "loss", "compare"],
            inputs=[*_what_inputs(), *_limit_inputs()],
            outputs=[
                report_output("What each step cost and all together, and what is too much."),
                io.Image.Output(
                    display_name="images", tooltip="The waterfall of losses, step by step."
                ),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, name, step, metric, tolerance, total_tolerance, figures=None) -> io.NodeOutput:
        path = files.run_folder("ledgers", name).with_name(f"{name}.jsonl")
        done = "" if figures is None else f"{keep(path, step, figures)}\n"
        found = told(path, metric, tolerance, total_tolerance)
        text = "\n".join([f"{done}{metric}: {summary(found)}", *notes(found)]) + "\n"
        texts.show(cls, text)
        return io.NodeOutput(text, waterfall_plot(found))


def _what_inputs():
    return [
        io.String.Input(
            "name",
            default="my model",
            tooltip="Of the ledger, a file in ComfyUI's output folder, in fewstep/ledgers.",
        ),
        io.String.Input(
            "step",
            default="",
            tooltip="What was changed, such as fp8 or 4 steps. Empty takes the pictures' name.",
        ),
        io.Combo.Input(
            "metric",
            options=list(METRICS),
            default=METRICS[0],
            tooltip="What losses are told by. The other figures are kept too.",
        ),
    ]


def _limit_inputs():
    limit = {"min": 0.0, "max": 100.0, "step": 0.5}
    return [
        io.Float.Input(
            "tolerance",
            default=5.0,
            **limit,
            tooltip="Per cent that one step may cost before the report warns.",
        ),
        io.Float.Input(
            "total_tolerance",
            default=10.0,
            **limit,
            tooltip="Per cent that all steps may cost together.",
        ),
        FiguresSocket.Input(
            "figures",
            optional=True,
            tooltip="From Evaluate (FewStep). Without it the ledger is only shown.",
        ),
    ]
