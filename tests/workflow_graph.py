"""What the samplers of a saved workflow are given, through subgraphs, switches and promoted values.

A link ends in an output of a node, in the input of the subgraph it lies in (-10), or leaves the
subgraph (-20). An instance of a subgraph gives values to those inputs that lead to a widget, in
their order; where it gives none, the widget's own value holds.
"""

from typing import Any, NamedTuple

INPUTS, OUTPUTS = -10, -20
ACTIVE, BYPASSED = 0, 4
# names of the widgets in the order of widgets_values
WIDGETS = {
    "KSampler": ("seed", "after", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": (
        *("add_noise", "noise_seed", "after", "steps", "cfg", "sampler_name", "scheduler"),
        *("start_at_step", "end_at_step", "return_with_leftover_noise"),
    ),
    "SamplerCustom": ("add_noise", "noise_seed", "after", "cfg"),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "ManualSigmas": ("sigmas",),
    "SDTurboScheduler": ("steps", "denoise"),
    "Flux2Scheduler": ("steps",),
    "LTXVScheduler": ("steps",),
    "CFGGuider": ("cfg",),
    # of the picture, then of the sound
    "LTXVDualCFGGuider": ("cfg",),
    "FluxGuidance": ("guidance",),
    "UNETLoader": ("unet_name",),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "LoraLoader": ("lora_name", "strength_model"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "ModelSamplingSD3": ("shift",),
    "ModelSamplingAuraFlow": ("shift",),
    "MiniMaxH3SigmaShift": ("shift",),
    "ComfySwitchNode": ("switch",),
    "PrimitiveInt": ("value",),
    "PrimitiveFloat": ("value",),
    "PrimitiveBoolean": ("value",),
    "PrimitiveNode": ("value",),
}
FILES = {
    "UNETLoader": "unet_name",
    "CheckpointLoaderSimple": "ckpt_name",
    "LoraLoader": "lora_name",
    "LoraLoaderModelOnly": "lora_name",
}
SAMPLERS = ("KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced")


class State(NamedTuple):
    """What is switched how: switch True or False for all switch nodes, None as they are saved."""

    switch: bool | None = None
    # take nodes that are muted or bypassed for active ones
    is_all_active: bool = False


class Scope(NamedTuple):
    """One graph, or one instance of a subgraph in another one."""

    nodes: dict
    # id: (origin node, origin slot, target node, target slot)
    links: dict
    # of the inputs of a subgraph: name, and value where the instance gives one
    inputs: list
    parent: Any
    instance: dict | None
    # scopes of the instances in it, by node id
    children: dict


class At(NamedTuple):
    """A node where it stands."""

    scope: Scope
    node: dict

    @property
    def kind(self):
        return self.node["type"]


class Plain(NamedTuple):
    value: Any


def scope_of(workflow):
    subgraphs = {each["id"]: each for each in workflow.get("definitions", {}).get("subgraphs", [])}
    return _scope(workflow, subgraphs, None, None)


def _scope(graph, subgraphs, parent, instance):
    nodes = {node["id"]: node for node in graph["nodes"]}
    links = dict(_link(each) for each in graph.get("links", []) if each)
    scope = Scope(nodes, links, [], parent, instance, {})
    if instance is not None:
        scope.inputs.extend(_inputs(graph, scope, subgraphs))
    for node in graph["nodes"]:
        if node["type"] in subgraphs:
            child = _scope(subgraphs[node["type"]], subgraphs, scope, node)
            scope.children[node["id"]] = child
    return scope


def _link(each):
    if isinstance(each, list):
        return each[0], tuple(each[1:5])
    ends = ("origin_id", "origin_slot", "target_id", "target_slot")
    return each["id"], tuple(each[end] for end in ends)


def _inputs(graph, scope, subgraphs):
    values = iter(scope.instance.get("widgets_values") or [])
    for each in graph["inputs"]:
        targets = [scope.links[link] for link in each.get("linkIds", []) if link in scope.links]
        is_widget = any(_is_widget(scope, target, each, subgraphs) for target in targets)
        yield each["name"], next(values, None) if is_widget else None


def _is_widget(scope, target, entry, subgraphs):
    node = scope.nodes.get(target[2])
    if node is None:
        return False
    if node["type"] in subgraphs:
        return entry["type"] in ("STRING", "INT", "FLOAT", "COMBO", "BOOLEAN")
    return bool(node["inputs"][target[3]].get("widget"))


def nodes_in(scope, state):
    """Every active node, inside active subgraphs too."""
    for node in scope.nodes.values():
        if node.get("mode", ACTIVE) != ACTIVE and not state.is_all_active:
            continue
        if node["id"] in scope.children:
            yield from nodes_in(scope.children[node["id"]], state)
        else:
            yield At(scope, node)


def every_file(scope):
    """(loader, name) of every file, active or not."""
    for at in nodes_in(scope, State(is_all_active=True)):
        if at.kind in FILES:
            yield at.kind, value(at, FILES[at.kind], State())


def value(at, name, state):
    """A widget's value, or that of the node it is linked to; None where that is computed."""
    linked = source(at, name, state)
    if isinstance(linked, At):
        is_known = linked.kind.startswith("Primitive")
        return value(linked, "value", state) if is_known else None
    if isinstance(linked, Plain) and linked.value is not None:
        return linked.value
    names, values = WIDGETS.get(at.kind, ()), at.node.get("widgets_values") or ()
    return dict(zip(names, values, strict=False)).get(name)


def source(at, name, state):
    """Where an input comes from: At, Plain, or None where it is not linked."""
    for entry in at.node.get("inputs") or []:
        if entry["name"] == name and entry.get("link") is not None:
            return _settled(_follow(at.scope, entry["link"]), state)
    return None


def model_source(at, state):
    """The node that the model of this one comes from."""
    for entry in at.node.get("inputs") or []:
        if entry.get("type") == "MODEL" and entry.get("link") is not None:
            return source(at, entry["name"], state)
    return None


def _follow(scope, link):
    origin, slot, *_ = scope.links[link]
    if origin == INPUTS:
        name, given = scope.inputs[slot]
        for entry in scope.instance["inputs"]:
            if entry["name"] == name and entry.get("link") is not None:
                return _follow(scope.parent, entry["link"])
        return Plain(given)
    if origin in scope.children:
        child = scope.children[origin]
        inside = (key for key, ends in child.links.items() if ends[2:4] == (OUTPUTS, slot))
        return _follow(child, next(inside))
    return At(scope, scope.nodes[origin])


def _settled(found, state):
    """Through switches, reroutes and nodes that are bypassed."""
    if not isinstance(found, At):
        return found
    if found.kind == "ComfySwitchNode":
        is_on = value(found, "switch", state) if state.switch is None else state.switch
        return source(found, "on_true" if is_on else "on_false", state)
    is_bypassed = found.node.get("mode") == BYPASSED and not state.is_all_active
    return _past(found, state) if is_bypassed or found.kind == "Reroute" else found


def _past(found, state):
    """The first input that is linked and of the type of the output."""
    kind = found.node["outputs"][0]["type"]
    for entry in found.node.get("inputs") or []:
        if entry.get("link") is not None and entry.get("type") in (kind, "*"):
            return source(found, entry["name"], state)
    return None
