"""Tests in a real ComfyUI: over HTTP with `server`, in this process with `host`."""

import importlib
import sys

import pytest
from host.server_fixture import comfyui, server

__all__ = ["comfyui", "host", "server"]


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
