"""The pathway and completion panels in a real JupyterLab."""

from __future__ import annotations

import pytest
from lab import write_notebook


@pytest.fixture
def pathways(folder, notebook):
    """Two networks of dropout x two seeds of worldnet-robust's church."""
    write_notebook(
        folder / "pathways.ipynb",
        "import cnnexplore as cx\nnet = cx.load('worldnet-robust', device='cpu')",
        "panel = cx.PathwayPanel(net, 'church', ensembles=2, seeds=2, steps=60)\npanel",
    )
    opened = notebook("pathways.ipynb")
    opened.run_all()
    opened.show()
    opened.wait_state("d.state === 'finished'")
    return opened


def drag(page, canvas, start, end, steps: int = 6) -> None:
    """Drags the mouse on a canvas, from one place to another, in parts of its size."""
    box = canvas.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=steps)
    page.mouse.up()


def remakes(opened, code: str, picture: str) -> None:
    remake = code.replace(f"cx.load('{code.split(chr(39))[1]}')", "net")
    printed = opened.execute(f"import numpy as np\nr = {remake}\nprint({picture})")
    assert printed.strip().splitlines()[-1] == "0", printed


def test_places_are_dragged_and_a_grid_of_masks_and_seeds_grows(pathways, page, photograph):
    opened = pathways
    assert page.locator(".cx-frame").first.locator("canvas").count() == 4
    photograph("pathways-ensembles")
    places = page.locator(".cx-frame").nth(1).locator("canvas")
    drag(page, places, (0.1, 0.1), (0.4, 0.4))
    page.get_by_text("9 of 36 places pass").wait_for()
    opened.wait_state("d.state === 'finished'")
    assert opened.execute("print(panel.places.sum(), panel.places[:3, :3].all())").strip() == "9 True"
    page.wait_for_function("() => document.querySelector('.cx-box').style.display === 'block'")
    places.click(position={"x": 5, "y": 5})  # a click closes what is open
    page.get_by_text("8 of 36 places pass").wait_for()
    opened.wait_state("d.state === 'finished'")
    code = opened.copied()
    assert code.count("cx.Pathway.ensemble") == 4
    remakes(opened, code, "max(abs(a.image.astype(int) - b).max() for a, b in zip(r, panel.picture))")
    photograph("pathways-places")


def test_a_painted_mask_fills(folder, notebook, page, photograph):
    write_notebook(
        folder / "completion.ipynb",
        "import cnnexplore as cx\nnet = cx.load('worldnet-robust', device='cpu')\nscene = cx.scene(21).image",
        "panel = cx.CompletionPanel(net, scene, (8, 8, 40, 40), target='bird', steps=60)\npanel",
    )
    opened = notebook("completion.ipynb")
    opened.run_all()
    opened.show()
    opened.wait_state("d.state === 'finished'")
    photograph("completion-first")
    original = page.locator(".cx-frame").first.locator("canvas").first
    drag(page, original, (0.3, 0.3), (0.7, 0.8))
    opened.wait_state("d.state === 'finished'")
    assert opened.execute("print(panel.mask.sum() > 1000, panel.mask[10, 10])").strip() == "True False"
    page.locator(".cx-panel button", has_text="brush").click()
    page.wait_for_function("() => !document.querySelector('.cx-box').style.display.includes('block')")
    drag(page, original, (0.2, 0.15), (0.8, 0.15), 20)
    page.wait_for_function("() => document.querySelectorAll('.cx-stroke').length === 0")
    opened.wait_state("d.state === 'finished'")
    assert opened.execute("print(panel.mask[14, 24:72].all())").strip() == "True"
    opened.execute("print((panel.picture[~panel.runner.run.hole.mask] == scene[~panel.runner.run.hole.mask]).all())")
    code = opened.copied()
    remakes(opened, code.replace("image,", "scene,"), "abs(r.image.astype(int) - panel.picture).max()")
    photograph("completion")
    page.set_viewport_size({"width": 560, "height": 1000})
    photograph("completion-560")
    page.set_viewport_size({"width": 1280, "height": 1000})
    page.evaluate("() => jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Dark' })")
    page.wait_for_function("() => document.body.dataset.jpThemeLight === 'false'")
    photograph("completion-dark")
    page.evaluate("() => jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Light' })")
