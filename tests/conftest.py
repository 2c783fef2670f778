"""Loads the repository root as the package `fewstep`, whatever the folder is called.

In a running ComfyUI the names `nodes` and `samplers` belong to the host, so the root must never
stand on sys.path.
"""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]


def load_fewstep():
    spec = importlib.util.spec_from_file_location(
        "fewstep", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["fewstep"] = module
    spec.loader.exec_module(module)


def pytest_configure(config):
    config.addinivalue_line("markers", "gpu: needs a CUDA device; skipped without one")


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != ROOT]
load_fewstep()
