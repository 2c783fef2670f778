"""The packages each part of FewStep needs, read from pyproject.toml."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"

# torch of .venv serves the host too. The galleries are 450 MB that no FewStep graph looks at, and
# the ones ComfyUI 0.29 asks for keep 0.3.64 from starting; both start without them.
LEFT_OUT = {"torch", "comfyui-workflow-templates", "comfyui-embedded-docs"}


def of_extra(name):
    """The requirements of one extra of pyproject.toml.

    Python 3.10 has no TOML reader; the lists of strings in this section are Python lists too.
    """
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = re.search(r"^\[project\.optional-dependencies\]$(.*?)^\[", text, re.M | re.S)[1]
    extras = dict(re.findall(r"^([\w-]+) = (\[.*?\])$", section, re.M | re.S))
    return ast.literal_eval(extras[name])


def of_comfyui(comfyui):
    """The requirements of a ComfyUI that a FewStep graph needs."""
    text = (comfyui.folder / "requirements.txt").read_text(encoding="utf-8")
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    return [line for line in lines if line and project(line) not in LEFT_OUT]


def of_comfyuis(comfyuis):
    """What serves all of them: the newest one's requirements, then what only older ones name.

    The older servers work with the newest one's frontend, so the comfyui-* pins of the older give
    way; a package that both name has the newer one's range.
    """
    chosen = {}
    for comfyui in comfyuis:
        for line in of_comfyui(comfyui):
            chosen.setdefault(project(line), line)
    return list(chosen.values())


def project(requirement):
    """comfyui-frontend-package of comfyui_frontend_package==1.47.10"""
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")
