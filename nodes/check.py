"""The node that says what in a graph does not fit a distilled model, and the pieces it looks at."""

from dataclasses import replace

from comfy_api.latest import io

from ..recipes.check import as_text, check, fits, headline
from ..recipes.facts import of_verdicts
from ..recipes.pieces import Pieces
from ..recipes.recipe import Recipe
from .host import applied, lists, patching, sampling, texts, told_guidance
from .host.facts import with_facts
from .known import recipes
from .plan import levels_of
from .schedules import SD_ONLY, trained_levels
from .schema import schema
from .sockets import RecipeSocket, report_output


def pieces_of(
    model, recipe: Recipe | None, *, sampler=None, sigmas=None, cfg=None, latent=None, **known
):
    """What a MODEL and the other parts of a graph tell, as plain data.

    Args:
        sampler: SAMPLER, or None where it is not at hand; likewise the others.
        sigmas: falling noise levels.
        latent: LATENT, for schedules that depend on the size of the picture.
        known: `Pieces.has_negative`, `Pieces.empty_latent` where the graph tells.
    """
    noise = sampling.sampling_of(model)
    is_flow = patching.prediction_of(noise) == "flow"
    name, options = lists.name_of(sampler)
    dtype, is_scaled = applied.weight_type(model)
    return Pieces(
        base=applied.base_of(model),
        cfg=cfg,
        sampler=name,
        eta=options.get("eta"),
        sigmas=sigmas and tuple(sigmas),
        needed=recipe and sigmas and _needed(noise, recipe, len(sigmas) - 1, latent),
        grid=recipe and grid_of(noise, recipe),
        prediction=patching.prediction_of(noise),
        shift=patching.shift_of(noise) if is_flow else None,
        boundary=patching.has_boundary(noise),
        guidance=told_guidance.told_guidance(model),
        takes_guidance=told_guidance.takes_guidance(model),
        weight_dtype=dtype,
        scaled=is_scaled,
        applied=applied.trace_of(model).files,
        other_patches=applied.other_patches(model),
        **known,
    )


def recipe_of(model) -> Recipe | None:
    """The recipe of the last distilled file that FewStep has put on a MODEL."""
    found = [file.recipe for file in applied.trace_of(model).files if file.recipe is not None]
    return found[-1] if found else None


def _needed(noise, recipe, steps, latent):
    if recipe.stage is None:
        recipe = replace(recipe, steps=recipe.steps._replace(default=steps))
    return _levels(levels_of, noise, recipe, 1.0, latent)


def grid_of(noise, recipe: Recipe) -> tuple[float, ...] | None:
    """Every level that the model of a recipe was trained at; None where nothing tells."""
    if recipe.schedule.scheduler is not None:
        return None
    if recipe.schedule.spacing in SD_ONLY:
        return _levels(trained_levels, noise, recipe.schedule.spacing)
    return _levels(levels_of, noise, recipe)


def _levels(make, *values):
    """Noise levels, or None where this model cannot have them: then another verdict says why."""
    try:
        return tuple(make(*values))
    except ValueError:
        return None


class FewStepCheck(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder="recipes",
            node_id="FewStepCheck",
            hidden=texts.NEEDED,
            display_name="Check (FewStep)",
            description=(
                "Says what in a graph does not fit a distilled model: what was found, what it "
                "needs, what one would see in the picture, and what to do."
            ),
            search_aliases=["check", "verify", "wrong settings", "burnt", "blurry", "grainy"],
            inputs=[
                io.Model.Input("model", tooltip="The model as it goes into the sampler."),
                io.Sampler.Input("sampler", optional=True, tooltip="The sampler in use."),
                io.Sigmas.Input("sigmas", optional=True, tooltip="The noise levels in use."),
                io.Float.Input(
                    "cfg",
                    optional=True,
                    force_input=True,
                    tooltip="The cfg in use, connected; not connected, it is not judged.",
                ),
                RecipeSocket.Input(
                    "recipe",
                    optional=True,
                    tooltip="What the model needs; not connected, that of FewStep's loader.",
                ),
            ],
            outputs=[
                report_output("A verdict on every piece, what does not fit first."),
                io.Boolean.Output(
                    display_name="ok", tooltip="Whether nothing is known not to fit."
                ),
            ],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(cls, model, sampler=None, sigmas=None, cfg=None, recipe=None) -> io.NodeOutput:
        recipe = recipe or recipe_of(model)
        levels = None if sigmas is None else sigmas.tolist()
        pieces = pieces_of(model, recipe, sampler=sampler, sigmas=levels, cfg=cfg)
        verdicts = check(pieces, recipe, recipes().values())
        texts.show(cls, headline(verdicts))
        return with_facts(as_text(verdicts), fits(verdicts), **of_verdicts(verdicts))
