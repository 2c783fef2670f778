"""Tests of the real frontend in a headless Chromium, on a real server with this pack."""

from contextlib import contextmanager

import pytest
from browser.frontend import FLAGS
from host.server_fixture import comfyui, server
from playwright.sync_api import sync_playwright

from fewstep.bootstrap import find_chromium

__all__ = ["browser", "comfyui", "page", "server"]


@pytest.fixture(scope="session")
def browser(comfyui):
    path = find_chromium.find()
    if path is None:
        pytest.skip(find_chromium.not_found())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(new_page):
    """A fresh browser profile's page; page.trouble lists the errors that our scripts caused."""
    with new_page() as page:
        yield page


@pytest.fixture(scope="session")
def new_page(browser):
    """As page, for tests that share one: a context manager."""
    return contextmanager(lambda: opened(browser))


def opened(browser):
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.trouble = []

    def note_message(message):
        where = message.location.get("url", "")
        if message.type == "error" and "fewstep" in (message.text + where).lower():
            page.trouble.append(f"{message.text} ({where})")

    def note_exception(error):
        if "fewstep" in (error.stack or str(error)).lower():
            page.trouble.append(error.stack or str(error))

    page.on("console", note_message)
    page.on("pageerror", note_exception)
    yield page
    context.close()
