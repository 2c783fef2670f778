"""A line of text under a node, for those who look at the graph."""

from comfy_api.latest import io

from .serving import server

# hidden inputs of a node that shows texts
NEEDED = [io.Hidden.unique_id]


def show(node, text: str) -> None:
    """Show a text under a node in the window that runs it; nothing where there is none.

    Args:
        node: the class that ComfyUI executes, with NEEDED as hidden in its schema.
    """
    instance, hidden = server(), getattr(node, "hidden", None)
    if instance is None or hidden is None or hidden.unique_id is None:
        return
    instance.send_progress_text(text, hidden.unique_id, instance.client_id)
