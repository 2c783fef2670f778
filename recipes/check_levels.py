"""Rules on the noise levels of a run: how many there are, which, and where they begin and end.

A rule takes the pieces and the recipe. It yields verdicts without their subject, and none where
the recipe leaves the subject open.
"""

from .pieces import fit, unknown, within, wrong
from .words import schedule, span

# relative; ComfyUI's float32 tables agree to 4e-6, its sgm_uniform is 1e-3 off and more
LEVEL_SLACK = 1e-4
# relative; levels of one shift agree on it so well, and two shifts so near are one
AGREEMENT, SHIFT_SLACK = 0.003, 0.01
# relative; levels that are further off change the picture as a whole
CLEARLY_SEEN = 0.01
# relative; shift 3.1 or 3.158 in place of 3 changes little
HARDLY_SEEN = 0.1
# how far sgm_uniform leaves trailing levels at few steps, and LCM's on a model patched as LCM;
# how far simple and sgm_uniform leave LCM's without the patch
SGM_OFF, SGM_OFF_LCM, UNPATCHED_OFF = (0.001, 0.01), (0.033, 0.035), (0.04, 0.08)


def steps(pieces, recipe):
    least, most, count = recipe.steps.low, recipe.steps.high, pieces.steps
    if recipe.stage is not None:
        # one stage makes only its part of them
        count = len(pieces.needed) - 1 if pieces.needed else None
    elif pieces.starts_low and not pieces.empty_latent:
        least = 1
    needed = span(recipe.steps.default, recipe.steps.low, most)
    below, above = "blurred, unfinished pictures", "burnt, over-sharp pictures"
    if not recipe.is_distilled:
        above = "nothing better, only slower"
    fix = f"{needed} steps, or the file made for your count"
    yield within(count, least, most, needed, below=below, above=above, fix=fix)


def levels(pieces, recipe):
    sigmas, needed, words = pieces.sigmas, pieces.needed, schedule(recipe)
    if recipe.stage is None and pieces.starts_low:
        # the img2img verdict is on these
        return
    if recipe.stage is not None and sigmas and needed:
        needed = needed[: len(sigmas)] if recipe.stage == "high" else needed[-len(sigmas) :]
    if not sigmas or not needed or len(sigmas) != len(needed):
        yield unknown(words)
    elif sigmas[-1] > needed[-1] == 0.0:
        found = f"ends at level {sigmas[-1]:.4g}"
        yield wrong(found, "ends at 0", "noise is left in the picture", "levels down to 0")
    else:
        yield from _compared(pieces, recipe, needed)


def _compared(pieces, recipe, needed):
    words = schedule(recipe)
    # the level 0 has no relative distance
    off = [abs(s / n - 1.0) if n else 0.0 for s, n in zip(pieces.sigmas, needed, strict=True)]
    most = max(off)
    at = off.index(most)
    symptom = "softer pictures, fine artefacts"
    if most >= CLEARLY_SEEN:
        symptom = "soft, washed out or burnt pictures"
    theirs, ours = solved_shift(pieces.sigmas), solved_shift(needed)
    wanted = recipe.shift or ours
    if most <= LEVEL_SLACK:
        yield fit(f"{words} to {LEVEL_SLACK:.2%}", words)
    elif theirs and wanted and not _near(theirs, wanted):
        # where the model has that shift, the shift verdict is on it
        if recipe.shift is None or (pieces.shift and not _near(pieces.shift, theirs)):
            fix = "take the levels from the model as it is behind its shift node"
            yield wrong(f"levels of shift {theirs:.3g}", f"of shift {wanted:.3g}", symptom, fix)
    elif theirs and ours and not _near(theirs, ours):
        # right levels, on a model whose own shift is not that of the recipe
        yield fit(f"levels of shift {theirs:.3g}", words)
    else:
        found = f"level {at + 1} is {pieces.sigmas[at]:.4g}, {most:.2%} off"
        found += _origin(most, recipe.schedule, len(off) - 1)
        is_ours = recipe.schedule.spacing or recipe.schedule.timesteps
        fix = f"FewStep Sigmas with {words}" if is_ours else words
        yield wrong(found, f"{needed[at]:.4g}, of {words}", symptom, fix)


def _origin(off, wanted, count):
    if wanted.spacing == "lcm" and SGM_OFF_LCM[0] <= off <= SGM_OFF_LCM[1]:
        return ", as by sgm_uniform"
    if wanted.spacing == "lcm" and UNPATCHED_OFF[0] <= off <= UNPATCHED_OFF[1]:
        return ", as by simple without ModelSamplingDiscrete lcm"
    if (wanted.spacing == "trailing" or wanted.timesteps) and SGM_OFF[0] <= off <= SGM_OFF[1]:
        # simple agrees with trailing where the count divides the 1000 timesteps
        return ", as by sgm_uniform or simple" if 1000 % count else ", as by sgm_uniform"
    return ""


def from_picture(pieces, recipe):
    if recipe.stage is not None or not pieces.starts_low:
        return
    found, needed = f"starts at {pieces.sigmas[0]:.4g}", "trained levels"
    if pieces.empty_latent:
        symptom = "a flat, grey or washed out picture"
        fix = "denoise 1, or a picture in place of the empty latent"
        yield wrong(f"{found}, from an empty latent", f"{pieces.top:.4g}", symptom, fix)
        return
    if not pieces.grid:
        yield unknown(needed, found)
        return
    off, sigma = max((_distance(sigma, pieces.grid), sigma) for sigma in pieces.sigmas)
    if off > LEVEL_SLACK:
        found = f"off-grid: level {sigma:.4g} is {off:.2%} from the nearest trained one"
        fix = "FewStep Sigmas with denoise, which keeps trained levels"
        yield wrong(found, needed, "smeared or soft changes to the picture", fix)
    elif pieces.empty_latent is None:
        yield unknown("a picture to start from", found)
    else:
        yield fit(f"{found}, on trained levels", needed)


def _distance(sigma, grid):
    if sigma == 0.0:
        return 0.0
    return min(abs(sigma / level - 1.0) for level in grid if level)


def shift(pieces, recipe):
    if recipe.shift is None:
        return
    found, needed = pieces.shift, f"{recipe.shift:g}"
    if found is None and pieces.sigmas:
        found = solved_shift(pieces.sigmas)
    low, high = recipe.shift * (1 - SHIFT_SLACK), recipe.shift * (1 + SHIFT_SLACK)
    fix = f"shift {needed}, by ComfyUI's ModelSampling node for this model"
    below, above = "unsteady shapes, an unfinished picture", "burnt, over-exposed, few details"
    if found is not None and abs(found / recipe.shift - 1.0) < HARDLY_SEEN:
        below = above = "a slightly different picture"
    yield within(found, low, high, needed, below=below, above=above, fix=fix)


def solved_shift(sigmas) -> float | None:
    """The shift behind the flow levels of N equal steps, or None where they have no single one.

    Level i is a u / (1 + (a - 1) u) with u = (N - i) / N (Esser et al., arXiv:2403.03206,
    equation 23), so a = level (1 - u) / (u (1 - level)).
    """
    inner, count = sigmas[1:-1], len(sigmas) - 1
    is_whole = count > 1 and abs(sigmas[0] - 1.0) <= LEVEL_SLACK and sigmas[-1] == 0.0
    if not is_whole or not all(0.0 < level < 1.0 for level in inner):
        return None
    parts = [(count - i) / count for i in range(1, count)]
    shifts = [s * (1.0 - u) / (u * (1.0 - s)) for s, u in zip(inner, parts, strict=True)]
    mean = sum(shifts) / len(shifts)
    return mean if max(abs(shift / mean - 1.0) for shift in shifts) <= AGREEMENT else None


def _near(shift, other):
    return abs(shift / other - 1.0) <= SHIFT_SLACK


def stage(pieces, recipe):
    sigmas, is_high = pieces.sigmas, recipe.stage == "high"
    if recipe.stage is None:
        return
    needed = "ends above 0" if is_high else "begins below the top"
    symptom = "noisy or frozen video: a stage is asked outside of its noise levels"
    if not sigmas or (pieces.top is None and not is_high):
        yield unknown(needed)
    elif is_high and sigmas[-1] == 0.0:
        fix = "hand over to the low noise model half way, with its own LoRA"
        yield wrong("runs down to 0", needed, symptom, fix)
    elif not is_high and not pieces.starts_low:
        fix = "begin where the high noise model, with its own LoRA, ends"
        yield wrong(f"begins at {sigmas[0]:.4g}", needed, symptom, fix)
    else:
        yield fit(f"{sigmas[0]:.4g} to {sigmas[-1]:.4g}", needed)
