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


def caption(page, text: str) -> None:
    """Waits for a picture whose caption contains a text."""
    page.wait_for_function(
        "(text) => [...document.querySelectorAll('.cx-frame figcaption')].some((c) => c.innerText.includes(text))",
        arg=text,
    )


def test_a_look_a_click_and_a_lasso(opened, page, photograph):
    x, y = point(page, 7)
    page.mouse.move(x - 9, y)
    page.mouse.move(x, y, steps=3)
    caption(page, said(opened, "panel.embedding_view.describe(7)"))
    photograph("styles")
    other = int(said(opened, "next(k for k in range(70) if panel.topics.assignment[k] == 1)"))
    page.mouse.move(*point(page, other))
    page.wait_for_timeout(300)
    page.mouse.click(*point(page, other))
    caption(page, "m7 of topic 1:")
    caption(page, "church; only the units of topic 1 pass")
    opened.wait_state("d.state === 'finished' && d.step === 60")
    shared = said(opened, "panel.selection.image_python")  # of that point, or of one that lies over it
    number = int(shared.removeprefix("images[").removesuffix("][0]"))
    assert said(opened, f"panel.topics.assignment[panel.features.numbers.tolist().index({number})]") == "1"
    assert said(opened, f"(panel.selection.image == scenes[{number}][0]).all()") == "tensor(True)"
    plot = page.locator(".nsewdrag").first.bounding_box()
    left, top, w, h = plot["x"], plot["y"], plot["width"], plot["height"]
    page.mouse.move(left + 0.02 * w, top + 0.03 * h)
    page.mouse.down()
    for a, b in ((0.55, 0.02), (0.55, 0.98), (0.02, 0.97), (0.02, 0.05)):
        page.mouse.move(left + a * w, top + b * h, steps=6)
    page.wait_for_timeout(300)
    page.mouse.up()
    caption(page, "by hand")
    opened.wait_state("d.state === 'finished' && d.step === 60")
    assert 3 < int(said(opened, "len(panel.chosen.which)")) < 70
    assert said(opened, "panel.chosen.topic") == "None"
    photograph("styles-lasso")


def test_another_class_and_the_code_that_remakes_it(opened, page, photograph):
    page.locator(".cx-panel select:visible").nth(1).select_option("boat")
    caption(page, "boat; only the units of topic 0 pass")
    opened.wait_state("d.state === 'finished' && d.step === 60")
    page.get_by_role("button", name="topic 2").click()
    caption(page, "boat; only the units of topic 2 pass")
    opened.wait_state("d.state === 'finished' && d.step === 60")
    code = opened.copied()
    assert "pathway=cx.Pathway(m7=" in code
    assert ".of('boat'), 3)" in code
    assert said(opened, f"(eval({code!r}).picture == panel.picture).all()") == "True"
    page.locator(".cx-panel select:visible").nth(3).select_option("class")
    photograph("styles-boat")
