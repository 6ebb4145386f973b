"""What a screen reader reads: axe-core finds no control and no picture of a panel without a name."""

from __future__ import annotations

from lab import inaccessible, write_notebook

PANELS = {
    "inversion": "cx.InversionPanel('lenet', layer='conv2', steps=5)",
    "maximization": "cx.MaximizePanel('lenet', 'conv1', steps=5, thumbnails=False)",
    "caricature": "cx.CaricaturePanel('lenet', layer='conv2', steps=5)",
    "attribution": "cx.AttributionPanel('lenet')",
    "units": "cx.UnitPanel('lenet', 'conv1')",
    "decoding": "cx.DecodingPanel('lenet', layer='conv1')",
    "pathways": "cx.PathwayPanel('worldnet', 3, styles={'church': masks}, steps=3)",
    "completion": "cx.CompletionPanel('worldnet', cx.scene(3).image, (20, 20, 60, 60), steps=3)",
    "styles": "cx.StylePanel('worldnet-styles', cx.world.dataset(30, 5, names=['boat']), k=2, steps=3)",
}
FIRST = """import ipywidgets as w, numpy as np
import cnnexplore as cx
masks, place = [np.arange(256) % k == 0 for k in (2, 3)], w.VBox()
place"""


def test_every_control_and_picture_has_a_name(folder, notebook, page):
    write_notebook(folder / "names.ipynb", FIRST)
    opened = notebook("names.ipynb")
    opened.run_all()
    wrong = {}
    for kind, make in PANELS.items():
        opened.execute(f"panel = {make}\nplace.children = [panel.widget]")
        page.locator(".cx-panel .cx-run").wait_for(state="attached")
        for _ in range(60):  # pictures come, and names
            found = inaccessible(page, ".cx-panel")
            if not found:
                break
            page.wait_for_timeout(500)
        if found:
            wrong[kind] = found
        opened.execute("place.children = []\npanel.close()")
    assert wrong == {}
