"""Files put where ComfyUI looks for models, for the length of a test.

Import only after the host fixture has prepared ComfyUI.
"""

import folder_paths
import pytest
from safetensors.torch import save_file


class Shelf:
    """One of ComfyUI's model folders, empty at first."""

    def __init__(self, path):
        self.path = path

    def put(self, name, tensors, metadata=None):
        """Save tensors under this name; return the name, as a drop-down has it."""
        save_file({key: t.contiguous() for key, t in tensors.items()}, self.path / name, metadata)
        return name


def shelf(folder: str, path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """Let ComfyUI look for this kind of model in `path` alone."""
    path.mkdir(exist_ok=True)
    monkeypatch.setitem(
        folder_paths.folder_names_and_paths, folder, ([str(path)], {".safetensors"})
    )
    return Shelf(path)
