"""Facts of a node's run, for the page that shows them and for whoever asks for the history."""

from comfy_api.latest import io

from .serving import server

# under which they stand in the history, beside what other nodes show
KEY = "fewstep"
EVENT = "fewstep.facts"


def with_facts(*outputs, **facts) -> io.NodeOutput:
    """A node's outputs and its facts, which ComfyUI keeps and sends again when the node is cached.

    In the history they are [name, value] pairs: ComfyUI counts objects as files of the run.

    Args:
        facts: plain data for JSON.
    """
    return io.NodeOutput(*outputs, ui={KEY: [[name, value] for name, value in facts.items()]})


def send(node, **facts) -> None:
    """Tell the window that runs a node what is known after it has ended; nothing where none is.

    Args:
        node: the class that ComfyUI executes, with texts.NEEDED as hidden in its schema.
    """
    instance, hidden = server(), getattr(node, "hidden", None)
    if instance is None or hidden is None or hidden.unique_id is None:
        return
    told = {"node": hidden.unique_id, "facts": facts}
    instance.send_sync(EVENT, told, instance.client_id)
