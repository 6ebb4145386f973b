"""The decoding panel in a real JupyterLab: five hundred filters, chosen, walked down, copied."""

from __future__ import annotations

import pytest
from lab import write_notebook

PANEL = """
import cnnexplore as cx
panel = cx.DecodingPanel("lenet", cx.digit(3), layer="conv3", unit=3)
panel
"""


@pytest.fixture
def opened(folder, notebook):
    write_notebook(folder / "decoding.ipynb", PANEL)
    one = notebook("decoding.ipynb")
    one.run_all()
    one.wait_state("d.state === 'finished'")
    one.grid("g.done === 500")
    one.page.locator(".cx-panel").scroll_into_view_if_needed()
    return one


def click(opened, k: int, place: int) -> None:
    """Clicks the picture at a place of a grid, after scrolling there as a person would."""
    page = opened.page
    port = page.locator(".cx-units-port").nth(k)
    columns = opened.grid(which=k)["columns"]
    cell = page.evaluate("(k) => document.querySelectorAll('.cx-units-tall')[k].clientWidth", k) // columns
    cell = min(cell, 68)
    port.evaluate("(port, top) => { port.scrollTop = top; }", place // columns * cell)
    top = port.evaluate("(port) => port.scrollTop")
    at = {"x": 4 + place % columns * cell + cell / 2, "y": 4 + place // columns * cell - top + cell / 2}
    port.click(position=at)


def test_five_hundred_filters_scroll_and_are_walked_down(opened, photograph, page):
    assert opened.grid()["count"] == 500
    assert opened.grid()["selected"] == 3
    opened.grid("g.done === 24", 1)
    photograph("decoding-panel", ".cx-panel")
    # a scroll from end to end: every frame is painted in time
    longest = page.evaluate(
        """async () => {
          const port = document.querySelector(".cx-units-port");
          let longest = 0, before = performance.now();
          for (let k = 0; k < 60; k++) {
            port.scrollTop = k * (port.scrollHeight - port.clientHeight) / 59;
            await new Promise(requestAnimationFrame);
            longest = Math.max(longest, performance.now() - before);
            before = performance.now();
          }
          return longest;
        }"""
    )
    assert longest < 500  # milliseconds, also on a busy machine
    assert opened.grid()["top"] > 500
    # another one is chosen by hand, and its parts appear
    said = page.locator(".cx-panel").inner_text()
    click(opened, 0, 20)
    opened.grid("g.selected !== 3")
    unit = opened.grid()["selected"]
    page.wait_for_function(
        "(unit) => document.querySelector('.cx-panel').innerText.includes(`conv3, unit ${unit} is composed of`)",
        arg=unit,
    )
    assert page.locator(".cx-panel").inner_text() != said
    # down to the layer below, and back up
    click(opened, 1, 0)
    page.wait_for_function("() => document.querySelector('.cx-sentence').textContent.startsWith('50 filters of conv2')")
    opened.grid("g.count === 50 && g.done === 50")
    maps = "[...document.querySelectorAll('.cx-frame canvas')].slice(2, 4)"  # both responses, 8 x 8, drawn
    page.wait_for_function(f"() => {maps}.every((canvas) => canvas.width === 8 && canvas.dataset.frames)")
    photograph("decoding-panel-below", ".cx-panel")
    page.locator(".cx-panel button", has_text="back up").click()
    opened.grid(f"g.count === 500 && g.selected === {unit}")
    # the line of Python
    page.locator(".cx-panel button", has_text="Python").click()
    page.wait_for_function("() => document.querySelector('.cx-panel textarea').value !== ''")
    text = page.locator(".cx-panel textarea").input_value()
    assert text == f"cx.decode(cx.load('lenet'), 'conv3', {unit}, unpool='bilinear')"
    assert page.evaluate("() => navigator.clipboard.readText()") == text
    opened.save()
    assert any("image/png" in o["data"] for o in opened.outputs("display_data"))
