"""The modules of the model a LoRA is for, and how every dialect spells them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from .dialects import DIALECTS, ENCODERS, parse_key

COMPONENTS = ("unet", "transformer", *ENCODERS)
# one network and one first text encoder go by several names
ROLES = {"": "network", "unet": "network", "transformer": "network", "te": "te1"}

Layer = TypeVar("Layer")


class Module(NamedTuple):
    """One module of the model: its component and dotted path."""

    component: str
    path: str

    @property
    def role(self) -> str:
        """What names of one thing have in common."""
        return ROLES.get(self.component, self.component)


def spellings(
    targets: Mapping[str, Iterable[str]],
    names: Mapping[str, str],
    aliases: Mapping[str, Module] = MappingProxyType({}),
):
    """How the dialects spell a model's modules.

    Args:
        targets: dotted module paths by component, one of COMPONENTS.
        names: diffusers' weight names to ComfyUI's; empty where the targets are ComfyUI's.
        aliases: other names that files have for modules, without the tensor's ending, as ComfyUI
            lists them ("lora_unet_down_blocks_0_...", "transformer.transformer_blocks.0...").

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
    for stem, module in aliases.items():
        key = parse_key(f"{stem}.lora_down.weight")
        if key is None:
            continue
        role = Module(key.component, key.module).role
        # peft spells a module as diffusers does, which ComfyUI's own list often leaves out
        dotted = ("comfyui", "diffusers", "peft")
        for dialect in ("kohya",) if key.dialect == "kohya" else dotted:
            read[role, dialect, key.module].add(module)
    return read, write


def find(place, read) -> set[Module]:
    """The modules that a layers.Place or dialects.Key may stand for."""
    role = Module(place.component, place.module).role
    dialect = "diffusers" if place.dialect == "old diffusers" else place.dialect
    return read.get((role, dialect, place.module), set())


def resolve(layers: Mapping[tuple, Layer], read) -> dict[Module, Layer]:
    """The layers of a file, by layers.Place, by the module of the model that each changes.

    Raises:
        ValueError: a place names no module of the targets, or several; or two name the same.
    """
    found = {}
    for place, layer in layers.items():
        modules = find(place, read)
        if not modules:
            raise ValueError(
                f"{place.component or 'network'} module {place.module!r} of the file is none of "
                "the targets; the LoRA was made for another network. Use one for this network."
            )
        module = only(modules, place.module)
        if module in found:
            raise ValueError(
                f"two layers of the file are both {module.component} {module.path!r}; "
                "the file holds two LoRAs. Split it into two files."
            )
        found[module] = layer
    return found


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
