"""python run.py pairs as a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from picture_sets import golden_set, grey, make_set

from fewstep.bootstrap.server import free_port
from fewstep.headless import pairs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path):
    for name, brightness in (("zebra", 40), ("quagga", 160)):
        make_set(tmp_path, name, golden_set(4), lambda _, b=brightness: grey(b))
    return tmp_path


def ask(address, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/{path}", data, headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.loads(response.read())


def test_it_serves_the_page_and_ends_well_with_ctrl_c(folder):
    port = free_port()
    command = [sys.executable, str(ROOT / "run.py"), "pairs", str(folder), "--port", str(port)]
    address = f"http://127.0.0.1:{port}/fewstep/pairs"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert address in running.stdout.readline()
        deadline = time.monotonic() + 60
        while True:
            try:
                ask(address, "studies", {"name": "mine", "contenders": ["zebra", "quagga"]})
                break
            except urllib.error.URLError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        state = ask(address, "studies/mine/next", {"rater": "ann"})
        vote = {"rater": "ann", "number": state["pair"]["number"], "choice": "left"}
        assert ask(address, "studies/mine/vote", vote)["answered"] == 1
        running.send_signal(signal.SIGINT if os.name != "nt" else signal.CTRL_C_EVENT)
        assert running.wait(30) == 0
    assert (folder / "votes" / "mine.sqlite").is_file()


def test_a_folder_without_pictures_is_refused(tmp_path, capsys):
    assert pairs.main([str(tmp_path)]) == pairs.REFUSED
    assert "has no sets of pictures in its folder pictures. Make some" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told(folder, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert pairs.main([str(folder), "--port", port]) == pairs.REFUSED
    assert port in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_port_that_is_none_is_refused(folder, port, capsys):
    with pytest.raises(SystemExit) as ended:
        pairs.main([str(folder), "--port", port])
    assert ended.value.code == 2
    assert "allowed is a whole number from 1 to 65535" in capsys.readouterr().err
