"""Pictures for the page that looks on, through the websocket it has open; nothing is written."""

import math

import numpy
import torch
from PIL import Image

from .serving import server


def send(node, images: torch.Tensor) -> None:
    """Show an IMAGE under a node in the window that runs it; nothing where there is none.

    Args:
        node: the class that ComfyUI executes, with unique_id hidden in its schema.
        images: [B, H, W, 3]; several are sent as one sheet.
    """
    from protocol import BinaryEventTypes

    instance, hidden = server(), getattr(node, "hidden", None)
    if instance is None or hidden is None or hidden.unique_id is None:
        return
    told = {
        "node_id": hidden.unique_id,
        "display_node_id": hidden.unique_id,
        "prompt_id": instance.last_prompt_id,
    }
    picture = Image.fromarray(sheet(images))
    event = BinaryEventTypes.PREVIEW_IMAGE_WITH_METADATA
    instance.send_sync(event, (("PNG", picture, None), told), instance.client_id)


def sheet(images: torch.Tensor) -> numpy.ndarray:
    """[H, W, 3] uint8 of an IMAGE; several stand in rows, as near to a square as may be."""
    pixels = (images[..., :3].clamp(0, 1) * 255).round().to(torch.uint8).cpu()
    count, height, width, _ = pixels.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    found = numpy.zeros((rows * height, columns * width, 3), numpy.uint8)
    for place, picture in enumerate(pixels.numpy()):
        top, left = place // columns * height, place % columns * width
        found[top : top + height, left : left + width] = picture
    return found
