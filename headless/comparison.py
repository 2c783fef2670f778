"""Pictures of two models as they lie on disk, looked at and compared row by row."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from ..evaluate.compare import psnr, ssim
from ..evaluate.golden_set import Golden, prompt_numbers
from ..evaluate.likeness import Likeness
from ..evaluate.picture_file import read_picture
from ..evaluate.picture_set import PictureSet
from .golden_pictures import batches
from .picture_features import Eyes

# pictures at a time
BATCH = 16


class Seen(NamedTuple):
    """Features of a set's pictures, [N, D] each; None where nothing looks for them."""

    clip: torch.Tensor | None
    inception: torch.Tensor | None


class Compared(NamedTuple):
    """[N] of each pair; lpips None where it is not measured."""

    psnr: torch.Tensor
    ssim: torch.Tensor
    lpips: torch.Tensor | None

    def told(self, row: int) -> str:
        """The figure by which pairs are ordered."""
        name = "SSIM" if self.lpips is None else "LPIPS"
        return f"{name} {(self.ssim if self.lpips is None else self.lpips)[row]:.2f}"


def check_whole(pictures: PictureSet) -> None:
    """Refuse a set of which pictures are gone.

    Raises:
        ValueError: it is not whole.
    """
    if missing := pictures.missing():
        raise ValueError(
            f"{pictures.folder} lacks {len(missing)} pictures, the first of row {missing[0] + 1}. "
            "Run the same command again; it makes what is missing."
        )


def look_at(pictures: PictureSet, golden_set: Sequence[Golden], eyes: Eyes) -> Seen:
    """Every picture of a whole set, as the networks see it.

    Raises:
        ValueError: a picture cannot be read, or is not of the size of its row.
    """
    found = {"clip": [], "inception": []}
    for rows in batches(golden_set, BATCH):
        some = np.stack([_read(pictures, golden_set, row) for row in rows])
        for name, part in found.items():
            if (eye := getattr(eyes, name)) is not None:
                part.append(eye.of_pictures(some))
    return Seen(*(torch.cat(part) if part else None for part in found.values()))


def compared(
    reference: PictureSet, other: PictureSet, golden_set: Sequence[Golden], eyes: Eyes
) -> Compared:
    """Every pair of two whole sets; errors as of `look_at`."""
    found, lpips = [], []
    for row in range(len(golden_set)):
        pair = [
            torch.from_numpy(_read(one, golden_set, row).copy()).movedim(-1, 0) / 255.0
            for one in (reference, other)
        ]
        theirs, ours = pair
        found.append((psnr(ours, theirs, 1.0), ssim(ours, theirs, 1.0)))
        if eyes.lpips is not None:
            lpips.append(eyes.lpips.of_pair(theirs, ours))
    psnrs, ssims = torch.tensor(found, dtype=torch.float64).T
    return Compared(psnrs, ssims, torch.tensor(lpips, dtype=torch.float64) if lpips else None)


def likeness_of(
    pair: Compared, golden_set: Sequence[Golden], reference: Seen, other: Seen, eyes: Eyes
) -> Likeness:
    """All that was measured of two sets."""
    both = [
        None if theirs is None else (theirs, ours)
        for theirs, ours in zip(reference, other, strict=True)
    ]
    words, note = None, ""
    if eyes.clip is not None:
        words, note = eyes.clip.of_prompts([golden.prompt for golden in golden_set])
    prompts = prompt_numbers(golden_set)
    return Likeness(prompts, *pair, seen=both[0], words=words, inception=both[1], words_note=note)


def worst_rows(pair: Compared, count: int) -> list[int]:
    """The rows least alike, by LPIPS, or by SSIM without it; the worst first."""
    apart = -pair.ssim if pair.lpips is None else pair.lpips
    return apart.argsort(descending=True, stable=True)[:count].tolist()


def _read(pictures, golden_set, row):
    picture, golden = read_picture(pictures.path(row))[0], golden_set[row]
    if picture.shape != (golden.height, golden.width, 3):
        height, width, _ = picture.shape
        raise ValueError(
            f"{pictures.path(row)} is {width} x {height}, and its row is {golden.width} x "
            f"{golden.height}. Somebody has changed the file; delete it, and run the same command "
            "again."
        )
    return picture
