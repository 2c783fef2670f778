"""Live when the server is killed, and when the page is closed."""

import os
import signal
import sys
import time

import pytest
from browser.live_page import (
    button,
    is_idle,
    open_live,
    set_value,
    shown,
    type_text,
    wait_for_picture,
)
from host.client import Client

from fewstep.bootstrap.server import Server, free_port, own_base_directory


@pytest.fixture
def start(comfyui, tmp_path):
    """() -> a running ComfyUI, the same again after it was killed."""
    port, running = free_port(), []

    def started():
        arguments = ["--cpu", *own_base_directory(tmp_path)]
        server = Server(
            comfyui, sys.executable, tmp_path, port=port, arguments=arguments, shim=True
        )
        running.append(server.__enter__())
        server.wait_until_ready()
        server.client = Client(server.url)
        return server

    yield started
    for server in running:
        server.stop()


def test_it_goes_on_by_itself_with_a_server_that_was_killed_and_ends_with_the_page(start, page):
    server = start()
    open_live(page, server)
    button(page, "Live").click()
    before = wait_for_picture(page)
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()
    page.get_by_text("The server does not answer; Live goes on when it does.").wait_for()
    # what is edited in between counts too
    type_text(page, "a green cross")
    page.wait_for_timeout(300)
    assert shown(page) == before and button(page, "Stop").is_visible()
    server = start()
    wait_for_picture(page, other_than=before)
    page.wait_for_function(
        "() => / ms/.test(document.querySelector('.fewstep-live-bar [role=status]').textContent)"
    )
    # a run of minutes, in whose middle the page is closed
    set_value(page, "FewStepSigmas", "spacing", "trailing")
    set_value(page, "FewStepSigmas", "steps", 999)
    page.get_by_text("Total:").first.wait_for()
    page.wait_for_timeout(1500)
    assert not is_idle(server)
    page.close()
    time.sleep(1.0)
    assert is_idle(server)
