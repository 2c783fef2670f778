"""Where the user's files lie, and what the user has set."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.utils
import folder_paths

from ...diffusion.plain_name import check_plain
from ...recipes.hashes import sha256_of

# a name that is in several folders means the first
NETWORKS = ("diffusion_models", "checkpoints")
LORAS = ("loras",)
ALL = (*LORAS, *NETWORKS)


def names(folders: tuple[str, ...]) -> list[str]:
    """The models in folders of ComfyUI's, as it lists them, each name once."""
    return list(
        dict.fromkeys(n for folder in folders for n in folder_paths.get_filename_list(folder))
    )


def path_of(name: str, folders: tuple[str, ...]) -> Path:
    """Where a listed model lies.

    Raises:
        FileNotFoundError: it is in none of the folders, or has gone since it was listed.
    """
    for folder in folders:
        path = folder_paths.get_full_path(folder, name)
        if path is not None:
            return Path(path)
    raise FileNotFoundError(
        f"{name!r} is in none of ComfyUI's folders for {' or '.join(folders)}. Put it there and "
        "press R to read the folders again, or choose another file."
    )


def stamp(name: str, folders: tuple[str, ...]) -> str:
    """Changes whenever the file does; for nodes that have to read it again then."""
    path = path_of(name, folders)
    found = path.stat()
    return f"{path} {found.st_size} {found.st_mtime_ns}"


def input_path(name: str, what: str = "file") -> Path:
    """A file or folder of ComfyUI's input folder, by its name there.

    Args:
        what: the input of the node, "file" or "folder".

    Raises:
        ValueError: no name is given, or it leads out of the folder.
    """
    folder = Path(folder_paths.get_input_directory()).resolve()
    path = (folder / name).resolve()
    if not name or folder not in path.parents:
        raise ValueError(
            f"{what} is {name!r}; allowed is the name of a {what} in ComfyUI's input folder. Put "
            "it there and write its name."
        )
    return path


def input_stamp(name: str) -> str:
    """Changes whenever this file of the input folder does; empty where there is none."""
    path = Path(folder_paths.get_input_directory()) / name
    return _state(path) if path.is_file() else ""


def input_folder_stamp(name: str) -> str:
    """Changes whenever a file in this folder of the input folder does; empty where it has none."""
    path = Path(folder_paths.get_input_directory()) / name
    inside = sorted(path.iterdir()) if name and path.is_dir() else ()
    return "".join(f" {one.name} {_state(one)}" for one in inside if one.is_file())


def _state(path):
    found = path.stat()
    return f"{found.st_size} {found.st_mtime_ns}"


def run_folder(kind: str, name: str) -> Path:
    """Where the training data or run of this name is kept, in ComfyUI's output folder.

    Raises:
        ValueError: the name is empty or no plain name.
    """
    check_plain(name)
    return fewstep_folder() / kind / name


def fewstep_folder() -> Path:
    """FewStep's folder in ComfyUI's output folder."""
    return Path(folder_paths.get_output_directory()) / "fewstep"


def loras_folder() -> Path:
    """The folder for LoRAs in ComfyUI's output folder, which ComfyUI's loaders list too."""
    return Path(folder_paths.get_output_directory()) / "loras"


def free_path(folder: Path, name: str, ending: str) -> Path:
    """A LoRA file of this name that is not there yet, with a number where it has to have one.

    Raises:
        ValueError: the name is empty or no plain name.
    """
    check_plain(name)
    names = (f"{name}{ending}", *(f"{name}_{n}{ending}" for n in range(2, 10000)))
    return next(folder / one for one in names if not _is_listed(folder, one))


def _is_listed(folder, name):
    # what is called so in another folder for LoRAs would be loaded instead
    return (folder / name).exists() or folder_paths.get_full_path("loras", name) is not None


def hashed(path: Path) -> str:
    """The SHA-256 of a file, remembered; reading it shows progress and stops at Cancel."""
    bar = comfy.utils.ProgressBar(path.stat().st_size)

    def on_read(done):
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar.update_absolute(done)

    return sha256_of(path, own_folder(), on_read)


def content(paths: list[Path]) -> str:
    """Equal for files of equal bytes in one order; shows progress and stops at Cancel."""
    bar, digest = comfy.utils.ProgressBar(len(paths)), hashlib.sha256()
    for path in paths:
        comfy.model_management.throw_exception_if_processing_interrupted()
        digest.update(hashlib.sha256(path.read_bytes()).digest())
        bar.update(1)
    return digest.hexdigest()


def own_folder() -> Path:
    """FewStep's folder among the user's files; recipes of the user's are in its folder recipes."""
    return Path(folder_paths.get_user_directory()) / "default" / "fewstep"


def setting(name: str) -> Any:
    """A value from the default user's ComfyUI settings; None where it was never set."""
    path = Path(folder_paths.get_user_directory()) / "default" / "comfy.settings.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(settings, dict):
            raise ValueError("it holds no JSON object")
        return settings.get(name)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        logging.warning("FewStep could not read its settings from %s: %s", path, error)
        return None
