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
FIRST = "import numpy as np\nimport cnnexplore as cx\npanels = {}\nmasks = [np.arange(256) % k == 0 for k in (2, 3)]"


def test_every_control_and_picture_has_a_name(folder, notebook, page):
    cells = [f"panels['{kind}'] = {make}\npanels['{kind}']" for kind, make in PANELS.items()]
    write_notebook(folder / "names.ipynb", FIRST, *cells)
    opened = notebook("names.ipynb")
    opened.run_all()
    wrong = {}
    for which, kind in enumerate(PANELS):
        opened.show(which)
        page.evaluate("(k) => { document.querySelectorAll('.cx-panel')[k].id = 'cx-looked-at'; }", which)
        for _ in range(60):  # pictures come, and names are given once the controls are drawn
            found = inaccessible(page, "#cx-looked-at")
            if not found:
                break
            page.wait_for_timeout(500)
        page.evaluate("() => document.getElementById('cx-looked-at').removeAttribute('id')")
        if found:
            wrong[kind] = found
    assert wrong == {}
