"""The attribution panel and the unit panel in a real JupyterLab."""

from __future__ import annotations

from lab import write_notebook


def open_panel(folder, notebook, name: str, make: str):
    write_notebook(
        folder / name, "import cnnexplore as cx\nnet = cx.load('worldnet', device='cpu')", f"panel = {make}\npanel"
    )
    opened = notebook(name)
    opened.run_all()
    opened.show()
    opened.wait_state("d.state === 'finished'", 120)
    return opened


def test_a_method_and_a_place_are_chosen_by_clicks(folder, notebook, page, photograph):
    opened = open_panel(folder, notebook, "attribution.ipynb", "cx.AttributionPanel(net, method='guided_backprop')")
    photograph("attribution")
    before = opened.pixels(1)
    box = page.locator(".cx-units-port").bounding_box()
    page.mouse.click(box["x"] + 40, box["y"] + 40)  # the first method
    page.get_by_text("gradient of church").wait_for()
    assert opened.pixels(1) != before
    page.locator(".cx-frame canvas").nth(2).click(position={"x": 50, "y": 70})  # the map
    page.get_by_text("of pool5 at (").first.wait_for()
    page.wait_for_function("() => document.querySelector('.cx-box').style.display === 'block'")
    opened.wait_state("d.state === 'finished'", 120)
    photograph("attribution-unit")
    code = opened.copied()
    assert "layer='pool5', unit=" in code
    remake = code.replace("cx.load('worldnet')", "net")
    assert opened.execute(f"print((({remake}).map == panel.attribution.map).all())").strip().endswith("True")


def test_a_unit_is_chosen_by_a_click(folder, notebook, page, photograph):
    opened = open_panel(folder, notebook, "units.ipynb", "cx.UnitPanel(net, 'conv2')")
    page.get_by_text("px in effect").wait_for()
    photograph("unit")
    order = [int(k) for k in opened.execute("print(*panel.grid.order)").split()]
    box = page.locator(".cx-units-port").bounding_box()
    shown = int(opened.execute("print(panel.grid.shown)"))
    page.mouse.click(box["x"] + 5 + 2.5 * (shown + 4), box["y"] + 30)
    page.get_by_text(f"unit {order[2]}", exact=True).first.wait_for()
    for _ in range(100):  # the work begins a moment after the click
        found = opened.execute("print(panel.top.units)").strip()
        if found == f"[{order[2]}]":
            break
        page.wait_for_timeout(200)
    assert found == f"[{order[2]}]"
    opened.wait_state("d.state === 'finished'", 60)
    assert f"'conv2', {order[2]}" in opened.copied()


def test_maps_lead_to_their_unit_and_a_patch_to_its_image(folder, notebook, page, photograph):
    opened = open_panel(folder, notebook, "maps.ipynb", "cx.UnitPanel(net, 'conv2')")
    page.locator(".cx-panel select").nth(2).select_option("maps")
    opened.grid("g.done > 0")
    opened.wait_state("d.state === 'finished'", 60)
    photograph("unit-maps")
    page.locator(".cx-frame").filter(has_text="largest responses").locator("canvas").nth(3).click()
    number = opened.execute("print(panel.top.indices[0, 3])").strip()
    page.get_by_text(f"image {number}; the box is where").wait_for()
    page.locator(".cx-panel select").nth(2).select_option("filters")
    opened.wait_state("d.state === 'finished'", 60)
    photograph("unit-filters")
