"""Pictures as PNG files that say what they were made of."""

import io
import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np

# of the text chunk that holds it
KEY = "fewstep"
# in it: network passes that the picture took
PASSES = "passes"


def to_png(picture: np.ndarray, provenance: dict) -> bytes:
    """A PNG file; equal pictures and provenances give equal bytes.

    Args:
        picture: [H, W, 3] uint8.
        provenance: what it was made of, as JSON.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    told = PngInfo()
    # ASCII, since a PNG's plain text chunk is Latin 1
    told.add_text(KEY, json.dumps(provenance))
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", pnginfo=told)
    return file.getvalue()


def bare_png(picture: np.ndarray) -> bytes:
    """A PNG file of pixels alone, packed in a hurry.

    Args:
        picture: [H, W, 3] uint8.
    """
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=1)
    return file.getvalue()


def read_provenance(path: Path) -> tuple[tuple[int, int], dict]:
    """Width and height of a picture, and what it was made of, from the start of its file.

    Raises:
        ValueError: the file is no picture that can be read.
    """
    from PIL import Image

    with _as_sentences(path), Image.open(path) as image:
        return image.size, json.loads(image.info.get(KEY, "{}"))


def read_picture(path: Path) -> tuple[np.ndarray, dict]:
    """A picture, [H, W, 3] uint8, and what it was made of; {} where it does not say.

    Raises:
        ValueError: the file is no picture that can be read.
    """
    from PIL import Image

    with _as_sentences(path), Image.open(path) as image:
        picture = np.asarray(image.convert("RGB"))
        told = getattr(image, "text", {}).get(KEY, "{}")
        return picture, json.loads(told)


@contextmanager
def _as_sentences(path):
    from PIL.Image import DecompressionBombError

    try:
        yield
    # UnidentifiedImageError is an OSError
    except (OSError, ValueError, SyntaxError, DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be read as a picture: {error}. Make it anew.") from error
