"""One JupyterLab and one Chromium for all browser tests; screenshots go to artifacts/."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from lab import CHROMIUM_FLAGS, Notebook, Server, find_chromium
from PIL import Image

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


@pytest.fixture
def film(page):
    """Takes pictures of one element while a person would watch, and keeps them as an animation in artifacts/."""
    frames: list[Image.Image] = []
    names: list[str] = []

    def shoot(
        name: str, selector: str, count: int = 1, pause: float = 0.35, width: int = 820, height: int = 640
    ) -> None:
        names[:] = [name]
        for _ in range(count):
            picture = Image.open(io.BytesIO(page.locator(selector).first.screenshot())).convert("RGB")
            picture = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
            sheet = Image.new("RGB", (width, height), picture.getpixel((width - 1, 0)))
            sheet.paste(picture, (0, 0))
            frames.append(sheet)
            page.wait_for_timeout(350)

    yield shoot
    if frames:
        ARTIFACTS.mkdir(exist_ok=True)
        few = [frame.quantize(128, dither=Image.Dither.NONE) for frame in frames]
        few[0].save(
            ARTIFACTS / f"{names[0]}.gif", save_all=True, append_images=few[1:], duration=400, loop=0, optimize=True
        )
