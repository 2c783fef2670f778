"""Pictures of two batches pair by pair: for the page that looks on, and as one sheet."""

import itertools

import torch
from comfy_api.latest import ui

from .live import sheet
from .pictures import on_black

# under which the page gets them; ComfyUI itself draws what lies under "images"
PAIRS, LABELS = "fewstep_compare", "fewstep_labels"


def check_batches(images_a: torch.Tensor, images_b: torch.Tensor) -> None:
    """Refuse two batches whose pictures make no pairs.

    Raises:
        ValueError: a batch is empty, or they differ in length and neither is a single picture.
    """
    counts = {"images_a": len(images_a), "images_b": len(images_b)}
    for name, count in counts.items():
        if not count:
            raise ValueError(
                f"{name} holds 0 pictures; at least 1 is needed. Connect a batch that has some."
            )
    if len({*counts.values()} - {1}) > 1:
        raise ValueError(
            f"images_a holds {counts['images_a']} pictures and images_b {counts['images_b']}; "
            "allowed is the same number in both, or 1 in one of them, which is shown beside all of "
            "the other. Cut the longer one with ImageFromBatch."
        )


def for_the_page(node, images_a, images_b, label_a: str, label_b: str) -> dict[str, list[dict]]:
    """What the page gets to show; the pictures lie in ComfyUI's temp folder, each once.

    Args:
        node: the class that ComfyUI executes.
        images_a, images_b: [B, H, W, C], each of its own size and C.
    """
    a, b = (ui.PreviewImage(images[..., :3], cls=node).values for images in (images_a, images_b))
    pairs = [{"a": one, "b": other} for one, other in _paired(a, b)]
    return {PAIRS: pairs, LABELS: [{"a": label_a, "b": label_b}]}


def pairs_sheet(images_a: torch.Tensor, images_b: torch.Tensor) -> torch.Tensor:
    """IMAGE of one picture: of every pair a at the left and b at the right, unscaled."""
    pairs = [
        torch.cat([*on_black([one[..., :3].cpu(), other[..., :3].cpu()])], dim=1)
        for one, other in _paired(images_a, images_b)
    ]
    return torch.from_numpy(sheet(torch.stack(pairs))).float().div(255)[None]


def _paired(a, b):
    count = max(len(a), len(b))
    both = (itertools.cycle(some) if len(some) == 1 else some for some in (a, b))
    return itertools.islice(zip(*both, strict=False), count)
