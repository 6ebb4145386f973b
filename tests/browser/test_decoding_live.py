"""The decoding panel in a real JupyterLab: five hundred filters, chosen, walked down, copied."""

from __future__ import annotations

import pytest
from lab import write_notebook

PANEL = """
import cnnexplore as cx
panel = cx.DecodingPanel("lenet", cx.digit(3), layer="conv3", unit=3)
panel
"""
GRID = "document.querySelectorAll('.cx-units')[{}].grid"


@pytest.fixture
def opened(folder, notebook):
    write_notebook(folder / "decoding.ipynb", PANEL)
    one = notebook("decoding.ipynb")
    one.run_all()
    one.page.wait_for_function("() => document.querySelector('.cx-run')?.run?.state === 'finished'")
    one.page.wait_for_function(f"() => {GRID.format(0)}?.done === 500")
    one.page.locator(".cx-panel").scroll_into_view_if_needed()
    return one


def grid(page, k: int = 0) -> dict:
    return page.evaluate(f"() => {GRID.format(k)}")


def click(page, k: int, place: int) -> None:
    """Clicks the picture that stands at a place of a grid, scrolling there as a person would."""
    port = page.locator(".cx-units-port").nth(k)
    columns = grid(page, k)["columns"]
    cell = page.evaluate("(k) => document.querySelectorAll('.cx-units-tall')[k].clientWidth", k) // columns
    cell = min(cell, 68)
    port.evaluate("(port, top) => { port.scrollTop = top; }", place // columns * cell)
    top = port.evaluate("(port) => port.scrollTop")
    at = {"x": 4 + place % columns * cell + cell / 2, "y": 4 + place // columns * cell - top + cell / 2}
    port.click(position=at)


def test_five_hundred_filters_scroll_and_are_walked_down(opened, photograph, page):
    assert grid(page)["count"] == 500
    assert grid(page)["selected"] == 3
    page.wait_for_function(f"() => {GRID.format(1)}?.done === 24")
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
    assert grid(page)["top"] > 500
    # another one is chosen by hand, and its parts appear
    said = page.locator(".cx-panel").inner_text()
    click(page, 0, 20)
    page.wait_for_function(f"(before) => {GRID.format(0)}.selected !== 3", arg=None)
    unit = grid(page)["selected"]
    page.wait_for_function(
        "(unit) => document.querySelector('.cx-panel').innerText.includes(`conv3, unit ${unit} is made of`)", arg=unit
    )
    assert page.locator(".cx-panel").inner_text() != said
    # down to the layer below, and back up
    click(page, 1, 0)
    page.wait_for_function("() => document.querySelector('.cx-sentence').textContent.startsWith('50 filters of conv2')")
    page.wait_for_function(f"() => {GRID.format(0)}.count === 50 && {GRID.format(0)}.done === 50")
    maps = "[...document.querySelectorAll('.cx-frame canvas')].slice(2, 4)"  # both responses, 8 x 8, drawn
    page.wait_for_function(f"() => {maps}.every((canvas) => canvas.width === 8 && canvas.drawn)")
    photograph("decoding-panel-below", ".cx-panel")
    page.locator(".cx-panel button", has_text="back up").click()
    page.wait_for_function(f"(unit) => {GRID.format(0)}.count === 500 && {GRID.format(0)}.selected === unit", arg=unit)
    # the line of Python
    page.locator(".cx-panel button", has_text="Python").click()
    page.wait_for_function("() => document.querySelector('.cx-panel textarea').value !== ''")
    text = page.locator(".cx-panel textarea").input_value()
    assert text == f"cx.decode(cx.load('lenet'), 'conv3', {unit}, unpool='bilinear')"
    assert page.evaluate("() => navigator.clipboard.readText()") == text
    opened.save()
    assert any("image/png" in o["data"] for o in opened.outputs("display_data"))
