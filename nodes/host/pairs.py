"""The page of blind comparisons on ComfyUI's own server."""

from ...evaluate.pairs_routes import pairs_routes
from .files import fewstep_folder
from .serving import server


def serve_pairs() -> None:
    """Add the page's routes; nothing where ComfyUI serves nobody, as in a script.

    To be called while packs are loaded; later routes are not heard.
    """
    instance = server()
    if instance is None:
        return
    for route in pairs_routes(fewstep_folder):
        instance.routes.route(route.method, route.path)(route.handler)
