"""The page of a unit in a real JupyterLab: parts arrive, the slider silences the unit, a button adds its word."""

from __future__ import annotations

import pytest
from lab import write_notebook


@pytest.fixture
def opened(folder, notebook):
    write_notebook(
        folder / "unit.ipynb",
        "import cnnexplore as cx\nnet = cx.load('worldnet', device='cpu')\nscenes = cx.world.dataset(12, 1)",
        "panel = cx.UnitPanel(net, 'conv2', 9, scenes, concepts=scenes, k=4)\npanel",
    )
    opened = notebook("unit.ipynb")
    opened.page.set_viewport_size({"width": 1400, "height": 2600})  # pictures outside the window are not sent
    opened.run_all()
    wait(opened)  # parts that arrive move what is below them
    opened.show()
    return opened


def wait(opened):
    """Until all is computed and shown."""
    for _ in range(3):
        if opened.execute("print(panel.wait(50))").strip() == "True":
            return
    raise AssertionError(opened.execute("print(panel.runner.state, panel.maker.state, panel.strength.runner.state)"))


def test_silenced_by_the_slider_and_named_by_the_button(opened, page, photograph):
    page.get_by_text("unit 9 silenced").wait_for()
    slider = page.locator(".cx-panel .widget-hslider", has_text="strength").locator(".noUi-handle")
    slider.focus()
    slider.press("End")
    page.get_by_text("unit 9 times 4").wait_for()
    wait(opened)
    printed = opened.execute(
        "f = cx.intervene(net, scenes[int(panel.top.indices[0, 0])][0], 'conv2', unit=9, value=4, how='scale')\n"
        "print(abs(f.after[0] - panel.strength.scores.after).max() < 1e-3)"
    )
    assert printed.strip().endswith("True"), printed
    page.locator(".cx-panel button", has_text="word").click()
    page.get_by_text("intersection over union").first.wait_for()
    wait(opened)
    photograph("unit-page")
    with page.expect_download() as saved:
        page.locator(".cx-panel button", has_text="page").click()
    assert saved.value.suggested_filename == "worldnet-conv2-unit-9.png"
