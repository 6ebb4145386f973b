"""What a screen reader is told, and what the keyboard reaches: every control and picture of all panels has a name."""

from __future__ import annotations

from lab import write_notebook

PANELS = {
    "inversion": "cx.InversionPanel('worldnet', steps=5)",
    "maximize": "cx.MaximizePanel('worldnet', steps=5, thumbnails=False)",
    "caricature": "cx.CaricaturePanel('worldnet', steps=5)",
    "attribution": "cx.AttributionPanel('worldnet')",
    "units": "cx.UnitPanel('worldnet', 'conv2', images=[cx.scene(k).image for k in range(12)])",
    "decoding": "cx.DecodingPanel('worldnet', 'conv2')",
    "styles": "cx.StylePanel('worldnet', steps=5)",
    "pathways": "cx.PathwayPanel('worldnet', steps=5)",
    "completion": "cx.CompletionPanel('worldnet', steps=5)",
}
UNNAMED = """(which) => {
  const roles = "select, input, textarea, button, [role=slider], [role=img], [role=listbox], [role=option], summary";
  const panel = document.querySelectorAll(".cx-panel")[which];
  if (!panel) return ["no panel"];
  const nameOf = (one) => {
    const labelled = one.getAttribute("aria-labelledby");
    return one.getAttribute("aria-label") || (labelled && document.getElementById(labelled)?.textContent)
      || (!one.matches("select, input, textarea") && one.textContent) || "";
  };
  return [...panel.querySelectorAll(roles)].filter((one) => one.checkVisibility({ visibilityProperty: true })
    && one.type !== "file" && !one.closest(".plotly, .js-plotly-plot")
    && !(one.getAttribute("role") === "option" && !one.textContent) && !nameOf(one).trim())
    .map((one) => one.outerHTML.slice(0, 200));
}"""


def test_every_control_and_picture_of_all_panels_has_a_name(folder, notebook, page):
    cells = [f"panels['{kind}'] = {make}\npanels['{kind}']" for kind, make in PANELS.items()]
    write_notebook(folder / "names.ipynb", "import cnnexplore as cx\npanels = {}", *cells)
    opened = notebook("names.ipynb")
    opened.run_all()
    unnamed = {}
    for which, kind in enumerate(PANELS):
        page.locator(".cx-panel").nth(which).scroll_into_view_if_needed()
        for _ in range(20):
            page.wait_for_timeout(250)
            found = page.evaluate(UNNAMED, which)
            if not found:
                break
        if found:
            unnamed[kind] = found
    assert unnamed == {}


def test_a_position_is_chosen_with_the_keyboard(folder, notebook, page):
    write_notebook(folder / "keys.ipynb", "import cnnexplore as cx\npanel = cx.AttributionPanel('worldnet')\npanel")
    opened = notebook("keys.ipynb")
    opened.run_all()
    opened.show()
    opened.wait_state("d.state === 'finished'", 120)
    canvas = page.locator(".cx-frame canvas").first
    canvas.focus()
    page.keyboard.press("ArrowDown")
    page.locator(".cx-cursor").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.get_by_text("of pool5 at (").first.wait_for()
