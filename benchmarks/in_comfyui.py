"""ComfyUI and the pack in this process, for the benchmarks that need both."""

import importlib
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def load_comfyui(folder: str | None) -> None:
    """Make comfy, fewstep and the tests' tiny models importable; ComfyUI runs on the CPU.

    Args:
        folder: of ComfyUI; where it is None, looked for as `run.py` does.
    """
    sys.path.insert(0, str(ROOT))
    importlib.import_module("run").load_pack()
    sys.path.insert(0, str(ROOT / "tests"))
    if folder:
        os.environ["COMFYUI_PATH"] = folder
    find_comfyui = importlib.import_module("fewstep.bootstrap.find_comfyui")
    found = find_comfyui.find()
    if found is None:
        sys.exit(find_comfyui.not_found())
    print(f"ComfyUI {'.'.join(map(str, found.version))}\n")
    importlib.import_module("host.cpu_shim.sitecustomize")
    sys.argv[1:] = ["--cpu"]
    sys.path.insert(0, str(found.folder))
    importlib.import_module("comfy.options").enable_args_parsing()
