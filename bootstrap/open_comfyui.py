"""demo --comfyui: this machine's ComfyUI with this pack and its demo workflow on the screen."""

import os
import re
import subprocess
import time
import webbrowser
from pathlib import Path
from urllib.parse import urlencode

from . import environment, find_comfyui
from .server import PACK_NAME, Server, ServerError, free_port, own_base_directory

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = "fewstep_demo"
USUAL_PORT = 8188
CAN_RUN_COMFYUI = "import torch, torchvision, aiohttp, safetensors, yaml, comfyui_frontend_package"
HAS_ACCELERATOR = (
    "import torch; xpu = getattr(torch, 'xpu', None); raise SystemExit(not ("
    "torch.cuda.is_available() or torch.backends.mps.is_available()"
    " or (xpu and xpu.is_available())))"
)


def main(browser=True):
    comfyui = find_comfyui.find()
    if comfyui is None:
        print(find_comfyui.not_found())
        return 1
    python, ours = python_for(comfyui)
    print(f"Starting {comfyui} ...", flush=True)
    try:
        with server_for(comfyui, python, ours) as server:
            server.wait_until_ready()
            address = f"{server.url}/{template_query()}"
            print(f"The demo workflow: {address}\nPress Ctrl-C here to stop ComfyUI.", flush=True)
            if browser:
                webbrowser.open(address)
            return wait_for(server)
    except ServerError as error:
        print(error)
        return 1
    except KeyboardInterrupt:
        print("ComfyUI stopped.")
        return 0


def python_for(comfyui):
    """The interpreter for this ComfyUI, and whether it is the one of our own .venv."""
    for python in own_pythons(comfyui.folder):
        if python.is_file() and succeeds(python, CAN_RUN_COMFYUI):
            return python, False
    # The list that the tests use, so that neither undoes the other's choice of versions.
    return environment.ensure_comfyui(find_comfyui.find_all()), True


def own_pythons(folder):
    """Where manual installs, comfy-cli and the portable Windows package put it."""
    for name in (".venv", "venv"):
        yield environment.interpreter(folder / name)
    yield folder.parent / "python_embeded" / "python.exe"


def server_for(comfyui, python, ours):
    arguments = [] if succeeds(python, HAS_ACCELERATOR) else ["--cpu"]
    folder = ROOT / "out" / "comfyui"
    if not is_inside(comfyui):
        arguments += own_base_directory(folder)
    port = free_port(USUAL_PORT)
    return Server(comfyui.folder, python, folder, port=port, arguments=arguments, shim=ours)


def is_inside(comfyui):
    """Whether this pack is installed in that ComfyUI, so that it loads it by itself."""
    return ROOT.parent == comfyui.folder / "custom_nodes"


def template_query():
    """Part of the address by which ComfyUI's frontend opens our template.

    The frontend accepts only letters, digits, dot, dash and underscore here; a pack folder with
    another name is reached through the Templates dialog.
    """
    source = ROOT.name if ROOT.parent.name == "custom_nodes" else PACK_NAME
    if not re.fullmatch(r"[\w.-]+", source, re.ASCII):
        return ""
    return "?" + urlencode({"template": TEMPLATE, "source": source})


def wait_for(server):
    while server.process.poll() is None:
        time.sleep(0.5)
    print(server.log_tail())
    return server.process.returncode


def succeeds(python, code):
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run([python, "-c", code], capture_output=True, env=environ).returncode == 0
