"""One JupyterLab and one Chromium for all browser tests; screenshots go to artifacts/."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lab import CHROMIUM_FLAGS, Notebook, Server, find_chromium

ARTIFACTS = Path(__file__).parents[2] / "artifacts"


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.slow)
            # a busy machine may miss a deadline once; what misses it twice is broken
            item.add_marker(pytest.mark.flaky(reruns=1, only_rerun=["TimeoutError"]))


@pytest.fixture(scope="session")
def chromium():
    """A browser: a missing one is a skip, unless CNNEXPLORE_BROWSER=required."""
    path = find_chromium()
    if path is None:
        sentence = "no Chromium or Chrome was found; install one to run the browser tests (apt-get install chromium)."
        pytest.fail(sentence) if os.environ.get("CNNEXPLORE_BROWSER") == "required" else pytest.skip(sentence)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """The folder that JupyterLab serves."""
    return tmp_path_factory.mktemp("course")


@pytest.fixture(scope="session")
def server(folder, tmp_path_factory):
    server = Server(folder, tmp_path_factory.mktemp("jupyter"))
    yield server
    server.close()


@pytest.fixture
def page(chromium):
    context = chromium.new_context(viewport={"width": 1280, "height": 1000}, accept_downloads=True)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    yield page
    context.close()


@pytest.fixture
def notebook(page, server):
    """Opens a notebook of the served folder by name."""

    def open_notebook(name: str) -> Notebook:
        notebook = Notebook(page, server, name)
        notebook.open()
        return notebook

    yield open_notebook
    server.end_kernels()  # no test leaves a run behind


@pytest.fixture
def photograph(page):
    """Keeps a screenshot of the page, or of one element of it, to be looked at."""

    def shoot(name: str, selector: str | None = None) -> Path:
        ARTIFACTS.mkdir(exist_ok=True)
        path = ARTIFACTS / f"{name}.png"
        (page.locator(selector).first if selector else page).screenshot(path=path)
        return path

    return shoot
