"""The pathway panel in a real JupyterLab: places are dragged, masks x seeds grow, the code remakes them."""

from __future__ import annotations

import pytest
from lab import write_notebook

STYLES = "{'church': [np.arange(256) % 2 == 0, np.arange(256) % 3 == 0]}"


@pytest.fixture
def opened(folder, notebook):
    """Two networks of dropout x two seeds of worldnet-robust's church, which has two styles."""
    write_notebook(
        folder / "pathway.ipynb",
        "import numpy as np\nimport cnnexplore as cx\nnet = cx.load('worldnet-robust', device='cpu')",
        f"panel = cx.PathwayPanel(net, 'church', styles={STYLES}, ensembles=2, seeds=2, steps=60)\npanel",
    )
    opened = notebook("pathway.ipynb")
    opened.run_all()
    opened.show()
    opened.wait_state("d.state === 'finished'")
    return opened


def test_places_are_switched_while_masks_and_seeds_grow_in_a_grid(opened, page, photograph):
    assert page.locator(".cx-frame").first.locator("canvas").count() == 4
    photograph("pathway-ensembles")
    places = page.locator(".cx-frame").nth(1).locator("canvas")
    opened.drag(places, (0.1, 0.1), (0.4, 0.4))
    page.get_by_text("9 of 36 places pass").wait_for()
    places.click(position={"x": 5, "y": 5})  # while it runs: a click closes what is open
    page.get_by_text("8 of 36 places pass").wait_for()
    opened.wait_state("d.state === 'finished'")
    page.wait_for_function("() => document.querySelector('.cx-box').style.display === 'block'")
    assert opened.execute("print(panel.locations.mask[0, :3].tolist())").strip() == "[False, True, True]"
    code = opened.copied()
    assert code.count("cx.Pathway.ensemble") == 4
    remake = code.replace("cx.load('worldnet-robust')", "net")
    compared = "max(abs(a.picture.astype(int) - b).max() for a, b in zip(r, panel.picture))"
    assert opened.execute(f"r = {remake}\nprint({compared})").strip().splitlines()[-1] == "0"
    photograph("pathway-places")
    opened.theme("Dark")
    page.set_viewport_size({"width": 560, "height": 1400})
    opened.show()
    photograph("pathway-dark-560")
    opened.theme("Light")


def test_styles_stand_beside_each_other_and_what_cannot_be_gets_a_sentence(opened, page, photograph):
    def choose(label: str) -> None:
        box = page.locator(".cx-panel select:visible").filter(has_text=label).first
        box.select_option(label)

    choose("off")
    choose("each style beside the next")
    page.get_by_text("one row each: style 0, style 1").wait_for()
    opened.wait_state("d.state === 'finished'")
    photograph("pathway-styles")
    opened.execute("hog = cx.load('hog')\npanel.selection.set(net=hog, layer=next(iter(hog.layers)))")
    page.locator(".cx-message", has_text="fully-connected").wait_for()
    assert page.locator(".cx-frame").first.locator("canvas").count() == 4, "the last picture stays"
    photograph("pathway-sentence")
    choose("lenet")
    page.get_by_text("pool2: drag the places").wait_for()
    opened.wait_state("d.state === 'finished'")
