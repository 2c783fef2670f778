"""The page of blind comparisons on a real ComfyUI, beside its own routes and middleware."""

import urllib.error
import urllib.request

import pytest
from picture_sets import golden_set, grey, make_set

ROOT = "/fewstep/pairs"


@pytest.fixture
def sets(server):
    for name, brightness in (("zebra", 60), ("quagga", 180)):
        folder = server.folder / "output" / "fewstep"
        make_set(folder, name, golden_set(4), lambda _, b=brightness: grey(b))


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_comfyui_serves_the_page_also_where_its_frontend_looks_for_routes(server, prefix):
    assert b"<title>Blind comparison</title>" in server.client.get(prefix + ROOT)
    assert b"addEventListener" in server.client.get(f"{prefix}{ROOT}/page/pairs.js")
    assert "studies" in server.client.get_json(f"{prefix}{ROOT}/studies")


def test_pictures_in_the_output_folder_are_compared_and_votes_kept_beside_them(server, sets):
    client = server.client
    offered = {one["name"]: one["problem"] for one in client.get_json(f"{ROOT}/sets")["sets"]}
    assert offered["zebra"] == offered["quagga"] == ""
    client.post_json(f"{ROOT}/studies", {"name": "mine", "contenders": ["zebra", "quagga"]})
    state = client.post_json(f"{ROOT}/studies/mine/next", {"rater": "ann"})
    while state["pair"]:
        number = state["pair"]["number"]
        picture = client.get(f"{ROOT}/studies/mine/pictures/{number}/left", rater="ann")
        assert picture.startswith(b"\x89PNG")
        vote = {"rater": "ann", "number": number, "choice": "left"}
        state = client.post_json(f"{ROOT}/studies/mine/vote", vote)
    found = client.get_json(f"{ROOT}/studies/mine/results")
    assert found["found"]["human"]["outcome"]["raters"] == {"ann": 4}
    assert (server.folder / "output/fewstep/votes/mine.sqlite").is_file()


def test_another_origin_is_refused(server):
    headers = {"Origin": "http://evil.example", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{server.url}{ROOT}/studies", b"{}", headers)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request)
