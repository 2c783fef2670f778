"""The sampling runs of a saved workflow: files, steps, cfg, sampler, levels, shift."""

from typing import NamedTuple

from workflow_graph import FILES, SAMPLERS, At, model_source, nodes_in, source, value

SHIFTS = ("ModelSamplingSD3", "ModelSamplingAuraFlow", "MiniMaxH3SigmaShift")


class File(NamedTuple):
    loader: str
    name: str
    strength: float | None


class Run(NamedTuple):
    """One sampler; None is what the workflow computes."""

    files: tuple[File, ...]
    steps: int | None
    cfg: float | None
    guidance: float | None
    sampler: str | None
    # a scheduler's name, a node's, or the levels themselves
    levels: str | tuple[float, ...] | None
    # None where no node sets it
    shift: float | None


def runs(scope, state):
    for at in nodes_in(scope, state):
        if at.kind in SAMPLERS:
            yield _run(at, scope, state)


def _run(at, scope, state):
    owner, cfg = at, value(at, "cfg", state)
    if at.kind == "SamplerCustomAdvanced":
        owner = source(at, "guider", state)
        cfg = 1.0 if owner.kind == "BasicGuider" else value(owner, "cfg", state)
    files, shift = _model(model_source(owner, state), state)
    steps, levels = _levels(at, state)
    return Run(files, steps, cfg, _guidance(scope, state), _sampler(at, state), levels, shift)


def _model(at, state):
    """Files and shift on the way from a sampler to its network."""
    files, shift = [], None
    while isinstance(at, At):
        if at.kind in FILES:
            name, strength = value(at, FILES[at.kind], state), value(at, "strength_model", state)
            files.append(File(at.kind, name, strength))
        if at.kind in SHIFTS and shift is None:
            shift = value(at, "shift", state)
        at = model_source(at, state)
    return tuple(files), shift


def _levels(at, state):
    if at.kind in ("KSampler", "KSamplerAdvanced"):
        return value(at, "steps", state), value(at, "scheduler", state)
    made = source(at, "sigmas", state)
    while isinstance(made, At) and made.kind == "SplitSigmas":
        made = source(made, "sigmas", state)
    if not isinstance(made, At):
        return None, None
    if made.kind == "ManualSigmas":
        levels = tuple(float(word) for word in value(made, "sigmas", state).split(",") if word)
        return len(levels) - 1, levels
    name = value(made, "scheduler", state) if made.kind == "BasicScheduler" else made.kind
    return value(made, "steps", state), name


def _sampler(at, state):
    if at.kind in ("KSampler", "KSamplerAdvanced"):
        return value(at, "sampler_name", state)
    made = source(at, "sampler", state)
    if not isinstance(made, At):
        return None
    return value(made, "sampler_name", state) if made.kind == "KSamplerSelect" else made.kind


def _guidance(scope, state):
    """The number a network is told, where the workflow has one."""
    told = {
        value(at, "guidance", state) for at in nodes_in(scope, state) if at.kind == "FluxGuidance"
    }
    return told.pop() if len(told) == 1 else None
