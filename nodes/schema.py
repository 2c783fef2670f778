"""One way to write a node's schema for every ComfyUI from 0.3.64 on."""

from dataclasses import fields

from comfy_api.latest import io

CATEGORY = "FewStep"
KNOWN_FIELDS = {field.name for field in fields(io.Schema)}


def schema(*, folder: str, **described) -> io.Schema:
    """Build io.Schema without the fields this ComfyUI lacks, as 0.3.64 lacks search_aliases."""
    known = {name: value for name, value in described.items() if name in KNOWN_FIELDS}
    return io.Schema(category=f"{CATEGORY}/{folder}", **known)


def check_choice(name: str, value: str, allowed) -> None:
    """Refuse what a drop-down does not offer; ComfyUI 0.3.64 does not look at it itself.

    Raises:
        ValueError: the value is not among those allowed.
    """
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; allowed is one of {', '.join(allowed)}.")
