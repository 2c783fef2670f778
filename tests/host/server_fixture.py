"""Fixtures that the host and the browser tests share: which ComfyUI, and a server of it."""

import os
import signal
import sys
from pathlib import Path

import pytest
from host.client import Client

from fewstep.bootstrap.server import Server, own_base_directory

# A tier that is told to stop unwinds like Ctrl-C, so that no server outlives it.
signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def comfyui():
    """Folder of the ComfyUI under test."""
    folder = os.environ.get("FEWSTEP_HOST")
    if not folder:
        pytest.skip("FEWSTEP_HOST names no ComfyUI; python run.py test host sets it")
    return Path(folder)


@pytest.fixture(scope="session")
def server(comfyui, tmp_path_factory):
    """A running ComfyUI with this pack; has .url, .log(), .folder and .client."""
    folder = tmp_path_factory.mktemp("comfyui")
    arguments = ["--cpu", *own_base_directory(folder)]
    with Server(comfyui, sys.executable, folder, arguments=arguments, shim=True) as running:
        running.wait_until_ready()
        running.client = Client(running.url)
        yield running
