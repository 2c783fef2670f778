"""Rules on the files that make up a model: which are on it, how strongly, and how well they fit.

A rule takes the pieces and the recipe. It yields verdicts without their subject, and none where
the recipe leaves the subject open.
"""

from .names import named
from .pieces import fit, unknown, within, wrong
from .read import read_all

# parts of the recipe's strength: from the first on a finetune as base can be the reason, and
# between the others it fits
FINETUNED, LOWEST, HIGHEST = 0.6, 0.75, 1.25
MISFITS = {"none": "nothing of it", "other network": "it is for another network"}


def strength(pieces, recipe):
    if recipe.kind != "lora":
        return
    files = [file for file in pieces.applied or () if file.recipe and file.recipe.id == recipe.id]
    if not files:
        fix = "load it with FewStep, which tells what a file is"
        yield unknown(f"{recipe.strength:g}", "the LoRA of this recipe is not seen", fix)
    for file in files:
        yield _strength(file.strength, recipe.strength)


def _strength(found, wanted):
    needed = f"{wanted:g}"
    fix = f"strength {needed}"
    if found == 0.0:
        symptom = "blurred, unfinished pictures: the LoRA does nothing"
        return wrong("0", needed, symptom, fix)
    if found is not None and found < 0.0:
        symptom = "noise and blur: the distillation is taken out of the model"
        return wrong(f"{found:g}", needed, symptom, fix)
    if found is not None and FINETUNED <= found / wanted < LOWEST:
        return unknown(needed, f"{found:g}, which is right for some finetunes", fix)
    below, above = "blurred, unfinished pictures", "fried, over-contrasted pictures"
    low, high = LOWEST * wanted, HIGHEST * wanted
    return within(found, low, high, needed, below=below, above=above, fix=fix)


def distillations(pieces, recipe):
    needed = "one at most"
    if pieces.applied is None:
        if recipe is not None:
            yield unknown(needed)
        return
    found = [file.name for file in _speeding(pieces)]
    networks = [file for file in pieces.applied if file.kind != "lora"]
    if recipe is not None and recipe.kind != "lora" and recipe.is_distilled and not networks:
        found.insert(0, recipe.title)
    if len(found) > 1:
        fix = "keep one; a LoRA for the other stage belongs on that stage's own model"
        yield wrong(" and ".join(found), needed, "grainy or burnt pictures", fix)
    elif recipe is not None:
        yield fit(found[0] if found else "none seen", needed)


def _speeding(pieces):
    # at strength 0 a file changes nothing; a network has no strength
    return [
        file
        for file in pieces.applied or ()
        if file.recipe and file.recipe.is_distilled and file.strength != 0.0
    ]


def coverage(pieces, recipe):
    for file in pieces.applied or ():
        found, needed = f"{file.name}: {file.coverage}", "the whole file fits the model"
        fix = "take the file made for this model"
        if file.coverage in MISFITS:
            found = f"{file.name}: {MISFITS[file.coverage]} fits"
            symptom = "the picture of the model without it, or a broken one"
            yield wrong(found, needed, symptom, fix)
        elif file.coverage == "partial" and file.recipe:
            yield wrong(found, needed, "blurred pictures: half of the distillation is missing", fix)
        elif file.coverage == "partial":
            yield unknown(needed, f"{found}, and the rest may be of a text encoder", fix)
        elif file.coverage == "whole":
            yield fit(found, needed)


def training(pieces, recipe, recipes):
    """Rule on what other LoRAs were trained on; the known recipes tell a name's model."""
    is_distilled = bool(_speeding(pieces)) or (recipe is not None and recipe.is_distilled)
    others = [file for file in pieces.applied or () if file.kind == "lora" and not file.recipe]
    if not others or not is_distilled:
        return
    known = list(read_all()[0].values() if recipes is None else recipes)
    needed = "trained on the undistilled model"
    for file in others:
        if file.trained_on is None:
            yield unknown(needed, f"{file.name} does not say on what")
        elif _names_a_distilled_model(file.trained_on, known, recipe):
            found = f"{file.name} on {file.trained_on}"
            symptom = "blurred at few steps: such a training undoes the distillation"
            fix = "train it on the undistilled model, or with a de-distilling adapter"
            yield wrong(found, needed, symptom, fix)
        else:
            yield fit(f"{file.name} on {file.trained_on}", needed)


def _names_a_distilled_model(name, known, recipe):
    told = [found for found in named(known, name) if found.is_distilled]
    return any(recipe is None or found.base == recipe.base for found in told)


def other_changes(pieces, recipe):
    if pieces.other_patches:
        found = f"{pieces.other_patches} weights changed by other nodes"
        yield unknown("", found, "load LoRAs with FewStep, which tells what they are")


def weights(pieces, recipe):
    # the family is the only one with a file for each kind of base
    if recipe.family != "qwen-lightning" or recipe.kind != "lora":
        return
    is_for_fp8 = "fp8" in recipe.id
    needed = "float8_e4m3fn" if is_for_fp8 else "bfloat16, or float8 with scales"
    dtype = pieces.weight_dtype
    if dtype is None or (dtype.startswith("float8") and pieces.scaled is None and not is_for_fp8):
        yield unknown(needed, dtype or "not known")
    elif is_for_fp8 and not dtype.startswith("float8"):
        symptom = "over-sharp, slightly noisy pictures"
        yield wrong(dtype, needed, symptom, "the LoRA without fp8 in its name")
    elif not is_for_fp8 and dtype.startswith("float8") and not pieces.scaled:
        symptom = "a grid of fine lines over the picture"
        fix = "the scaled float8 or bfloat16 model, or the LoRA made for fp8_e4m3fn"
        yield wrong(f"{dtype} without scales", needed, symptom, fix)
    else:
        yield fit(dtype, needed)
