"""The modules of the model a LoRA is for, and how every dialect spells them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .dialects import DIALECTS, ENCODERS

COMPONENTS = ("unet", "transformer", *ENCODERS)
# one network and one first text encoder go by several names
ROLES = {"": "network", "unet": "network", "transformer": "network", "te": "te1"}


class Module(NamedTuple):
    """One module of the model: its component and dotted path."""

    component: str
    path: str

    @property
    def role(self) -> str:
        """What names of one thing have in common."""
        return ROLES.get(self.component, self.component)


def spellings(targets: Mapping[str, Iterable[str]], names: Mapping[str, str]):
    """How the dialects spell a model's modules.

    Args:
        targets: dotted module paths by component, one of COMPONENTS.
        names: diffusers' weight names to ComfyUI's; empty where the targets are ComfyUI's.

    Returns:
        ((role, dialect, spelled) -> the modules it may stand for, (dialect, module) -> spelled)

    Raises:
        ValueError: a component is unknown.
    """
    if wrong := sorted(set(targets) - set(COMPONENTS)):
        raise ValueError(f"targets has {wrong[0]!r}; allowed is one of {', '.join(COMPONENTS)}.")
    ldm = {key.removesuffix(".weight"): name.removesuffix(".weight") for key, name in names.items()}
    read, write = defaultdict(set), {}
    for module in (Module(c, path) for c, paths in targets.items() for path in paths):
        path = module.path
        host = ldm.get(path) if ldm and module.role == "network" else path
        for dialect in DIALECTS:
            spelled = {"kohya": path.replace(".", "_"), "comfyui": host}.get(dialect, path)
            write[dialect, module] = spelled
            read[module.role, dialect, spelled].add(module)
        # kohya trains SDXL on modules with LDM's names
        if host is not None:
            read[module.role, "kohya", host.replace(".", "_")].add(module)
    return read, write


def find(place, read) -> set[Module]:
    """The modules that a layers.Place or dialects.Key may stand for."""
    role = Module(place.component, place.module).role
    dialect = "diffusers" if place.dialect == "old diffusers" else place.dialect
    return read.get((role, dialect, place.module), set())


def only(modules, spelled) -> Module:
    """The one module there is.

    Raises:
        ValueError: there are several.
    """
    if len(modules) > 1:
        paths = " and ".join(repr(module.path) for module in sorted(modules))
        raise ValueError(
            f"{spelled!r} stands for {paths} of the targets, and nothing tells which; "
            "use dotted paths (diffusers or peft)."
        )
    return next(iter(modules))
