"""Live Output sends pictures and writes nothing; what is kept opens as its workflow."""

import io
import json
import urllib.error
import urllib.request
import uuid

import numpy
import pytest
import torch
from host.test_recipe_api import node
from PIL import Image

ROUTE = "/fewstep/live/keep"


@pytest.mark.parametrize(
    ("count", "shape"), [(1, (4, 6)), (2, (4, 12)), (3, (8, 12)), (4, (8, 12)), (5, (8, 18))]
)
def test_several_pictures_are_one_sheet_row_by_row(host, count, shape):
    from fewstep.nodes.host.live import sheet

    images = torch.arange(1, count + 1).view(-1, 1, 1, 1).expand(count, 4, 6, 3) / 10.0
    found = sheet(images)
    assert found.shape == (*shape, 3)
    columns = shape[1] // 6
    for k in range(count):
        part = found[k // columns * 4 :, k % columns * 6 :][:4, :6]
        assert (part == round(25.5 * (k + 1))).all()
    if columns * shape[0] // 4 > count:
        assert not found[-4:, -6:].any()


def test_values_beyond_white_and_a_fourth_channel_are_left_out(host):
    from fewstep.nodes.host.live import sheet

    found = sheet(torch.full((1, 2, 2, 4), 1.5))
    assert found.shape == (2, 2, 3) and (found == 255).all()


def test_a_graph_with_it_runs_again_and_again_and_writes_no_file(server):
    graph = {
        "source": node("EmptyImage", width=64, height=64, batch_size=1, color=255),
        "live": node("FewStepLiveOutput", images=["source", 0]),
    }
    before = sorted((server.folder / "output").rglob("*"))
    for _ in range(2):
        # the second run makes nothing anew but sends the picture once more
        entry = server.client.wait(server.client.queue(graph))
        cached = dict(entry["status"]["messages"])["execution_cached"]["nodes"]
        assert "live" not in cached
    assert sorted((server.folder / "output").rglob("*")) == before


def posted(server, **fields):
    """Status and JSON that a form gets; bytes are sent as a file."""
    mark, body = uuid.uuid4().hex, b""
    for name, value in fields.items():
        file = '; filename="live.png"' if isinstance(value, bytes) else ""
        head = f'--{mark}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        body += head.encode() + (value if isinstance(value, bytes) else value.encode()) + b"\r\n"
    headers = {"Content-Type": f"multipart/form-data; boundary={mark}"}
    request = urllib.request.Request(server.url + ROUTE, body + f"--{mark}--\r\n".encode(), headers)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def png(side=16):
    file = io.BytesIO()
    Image.fromarray(numpy.full((side, side, 3), 77, numpy.uint8)).save(file, "PNG")
    return file.getvalue()


def test_a_kept_picture_holds_its_prompt_and_workflow_and_none_is_written_over(server):
    told = {"prompt": {"1": {"class_type": "é"}}, "workflow": {"nodes": []}}
    fields = {word: json.dumps(value) for word, value in told.items()}
    names = [posted(server, image=png(), **fields)[1]["name"] for _ in range(2)]
    assert len(set(names)) == 2
    for name in names:
        with Image.open(server.folder / "output" / name) as image:
            assert {word: json.loads(image.info[word]) for word in told} == told
            assert image.getpixel((0, 0)) == (77, 77, 77)


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "{}", "workflow": "{}"},
        {"image": b"no picture", "prompt": "{}", "workflow": "{}"},
        {"image": "no file", "prompt": "{}", "workflow": "{}"},
        {"image": png(), "prompt": "{", "workflow": "{}"},
        {"image": png(), "workflow": "{}"},
    ],
)
def test_what_is_no_picture_with_its_workflow_is_refused_and_nothing_written(server, fields):
    before = sorted((server.folder / "output").rglob("*"))
    status, answer = posted(server, **fields)
    assert status == 400 and answer["error"].startswith("no picture with its workflow: ")
    assert sorted((server.folder / "output").rglob("*")) == before
