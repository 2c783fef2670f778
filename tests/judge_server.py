"""An OpenAI-compatible server on this machine that looks at the pictures it is sent."""

import base64
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image


class Asked(NamedTuple):
    """A request as a server gets it."""

    method: str
    path: str
    headers: dict
    raw: bytes

    @property
    def content(self):
        (said,) = json.loads(self.raw)["messages"]
        assert said["role"] == "user"
        return said["content"]

    @property
    def words(self):
        return "\n".join(part["text"] for part in self.content if part["type"] == "text")

    @property
    def files(self):
        shown = [part["image_url"] for part in self.content if part["type"] == "image_url"]
        assert {one["detail"] for one in shown} <= {"high"}
        return [png_of(one["url"]) for one in shown]

    @property
    def brightness(self):
        return tuple(int(pixels(file)[0, 0, 0]) for file in self.files)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = Asked(self.command, self.path, dict(self.headers), raw)
        self.server.seen.append(asked)
        told = self.server.behave(asked)
        status, headers, body = (200, {}, completion(told)) if isinstance(told, str) else told
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    # what a redirect that is followed becomes
    do_GET = do_POST

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    """An OpenAI-compatible server on this machine, which keeps what it was sent."""

    daemon_threads = True

    def __init__(self, behave):
        super().__init__(("127.0.0.1", 0), Handler)
        self.behave, self.seen = behave, []
        self.address = f"http://127.0.0.1:{self.server_port}/v1"
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self.thread.start()

    def handle_error(self, *_):
        pass

    def stop(self):
        # it may be called again
        if self.thread.is_alive():
            self.shutdown()
            self.thread.join()
            self.server_close()


def completion(text):
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


def png_of(url):
    kind, file = url.split(",")
    assert kind == "data:image/png;base64"
    return base64.b64decode(file, validate=True)


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


def brighter(asked):
    first, second = asked.brightness
    return "TIE" if first == second else "FIRST" if first > second else "SECOND"


@pytest.fixture
def serve():
    """(what to answer) -> a Server, which ends with the test."""

    servers = []

    def start(behave):
        servers.append(Server(behave))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()
