"""Tests in a real ComfyUI: over HTTP with `server`, in this process with `host`."""

import importlib
import os
import sys
from pathlib import Path

import pytest
from host.server_fixture import comfyui, server

from fewstep.bootstrap import find_comfyui

__all__ = ["comfyui", "host", "server"]


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "newest: long, and alike in every ComfyUI; in the newest only"
    )


def pytest_collection_modifyitems(items):
    newest, *older = find_comfyui.find_all() or [None]
    if Path(os.environ.get("FEWSTEP_HOST", "")) not in [one.folder for one in older]:
        return
    for item in items:
        if item.get_closest_marker("newest"):
            item.add_marker(pytest.mark.skip(reason=f"long, and run in {newest}"))


@pytest.fixture(scope="session")
def host(comfyui):
    """The module host.tiny_models, once ComfyUI can be imported in this process.

    Import comfy, nodes and fewstep.nodes inside the tests that use this fixture, never at the top
    of a file: ComfyUI reads the command line when it is imported.
    """
    importlib.import_module("host.cpu_shim.sitecustomize")
    sys.argv = ["comfyui", "--cpu"]
    sys.path.insert(0, str(comfyui))
    options = importlib.import_module("comfy.options")
    options.enable_args_parsing()
    return importlib.import_module("host.tiny_models")
