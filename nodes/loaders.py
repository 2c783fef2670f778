"""The loaders: a distilled file on a MODEL or as a MODEL, with its recipe and a report."""

import logging
from typing import Any, NamedTuple

from comfy_api.latest import io

from ..lora.coverage import Coverage
from ..lora.header import read_header
from ..recipes import check_files
from ..recipes.facts import of_file
from ..recipes.identify import Identification
from ..recipes.pieces import Applied, Pieces, Verdict
from ..recipes.recipe import Recipe
from ..recipes.words import table, told
from .host import applied, files, loras, networks, texts
from .host.facts import with_facts
from .known import STOP, WARN, file_stamp, settle, trained_on
from .schema import check_choice, schema
from .sockets import loading_inputs, recipe_output, report_output

FOLDER = "loaders"


class Loaded(NamedTuple):
    """What a loader gives; recipe is None where none is known, headline is a line of the report,
    facts are those of the page."""

    model: Any
    recipe: Recipe | None
    report: str
    headline: str
    facts: dict


def load_lora(model, name: str, strength: float, steps: int, given: Recipe | None, if_unsure: str):
    """A copy of a MODEL with a distilled LoRA.

    Raises:
        ValueError: the file is refused, is no LoRA, fits another network, does not tell, or is not
            made for this count of steps.
    """
    path = files.path_of(name, files.LORAS)
    return load_lora_file(model, path, name, strength, steps, given, if_unsure)


def load_lora_file(model, path, name: str, strength=1.0, steps=0, given=None, if_unsure=STOP):
    """As `load_lora`, of a file that lies anywhere; name is what reports call it."""
    found, file, fit = _looked_at(path, model, given, if_unsure)
    recipe = found.recipe and found.recipe.with_steps(steps)
    amount = strength * (recipe.strength if recipe else 1.0)
    before = applied.count_patches(model)
    guidance = recipe.guidance.default if recipe else 1.0
    model = loras.with_lora(model, path, fit, amount, guidance) if amount else model.clone()
    file = file._replace(name=name, strength=amount)
    applied.note(model, file, applied.count_patches(model) - before)
    report = told(found, path.name) + _coverage_text(fit.coverage, amount)
    told_so = _headline(found, path.name, fit.coverage.verdict)
    return Loaded(model, recipe, report, told_so, _facts(found, file, fit.coverage))


def _looked_at(path, model, given, if_unsure):
    """What a LoRA file's header tells; the header itself is let go before tensors are read."""
    header = read_header(path)
    found = settle(header, path, given, if_unsure)
    if found.kind not in ("lora", None):
        raise ValueError(
            f"{path.name} is a whole network, no LoRA. Load it with Model Loader (FewStep)."
        )
    fit = loras.fit_of(header, model)
    _check_coverage(fit.coverage, path.name, if_unsure)
    file = Applied(path.name, "lora", found.recipe, None, fit.coverage.verdict, trained_on(header))
    return found, file, fit


def _headline(found: Identification, name, coverage="whole"):
    """A line that says what a file is; also logged where something of it is open."""
    title = found.recipe.title if found.recipe else "no recipe"
    line = f"{title}, {found.confidence}" + (f", fits {coverage}" if coverage != "whole" else "")
    if found.recipe is None or found.confidence == "unsure" or coverage != "whole":
        logging.warning("FewStep, %s: %s. The report says why.", name, line)
    return line


def _facts(found, file, covered):
    # as Apply and Sample will judge it
    answers = check_files.coverage(Pieces(applied=(file,)), found.recipe)
    verdicts = [Verdict("coverage", *answer) for answer in answers]
    return of_file(found, file.name, verdicts) | {"coverage": covered.as_json()}


def load_model(name: str, weight_dtype: str, steps: int, given: Recipe | None, if_unsure: str):
    """The MODEL of a distilled network's file.

    Raises:
        ValueError: the file is refused, is a LoRA, is unknown to ComfyUI, does not tell, or is not
            made for this count of steps.
    """
    check_choice("weight_dtype", weight_dtype, networks.WEIGHT_TYPES)
    path = files.path_of(name, files.NETWORKS)
    found = settle(read_header(path), path, given, if_unsure)
    if found.kind == "lora":
        raise ValueError(f"{name} is a LoRA. Load it with LoRA Loader (FewStep).")
    # before gigabytes are loaded in vain
    recipe = found.recipe and found.recipe.with_steps(steps)
    embedded = recipe is not None and recipe.guidance.kind == "embedded"
    guidance = recipe.guidance.default if embedded else networks.GUIDANCE_UNTOLD
    model = networks.load_network(path, found.kind == "checkpoint", weight_dtype, guidance)
    applied.note(model, Applied(name, found.kind or "unet", recipe, None, None, None))
    report, told_so = told(found, path.name), _headline(found, path.name)
    return Loaded(model, recipe, report, told_so, of_file(found, name))


def _check_coverage(covered: Coverage, name, if_unsure):
    whole = covered.verdict == "whole"
    if whole or (covered.verdict == "partial" and if_unsure == WARN):
        return
    what = {"other network": "is for another network than model", "none": "fits nothing in model"}
    remedy = {
        "partial": "Set if_unsure to warn to load what fits.",
        "other network": "Load the base model that the file was made for.",
    }
    raise ValueError(
        f"{name} {what.get(covered.verdict, 'fits model only in part')}. "
        f"{' '.join(covered.reasons)} "
        f"{remedy.get(covered.verdict, 'Load it with the base model that it was made for.')}"
    )


def _coverage_text(covered, amount):
    ranks = sorted({layer.rank for layer in covered.layers if layer.rank is not None})
    types = sorted({layer.dtype for layer in covered.layers})
    shown = ", ".join(map(str, ranks)) if len(ranks) < 4 else f"{ranks[0]} to {ranks[-1]}"
    alphas = sum(layer.has_alpha for layer in covered.layers)
    rows = [("coverage", covered.verdict), ("rank", shown or "-"), ("type", ", ".join(types))]
    rows += [("alpha", f"in {alphas} of {len(covered.layers)} layers"), ("strength", f"{amount:g}")]
    rows += [("", reason) for reason in covered.reasons]
    if covered.verdict != "whole":
        # what is in no block of the model is named by the reasons
        blocks = covered.blocks().items()
        rows += [("", f"{b}: {_counted(counts)}") for b, counts in blocks if counts["matched"]]
    return table(rows)


def _counted(counts):
    return ", ".join(f"{count} {status}" for status, count in counts.most_common())


class FewStepLoraLoader(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepLoraLoader",
            hidden=texts.NEEDED,
            display_name="LoRA Loader (FewStep)",
            description=(
                "Puts a speed LoRA (LCM, Lightning, Hyper-SD, TCD, DMD2, Turbo ...) on a model, "
                "says which one it is and how much of it fits, and gives its recipe. Reads every "
                "LoRA dialect, with the right alpha."
            ),
            search_aliases=["lora", "lcm lora", "lightning", "hyper-sd", "turbo lora", "speed"],
            inputs=[
                io.Model.Input("model", tooltip="The base model that the LoRA was made for."),
                io.Combo.Input(
                    "lora_name",
                    options=files.names(files.LORAS),
                    tooltip="A file of ComfyUI's folder for LoRAs.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-10.0,
                    max=10.0,
                    step=0.01,
                    tooltip=(
                        "Times the strength that the recipe says: leave it at 1. 0 leaves the "
                        "model as it is, below 0 takes the LoRA out of a model it is in."
                    ),
                ),
                *loading_inputs(),
            ],
            outputs=[
                io.Model.Output(),
                recipe_output(),
                report_output("What the file is, why, how much of it fits, and what is open."),
            ],
            has_intermediate_output=True,
        )

    @classmethod
    def fingerprint_inputs(cls, lora_name, **others):
        return file_stamp(lora_name, files.LORAS)

    @classmethod
    def execute(cls, model, lora_name, strength, steps, if_unsure, recipe=None) -> io.NodeOutput:
        loaded = load_lora(model, lora_name, strength, steps, recipe, if_unsure)
        texts.show(cls, loaded.headline)
        return with_facts(loaded.model, loaded.recipe, loaded.report, **loaded.facts)


class FewStepModelLoader(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepModelLoader",
            hidden=texts.NEEDED,
            display_name="Model Loader (FewStep)",
            description=(
                "Loads a distilled model (LCM, Lightning, Turbo, DMD2, FLUX.2 klein, Z-Image-Turbo "
                "...), says which one it is and gives its recipe. Full LCM UNets keep the input "
                "for guidance that ComfyUI's own loader drops. Text encoder and VAE come from "
                "ComfyUI's loaders."
            ),
            search_aliases=["unet", "checkpoint", "lcm", "turbo", "lightning", "klein", "schnell"],
            inputs=[
                io.Combo.Input(
                    "model_name",
                    options=files.names(files.NETWORKS),
                    tooltip=(
                        "A file of ComfyUI's folders for diffusion models and checkpoints; where "
                        "both have one of this name, the former."
                    ),
                ),
                io.Combo.Input(
                    "weight_dtype",
                    options=list(networks.WEIGHT_TYPES),
                    default="default",
                    tooltip=(
                        "Number type of the weights in memory, as in Load Diffusion Model. fp8 "
                        "halves the memory and costs quality."
                    ),
                ),
                *loading_inputs(),
            ],
            outputs=[
                io.Model.Output(),
                recipe_output(),
                report_output("What the file is, why, and what is open."),
            ],
            has_intermediate_output=True,
        )

    @classmethod
    def fingerprint_inputs(cls, model_name, **others):
        return file_stamp(model_name, files.NETWORKS)

    @classmethod
    def execute(cls, model_name, weight_dtype, steps, if_unsure, recipe=None) -> io.NodeOutput:
        loaded = load_model(model_name, weight_dtype, steps, recipe, if_unsure)
        texts.show(cls, loaded.headline)
        return with_facts(loaded.model, loaded.recipe, loaded.report, **loaded.facts)
