"""Windows of the map and several seeds in a real JupyterLab."""

from __future__ import annotations

import numpy as np
import pytest
from lab import write_notebook


@pytest.fixture
def opened(folder, notebook):
    write_notebook(
        folder / "inversion.ipynb",
        "import cnnexplore as cx\nnet = cx.load('worldnet', device='cpu')",
        "panel = cx.InversionPanel(net, layer='conv3', steps=40)\npanel",
    )
    opened = notebook("inversion.ipynb")
    opened.run_all()
    opened.show()
    opened.wait_state("d.state === 'finished'")
    return opened


def test_a_window_dragged_on_the_map_is_what_counts(opened, page, photograph):
    box = page.locator(".cx-frame canvas").nth(2).bounding_box()
    cell = box["width"] / 12
    page.mouse.move(box["x"] + 2.5 * cell, box["y"] + 1.5 * cell)
    page.mouse.down()
    page.mouse.move(box["x"] + 5 * cell, box["y"] + 3 * cell, steps=3)
    page.mouse.move(box["x"] + 6.5 * cell, box["y"] + 4.5 * cell, steps=3)
    page.mouse.up()
    page.get_by_text("4 x 5 of 12 x 12 positions count").wait_for()
    opened.wait_state("d.state === 'finished'")
    assert opened.execute("print(panel.mask)").strip() == "window(top=1, left=2, bottom=5, right=7)"
    sides = page.evaluate("() => [...document.querySelectorAll('.cx-box')].map((b) => b.getBoundingClientRect().width)")
    assert sides[0] == sides[1] > sides[2] > 0, "the field on both pictures, the window on the map"
    opened.show()
    photograph("inversion-window")
    page.locator(".cx-panel button", has_text="whole map").click()
    page.wait_for_function("() => document.querySelector('.cx-box').style.display === 'none'")
    opened.wait_state("d.state === 'finished'")
    assert opened.execute("print(panel.mask)").strip() == "None"


def test_four_seeds_are_all_alive(opened, page, photograph):
    page.locator(".cx-panel .widget-dropdown", has_text="seeds").locator("select").select_option("4")
    page.wait_for_function("() => document.querySelectorAll('.cx-frame canvas').length === 6")
    opened.wait_state("d.state === 'finished'")
    estimates = [np.array(opened.pixels(k)) for k in (1, 2, 3, 4)]
    assert all(np.abs(a - estimates[0]).mean() > 1 for a in estimates[1:])
    drawn = page.evaluate(
        "() => [...document.querySelectorAll('.cx-frame canvas')].slice(1, 5).map((c) => Number(c.dataset.frames))"
    )
    assert min(drawn) >= 2
    opened.show()
    photograph("inversion-seeds")


def test_keys_in_a_panel_are_the_panel_s_and_a_refusal_stays(opened, page, photograph):
    cells = "() => [...document.querySelectorAll('.jp-Cell')].map((cell) => cell.className.includes('jp-CodeCell'))"
    before = page.evaluate(cells)
    for control in ("select", "button.jupyter-button", ".noUi-handle"):
        page.locator(f".cx-panel {control}:visible").first.focus()
        for key in ("r", "d", "d", "b"):  # JupyterLab's: raw cell, delete the cell, a cell below
            page.keyboard.press(key)
    assert page.evaluate(cells) == before
    assert all(before)
    steps = page.locator(".cx-panel .widget-text", has_text="steps").locator("input")
    steps.fill("12.5")
    steps.press("Enter")
    page.locator(".cx-message", has_text="steps is 12.5; expected a whole number").wait_for()
    page.wait_for_function("() => [...document.querySelectorAll('.cx-panel input')].some((one) => one.value === '40')")
    opened.execute("panel.reset(); panel.start()")
    opened.wait_state("d.state === 'finished'")
    assert page.locator(".cx-message").is_visible()
    photograph("inversion-refusal")
    page.get_by_label("dismiss the message").click()
    page.locator(".cx-message").wait_for(state="hidden")
    steps.press("Escape")
    left = page.evaluate("() => [document.activeElement.className, !!document.activeElement.closest('.cx-panel')]")
    assert not left[1], left
    page.locator(".cx-panel select:visible").first.focus()
    page.evaluate("() => document.activeElement.removeAttribute('data-lm-suppress-shortcuts')")
    page.keyboard.press("r")
    assert page.evaluate(cells) != before, "without the attribute JupyterLab takes the key"
