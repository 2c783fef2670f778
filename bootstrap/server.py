"""A ComfyUI server of one's own: started with this pack, awaited, and surely stopped."""

import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CPU_SHIM = ROOT / "tests" / "host" / "cpu_shim"
# Linux can end a process with the one that started it, even with one that was killed.
C_LIBRARY = ctypes.CDLL(None) if sys.platform == "linux" else None
PR_SET_PDEATHSIG = 1
# What reads as a name in a ComfyUI address; a custom node folder called so can be linked to.
PACK_NAME = "fewstep"


class ServerError(Exception):
    """The server ended or did not answer; the message holds the end of its log."""


class Server:
    """One running ComfyUI; use it in a with statement.

    Args:
        comfyui: folder with ComfyUI's main.py.
        python: the interpreter that runs it.
        folder: working folder; the log lies here.
        arguments: further arguments for main.py.
        shim: whether that Python may need tests/host/cpu_shim.
    """

    def __init__(self, comfyui, python, folder, *, port=None, arguments=(), shim=False):
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = Path(folder)
        self.log_file = self.folder / "comfyui.log"
        self.command = [str(python), str(Path(comfyui) / "main.py"), "--port", str(self.port)]
        self.command += ["--disable-auto-launch", *map(str, arguments)]
        self.environment = shimmed() if shim else dict(os.environ)
        self.process = None

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.environment | {"PYTHONIOENCODING": "utf-8"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own, so that whatever it starts ends with it.
                start_new_session=os.name != "nt",
                preexec_fn=end_with_parent if C_LIBRARY else None,
            )
        return self

    def __exit__(self, *_):
        self.stop()

    def wait_until_ready(self, seconds=300):
        """Return once it answers.

        Raises:
            ServerError: it ended, or did not answer in time.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ServerError(
                    f"ComfyUI ended with status {self.process.returncode} before it answered."
                    f"\n{self.log_tail()}"
                )
            try:
                return get_json(f"{self.url}/system_stats")
            except (urllib.error.URLError, OSError, ValueError):
                time.sleep(0.25)
        raise ServerError(f"ComfyUI did not answer within {seconds} s.\n{self.log_tail()}")

    def log(self):
        """What it has printed so far, without colours."""
        text = self.log_file.read_text(encoding="utf-8", errors="replace")
        return re.sub(r"\x1b\[[0-9;]*m", "", text)

    def log_tail(self, lines=20):
        shown = "\n".join("    " + line for line in self.log().splitlines()[-lines:])
        return f"The end of {self.log_file}:\n{shown}"

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self._end(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self._end(getattr(signal, "SIGKILL", signal.SIGTERM))
            self.process.wait(10)

    def _end(self, how):
        if os.name == "nt":
            kill = ["taskkill", "/F", "/T", "/PID", str(self.process.pid)]
            subprocess.run(kill, capture_output=True)
        else:
            os.killpg(self.process.pid, how)


def end_with_parent():
    """Have this process killed when the one that started it has ended; Linux only."""
    C_LIBRARY.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port(wanted=0):
    """The wanted port if it is free, else any free one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return probe.getsockname()[1]


def own_base_directory(folder):
    """Arguments that keep a server's models, outputs and packs in folder, with this pack there."""
    folder = Path(folder)
    packs = folder / "custom_nodes"
    packs.mkdir(parents=True, exist_ok=True)
    link_folder(packs / PACK_NAME, ROOT)
    database = (folder / "comfyui.db").as_posix()
    return ["--base-directory", folder, "--database-url", f"sqlite:///{database}"]


def link_folder(link, target):
    """Make link lead to the folder target; a junction on Windows, where links need a privilege."""
    if os.path.lexists(link):
        if os.path.realpath(link) == os.path.realpath(target):
            return
        link.rmdir() if os.name == "nt" else link.unlink()
    if os.name == "nt":
        command = ["cmd", "/c", "mklink", "/J", str(link), str(target)]
        subprocess.run(command, check=True, capture_output=True)
    else:
        link.symlink_to(target, target_is_directory=True)


def shimmed():
    """This environment, with the shim for a CPU-only torch where the checkout has it."""
    environment = dict(os.environ)
    if CPU_SHIM.is_dir():
        paths = [str(CPU_SHIM), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return environment


def get_json(url, seconds=10):
    with urllib.request.urlopen(url, timeout=seconds) as response:
        return json.load(response)
