import os
import subprocess
import sys
import time

import pytest

from fewstep.bootstrap.server import ROOT, Server, ServerError, link_folder

ANSWERS = """
import http.server, os, subprocess, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"{}")
    def log_message(self, *_): pass
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("\\x1b[32mchild\\x1b[0m", child.pid, flush=True)
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""


def server(tmp_path, code):
    (tmp_path / "main.py").write_text(code)
    return Server(tmp_path, sys.executable, tmp_path / "work")


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie that nobody has collected yet is dead.
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="reads /proc")
def test_server_and_what_it_started_end_with_the_with_statement_also_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), server(tmp_path, ANSWERS) as running:
        running.wait_until_ready(60)
        pids = [running.process.pid, int(running.log().split("child ")[1])]
        assert all(map(is_alive, pids))
        raise ZeroDivisionError
    deadline = time.monotonic() + 10
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, pids))


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone can do this")
def test_a_server_ends_with_a_program_that_was_killed(tmp_path):
    (tmp_path / "main.py").write_text(ANSWERS)
    code = """
import sys; sys.path.insert(0, sys.argv[1])
from server import Server
with Server(sys.argv[2], sys.executable, sys.argv[2]) as running:
    running.wait_until_ready(60)
    print(running.process.pid, flush=True)
    sys.stdin.read()
"""
    command = [sys.executable, "-c", code, str(ROOT / "bootstrap"), str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        pid = int(program.stdout.readline())
        assert is_alive(pid)
        program.kill()
    deadline = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(pid)


def test_a_server_that_ends_early_is_an_error_with_the_end_of_its_log(tmp_path):
    with pytest.raises(ServerError, match="status 3(.|\n)*no such model"):
        with server(tmp_path, "print('no such model'); raise SystemExit(3)") as running:
            running.wait_until_ready(60)


def test_a_server_that_does_not_answer_is_an_error(tmp_path):
    with pytest.raises(ServerError, match="did not answer within 0.5 s"):
        with server(tmp_path, "import time; time.sleep(600)") as running:
            running.wait_until_ready(0.5)


def test_a_link_is_made_kept_and_led_elsewhere(tmp_path):
    first, second, link = tmp_path / "first", tmp_path / "second", tmp_path / "link"
    first.mkdir()
    second.mkdir()
    for target in (first, first, second):
        link_folder(link, target)
        assert os.path.realpath(link) == os.path.realpath(target)
    assert first.is_dir()
