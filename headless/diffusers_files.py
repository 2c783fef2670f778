"""Folders and single files of diffusers on disk; nothing is ever downloaded."""

import json
from collections.abc import Sequence
from pathlib import Path

from diffusers.loaders.single_file_utils import SingleFileComponentError

INDEX = "model_index.json"
# what folders call their network
NETWORKS = ("unet", "transformer")
LOCAL = {"local_files_only": True}


def read_json(path: Path) -> dict:
    """The object in a file of a diffusers folder.

    Raises:
        ValueError: it is not there or cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read: {error}. A diffusers folder of the model needs it."
        ) from error


def read_scheduler(folder: Path) -> dict:
    """The config of a folder's scheduler; errors as of `read_json`."""
    return read_json(folder / "scheduler" / "scheduler_config.json")


def network_part(index: dict) -> str | None:
    """What a folder calls its network, one of NETWORKS; None where it has none."""
    return next((name for name in NETWORKS if index.get(name, [None])[0]), None)


def variant_of(folder: Path) -> str | None:
    """ "fp16" where there are no other weights, None else."""
    files = [path.name for path in folder.glob("*.safetensors")]
    return "fp16" if files and all(".fp16." in name for name in files) else None


def from_file(kind, path: Path, folder: Path, **options):
    """A network or pipeline of diffusers out of one file.

    Args:
        kind: its class.
        folder: whose configs belong to the file.

    Raises:
        ValueError: the file has not what the configs ask for.
    """
    try:
        return kind.from_single_file(str(path), config=str(folder), **options, **LOCAL)
    except SingleFileComponentError as error:
        raise ValueError(
            f"[model] path {str(path)!r} and [model] config {str(folder)!r} do not go "
            f"together: {error} Give a whole checkpoint, and the folder of its architecture."
        ) from error


def check_model_files(
    path: Path, config: Path | None, place: str, also: Sequence[str] = ()
) -> None:
    """Refuse a model whose files are not there.

    Args:
        config: folder whose configs belong to a path that is a file.
        place: of the model in the user's file; begins the message.
        also: what else path may be.

    Raises:
        ValueError: path or config names nothing, or not what it should.
    """
    is_file = path.suffix == ".safetensors"
    if not (path.is_file() if is_file else (path / INDEX).is_file()):
        allowed = "".join(f"{other!r}, " for other in also)
        raise ValueError(
            f"{place} path is {str(path)!r}; allowed is {allowed}a diffusers folder, which has a "
            f"{INDEX}, or a .safetensors file. Nothing is ever downloaded."
        )
    if is_file != (config is not None):
        raise ValueError(
            f"{place} config is {'missing' if is_file else 'there'}, and path is {str(path)!r}. "
            "Set it to a diffusers folder of the same architecture where path is a file, and leave "
            "it out where path is a folder."
        )
    if is_file and not (config / INDEX).is_file():
        raise ValueError(
            f"{place} config is {str(config)!r}, which has no {INDEX}. Set it to a diffusers "
            "folder of the same architecture; its configs and tokenizers are enough."
        )
