"""Requests of our own pages, answered beside the server's loop; other sites are refused."""

import asyncio
import json
from collections.abc import Callable

from aiohttp import web

# bytes of a request
LONGEST = 65536
# so that neither a proxy nor a browser shows what was so before
FRESH = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def handler(answer: Callable):
    """An aiohttp handler of answer(words of the address, body), which may take its time.

    The body is the JSON object of a POST, else the query. What answer returns is sent as JSON,
    unless it is a response; its ValueError is a 400, its OSError a 500, each with the sentence.
    """

    async def handle(request):
        if not _is_from_here(request):
            return _refused(403, "This page answers to itself alone, not to other sites.")
        try:
            body = await _body(request) if request.method == "POST" else request.query
            found = await asyncio.to_thread(answer, request.match_info, body)
        except (ValueError, RecursionError) as error:
            return _refused(400, str(error))
        except OSError as error:
            return _refused(500, str(error))
        return found if isinstance(found, web.Response) else web.json_response(found, headers=FRESH)

    return handle


def _is_from_here(request):
    """Whether a browser that says who asks says that it is this page, or the user himself."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is None or origin.split("://")[-1] == request.headers.get("Host")


async def _body(request):
    if request.content_type != "application/json":
        raise ValueError(f"the body is {request.content_type}; send JSON.")
    if request.content_length is None or request.content_length > LONGEST:
        raise ValueError(f"the body has {request.content_length} bytes; allowed are {LONGEST}.")
    found = json.loads(await request.text())
    if not isinstance(found, dict):
        raise ValueError("the body is no JSON object.")
    return found


def _refused(status, sentence):
    return web.json_response({"error": sentence}, status=status, headers=FRESH)
