"""The list of model files on ComfyUI's own server, for the tab in its sidebar."""

from collections.abc import Callable

from ...evaluate.own_requests import handler
from .serving import server

ROUTE = "/fewstep/files"


def serve_shelf(listed: Callable, give: Callable) -> None:
    """Add the routes; nothing where ComfyUI serves nobody. To be called while packs are loaded.

    Args:
        listed: (start) -> part of the list.
        give: (folder, name, recipe id or None) -> the file's entry.
    """

    def looked(words, query):
        return listed(_whole(query.get("start", "0")))

    def given(words, body):
        return give(body.get("folder"), body.get("file"), body.get("recipe_id"))

    instance = server()
    if instance is not None:
        instance.routes.get(ROUTE)(handler(looked))
        instance.routes.post(f"{ROUTE}/recipe")(handler(given))


def _whole(text):
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError(f"start is {text!r}; allowed is a whole number, 0 or above.")
    return int(text)
