"""The maximisation panel in a real JupyterLab."""

from __future__ import annotations

import numpy as np
import pytest
from lab import write_notebook


@pytest.fixture
def opened(folder, notebook):
    """A panel on worldnet's conv2, with thumbnails on their way."""
    write_notebook(
        folder / "maximize.ipynb",
        "import cnnexplore as cx\nnet = cx.load('worldnet', device='cpu')",
        "panel = cx.MaximizePanel(net, 'conv2', steps=60)\npanel",
    )
    opened = notebook("maximize.ipynb")
    opened.run_all()
    opened.show()
    opened.grid("g.done >= 16")
    return opened


def at(opened, place: int) -> tuple[float, float]:
    """The middle of a place of the grid, on the page."""
    box = opened.page.locator(".cx-units-port").bounding_box()
    shown = int(opened.execute("print(panel.grid.shown)"))
    columns = opened.grid()["columns"]
    cell = shown + 4
    return box["x"] + 5 + (place % columns + 0.5) * cell, box["y"] + 4 + (place // columns + 0.5) * cell


def test_a_click_and_the_arrow_keys_choose_a_unit_and_a_look_enlarges(opened, page, photograph):
    order = [int(k) for k in opened.execute("print(*panel.grid.order)").split()]
    page.mouse.click(*at(opened, 3))
    opened.grid(f"g.selected === {order[3]}")
    page.get_by_text(f"unit {order[3]} of conv2").wait_for()
    cell = page.evaluate("() => jupyterapp.shell.currentWidget.content.activeCellIndex")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    columns = opened.grid()["columns"]
    opened.grid(f"g.selected === {order[5 + columns]}")
    page.get_by_text(f"unit {order[5 + columns]} of conv2").wait_for()
    assert page.evaluate("() => jupyterapp.shell.currentWidget.content.activeCellIndex") == cell
    assert opened.execute("print(panel.selection.unit)").strip() == str(order[5 + columns])
    opened.wait_state("d.state === 'finished' && d.response > 0.5")
    page.mouse.move(*at(opened, 1))
    page.wait_for_function("() => document.querySelector('.cx-units-lens').style.display === 'block'")
    assert page.locator(".cx-units-lens").inner_text() == f"unit {order[1]}"
    photograph("maximize")
    page.mouse.move(5, 5)
    page.wait_for_function("() => document.querySelector('.cx-units-lens').style.display === 'none'")


def test_a_place_on_the_map_and_the_code_that_remakes_it(opened, page, photograph):
    opened.wait_state("d.state === 'finished'")
    page.locator(".cx-frame canvas").nth(1).click(position={"x": 62, "y": 22})  # five pixels a cell
    page.wait_for_function("() => document.querySelector('.cx-box').style.display === 'block'")
    opened.wait_state("d.state === 'finished' && d.step === 60")
    code = opened.copied()
    assert "position=(4, 12)" in code
    remake = code.replace("cx.load('worldnet')", "net")
    printed = opened.execute(f"r = {remake}; print(abs(r.picture.astype(int) - panel.picture).max())")
    assert printed.strip().splitlines()[-1] == "0", printed
    page.locator(".cx-panel button", has_text="save").scroll_into_view_if_needed()
    with page.expect_download() as download:
        page.locator(".cx-panel button", has_text="save").click()
    assert download.value.suggested_filename == "worldnet-conv2.png"
    opened.show()
    photograph("maximize-placed")


def test_five_hundred_thumbnails_are_one_canvas_that_scrolls(folder, notebook, page):
    write_notebook(
        folder / "many.ipynb",
        "import numpy as np, cnnexplore as cx\n"
        "grid = cx.UnitGrid(500, 64)\n"
        "grid.put(range(500), np.arange(500)[:, None, None, None] // 2 * np.ones((1, 64, 64, 3)).astype(np.uint8))\n"
        "grid",
    )
    opened = notebook("many.ipynb")
    opened.run_all()
    opened.grid("g.done === 500")
    assert page.locator(".cx-units canvas").count() == 1
    page.evaluate("() => { document.querySelector('.cx-units-port').scrollTop = 1e6; }")
    state = opened.grid("g.top > 1000")
    x, y = page.evaluate(
        """([columns, top]) => {
          const at = document.querySelector(".cx-units-port").getBoundingClientRect(), cell = 68, k = 499;
          return [(k % columns + 0.5) * cell, Math.floor(k / columns) * cell + cell / 2 - top];
        }""",
        [state["columns"], state["top"]],
    )
    seen = page.evaluate(
        """([x, y]) => {
          const canvas = document.querySelector(".cx-units-canvas"), dpr = window.devicePixelRatio;
          return [...canvas.getContext("2d").getImageData(x * dpr, y * dpr, 1, 1).data];
        }""",
        [x, y],
    )
    assert seen == [249, 249, 249, 255]
    assert np.ptp(seen[:3]) == 0
