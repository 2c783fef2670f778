"""A line of text under a node, for those who look at the graph."""

import sys

from comfy_api.latest import io

# hidden inputs of a node that shows texts
NEEDED = [io.Hidden.unique_id]


def show(node, text: str) -> None:
    """Show a text under a node in the window that runs it; nothing where there is none.

    Args:
        node: the class that ComfyUI executes, with NEEDED as hidden in its schema.
    """
    # a ComfyUI that serves nobody, as in a script, has not loaded its server
    module, hidden = sys.modules.get("server"), getattr(node, "hidden", None)
    instance = getattr(getattr(module, "PromptServer", None), "instance", None)
    if instance is None or hidden is None or hidden.unique_id is None:
        return
    instance.send_progress_text(text, hidden.unique_id, instance.client_id)
