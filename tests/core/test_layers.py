"""Imports point one way only: nodes, headless and demo to the core, the core to torch."""

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]

TENSORS = ("torch", "safetensors", "numpy", "einops")
CORE = ("diffusion", "samplers", "lora", "recipes", "guidance", "distill", "cache", "evaluate")
HOST = ("comfy", "comfy_api", "comfy_extras", "folder_paths", "server", "execution", "nodes")
# importable names that only the host has; server, execution and nodes are words as well
HOST_NAMES = {"comfy", "comfy_api", "comfy_extras", "folder_paths", "PromptServer"}


class Rule(NamedTuple):
    """What a file may import besides the standard library and its own folder."""

    ours: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    # whether imports outside functions are allowed
    at_import: bool = True


NODE_API = ("comfy_api.latest.io", "comfy_api.latest.ComfyExtension", "typing_extensions")
DIFFUSERS = ("diffusers", "transformers", "accelerate", "peft", "PIL", "tqdm", "tomli", "tomllib")
# The longest path that a file's path starts with decides; a folder that is not here has no Python.
RULES = {
    "__init__.py": Rule(ours=("nodes",), at_import=False),
    "run.py": Rule(packages=("bootstrap",)),
    "bootstrap": Rule(),
    "diffusion": Rule((), TENSORS),
    **{
        folder: Rule(("diffusion",), TENSORS)
        for folder in ("samplers", "lora", "guidance", "cache", "evaluate")
    },
    "evaluate/picture_file.py": Rule((), ("numpy", "PIL")),
    "evaluate/pairs_routes.py": Rule((), ("aiohttp",)),
    "evaluate/own_requests.py": Rule((), ("aiohttp",)),
    # `run.py identify` runs on a bare Python, so these need nothing but the standard library
    "lora/header.py": Rule(),
    "lora/dialects.py": Rule(),
    "recipes": Rule(("lora.header", "lora.dialects")),
    "distill": Rule(("diffusion", "samplers", "guidance", "lora"), TENSORS),
    "distill/optimizer.py": Rule((), (*TENSORS, "bitsandbytes")),
    # demo/weights.py alone, since the rest of demo meets diffusers, which ComfyUI does not have
    "nodes": Rule((*CORE, "demo.weights"), (*TENSORS, *NODE_API)),
    "nodes/host": Rule(CORE, (*TENSORS, *NODE_API, *HOST, "latent_preview", "tqdm")),
    "nodes/host/plot.py": Rule((), ("PIL",)),
    **{
        f"nodes/host/{name}_plot.py": Rule(("evaluate",), (*TENSORS, "PIL"))
        for name in ("waterfall", "latency")
    },
    "nodes/host/picture_files.py": Rule((), (*TENSORS, "PIL")),
    "nodes/host/live.py": Rule((), (*TENSORS, "PIL", "protocol")),
    "nodes/host/keep.py": Rule(("evaluate",), (*HOST, "PIL", "aiohttp")),
    "headless/pairs.py": Rule(("evaluate",), ("aiohttp",)),
    "headless/evaluation_plot.py": Rule(("evaluate",), ("matplotlib",)),
    "headless/latency_plot.py": Rule(("evaluate",), ("matplotlib",)),
    "headless/waterfall_plot.py": Rule(("evaluate",), ("matplotlib",)),
    "headless": Rule((*CORE, "demo"), (*TENSORS, *DIFFUSERS)),
    "docs/draw_icon.py": Rule((), ("PIL",)),
    "docs/write_english.py": Rule(),
    # drives the frontend as tests/browser does
    "docs/pictured.py": Rule((), ("PIL", "playwright", "bootstrap", "browser", "host")),
    "docs/picture_decorations.py": Rule((), ("pictured", "browser")),
    "docs/picture_nodes.py": Rule((), ("pictured",)),
    "demo": Rule((*CORE, "headless"), (*TENSORS, *DIFFUSERS, "scipy")),
    "demo/weights.py": Rule(("guidance", "lora"), TENSORS),
}
FREE = ("tests", "benchmarks")


class Import(NamedTuple):
    line: int
    # dotted from the root of the pack if is_ours; None if it climbs out of the pack
    name: str | None
    is_ours: bool
    is_deferred: bool


def imports(source, path):
    """Every import of a file, inside functions too, and import_module("a.literal.name")."""
    return list(_imports(ast.parse(source), Path(path).parent.parts, is_deferred=False))


def _imports(node, folder, is_deferred):
    for child in ast.iter_child_nodes(node):
        for name, is_ours in _names(child, folder):
            yield Import(child.lineno, name, is_ours, is_deferred)
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _imports(child, folder, is_deferred or is_function)


def _names(node, folder):
    match node:
        case ast.Import(names=names):
            return [(alias.name, False) for alias in names]
        case ast.ImportFrom(level=0, module=module, names=names):
            return [(f"{module}.{alias.name}", False) for alias in names]
        case ast.ImportFrom(level=level, module=module, names=names):
            if level > len(folder) + 1:
                return [(None, True)]
            base = [*folder[: len(folder) + 1 - level], *([module] if module else [])]
            return [(".".join([*base, alias.name]), True) for alias in names]
        case ast.Call(
            func=ast.Name(id=called) | ast.Attribute(attr=called),
            args=[ast.Constant(value=str(name)), *_],
        ) if called in ("import_module", "__import__"):
            return [(name, False)]
    return []


def rule_of(path):
    """The rule of a file and the path it is written for; (None, None) where there is none."""
    parts = Path(path).parts
    for length in range(len(parts), 0, -1):
        place = "/".join(parts[:length])
        if place in RULES:
            return RULES[place], place
    return None, None


def violations(source, path):
    """What a file at this path, relative to the root, imports and may not; sentences."""
    rule, place = rule_of(path)
    if rule is None:
        return [f"{path}: no rule allows Python here"]
    own = () if place.endswith(".py") and "/" not in place else (path.split("/")[0],)
    found = []
    for line, name, is_ours, is_deferred in imports(source, path):
        where = f"{path}:{line}"
        if name is None:
            found.append(f"{where}: a relative import leaves the pack")
        elif not rule.at_import and not is_deferred:
            found.append(f"{where}: imports {name} at import")
        elif is_ours and not _within(name, (*rule.ours, *own)):
            found.append(f"{where}: {place} may not import our {name}")
        elif not is_ours and not (_is_standard(name) or _within(name, rule.packages)):
            found.append(f"{where}: {place} may not import {name}")
    return found


def _is_standard(name):
    return name.split(".")[0] in sys.stdlib_module_names


def _within(name, allowed):
    return any(name == entry or name.startswith(f"{entry}.") for entry in allowed)


def host_names(source):
    """Lines that name the host's modules, as a name or a string, imported or not."""
    lines = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=word) | ast.Constant(value=str(word)):
                if word.split(".")[0] in HOST_NAMES:
                    lines.add(node.lineno)
    return sorted(lines)


def python_files():
    """Paths, relative to the root, of the pack's Python files."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name[0] not in "._" and name != "out"]
        here = Path(folder).relative_to(ROOT)
        yield from ((here / name).as_posix() for name in files if name.endswith(".py"))


def governed():
    return sorted(path for path in python_files() if path.split("/")[0] not in FREE)


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def test_walk_finds_the_pack():
    assert {"__init__.py", "run.py", "nodes/host/runs.py"} <= set(governed())


def test_every_import_follows_the_direction_of_dependencies():
    assert [broken for path in governed() for broken in violations(read(path), path)] == []


def test_no_file_but_nodes_names_the_host():
    # bootstrap looks for ComfyUI's files and may call them by name
    places = [path for path in governed() if path.split("/")[0] not in ("nodes", "bootstrap")]
    assert [(path, lines) for path in places if (lines := host_names(read(path)))] == []


@pytest.mark.parametrize(
    "source",
    [
        'import sys\nsys.modules["comfy"]',
        'import_module("comfy.samplers")',
        "folder_paths.models_dir",
        "from x import y\nPromptServer.instance",
    ],
)
def test_naming_the_host_is_noticed(source):
    assert host_names(source) == [len(source.splitlines())]


@pytest.mark.parametrize(
    ("path", "source", "complaint"),
    [
        ("diffusion/a.py", "import comfy", "diffusion may not import comfy"),
        ("diffusion/a.py", "from comfy.samplers import x", "comfy.samplers.x"),
        ("diffusion/a.py", "def f():\n    import comfy", "a.py:2: diffusion may not import comfy"),
        ("diffusion/a.py", "async def f():\n    from comfy import x", "comfy.x"),
        ("diffusion/a.py", "try:\n    import comfy\nexcept ImportError:\n    pass", "comfy"),
        ("diffusion/a.py", "import importlib\nimportlib.import_module('comfy')", "comfy"),
        ("diffusion/a.py", "__import__('comfy.sd')", "comfy.sd"),
        ("diffusion/a.py", "import math, diffusers", "diffusers"),
        ("diffusion/a.py", "from ..samplers import trajectory", "our samplers.trajectory"),
        ("diffusion/a.py", "from .. import samplers", "our samplers"),
        ("diffusion/a.py", "import samplers", "diffusion may not import samplers"),
        ("diffusion/a.py", "from fewstep.diffusion import x", "fewstep.diffusion.x"),
        ("diffusion/a.py", "from ... import x", "leaves the pack"),
        ("samplers/a.py", "from ..guidance.cfg import cfg", "our guidance.cfg.cfg"),
        ("samplers/a.py", "import folder_paths", "folder_paths"),
        ("samplers/a.py", "import scipy", "scipy"),
        ("lora/a.py", "from ..recipes import identify", "our recipes.identify"),
        ("recipes/a.py", "import server", "server"),
        ("guidance/a.py", "from comfy_api.latest import io", "comfy_api.latest.io"),
        ("cache/a.py", "from ..distill.ema import Ema", "our distill.ema.Ema"),
        ("cache/deep/a.py", "from ...nodes import host", "our nodes.host"),
        ("evaluate/a.py", "import transformers", "transformers"),
        ("distill/a.py", "from ..cache import memory", "our cache.memory"),
        ("distill/a.py", "from ..headless import lora", "our headless.lora"),
        ("__init__.py", "import torch", "imports torch at import"),
        ("__init__.py", "import os", "imports os at import"),
        ("__init__.py", "from .nodes import x", "imports nodes.x at import"),
        ("__init__.py", "def f():\n    import torch", "__init__.py may not import torch"),
        ("__init__.py", "def f():\n    from .samplers import x", "our samplers.x"),
        ("nodes/a.py", "import comfy.samplers", "comfy.samplers"),
        ("nodes/a.py", "import folder_paths", "folder_paths"),
        ("nodes/a.py", "import comfy_api", "comfy_api"),
        ("nodes/a.py", "from comfy_api.latest import _io", "comfy_api.latest._io"),
        ("nodes/a.py", "from ..demo.architecture import x", "our demo.architecture.x"),
        ("nodes/a.py", "from ..headless import x", "our headless.x"),
        ("nodes/host/a.py", "import diffusers", "diffusers"),
        ("headless/a.py", "import comfy", "comfy"),
        ("headless/a.py", "from ..nodes import host", "our nodes.host"),
        ("demo/a.py", "from ..nodes import demo", "our nodes.demo"),
        ("demo/weights.py", "import diffusers", "diffusers"),
        ("run.py", "import torch", "run.py may not import torch"),
        ("run.py", "from diffusion import x", "diffusion.x"),
        ("bootstrap/a.py", "import torch", "bootstrap may not import torch"),
        ("bootstrap/a.py", "from ..diffusion import x", "our diffusion.x"),
        ("web/a.py", "", "no rule allows Python here"),
        ("utilities/a.py", "import os", "no rule allows Python here"),
        ("stray.py", "", "no rule allows Python here"),
    ],
)
def test_a_broken_direction_is_reported_with_its_place(path, source, complaint):
    (broken,) = violations(source, path)
    assert broken.startswith(path) and complaint in broken


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("diffusion/a.py", "import math\nimport torch.nn.functional as F\nfrom . import process"),
        ("diffusion/deep/a.py", "from ..process import VE\nfrom .b import c"),
        ("samplers/a.py", "from ..diffusion.process import VE\nfrom .levels import check_run"),
        ("distill/a.py", "from ..guidance import cfg\nfrom ..lora import delta"),
        ("__init__.py", "async def f():\n    from .nodes import x"),
        ("nodes/a.py", "from comfy_api.latest import ComfyExtension, io\nfrom . import host"),
        ("nodes/a.py", "from ..demo import weights\nfrom ..samplers.ode import sample_euler"),
        ("nodes/host/a.py", "import comfy.sd\nimport folder_paths\nimport nodes\nimport server"),
        ("headless/a.py", "import diffusers\nfrom ..demo.world import draw"),
        ("demo/a.py", "import scipy.linalg\nfrom ..headless.pipeline import load_demo"),
        ("run.py", "from bootstrap import tiers\nimport json"),
        ("bootstrap/a.py", "from . import lock\nfrom .server import Server"),
    ],
)
def test_a_right_direction_is_left_alone(path, source):
    assert violations(source, path) == []


def test_importing_the_pack_imports_nothing_else():
    load = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('fewstep', {str(ROOT / '__init__.py')!r}, "
        f"submodule_search_locations=[{str(ROOT)!r}])\n"
        "before = set(sys.modules)\n"
        "sys.modules['fewstep'] = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(sys.modules['fewstep'])\n"
        "print(sorted(set(sys.modules) - before))"
    )
    command = [sys.executable, "-I", "-c", load]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['fewstep']"
