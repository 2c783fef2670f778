"""A model's golden pictures beside those of the model that it shall equal, pair by pair."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from ..evaluate import likeness
from ..evaluate.compare import psnr, ssim
from ..evaluate.figures import Figure
from ..evaluate.golden_set import Golden, fingerprint, prompt_numbers
from ..evaluate.ledger_steps import Measured, changed
from ..evaluate.picture_file import read_picture
from ..evaluate.picture_set import PictureSet
from .evaluation_sockets import Pictures
from .host import clip_features
from .host.pictures import on_black
from .host.progress import Progress

# of drawing prompts anew, so that a figure has one interval
SEED = 0


class Compared(NamedTuple):
    """Two sets of pictures of one golden set, row by row.

    Attributes:
        psnr, ssim: [N] of each pair.
        seen: features of the reference's and of the other's pictures, [N, D] each; empty without a
            CLIP_VISION.
    """

    golden_set: Sequence[Golden]
    psnr: torch.Tensor
    ssim: torch.Tensor
    seen: list[torch.Tensor]


def check(reference: Pictures, pictures: Pictures, clip_vision, clip) -> None:
    """Refuse sets that cannot be compared.

    Raises:
        ValueError: they are not of one golden set, are one folder, are too few, or are not whole;
            or there is a CLIP without a CLIP_VISION.
    """
    if clip is not None and clip_vision is None:
        raise ValueError(
            "clip is connected and clip_vision is not; a CLIP score needs both. Load the vision "
            "model of the same CLIP with Load CLIP Vision."
        )
    if len({golden.prompt for golden in reference.golden_set}) < 2:
        raise ValueError("all pictures are of one prompt; a comparison needs 2 prompts or more.")
    if fingerprint(reference.golden_set) != fingerprint(pictures.golden_set):
        raise ValueError(
            "reference and pictures are of different golden sets, so that there are no pairs. Give "
            "both Golden Pictures (FewStep) one Golden Set (FewStep)."
        )
    if reference.folder == pictures.folder:
        raise ValueError(
            f"reference and pictures are both {reference.folder.name}. Connect two sets."
        )
    for one in (reference, pictures):
        if missing := PictureSet.opened(one.folder).missing():
            raise ValueError(
                f"{one.folder.name} lacks {len(missing)} pictures, the first of row "
                f"{missing[0] + 1}. Run Golden Pictures (FewStep) again; it makes what is missing."
            )


def compare(node, reference: Pictures, pictures: Pictures, clip_vision) -> Compared:
    """Look at every pair; shows progress and can be cancelled."""
    count, pairs, seen = len(reference.golden_set), [], []
    progress = Progress(node, count)
    for row in range(count):
        images = _pair(reference, pictures, row)
        _check_sizes(reference, pictures, row, *images)
        ours, theirs = (image[0].movedim(-1, 0) for image in images[::-1])
        pairs.append((psnr(ours, theirs, 1.0), ssim(ours, theirs, 1.0)))
        if clip_vision is not None:
            seen.append([clip_features.of_picture(clip_vision, image) for image in images])
        progress.advance(1)
    psnrs, ssims = torch.tensor(pairs, dtype=torch.float64).T
    features = [torch.stack(one) for one in zip(*seen, strict=True)]
    return Compared(reference.golden_set, psnrs, ssims, features)


def _check_sizes(reference, pictures, row, *images):
    theirs, ours = (f"{image.shape[2]} x {image.shape[1]}" for image in images)
    if ours != theirs:
        raise ValueError(
            f"row {row + 1} is {ours} in {pictures.folder.name} and {theirs} in "
            f"{reference.folder.name}. Somebody has changed a file; delete it, and run Golden "
            "Pictures (FewStep) again."
        )


def figures(of: Compared, clip) -> tuple[list[Figure], list[Figure]]:
    """All that can be measured of the set, and of the reference alone.

    Raises:
        ValueError: clip and clip_vision are of two models.
    """
    found = likeness.Likeness(
        prompts=prompt_numbers(of.golden_set),
        psnr=of.psnr,
        ssim=of.ssim,
        seen=tuple(of.seen) or None,
        words=_words(of, clip) if of.seen and clip is not None else None,
    )
    return likeness.figures(found, seed=SEED), likeness.of_reference(found, seed=SEED)


def measured(
    reference: Pictures, pictures: Pictures, found: list[Figure], theirs: list[Figure]
) -> Measured:
    """What a ledger keeps of a set: its figures, the reference's own, and what was changed."""
    requests = (PictureSet.opened(one.folder).request for one in (reference, pictures))
    estimates = ({figure.name: figure.estimate for figure in some} for some in (found, theirs))
    names = pictures.folder.name, reference.folder.name, fingerprint(pictures.golden_set)
    return Measured(*names, changed(*requests), *estimates)


def _words(of, clip):
    """[N, D] of the prompts, each text read once."""
    width = of.seen[0].shape[1]
    known = {
        text: clip_features.of_prompt(clip, text, width)
        for text in dict.fromkeys(golden.prompt for golden in of.golden_set)
    }
    return torch.stack([known[golden.prompt] for golden in of.golden_set])


def least_alike(of: Compared, count: int) -> list[int]:
    """Rows whose pictures are least alike by SSIM, the worst first."""
    return of.ssim.argsort()[:count].tolist()


def worst_pairs(of: Compared, reference: Pictures, pictures: Pictures, count: int) -> torch.Tensor:
    """IMAGE of the pairs that are least alike, the worst first, the reference to the left."""
    rows = least_alike(of, count)
    pairs = [torch.cat(_pair(reference, pictures, row), dim=2)[0] for row in rows]
    return on_black(pairs)


def _pair(reference, pictures, row):
    """IMAGEs of a row, each [1, H, W, 3]."""
    for_row = (PictureSet.opened(one.folder).path(row) for one in (reference, pictures))
    return [torch.from_numpy(read_picture(path)[0].copy())[None] / 255.0 for path in for_row]
