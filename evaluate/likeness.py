"""The figures of a set whose pictures are each beside the reference's picture of the same row."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from .clip_score import clip_score
from .figures import (
    KID_SCALE,
    Described,
    Figure,
    cmmd,
    diversity,
    fid,
    kid,
    mean,
    of_prompts,
    vendi,
)
from .kernel_distance import SUBSET_SIZE, SUBSETS, kid_of_subsets
from .verdict import LESS

# dB; equal pictures have no error to take the logarithm of
MOST_PSNR = 100.0
PAIRED = (
    "PSNR and SSIM mean something only where a student keeps the teacher's picture of a seed; "
    "students by lcm, tdm, dmd or adversarial make others by design."
)
PAIRED_TOO = PAIRED.replace("PSNR and SSIM", "PSNR, SSIM and LPIPS")
# ends the names of distances that are measured on other features than CLIP's
ON_INCEPTION = " on Inception features"

Pair = tuple[torch.Tensor, torch.Tensor]


class Likeness(NamedTuple):
    """What was measured of two sets of one golden set, row by row.

    Attributes:
        prompts: [N] the prompt of each row, as a number.
        psnr, ssim: [N] of each pair; psnr inf where they are equal.
        lpips: [N] of each pair, or None.
        seen: CLIP's features of the reference's and of the other's pictures, [N, D] each, or None.
        words: [N, D] CLIP's features of each row's prompt, or None; only beside seen.
        inception: as seen, of Inception.
        words_note: what must be known of words, a sentence.
    """

    prompts: Sequence[int]
    psnr: torch.Tensor
    ssim: torch.Tensor
    lpips: torch.Tensor | None = None
    seen: Pair | None = None
    words: torch.Tensor | None = None
    inception: Pair | None = None
    words_note: str = ""


def figures(of: Likeness, *, seed: int) -> list[Figure]:
    """All that can be measured of the other set.

    Raises:
        ValueError: features are not finite, or there are too few pictures or prompts.
    """
    note = PAIRED if of.lpips is None else PAIRED_TOO
    decibel = _by_prompt(of, "PSNR (dB)", of.psnr.clamp_max(MOST_PSNR), seed)
    found = [decibel._replace(note=note), _by_prompt(of, "SSIM", of.ssim, seed)]
    if of.lpips is not None:
        found.append(_by_prompt(of, "LPIPS", of.lpips, seed))
    if of.seen is not None:
        sets = _described(of, of.seen)
        found += [measure(*sets, seed=seed) for measure in (kid, cmmd, fid)]
        if len(set(of.prompts)) < len(of.prompts):
            found += [measure(*sets, seed=seed) for measure in (diversity, vendi)]
    if of.inception is not None:
        found += [_on_inception(measure, of, seed) for measure in (fid, kid)]
    if of.words is not None:
        theirs, score = (clip_score(features, of.words) for features in of.seen)
        found.append(_by_prompt(of, "CLIP score", score, seed)._replace(note=of.words_note))
        found.append(_by_prompt(of, f"CLIP score{LESS}", score - theirs, seed))
    return found


def of_reference(of: Likeness, *, seed: int) -> list[Figure]:
    """Those of the reference alone; beside itself it is as like as can be."""
    found = [_by_prompt(of, "SSIM", torch.ones_like(of.ssim), seed)]
    if of.seen is not None and len(set(of.prompts)) < len(of.prompts):
        its = _described(of, of.seen)[0]
        found.append(diversity(its, its, seed=seed))
    if of.words is not None:
        score = clip_score(of.seen[0], of.words)
        found.append(_by_prompt(of, "CLIP score", score, seed))
    return found


def _by_prompt(of, name, values, seed):
    return mean(name, of_prompts(values, of.prompts), seed=seed)


def _described(of, features):
    return [Described(one, tuple(of.prompts)) for one in features]


def _on_inception(measure, of, seed):
    figure = measure(*_described(of, of.inception), seed=seed)
    note = _of_subsets(of, seed) if measure is kid else figure.note
    return figure._replace(name=figure.name + ON_INCEPTION, note=note)


def _of_subsets(of, seed):
    """KID as papers give it, where there are pictures enough; a sentence."""
    if len(of.prompts) < SUBSET_SIZE:
        return ""
    middle, spread = (KID_SCALE * value for value in kid_of_subsets(*of.inception, seed=seed))
    return (
        f"As papers give it, KID x 1000 of {SUBSETS} subsets of {SUBSET_SIZE:,} pictures is "
        f"{middle:.2f}, with a standard deviation of {spread:.2f}."
    )
