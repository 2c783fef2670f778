"""The nodes that sample as a recipe says: all its parts for core's nodes, or in one node."""

import time

import torch
from comfy_api.latest import io

from ..recipes.check import as_text, check
from ..recipes.facts import of_verdicts
from ..recipes.pieces import CANNOT_KNOW, Verdict
from ..recipes.recipe import in_steps
from .check import grid_of, pieces_of
from .curve import curve
from .guided import check_negative
from .host import runs, texts
from .host.facts import with_facts
from .host.passes import with_passes
from .host.sampling import sampling_of
from .known import recipes
from .plan import Plan, plan
from .report import say, sayer
from .schema import schema
from .sockets import guidance_input, model_and_recipe_inputs, report_output

FOLDER = "sampling"


def judged(made: Plan, recipe, **known) -> list[Verdict]:
    """What the check says of a plan; known is for `nodes.check.pieces_of`."""
    pieces = pieces_of(
        made.model, recipe, sampler=made.sampler, sigmas=made.sigmas, cfg=made.cfg, **known
    )
    return check(pieces, recipe, recipes().values())


def title(recipe, made: Plan) -> str:
    """LCM-LoRA SD 1.5, 4 steps, cfg 1."""
    return f"{recipe.title}, {in_steps(len(made.sigmas) - 1)}, cfg {made.cfg:g}"


def _facts(made, recipe, verdicts):
    # the negative prompt does not go through Apply
    seen = [v for v in verdicts if (v.subject, v.verdict) != ("negative prompt", CANNOT_KNOW)]
    noise = sampling_of(made.model)
    return of_verdicts(seen) | {"curve": curve(noise, made.sigmas, grid_of(noise, recipe))}


def levels(sigmas: list[float]) -> torch.Tensor:
    """SIGMAS of falling levels."""
    return torch.tensor(sigmas, dtype=torch.float32)


class FewStepApply(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepApply",
            hidden=texts.NEEDED,
            display_name="Apply (FewStep)",
            description=(
                "Makes a model ready to be sampled as its recipe says: prediction type and shift "
                "where they are needed, sampler, noise levels and cfg, for SamplerCustom and "
                "SamplerCustomAdvanced."
            ),
            search_aliases=["apply", "recipe", "sampler", "sigmas", "cfg", "shift", "few step"],
            inputs=[
                *model_and_recipe_inputs(),
                guidance_input(),
                io.Latent.Input(
                    "latent_image",
                    optional=True,
                    tooltip="Needed where the schedule depends on the size: FLUX.2.",
                ),
            ],
            outputs=[
                io.Model.Output(),
                io.Sampler.Output(tooltip="Goes into SamplerCustom or SamplerCustomAdvanced."),
                io.Sigmas.Output(tooltip="One level per network pass, falling."),
                io.Float.Output(display_name="cfg", tooltip="Goes into SamplerCustom or a guider."),
                report_output("A verdict on every piece, what does not fit first."),
            ],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(cls, model, recipe, guidance, latent_image=None) -> io.NodeOutput:
        made = plan(model, recipe, guidance=guidance, latent=latent_image)
        verdicts = judged(made, recipe, latent=latent_image)
        say(cls, title(recipe, made), verdicts)
        outputs = made._replace(sigmas=levels(made.sigmas))
        return with_facts(*outputs, as_text(verdicts), **_facts(made, recipe, verdicts))


class FewStepSample(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepSample",
            hidden=texts.NEEDED,
            display_name="Sample (FewStep)",
            description=(
                "Samples a distilled model exactly as its recipe says, in one node: steps, cfg or "
                "guidance, sampler, schedule, shift, prediction type and start level."
            ),
            search_aliases=["sample", "ksampler", "lcm", "lightning", "turbo", "few step", "fast"],
            inputs=[
                *model_and_recipe_inputs(),
                io.Conditioning.Input("positive", tooltip="What the picture shall show."),
                io.Conditioning.Input(
                    "negative",
                    optional=True,
                    tooltip="What it shall not show; does nothing at cfg 1, where most are.",
                ),
                io.Latent.Input("latent_image", tooltip="An empty latent, or a picture to change."),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="The same number gives the same picture.",
                ),
                io.Float.Input(
                    "denoise",
                    default=1.0,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip=(
                        "How much of the input picture is painted anew. Only trained noise levels "
                        "are used, so 4 steps at 0.5 make 2 passes with most models."
                    ),
                ),
                guidance_input(),
            ],
            outputs=[
                io.Latent.Output(),
                report_output(
                    "A verdict on every piece, what does not fit first, and how many network "
                    "passes it took."
                ),
            ],
            has_intermediate_output=True,
        )

    @classmethod
    def execute(
        cls, model, recipe, positive, latent_image, seed, denoise, guidance, negative=None
    ) -> io.NodeOutput:
        made = plan(model, recipe, guidance=guidance, denoise=denoise, latent=latent_image)
        known = {"has_negative": negative is not None, "empty_latent": runs.is_empty(latent_image)}
        check_negative(made.cfg, known["has_negative"], "guidance to 1")
        verdicts = judged(made, recipe, latent=latent_image, **known)
        text = say(cls, title(recipe, made), verdicts)
        # the negative prompt is never looked at when cfg is 1
        words = positive, positive if negative is None else negative
        sampled, line, run = _sampled(made, recipe, words, latent_image, seed)
        sayer(cls, text)(line)
        facts = of_verdicts(verdicts) | {"run": run}
        return with_facts(sampled, f"{as_text(verdicts)}{line}\n", **facts)


def _sampled(made, recipe, words, latent_image, seed):
    """LATENT, how many network passes it took in words, and passes and seconds for the page."""
    found, begun = [], time.perf_counter()
    watched = made._replace(model=with_passes(made.model, found.append))
    # the low noise part goes on from what the high noise part has left
    sampled = runs.sample(*watched, *words, latent_image, seed, add_noise=recipe.stage != "low")
    (passes,), seconds = found, round(time.perf_counter() - begun, 2)
    if not runs.is_finite(sampled):
        raise ValueError(
            "the sampled latent has values that are NaN or infinite: a weight of the model or of a "
            "LoRA is no number, or float16 is too narrow for this model. Leave the LoRAs away one "
            "by one, or start ComfyUI with --force-fp32 to see which it is."
        )
    run = {"passes": passes.total, "steps": passes.steps, "seconds": seconds}
    return sampled, passes.line(), run
