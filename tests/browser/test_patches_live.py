"""The patch prior switched on in a real JupyterLab: its weight live, what matched beside the estimate."""

from __future__ import annotations

import numpy as np
import pytest
from lab import write_notebook


@pytest.fixture
def opened(folder, notebook):
    write_notebook(
        folder / "patches.ipynb",
        "import cnnexplore as cx\nnet = cx.load('photonet', device='cpu')",
        "panel = cx.InversionPanel(net, layer='conv4', steps=60)\npanel",
    )
    opened = notebook("patches.ipynb")
    opened.run_all()
    opened.show()
    opened.wait_state("d.state === 'finished'")
    return opened


def weight_moved(opened, page, key):
    """Move the weight of a finished run with a key and wait until it has gone on to its end."""
    before = opened.execute("print(panel.settings.gamma)")
    slider = page.locator(".cx-panel .widget-hslider", has_text="γ").locator(".noUi-handle")
    slider.focus()
    slider.press(key)
    for _ in range(100):  # the page says "finished" of the steps before until the kernel has heard of the key
        if opened.execute("print(panel.settings.gamma)") != before:
            break
        page.wait_for_timeout(100)
    assert opened.execute("print(panel.wait(200), panel.runner.state)", seconds=250).split() == ["True", "finished"]
    opened.wait_state("d.state === 'finished'")


def test_switched_on_and_weighed(opened, page, photograph):
    plain = np.array(opened.pixels(1))
    page.locator(".cx-panel button", has_text="patches").click()
    page.get_by_text("the patches that match").wait_for()
    opened.wait_state("d.state === 'finished'")
    assert np.abs(np.array(opened.pixels(1)) - plain).mean() > 1
    assert np.abs(np.array(opened.pixels(2)) - np.array(opened.pixels(0))).mean() > 1
    opened.show()
    photograph("patches")
    weight_moved(opened, page, "PageUp")
    weight_moved(opened, page, "PageDown")
    code = opened.copied()
    assert "patches=cx.PatchDatabase(" in code
    assert "gamma=" in code
    remake = code.replace("cx.load('photonet')", "net")
    printed = opened.execute(f"r = {remake}\nprint(abs(r.picture.astype(int) - panel.picture).max())", seconds=400)
    assert printed.strip().splitlines()[-1] == "0", printed
    page.set_viewport_size({"width": 560, "height": 1000})
    photograph("patches-560")
    page.set_viewport_size({"width": 1280, "height": 1000})
    page.evaluate("() => jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Dark' })")
    page.wait_for_function("() => document.body.dataset.jpThemeLight === 'false'")
    photograph("patches-dark")
    page.evaluate("() => jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Light' })")
