"""How long ComfyUI says the import of this pack takes, over several starts of the server.

.venv/comfyui/bin/python benchmarks/import_time.py [folder of ComfyUI] [--starts 5]
"""

import argparse
import importlib
import os
import re
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
find_comfyui = importlib.import_module("bootstrap.find_comfyui")
server = importlib.import_module("bootstrap.server")

LIMIT = 0.1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("comfyui", nargs="?", help="default: $COMFYUI_PATH or ~/comfy/ComfyUI")
    parser.add_argument("--starts", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.comfyui:
        os.environ["COMFYUI_PATH"] = arguments.comfyui
    comfyui = find_comfyui.find()
    if comfyui is None:
        sys.exit(find_comfyui.not_found())
    seconds = [import_time(comfyui.folder) for _ in range(arguments.starts)]
    print(f"ComfyUI {'.'.join(map(str, comfyui.version))}, seconds as printed: {seconds}")
    print(f"median {statistics.median(seconds):g} s, longest {max(seconds):g} s, allowed {LIMIT} s")
    return int(max(seconds) > LIMIT)


def import_time(comfyui):
    """Start a server, read the line "N seconds: .../custom_nodes/fewstep" of its log, stop it."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--cpu", *server.own_base_directory(folder)]
        with server.Server(
            comfyui, sys.executable, folder, arguments=arguments, shim=True
        ) as running:
            running.wait_until_ready()
            log = running.log()
    printed = re.search(rf"([\d.]+) seconds: .*{server.PACK_NAME}\s*$", log, re.M)
    if printed is None:
        sys.exit(f"ComfyUI has not loaded the pack. Its log:\n{log}")
    return float(printed[1])


if __name__ == "__main__":
    sys.exit(main())
