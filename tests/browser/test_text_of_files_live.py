"""A network whose every text is markup, in a real JupyterLab: no script of it runs."""

from __future__ import annotations

import sys
from pathlib import Path

from lab import write_notebook

HELPERS = Path(__file__).parents[1] / "widgets"
SETUP = f"""import sys
sys.path.insert(0, {str(HELPERS)!r})
import marked, cnnexplore as cx
net, images = marked.network(), marked.images()"""


def test_no_script_of_a_network_runs(folder, notebook, page):
    sys.path.insert(0, str(HELPERS))
    where = __import__("marked").folder(folder / "marked")
    write_notebook(
        folder / "marked.ipynb",
        SETUP,
        "decoding = cx.DecodingPanel(net, images, list(net.layers)[0], 0)\ndecoding",
        "attribution = cx.AttributionPanel(net, images, marked.IMAGE)\nattribution",
        f"styles = cx.StylePanel(net, {str(where)!r}, None, k=2, steps=2)\nstyles",
        "cx.attribute(net, next(iter(images.values())), marked.IMAGE)",
        "print(decoding.wait(100), attribution.wait(100), styles.wait(100))",
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    opened = notebook("marked.ipynb")
    opened.run_all()
    waited = opened.execute("print(decoding.wait(200), attribution.wait(200), styles.wait(200))", seconds=400)
    assert waited.split() == ["True"] * 3
    for which in range(3):
        page.locator(".cx-panel").nth(which).scroll_into_view_if_needed()
        page.wait_for_timeout(500)
    panels = page.locator(".cx-panel")
    assert panels.count() == 3
    assert "<img src=x onerror" in panels.nth(0).inner_text(), "the name is there, as text"
    # what a person does: another layer, another class, another colouring, the Python, an error
    panels.nth(0).locator("select").nth(1).select_option(index=1)
    panels.nth(1).locator("input[list]").fill("<img src=x onerror=window.cxScript=1>")
    panels.nth(1).locator("input[list]").press("Enter")
    for colours in ("prediction", "class"):  # the legend names labels, then folders
        panels.nth(2).locator("select", has_text="prediction").select_option(colours)
        panels.nth(2).get_by_text("●").first.wait_for()
        page.wait_for_timeout(1000)
    for which in range(3):
        panels.nth(which).get_by_role("button", name="Python").click()
    page.wait_for_timeout(2000)
    opened.save()
    assert page.evaluate("() => window.cxScript") is None
    made = page.evaluate(
        """() => [...document.querySelectorAll(".cx-panel, .jp-OutputArea-output")].flatMap((one) =>
          [...one.querySelectorAll("script, b[onmouseover], img[onerror], [onerror], .MathJax, mjx-container")]
            .map((found) => found.outerHTML))"""
    )
    assert made == []
    assert not [url for url in asked if url.split("?")[0].endswith("/x")], "no picture of the markup was asked for"
