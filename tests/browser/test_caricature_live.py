"""The caricature panel in a real JupyterLab."""

from __future__ import annotations

import numpy as np
from lab import write_notebook


def test_it_grows_from_the_image_and_its_code_remakes_it(folder, notebook, page, photograph):
    write_notebook(
        folder / "caricature.ipynb",
        "import cnnexplore as cx\nnet = cx.load('worldnet', device='cpu')",
        "panel = cx.CaricaturePanel(net, layer='conv4', steps=40, start=False)\npanel",
    )
    opened = notebook("caricature.ipynb")
    opened.run_all()
    opened.show()
    opened.wait_state("d.state === 'paused'")
    assert opened.pixels(0) == opened.pixels(1), "it begins with the image itself"
    page.locator(".cx-panel button", has_text="start").click()
    finished = opened.wait_state("d.state === 'finished'")
    assert finished["response"] > 1.05
    assert np.abs(np.array(opened.pixels(0)) - opened.pixels(1)).mean() > 2
    code = opened.copied().replace("cx.load('worldnet')", "net")
    printed = opened.execute(f"r = {code}; print(abs(r.picture.astype(int) - panel.picture).max())")
    assert printed.strip().splitlines()[-1] == "0", printed
    with page.expect_download() as download:
        page.locator(".cx-panel button", has_text="save").click()
    assert download.value.suggested_filename == "worldnet-conv4.png"
    opened.show()
    photograph("caricature")
