"""What a screen reader reads: every control and picture of a panel has a name."""

from __future__ import annotations

from lab import write_notebook

PANELS = {
    "inversion": "cx.InversionPanel('lenet', layer='conv2', steps=5)",
    "maximize": "cx.MaximizePanel('lenet', 'conv1', steps=5, thumbnails=False)",
    "attribution": "cx.AttributionPanel('lenet')",
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


def test_every_control_and_picture_has_a_name(folder, notebook, page):
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
