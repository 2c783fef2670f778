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
# The longest files come first, so that no process is left alone with one at the end.
LONG = {
    *("test_demo_accuracy.py", "test_evaluate.py", "test_training_commands.py"),
    *("test_lcm_unet.py", "test_toy_consistency.py", "test_judge.py", "test_demo_students.py"),
    *("test_training_nodes.py", "test_training_api.py", "test_example_workflows.py"),
    *("test_cache.py", "test_cache_beside.py", "test_cache_in_graphs.py"),
    *("test_golden_nodes.py", "test_picture_data.py", "test_without_our_scripts.py"),
    *("test_pairs.py", "test_live.py", "test_live_edits.py", "test_live_server.py"),
    *("test_accessibility.py",),
}


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
    items.sort(key=lambda item: item.path.name not in LONG)
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != ROOT]
load_fewstep()
