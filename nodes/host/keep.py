"""A picture of a live output, kept as a file that ComfyUI opens as the workflow that made it."""

import asyncio
import io
import json
from pathlib import Path

import folder_paths
from aiohttp import web
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ...evaluate.picture_set import write_whole
from .picture_files import BROKEN
from .serving import server

ROUTE = "/fewstep/live/keep"
PREFIX = "fewstep_live"
# names under which ComfyUI looks for them in a picture
WORDS = "prompt", "workflow"


def serve_keep() -> None:
    """Add the route; nothing where ComfyUI serves nobody. To be called while packs are loaded."""
    instance = server()
    if instance is not None:
        instance.routes.post(ROUTE)(keep)


async def keep(request: web.Request) -> web.Response:
    """Save the image of a form with its prompt and workflow; answers with the file's name."""
    given = await request.post()
    image = getattr(given.get("image"), "file", None)
    try:
        told = {word: json.loads(given[word]) for word in WORDS}
        data = image.read()
        path = await asyncio.to_thread(save, data, told)
    except (KeyError, AttributeError, ValueError) as error:
        return web.json_response({"error": f"no picture with its workflow: {error}"}, status=400)
    except OSError as error:
        return web.json_response({"error": str(error)}, status=500)
    return web.json_response({"name": path.name})


def save(data: bytes, told: dict) -> Path:
    """Write a picture into the output folder, under a name that is free.

    Args:
        data: of a PNG file.
        told: prompt and workflow, as JSON.

    Raises:
        ValueError: data is no picture.
        OSError: the disk is full, or the folder cannot be written to.
    """
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            pixels = image.convert("RGB")
    except BROKEN as error:
        raise ValueError(f"it cannot be read: {error}") from error
    chunks = PngInfo()
    for word, value in told.items():
        chunks.add_text(word, json.dumps(value))
    file = io.BytesIO()
    pixels.save(file, "PNG", pnginfo=chunks, compress_level=4)
    output = folder_paths.get_output_directory()
    folder, name, counter, *_ = folder_paths.get_save_image_path(PREFIX, output)
    path = Path(folder) / f"{name}_{counter:05}_.png"
    write_whole(path, file.getvalue())
    return path
