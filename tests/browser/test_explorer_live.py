"""The explorer in a real JupyterLab."""

from __future__ import annotations

from lab import write_notebook


def test_one_looks_at_the_same_thing_through_all_panels(folder, notebook, page, photograph):
    make = "explorer = cx.explore(cx.load('worldnet', device='cpu'), cx.scene(7, 'church').image)\nexplorer"
    write_notebook(folder / "explorer.ipynb", "import cnnexplore as cx", make)
    opened = notebook("explorer.ipynb")
    opened.run_all()
    opened.show()
    page.get_by_text("what does a layer keep of an image?").wait_for()
    opened.wait_state("d.step > 5", 120)
    photograph("explorer-inversion")
    page.get_by_role("button", name="attribution", exact=True).click()
    page.get_by_text("which pixels count?").wait_for()
    page.get_by_text("gradient of church").wait_for()
    for _ in range(50):  # what is off the screen waits
        state = opened.execute("print(explorer.panels['inversion'].runner.state)").strip()
        if state in ("paused", "finished"):
            break
        page.wait_for_timeout(200)
    assert state in ("paused", "finished")
    opened.wait_state("d.state === 'finished'", 120)
    photograph("explorer-attribution")
    page.get_by_role("button", name="units", exact=True).click()
    page.get_by_text("px in effect").wait_for()
    photograph("explorer-units")
    page.get_by_role("button", name="pathways", exact=True).click()
    page.get_by_text("drag the places that may pass").wait_for()
    opened.wait_state("d.step > 5", 120)
    photograph("explorer-pathways")
    page.get_by_label("class", exact=True).select_option("clock")
    page.get_by_role("button", name="completion", exact=True).click()
    page.locator(".cx-frame figcaption", has_text="clock, filled in").wait_for()
    photograph("explorer-completion")
    assert opened.execute("print(len({p.selection.layer for p in explorer.panels.values()}))").strip() == "1"
    assert opened.execute("print(explorer.panels['pathways'].runner.state)").strip() in ("paused", "finished")
