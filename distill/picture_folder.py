"""A folder of pictures, each with the prompt that it is a picture of."""

from pathlib import Path
from typing import NamedTuple

from ..diffusion.prompt_rows import read_whole

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


class Captioned(NamedTuple):
    """A file of a picture, and its prompt."""

    path: Path
    caption: str


def read_folder(folder: Path, caption: str) -> list[Captioned]:
    """The pictures of a folder by their names; folders in it are not looked into.

    Args:
        caption: of pictures that have none of their own, which is a .txt file of the same name.

    Returns:
        at least one.

    Raises:
        ValueError: there is no such folder, no picture in it, a picture without any caption, or a
            caption file that is refused.
        OSError: a file may not be read.
    """
    folder, caption = Path(folder), " ".join(caption.split())
    if not folder.is_dir():
        raise ValueError(f"folder {folder} is not there. Make it and put pictures into it.")
    paths = sorted(path for path in folder.iterdir() if _is_picture(path))
    if not paths:
        raise ValueError(
            f"folder {folder} holds no picture; allowed are {', '.join(ENDINGS)}, in the folder "
            "itself. Put pictures there, or name the folder that holds them."
        )
    found = [Captioned(path, _own_caption(path) or caption) for path in paths]
    if bare := [path for path, text in found if not text]:
        raise ValueError(
            f"{bare[0].name} has no caption, as {len(bare)} of {len(found)} pictures. Write one "
            f"into {bare[0].stem}.txt beside it, or one for all that have none into caption."
        )
    return found


def _is_picture(path):
    # names that begin with a dot are what macOS leaves beside files
    is_hidden = path.name.startswith(".")
    return path.suffix.lower() in ENDINGS and not is_hidden and path.is_file()


def _own_caption(path):
    beside = path.with_suffix(".txt")
    return read_whole(beside, "the caption") if beside.is_file() else ""
