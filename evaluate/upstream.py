"""What a node's pictures depend on: the part of ComfyUI's graph that leads to it."""

from collections import deque
from collections.abc import Mapping
from typing import Any

# of what is told, since a graph may be of any size
MOST = 2000


def upstream(graph: Mapping[str, Any] | None, node: str | None) -> dict[str, Any]:
    """Every node that leads to this one, and its settings, by the shortest way there.

    A way is the inputs along it, such as "model.lora_name", so that it does not change with the
    numbers that ComfyUI gives to nodes.

    Args:
        graph: in ComfyUI's API format; None where there is none, as in a script.
        node: number of the node, whose own settings are left out.

    Returns:
        by way: the class of the node there and, behind a colon, which of its outputs; or the value
        of a setting. Of a node that was told already, by which way.
    """
    graph = graph or {}
    settings = sorted(graph.get(str(node), {}).get("inputs", {}).items())
    waiting = deque((name, value) for name, value in settings if _is_link(value, graph))
    told, ways = {}, {}
    while waiting and len(told) < MOST:
        way, value = waiting.popleft()
        if not _is_link(value, graph):
            told[way] = value
            continue
        number, output = value
        if number in ways:
            told[way] = f"as {ways[number]}: {output}"
            continue
        ways[number] = way
        of = graph[number]
        told[way] = f"{of.get('class_type', '?')}: {output}"
        inputs = sorted(of.get("inputs", {}).items())
        waiting.extend((f"{way}.{name}", inside) for name, inside in inputs)
    return told


def _is_link(value, graph):
    """Whether an input is connected: [number of a node, number of its output]."""
    is_pair = isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
    return is_pair and value[0] in graph
