"""The page's server, asked over HTTP as a browser would, and as one that means no good."""

import asyncio
import csv
import io
import json
import threading
import urllib.error
import urllib.request

import pytest
from aiohttp import web
from picture_sets import golden_set, grey, make_set
from PIL import Image

from fewstep.evaluate import comparison_folder as comparisons
from fewstep.evaluate.pairs_routes import ASSETS, PAGE, ROOT, pairs_routes

NASTY = '<script>alert("x")</script>\n' + "é" * 19_000
ROWS = [row._replace(prompt=NASTY if k == 1 else row.prompt) for k, row in enumerate(golden_set(4))]


@pytest.fixture
def folder(tmp_path):
    for name, brightness in (("zebra", 40), ("quagga", 160)):
        make_set(tmp_path, name, ROWS, lambda row, b=brightness: grey(b + row))
    return tmp_path


@pytest.fixture
def address(folder):
    """Where a server of that folder answers."""
    found, ready = {}, threading.Event()

    async def serve():
        app = web.Application()
        app.add_routes(pairs_routes(lambda: folder))
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found.update(port=runner.addresses[0][1], stop=asyncio.Event())
        found["loop"] = asyncio.get_running_loop()
        ready.set()
        await found["stop"].wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(30)
    yield f"http://127.0.0.1:{found['port']}{ROOT}"
    found["loop"].call_soon_threadsafe(found["stop"].set)
    thread.join()


@pytest.fixture
def ask(address):
    """(path, body) -> status and JSON; headers override those of the page itself."""

    def asked(path, body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if data is not None:
            headers = {"Content-Type": "application/json"} | headers
        request = urllib.request.Request(f"{address}/{path}", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    return asked


@pytest.fixture
def begun(ask):
    assert ask("studies", {"name": "mine", "contenders": ["zebra", "quagga"]}) == (
        200,
        {"name": "mine"},
    )
    return ask


def answer_all(ask, rater, choice="left"):
    _, state = ask("studies/mine/next", {"rater": rater})
    while state["pair"]:
        vote = {"rater": rater, "number": state["pair"]["number"], "choice": choice}
        _, state = ask("studies/mine/vote", vote)
    return state


def test_the_page_and_its_parts_are_there_and_nothing_else_is(address):
    for path in ("", *(f"/page/{name}" for name in ASSETS)):
        with urllib.request.urlopen(address + path) as response:
            assert response.status == 200 and response.headers["Cache-Control"] == "no-store"
    assert sorted(ASSETS) == sorted(p.name for p in PAGE.iterdir() if p.name != "index.html")
    for path in ("/page/index.html", "/page/..%2f..%2fvotes.py", "/page/no.js", "/nothing"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(address + path)


def test_the_page_runs_no_script_but_its_own(address):
    with urllib.request.urlopen(address) as response:
        assert "default-src 'self'" in response.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


def test_sets_and_comparisons_are_listed(begun, folder):
    _, found = begun("sets")
    assert [(one["name"], one["count"]) for one in found["sets"]] == [("quagga", 4), ("zebra", 4)]
    (folder / "votes" / "torn.sqlite").write_text("my own")
    _, found = begun("studies")
    mine, torn = found["studies"]
    assert mine == {"name": "mine", "is_closed": False, "problem": ""}
    assert "torn.sqlite holds no votes" in torn["problem"]


def test_a_rater_is_told_number_question_prompt_and_progress_and_no_more(begun):
    _, state = begun("studies/mine/next", {"rater": "ann"})
    assert sorted(state) == ["answered", "is_closed", "pair", "total"]
    assert sorted(state["pair"]) == ["number", "prompt", "question"]
    assert (state["answered"], state["total"], state["pair"]["number"]) == (0, 4, 0)
    assert begun("studies/mine/next", {"rater": "ann"})[1] == state


def test_prompts_come_to_the_letter(begun):
    prompts = set()
    _, state = begun("studies/mine/next", {"rater": "ann"})
    while state["pair"]:
        prompts.add(state["pair"]["prompt"])
        vote = {"rater": "ann", "number": state["pair"]["number"], "choice": "tie"}
        _, state = begun("studies/mine/vote", vote)
    assert prompts == {row.prompt for row in ROWS}


def test_votes_are_kept_and_taken_back(begun, folder):
    _, first = begun("studies/mine/next", {"rater": "ann"})
    _, second = begun("studies/mine/vote", {"rater": "ann", "number": 0, "choice": "skip"})
    assert (second["answered"], second["pair"]["number"]) == (1, 1)
    assert begun("studies/mine/undo", {"rater": "ann"})[1] == first
    answer_all(begun, "ann", "right")
    with comparisons.opened(folder, "mine") as votes:
        pairs = [votes.pair("ann", number) for number in range(4)]
        kept = {vote.number: vote for vote in votes.votes()}
    for pair in pairs:
        assert kept[pair.number].score == (pair.right == kept[pair.number].a)


def test_pictures_of_a_pair_are_those_of_its_sides(begun, address, folder):
    begun("studies/mine/next", {"rater": "ann bé"})
    with comparisons.opened(folder, "mine") as votes:
        pair = votes.pair("ann bé", 2)
    for side in ("left", "right"):
        path = f"/studies/mine/pictures/2/{side}?rater=ann%20b%C3%A9"
        with urllib.request.urlopen(address + path) as response:
            seen = Image.open(io.BytesIO(response.read()))
            assert response.headers["Content-Type"] == "image/png"
            assert response.headers["Last-Modified"] is response.headers["ETag"] is None
        assert (seen.getpixel((0, 0))[0] > 120) == (getattr(pair, side) == "quagga")


def test_results_are_hidden_until_all_have_voted_and_then_open(begun, address):
    answer_all(begun, "ann")
    begun("studies/mine/next", {"rater": "bob"})
    for path in ("results", "votes.csv", "votes.json"):
        status, found = begun(f"studies/mine/{path}")
        assert status == 400 and "bob has 4 to answer. Wait, or close" in found["error"]
    answer_all(begun, "bob", "right")
    _, found = begun("studies/mine/results")
    assert found["contenders"] == ["zebra", "quagga"] and list(found["found"]) == ["human"]
    assert found["found"]["human"]["outcome"]["raters"] == {"ann": 4, "bob": 4}
    assert "zebra" in found["found"]["human"]["sentences"][0]
    with urllib.request.urlopen(f"{address}/studies/mine/votes.csv") as response:
        assert response.headers["Content-Disposition"] == 'attachment; filename="mine.csv"'
        rows = list(csv.DictReader(io.StringIO(response.read().decode())))
    assert len(rows) == 8 and {row["kind"] for row in rows} == {"human"}
    _, kept = begun("studies/mine/votes.json")
    assert len(kept["votes"]) == 8 and kept["study"]["contenders"] == ["zebra", "quagga"]


def test_votes_of_people_and_models_are_told_apart(begun, folder):
    answer_all(begun, "ann")
    with comparisons.opened(folder, "mine") as votes:
        while pair := votes.next_pair("judge", kind="model"):
            votes.vote("judge", pair.number, "tie", kind="model")
    _, found = begun("studies/mine/results")
    raters = {kind: told["outcome"]["raters"] for kind, told in found["found"].items()}
    assert raters == {"human": {"ann": 4}, "model": {"judge": 4}}


def test_a_closed_comparison_shows_its_results_and_takes_no_votes(begun):
    begun("studies/mine/next", {"rater": "ann"})
    assert begun("studies/mine/close", {}) == (200, {})
    _, state = begun("studies/mine/next", {"rater": "ann"})
    assert state["pair"] is None and state["is_closed"]
    status, found = begun("studies/mine/vote", {"rater": "ann", "number": 0, "choice": "left"})
    assert status == 400 and "the study is closed" in found["error"]
    assert begun("studies/mine/results")[0] == 200
    assert begun("studies")[1]["studies"][0]["is_closed"]


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("mine/vote", {"rater": "ann", "number": 9, "choice": "left"}, "there is no pair 9 of ann"),
        ("mine/vote", {"rater": "ann", "number": -1, "choice": "left"}, "there is no pair -1"),
        ("mine/vote", {"rater": "ann", "number": True, "choice": "left"}, "there is no pair True"),
        ("mine/vote", {"rater": "ann", "number": "0", "choice": "left"}, "there is no pair '0'"),
        ("mine/vote", {"rater": "ann", "number": 0, "choice": "up"}, "choice is 'up'; allowed"),
        ("mine/vote", {"rater": "ann", "number": 0, "choice": ["left"]}, "choice is ['left']"),
        ("mine/vote", {"rater": "bob", "number": 0, "choice": "left"}, "bob, who has not begun"),
        ("mine/vote", {"rater": "\u202eann", "number": 0, "choice": "left"}, "rater is "),
        ("mine/vote", {"number": 0, "choice": "left"}, "rater is None"),
        ("mine/next", {"rater": "x" * 65}, "a name has 1 to 64 printable characters"),
        ("mine/undo", {"rater": "ann"}, "ann has no vote to take back"),
        ("no/next", {"rater": "ann"}, "there is no comparison 'no'"),
        ("..%2fmine/next", {"rater": "ann"}, "name is '../mine'; allowed are letters"),
        ("", {"name": "new", "contenders": "zebra"}, "contenders are 'zebra'; give names of sets"),
        ("", {"name": "new", "contenders": ["zebra", 3]}, "contenders are ['zebra', 3]; give"),
        ("", {"name": "../new", "contenders": ["zebra", "quagga"]}, "name is '../new'; allowed"),
        ("", {"name": "mine", "contenders": ["zebra", "quagga"]}, "that comparison is there"),
        ("mine/next", [], "the body is no JSON object"),
        ("mine/next", b"{", "Expecting property name"),
        ("mine/next", b"[" * 60_000, "recursion"),
        ("mine/next", {"rater": "x" * 70_000}, "the body has 70"),
    ],
)
def test_what_is_wrong_is_told_and_changes_nothing(begun, path, body, message):
    begun("studies/mine/next", {"rater": "ann"})
    status, found = begun(f"studies/{path}".rstrip("/"), body)
    assert status == 400 and message in found["error"]
    assert begun("studies/mine/next", {"rater": "ann"})[1]["answered"] == 0
    assert [one["name"] for one in begun("studies")[1]["studies"]] == ["mine"]


def test_a_second_vote_is_refused(begun):
    begun("studies/mine/next", {"rater": "ann"})
    vote = {"rater": "ann", "number": 0, "choice": "left"}
    assert begun("studies/mine/vote", vote)[0] == 200
    status, found = begun("studies/mine/vote", vote | {"choice": "right"})
    assert status == 400 and "ann has answered pair 0 already" in found["error"]


@pytest.mark.parametrize("path", ["9/left", "x/left", "-1/left", "0/both", "0/left%2f..%2fright"])
def test_a_picture_that_is_none_is_told(begun, path):
    begun("studies/mine/next", {"rater": "ann"})
    status, found = begun(f"studies/mine/pictures/{path}?rater=ann")
    assert status == 400 and ("there is no pair" in found["error"] or "side is" in found["error"])
    assert begun("studies/mine/pictures/0/left")[1]["error"].startswith("rater is None")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_another_origin_is_refused(begun, headers):
    begun("studies/mine/next", {"rater": "ann"})
    vote = {"rater": "ann", "number": 0, "choice": "left"}
    asked = (
        ("studies/mine/vote", vote),
        ("studies/mine/close", {}),
        ("studies/mine/results", None),
        ("studies/mine/pictures/0/left?rater=ann", None),
    )
    for path, body in asked:
        status, found = begun(path, body, **headers)
        assert status == 403 and "answers to itself alone" in found["error"]
    state = begun("studies/mine/next", {"rater": "ann"})[1]
    assert state["answered"] == 0 and not state["is_closed"]


def test_the_page_itself_and_those_who_type_an_address_are_heard(begun, address):
    own = address.removesuffix(ROOT)
    for headers in ({"Origin": own}, {"Sec_Fetch_Site": "same-origin"}, {"Sec_Fetch_Site": "none"}):
        assert begun("studies", **headers)[0] == 200


def test_a_form_of_another_page_cannot_vote(begun):
    # what a browser sends across origins without asking first
    for content_type in ("text/plain", "application/x-www-form-urlencoded"):
        status, found = begun("studies/mine/close", {}, Content_Type=content_type)
        assert status == 400 and f"the body is {content_type}; send JSON" in found["error"]


def test_a_disk_that_cannot_be_written_to_is_told_and_votes_stay(begun, folder):
    answer_all(begun, "ann")
    (folder / "votes").rename(folder / "kept")
    (folder / "votes").write_text("no folder")
    body = {"name": "new", "contenders": ["zebra", "quagga"]}
    status, found = begun("studies", body)
    assert status == 500 and "votes" in found["error"]
    (folder / "votes").unlink()
    (folder / "kept").rename(folder / "votes")
    assert begun("studies/mine/results")[0] == 200
