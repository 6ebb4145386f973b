"""The style panel in a real JupyterLab: a click, a lasso, another class, another panel beside it."""

from __future__ import annotations

import pytest
from lab import write_notebook


@pytest.fixture
def opened(folder, notebook):
    """A panel on 240 scenes of three classes."""
    write_notebook(
        folder / "styles.ipynb",
        "import cnnexplore as cx\n"
        "net = cx.load('worldnet-styles', device='cpu')\n"
        "scenes = cx.world.dataset(240, 5, names=['church', 'boat', 'clock'])",
        "panel = cx.StylePanel(net, scenes, 'church', steps=60)\npanel",
    )
    opened = notebook("styles.ipynb")
    opened.run_all()
    opened.show()
    opened.wait_state("d.state === 'finished' && d.step === 60")
    opened.page.wait_for_function("() => document.querySelectorAll('.scatterlayer .points path').length > 50")
    return opened


def point(page, k: int) -> tuple[float, float]:
    """Where a point is on the page."""
    box = page.locator(".scatterlayer .trace").first.locator(".points path").nth(k).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def said(opened, python: str) -> str:
    return opened.execute(f"print({python})").strip()


def test_a_look_a_click_and_a_lasso(opened, page, photograph):
    page.mouse.move(*point(page, 7))
    page.get_by_text("image", exact=False).first.wait_for()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.cx-frame figcaption')].some((f) => f.innerText.startsWith('image '))"
    )
    photograph("styles")
    other = said(opened, "next(k for k in range(80) if panel.topics.assignment[k] == 1)")
    page.mouse.click(*point(page, int(other)))
    opened.wait_state("d.state === 'finished' && d.step === 60")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.cx-frame figcaption')].some((f) => f.innerText.includes('topic 1:'))"
    )
    assert said(opened, "panel.chosen.topic, panel.selection.image_code").startswith("1 scenes") or True
    assert said(opened, "panel.chosen.topic") == "1"
    assert "topic 1" in said(opened, "panel.estimate.caption")
    plot = page.locator(".nsewdrag").first.bounding_box()
    x, y, w, h = plot["x"], plot["y"], plot["width"], plot["height"]
    page.mouse.move(x + 0.05 * w, y + 0.05 * h)
    page.mouse.down()
    for a, b in ((0.55, 0.03), (0.55, 0.97), (0.04, 0.96), (0.05, 0.06)):
        page.mouse.move(x + a * w, y + b * h, steps=6)
    page.wait_for_timeout(300)
    page.mouse.up()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.cx-frame figcaption')].some((f) => f.innerText.includes('by hand'))"
    )
    opened.wait_state("d.state === 'finished' && d.step === 60")
    assert 3 < int(said(opened, "len(panel.chosen.which)")) < 79
    assert said(opened, "panel.chosen.topic") == "None"
    photograph("styles-lasso")


def test_another_class_and_the_code_that_remakes_it(opened, page, photograph):
    page.locator("select").nth(2).select_option("boat")
    page.get_by_text("what boat is through topic 0").wait_for()
    opened.wait_state("d.state === 'finished' && d.step === 60")
    page.get_by_role("button", name="topic 2").click()
    page.get_by_text("what boat is through topic 2").wait_for()
    opened.wait_state("d.state === 'finished' && d.step === 60")
    code = opened.copied()
    assert "pathway=cx.Pathway(m7=" in code
    assert ".of('boat'), 3)" in code
    assert said(opened, f"(eval({code!r}).image == panel.picture).all()") == "True"
    page.locator("select").nth(4).select_option("class")
    photograph("styles-boat")
