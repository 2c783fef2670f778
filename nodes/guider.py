"""The node that guides a distilled model: one pass a step, and real cfg where it is wanted."""

from comfy_api.latest import io

from ..recipes.check import as_text, check
from ..recipes.facts import of_verdicts
from ..recipes.pieces import CANNOT_KNOW, Verdict
from ..recipes.recipe import Recipe
from .check import pieces_of, recipe_of
from .guided import Guided, guide
from .host import texts, told_guidance
from .host.facts import with_facts
from .host.guider import Inside, IntervalGuider
from .host.passes import counted
from .known import recipes
from .report import say, sayer
from .schema import schema
from .sockets import RecipeSocket, guidance_input, report_output


def title(recipe: Recipe | None, made: Guided) -> str:
    """LCM-LoRA SD 1.5, cfg 2 from 0 to 0.2, else 1."""
    told = told_guidance.told_guidance(made.model)
    parts = [recipe.title if recipe is not None else "no recipe"]
    parts += [] if told is None else [f"guidance {told:g}"]
    if made.inside is None:
        parts += [f"cfg {made.cfg:g}"]
    else:
        cfg, start, end = made.inside
        parts += [f"cfg {cfg:g} from {start:g} to {end:g}, else {made.cfg:g}"]
    return ", ".join(parts)


def judged(recipe: Recipe | None, made: Guided, has_negative: bool) -> list[Verdict]:
    """What the check says of guidance and model; the rest of the graph is not known here."""
    known = {"cfg_inside": made.inside and made.inside.cfg, "has_negative": has_negative}
    pieces = pieces_of(made.model, recipe, cfg=made.cfg, **known)
    verdicts = check(pieces, recipe, recipes().values())
    return [v for v in verdicts if v.verdict != CANNOT_KNOW or v.subject == "recipe"]


class FewStepGuider(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder="guidance",
            node_id="FewStepGuider",
            hidden=texts.NEEDED,
            display_name="Guider (FewStep)",
            description=(
                "A guider for distilled models: one network pass a step, guidance told to the "
                "network where it takes it so, real cfg in a part of the noise levels where it is "
                "wanted. Says how many network passes a run took."
            ),
            search_aliases=["guider", "cfg", "guidance interval", "cfg override", "passes"],
            inputs=[
                io.Model.Input("model", tooltip="The distilled model, after all its LoRAs."),
                io.Conditioning.Input("positive", tooltip="What the picture shall show."),
                io.Conditioning.Input(
                    "negative",
                    optional=True,
                    tooltip="What it shall not show; acts only where cfg is above 1.",
                ),
                RecipeSocket.Input(
                    "recipe",
                    optional=True,
                    tooltip="What the model needs; not connected, that of FewStep's loader.",
                ),
                guidance_input(),
                *_interval_inputs(),
            ],
            outputs=[
                io.Guider.Output(tooltip="Goes into SamplerCustomAdvanced."),
                report_output("A verdict on guidance, cfg, negative prompt and model."),
            ],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(
        cls,
        model,
        positive,
        guidance,
        cfg,
        start_percent,
        end_percent,
        negative=None,
        recipe=None,
    ) -> io.NodeOutput:
        recipe = recipe or recipe_of(model)
        wanted = Inside(cfg, start_percent, end_percent)
        made = guide(model, recipe, guidance, wanted, has_negative=negative is not None)
        verdicts = judged(recipe, made, negative is not None)
        heading = title(recipe, made)
        model = counted(made.model, sayer(cls, say(cls, heading, verdicts)))
        guider = IntervalGuider(model, positive, negative, made.cfg, made.inside)
        return with_facts(guider, f"{heading}\n{as_text(verdicts)}", **of_verdicts(verdicts))


def _interval_inputs():
    # steps of a percent as in ComfyUI's own nodes
    span = {"min": 0.0, "max": 1.0, "step": 0.001}
    return [
        io.Float.Input(
            "cfg",
            default=0.0,
            min=0.0,
            max=100.0,
            step=0.1,
            tooltip=(
                "Real cfg, two passes a step, from start_percent to end_percent of the noise "
                "levels; needs negative. 0 is none but guidance."
            ),
        ),
        io.Float.Input(
            "start_percent",
            default=0.0,
            tooltip="Where cfg begins: 0 is the first, noisiest level.",
            **span,
        ),
        io.Float.Input(
            "end_percent",
            default=1.0,
            tooltip="Where cfg ends: 1 is clean. 0 to 0.2 is the first of 4 steps.",
            **span,
        ),
    ]
