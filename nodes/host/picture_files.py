"""Files of pictures as the IMAGEs that a VAE encodes, all of one size."""

from pathlib import Path

import numpy
import torch
from PIL import Image, ImageOps

# what Pillow raises for files that are broken or no pictures
BROKEN = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
# EXIF's tag of how the camera was held, and the values that swap width and height
ORIENTATION, SIDEWAYS = 0x0112, (5, 6, 7, 8)
# of a picture with 16 bits for each grey
WIDE = 65535


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of a picture as it is to be seen.

    Raises:
        ValueError: the file is no picture, or is damaged where that shows so far.
    """
    try:
        with Image.open(path) as image:
            is_sideways = image.getexif().get(ORIENTATION) in SIDEWAYS
            return image.size[::-1] if is_sideways else image.size
    except BROKEN as error:
        raise _unreadable(path, error) from error


def read_picture(path: Path, width: int, height: int) -> torch.Tensor:
    """IMAGE [1, height, width, 3]: upright, on white, scaled to cover the size, its middle.

    Raises:
        ValueError: the file is no picture, or is damaged.
    """
    try:
        with Image.open(path) as image:
            seen = _on_white(ImageOps.exif_transpose(image))
    except BROKEN as error:
        raise _unreadable(path, error) from error
    seen = ImageOps.fit(seen, (width, height), Image.Resampling.LANCZOS)
    return torch.from_numpy(numpy.asarray(seen, dtype=numpy.float32) / 255.0)[None]


def _on_white(image):
    if image.mode.startswith("I"):
        # Pillow would cut these off at 255
        grey = numpy.asarray(image, dtype=numpy.float32) / WIDE
        return Image.fromarray((255 * grey).round().astype(numpy.uint8)).convert("RGB")
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _unreadable(path, error):
    return ValueError(
        f"{path.name} cannot be read as a picture: {error}. Save it anew, or take it out of the "
        "folder."
    )
