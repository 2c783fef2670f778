"""The Python environment in .venv: made on first need, remembered, mended when half made.

.venv holds what FewStep needs without ComfyUI. .venv/comfyui lies on top of it, sees its packages
and adds what a ComfyUI server needs, so that nothing of that can disturb a run without ComfyUI.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from . import lock, requirements

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv"
COMFYUI_FOLDER = FOLDER / "comfyui"
SITE_PACKAGES = "import sysconfig; print(sysconfig.get_path('purelib'))"


class InstallError(Exception):
    """The environment could not be made; the message says why and what to do."""


def ensure(*extras):
    """Have .venv with these extras of pyproject.toml; return its Python."""
    parts = {extra: requirements.of_extra(extra) for extra in extras}
    _ensure(FOLDER, parts)
    return interpreter(FOLDER)


def ensure_comfyui(comfyuis):
    """Have .venv/comfyui with what these ComfyUIs, newest first, need; return its Python."""
    base = ensure("headless")
    parts = {"comfyui": requirements.of_comfyuis(comfyuis)}
    _ensure(COMFYUI_FOLDER, parts, on_top_of=base)
    return interpreter(COMFYUI_FOLDER)


def interpreter(folder):
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _ensure(folder, parts, on_top_of=None):
    if all(_is_installed(folder, part, lines) for part, lines in parts.items()):
        return
    with lock.hold(ROOT / ".venv.lock"):
        _make(folder)
        if on_top_of:
            _lay_on_top(folder, on_top_of)
        for part, lines in parts.items():
            if not _is_installed(folder, part, lines):
                _install(folder, part, lines)


def _stamp(folder, part):
    return folder / f"fewstep-{part}.stamp"


def _fingerprint(lines):
    text = "\n".join([*lines, requirements.CONSTRAINTS.read_text(encoding="utf-8")])
    return hashlib.sha256(text.encode()).hexdigest()


def _is_installed(folder, part, lines):
    stamp = _stamp(folder, part)
    if not interpreter(folder).exists() or not stamp.is_file():
        return False
    return stamp.read_text(encoding="utf-8") == _fingerprint(lines)


def _make(folder):
    """Make the environment where there is none, and again where ours was cut short."""
    ours = not folder.exists() or _made_here(folder).exists()
    cut_short = ours and _unfinished(folder).exists()
    if not cut_short and _works(folder):
        return
    if not ours:
        raise InstallError(
            f"There is a {folder} that FewStep did not make, and its pip does not work. "
            "Rename or remove it, and run this again."
        )
    if Path(sys.prefix).resolve() == folder.resolve():
        raise InstallError(
            f"{folder} is incomplete, and it is the environment this Python itself runs in. "
            "Leave it (deactivate), and run this again."
        )
    again = ", since what is there is incomplete" if folder.exists() else ""
    with _stage(f"making {folder.relative_to(ROOT)}{again}"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _made_here(folder).touch()
        _run([sys.executable, "-m", "venv", folder], _HOW_TO_GET_VENV)


def _made_here(folder):
    return folder / "fewstep-made"


def _works(folder):
    python = interpreter(folder)
    if not python.exists():
        return False
    try:
        return _attempt([python, "-m", "pip", "--version"]).returncode == 0
    except OSError:
        return False


def _unfinished(folder):
    """Lies in the environment while pip changes it, and stays only if pip is killed."""
    return folder / "fewstep-unfinished"


def _lay_on_top(folder, base):
    below = _output([base, "-c", SITE_PACKAGES])
    own = Path(_output([interpreter(folder), "-c", SITE_PACKAGES]))
    # A relative path stays right when the pack's folder is moved.
    (own / "fewstep-base.pth").write_text(os.path.relpath(below, own) + "\n", encoding="utf-8")


def _install(folder, part, lines):
    """Install with pip, torch on its own first because it takes most of the time."""
    torch = [line for line in lines if requirements.project(line) == "torch"]
    if torch:
        with _stage("installing torch, the large one"):
            _pip(folder, torch)
    with _stage(f"installing what {_PURPOSE[part]} needs"):
        _pip(folder, lines)
    _stamp(folder, part).write_text(_fingerprint(lines), encoding="utf-8")


def _pip(folder, lines):
    command = [interpreter(folder), "-m", "pip", "install", "--disable-pip-version-check"]
    command += ["--no-input", "-c", requirements.CONSTRAINTS, *lines]
    _unfinished(folder).touch()
    result = _attempt(command)
    # pip that ends by itself has put things back; one that is killed leaves half a package.
    if result.returncode >= 0:
        _unfinished(folder).unlink()
    if result.returncode:
        raise _failure(result, _HOW_TO_GET_PACKAGES)


def _run(command, remedy):
    result = _attempt(command)
    if result.returncode:
        raise _failure(result, remedy)


def _attempt(command):
    return subprocess.run(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def _failure(result, remedy):
    tail = "\n".join("    " + line for line in result.stdout.strip().splitlines()[-12:])
    command = " ".join(result.args)
    what = f"was killed by signal {-result.returncode}" if result.returncode < 0 else "failed"
    return InstallError(f"This {what}:\n    {command}\nIts last lines:\n{tail}\n{remedy}")


def _output(command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


class _stage:
    """One line: what is done now, and how long it took."""

    def __init__(self, text):
        self.text = text

    def __enter__(self):
        self.start = time.monotonic()
        print(f"  {self.text} ...", end="", flush=True)

    def __exit__(self, kind, *_):
        seconds = time.monotonic() - self.start
        print(" failed" if kind else f" {seconds:.0f} s", flush=True)


_PURPOSE = {
    "headless": "FewStep without ComfyUI",
    "evaluate": "the evaluation",
    "test": "the test suite",
    "comfyui": "a ComfyUI server",
}
_HOW_TO_GET_VENV = (
    "Python's venv module is needed. On Debian and Ubuntu it is a package of its own: "
    "apt install python3-venv."
)
_HOW_TO_GET_PACKAGES = (
    "If the network or the disk was at fault, run the same command again; it continues. If no "
    "version was found, this Python may be too new or too old for torch: try Python 3.11 to 3.13."
)
