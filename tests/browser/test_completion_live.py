"""The completion panel in a real JupyterLab: a box is dragged, a brush paints, the hole fills, and can be stopped."""

from __future__ import annotations

import pytest
from lab import write_notebook


@pytest.fixture
def opened(folder, notebook):
    """A bird is put into a scene of the world."""
    write_notebook(
        folder / "completion.ipynb",
        "import cnnexplore as cx\nnet = cx.load('worldnet-robust', device='cpu')\nscene = cx.scene(21).image",
        "panel = cx.CompletionPanel(net, scene, (8, 8, 40, 40), target='bird', steps=150)\npanel",
    )
    opened = notebook("completion.ipynb")
    opened.run_all()
    opened.show()
    opened.wait_state("d.state === 'finished'")
    return opened


def take(page, tool: str) -> None:
    """Takes a tool, and waits until it is in hand."""
    page.locator(".cx-panel button", has_text=tool).click()
    page.locator(".cx-panel .widget-slider", has_text="brush").wait_for()


def said(opened, python: str) -> str:
    return opened.execute(f"print({python})").strip()


def test_a_painted_mask_fills_and_nothing_else_changes(opened, page, photograph):
    photograph("completion-first")
    original = page.locator(".cx-frame").first.locator("canvas").first
    opened.drag(original, (0.3, 0.3), (0.7, 0.8))
    opened.wait_state("d.state === 'running'")  # and painted over while it runs
    take(page, "brush")
    opened.drag(original, (0.2, 0.15), (0.8, 0.15), 20)
    page.wait_for_function("() => document.querySelectorAll('.cx-stroke').length === 0")
    opened.wait_state("d.state === 'finished'")
    assert said(opened, "panel.mask.sum() > 1000, panel.mask[10, 10], panel.mask[14, 24:72].all()") == "True False True"
    outside = "~panel.runner.run.masked.mask"
    assert said(opened, f"(panel.picture[{outside}] == scene[{outside}]).all()") == "True"
    code = opened.copied().replace("cx.load('worldnet-robust')", "net").replace("image,", "scene,")
    assert said(opened, f"abs({code}.picture.astype(int) - panel.picture).max()").splitlines()[-1] == "0"
    photograph("completion")
    opened.theme("Dark")
    page.set_viewport_size({"width": 560, "height": 1400})
    opened.show()
    photograph("completion-dark-560")
    opened.theme("Light")


def test_it_is_stopped_changed_and_goes_on(opened, page, photograph):
    page.get_by_label("class", exact=True).select_option("church")
    opened.wait_state("d.state === 'running'")
    page.locator(".cx-panel button", has_text="pause").click()
    step = opened.paused_step()
    page.locator(".cx-panel button", has_text="start").click()
    opened.wait_state(f"d.state === 'finished' && d.step > {step}")
    page.locator(".cx-frame figcaption", has_text="church, filled in").wait_for()
    take(page, "eraser")
    original = page.locator(".cx-frame").first.locator("canvas").first
    for y in (0.1, 0.2, 0.3, 0.4, 0.5):
        opened.drag(original, (0.02, y), (0.6, y), 10)
    page.locator(".cx-sentence", has_text="nothing is masked").wait_for()
    photograph("completion-sentence")
    page.locator(".cx-panel button", has_text="find the key part").click()
    opened.wait_state("d.state === 'finished'")
    assert "mask=" not in opened.copied()
    photograph("completion-found")
