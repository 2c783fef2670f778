"""The page of blind comparisons, as aiohttp serves it in ComfyUI and without it.

All that a rater's page is told of a pair is its number, question, prompt and two pictures; which
contender is on which side stays here until the end.
"""

from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from . import comparison_folder as comparisons
from .own_requests import FRESH, handler
from .preference_report import as_json, outcome, sentences
from .votes import KINDS, csv_text, json_text

ROOT = "/fewstep/pairs"
PAGE = Path(__file__).parent / "pairs_page"
ASSETS = {
    "pairs.css": "text/css",
    **dict.fromkeys(
        ("pairs.js", "server.js", "home.js", "rating.js", "zoom.js", "results.js", "elements.js"),
        "text/javascript",
    ),
}
# the page runs its own scripts alone, in no frame, and asks nobody else
STRICT = {
    **FRESH,
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
EXPORTS = {
    "csv": ("text/csv", lambda study, kept: csv_text(kept)),
    "json": ("application/json", json_text),
}


def pairs_routes(folder: Callable[[], Path]) -> list[web.RouteDef]:
    """The routes of the page.

    Args:
        folder: () -> where pictures and votes lie, as of `comparison_folder`.
    """
    answers = {
        "GET /sets": _sets,
        "GET /studies": _studies,
        "POST /studies": _begin,
        "POST /studies/{name}/next": _next,
        "POST /studies/{name}/vote": _vote,
        "POST /studies/{name}/undo": _undo,
        "POST /studies/{name}/close": _close,
        "GET /studies/{name}/results": _results,
        "GET /studies/{name}/votes.{ending}": _export,
        "GET /studies/{name}/pictures/{number}/{side}": _picture,
    }
    files = {"": _page, "/page/{file}": _asset}
    # without options, which ComfyUI cannot pass on to the copy of a route below /api
    routes = [web.route("GET", ROOT + path, answer) for path, answer in files.items()]
    for route, answer in answers.items():
        method, path = route.split()
        routes.append(web.route(method, ROOT + path, handler(_in(folder, answer))))
    return routes


def _in(folder, answer):
    return lambda words, body: answer(folder(), words, body)


async def _page(request):
    return web.FileResponse(PAGE / "index.html", headers=STRICT)


async def _asset(request):
    name = request.match_info["file"]
    if name not in ASSETS:
        raise web.HTTPNotFound
    return web.FileResponse(PAGE / name, headers={**FRESH, "Content-Type": ASSETS[name]})


def _sets(folder, words, body):
    found = [one._asdict() for one in comparisons.offered(folder)]
    return {"sets": found, "question": comparisons.QUESTION}


def _studies(folder, words, body):
    return {"studies": [_told(folder, name) for name in comparisons.names(folder)]}


def _told(folder, name):
    try:
        with comparisons.opened(folder, name) as votes:
            return {"name": name, "is_closed": votes.is_closed(), "problem": ""}
    except (ValueError, OSError) as error:
        return {"name": name, "is_closed": False, "problem": str(error)}


def _begin(folder, words, body):
    contenders = body.get("contenders")
    if not isinstance(contenders, list) or not all(isinstance(one, str) for one in contenders):
        raise ValueError(f"contenders are {contenders!r}; give names of sets in a list.")
    question = body.get("question", comparisons.QUESTION)
    is_focused = body.get("is_focused") is not False
    name = body.get("name")
    comparisons.begin(folder, name, contenders, question=question, is_focused=is_focused)
    return {"name": name}


def _next(folder, words, body):
    with comparisons.opened(folder, words["name"]) as votes:
        comparisons.check_pictures(folder, words["name"], votes.study)
        return _state(votes, body.get("rater"))


def _vote(folder, words, body):
    with comparisons.opened(folder, words["name"]) as votes:
        votes.vote(body.get("rater"), body.get("number"), body.get("choice"))
        return _state(votes, body.get("rater"))


def _undo(folder, words, body):
    with comparisons.opened(folder, words["name"]) as votes:
        votes.undo(body.get("rater"))
        return _state(votes, body.get("rater"))


def _close(folder, words, body):
    with comparisons.opened(folder, words["name"]) as votes:
        votes.close()
        return {}


def _state(votes, rater):
    """What a rater's page shows: how far he is, and the pair that he has to answer."""
    pair = votes.next_pair(rater)
    shown = pair and {
        "number": pair.number,
        "question": votes.study.asked(pair.prompt),
        "prompt": votes.study.prompts[pair.prompt].text,
    }
    return {"pair": shown, "is_closed": votes.is_closed(), **votes.progress(rater)._asdict()}


def _picture(folder, words, body):
    number = int(words["number"]) if words["number"].isdecimal() else words["number"]
    with comparisons.opened(folder, words["name"]) as votes:
        pair = votes.pair(body.get("rater"), number)
    png = comparisons.picture(folder, pair, words["side"])
    return web.Response(body=png, content_type="image/png", headers=FRESH)


def _results(folder, words, body):
    with comparisons.opened(folder, words["name"]) as votes:
        kept = {kind: votes.results(kind=kind) for kind in KINDS}
        found = {kind: outcome(votes.study, of) for kind, of in kept.items() if of}
        contenders = votes.study.contenders
    told = {
        kind: {"outcome": as_json(one), "sentences": sentences(one)} for kind, one in found.items()
    }
    return {"contenders": contenders, "found": told}


def _export(folder, words, body):
    if words["ending"] not in EXPORTS:
        raise ValueError(f"ending is {words['ending']!r}; allowed are {', '.join(EXPORTS)}.")
    content_type, text = EXPORTS[words["ending"]]
    with comparisons.opened(folder, words["name"]) as votes:
        kept = [vote for kind in KINDS for vote in votes.results(kind=kind)]
        told = text(votes.study, kept)
    name = f'attachment; filename="{words["name"]}.{words["ending"]}"'
    headers = {**FRESH, "Content-Disposition": name}
    return web.Response(text=told, content_type=content_type, headers=headers)
