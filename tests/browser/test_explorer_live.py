"""The explorer in a real JupyterLab, driven as a person would."""

from __future__ import annotations

import re

from lab import inaccessible, write_notebook

MAKE = "explorer = cx.explore(cx.load('worldnet', device='cpu'), cx.scene(7, 'church').image)\nexplorer"


def opened_explorer(folder, notebook, page, make=MAKE):
    write_notebook(folder / "explorer.ipynb", "import cnnexplore as cx", make)
    opened = notebook("explorer.ipynb")
    opened.run_all()
    page.locator(".cx-explorer .cx-strip").scroll_into_view_if_needed()
    return opened


def ask(page, question):
    page.locator(".cx-questions button", has_text=question).click()


def test_one_looks_at_the_same_thing_through_all_questions(folder, notebook, page, photograph, film):
    page.set_viewport_size({"width": 1500, "height": 1240})
    opened = opened_explorer(folder, notebook, page)
    page.evaluate("() => jupyterapp.shell.collapseLeft()")
    tour = page.get_by_role("dialog", name="tour")
    tour.get_by_role("button", name="next").click()
    assert "layers of the network" in tour.inner_text()
    tour.get_by_role("button", name="no tour").click()
    opened.wait_state("d.step > 1", 120)
    film("explorer", ".cx-explorer", 6)
    opened.wait_state("d.step > 5", 120)
    photograph("explorer-inversion")
    # a layer on the strip, by the mouse and by a key
    strip = page.get_by_role("listbox", name="layers, in the order of computation")
    strip.get_by_role("option", name=re.compile("^conv4 ")).click()
    page.locator(".cx-answer", has_text="What does conv4 keep of the image?").wait_for()
    strip.press("ArrowRight")
    page.locator(".cx-answer", has_text="What does relu4 keep of the image?").wait_for()
    page.locator(".cx-frame figcaption", has_text="what relu4 keeps").wait_for()
    film("explorer", ".cx-explorer", 6)
    # a unit in the gallery, and what it wants
    grid = opened.grid("g.count === 128 || g.done > 20", which=2)
    page.locator(".cx-layer-units .cx-units-port").click(position={"x": 30, "y": 30})
    selected = opened.grid("g.selected >= 0", which=2)["selected"]
    assert grid["count"] > selected
    page.get_by_label("over it").select_option("response of the unit")
    page.locator(".cx-image figcaption", has_text=f"where unit {selected} of relu4 responds").wait_for()
    film("explorer", ".cx-explorer", 2)
    ask(page, "What does it want?")
    page.locator(".cx-answer figcaption", has_text=f"unit {selected} of relu4").first.wait_for()
    film("explorer", ".cx-explorer", 6)
    photograph("explorer-maximization")
    # a class among the predictions, and the pixels that it depends on
    ask(page, "Which pixels count?")
    page.locator(".cx-image .cx-class").nth(1).click()
    second = page.locator(".cx-image .cx-class").nth(1).locator(".cx-class-name").inner_text()
    page.locator(".cx-answer figcaption", has_text=f"gradient of {second}").wait_for()
    film("explorer", ".cx-explorer", 5)
    for _ in range(50):  # what is off the screen waits
        state = opened.execute("print(explorer.panels['inversion'].runner.state)").strip()
        if state in ("paused", "finished"):
            break
        page.wait_for_timeout(200)
    assert state in ("paused", "finished")
    photograph("explorer-attribution")
    # by keys: the unit's page, then the path of a class
    strip.press("5")
    page.get_by_text("px in effect").wait_for()
    photograph("explorer-units")
    strip.press("8")
    page.get_by_text("drag the places that may pass").wait_for()
    opened.wait_state("d.step > 5", 120)
    page.get_by_label("class", exact=True).select_option("clock")
    ask(page, "What belongs here?")
    page.locator(".cx-frame figcaption", has_text="clock, filled in").wait_for()
    photograph("explorer-completion")
    assert opened.execute("print(len({p.selection.layer for p in explorer.panels.values()}))").strip() in "12"


def test_the_copied_python_makes_the_same_picture_in_a_new_cell(folder, notebook, page):
    opened = opened_explorer(folder, notebook, page)
    page.get_by_role("button", name="no tour").click()
    opened.wait_state("d.state === 'finished'", 240)
    page.locator(".cx-explorer button", has_text=re.compile(r"^\W*Python\W*$")).click()
    page.wait_for_function("() => [...document.querySelectorAll('.cx-answer textarea')].some((t) => t.value)")
    for _ in range(100):
        python = page.evaluate("() => navigator.clipboard.readText()")
        if python.startswith("cx."):
            break
        page.wait_for_timeout(100)
    code = f"import numpy as np\nimage = cx.scene(7, 'church').image\nagain = {python}\n"
    code += "print(np.array_equal(again.picture, explorer.picture))"
    assert opened.execute(code, seconds=240).strip() == "True"


def test_everything_in_it_has_a_name(folder, notebook, page):
    opened = opened_explorer(folder, notebook, page)
    opened.wait_state("d.step > 5", 120)
    for question in ("What does it keep?", "What does it want?", "Which pixels count?", "Which path?"):
        ask(page, question)
        page.locator(".cx-questions .mod-active", has_text=question).wait_for()
        for _ in range(20):  # names are given once the controls are drawn
            if not (found := inaccessible(page, ".cx-explorer")):
                break
            page.wait_for_timeout(500)
        assert found == [], question
    page.locator(".cx-guide-open").click()
    assert page.get_by_role("dialog", name="keys and words").is_visible()
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog", name="keys and words").is_visible()


def test_a_style_is_lassoed_a_hole_is_painted_and_a_picture_is_pinned(folder, notebook, page, photograph):
    page.set_viewport_size({"width": 1500, "height": 1240})
    make = "net = cx.load('worldnet-styles', device='cpu')\n"
    make += "scenes = cx.world.dataset(240, 5, names=['church', 'boat', 'clock'])\n"
    opened = opened_explorer(folder, notebook, page, f"{make}explorer = cx.explore(net, scenes)\nexplorer")
    page.get_by_role("button", name="no tour").click()
    ask(page, "What is in a class?")
    page.wait_for_function("() => document.querySelectorAll('.scatterlayer .points path').length > 50")
    opened.wait_state("d.state === 'finished'", 240)
    plot = page.locator(".nsewdrag").first.bounding_box()
    left, top, w, h = plot["x"], plot["y"], plot["width"], plot["height"]
    page.mouse.move(left + 0.02 * w, top + 0.03 * h)
    page.mouse.down()
    for a, b in ((0.55, 0.02), (0.55, 0.98), (0.02, 0.97), (0.02, 0.05)):
        page.mouse.move(left + a * w, top + b * h, steps=6)
    page.wait_for_timeout(300)
    page.mouse.up()
    page.locator(".cx-frame figcaption", has_text="by hand").first.wait_for()
    assert int(opened.execute("print(len(explorer.panel.chosen.which))")) > 3
    opened.wait_state("d.state === 'finished'", 240)
    photograph("explorer-lasso")
    page.locator(".cx-explorer button", has_text="pin").click()
    page.locator(".cx-pins .cx-units-port").wait_for()
    # a hole in the image that is selected, filled with the class; the Python fills it the same way
    ask(page, "What belongs here?")
    page.locator(".cx-answer .cx-frame figcaption", has_text="filled in").wait_for()
    original = page.locator(".cx-answer .cx-frame").first
    share = original.locator("figcaption", has_text="the part to fill").inner_text()
    opened.drag(original.locator("canvas").first, (0.3, 0.3), (0.7, 0.8))
    page.wait_for_function(
        "(before) => ![...document.querySelectorAll('.cx-answer figcaption')].some((c) => c.innerText === before)",
        arg=share,
    )
    opened.wait_state("d.state === 'finished'", 240)
    page.locator(".cx-explorer button", has_text="pin").click()
    page.locator(".cx-pins", has_text="2 pinned").wait_for()
    again = "same = eval(explorer.to_python()).picture\nprint((same == explorer.picture).all(), same.shape)"
    assert opened.execute(again, seconds=240).strip() == "True (96, 96, 3)"
    photograph("explorer-painted")
    page.locator(".cx-pins .cx-units-port").click(position={"x": 30, "y": 30})
    page.locator(".cx-answer", has_text="Which styles does a class contain?").wait_for()


LOSE = """
import time
from cnnexplore.widgets.views.view import View
receive, send, met = View.receive, View.send, {}
def lossy_receive(self, content):
    if content.get("kind") == "ready" and met.setdefault(id(self), 0) == 0:
        met[id(self)] = 1
        return
    receive(self, content)
def lossy_send(self, content, buffers=None):
    if content["kind"] in ("frame", "sprites") and met.get(id(self)) == 1:
        met[id(self)] = 2
        return
    send(self, content, buffers)
View.receive, View.send = lossy_receive, lossy_send
"""


def test_messages_that_are_lost_while_the_page_is_set_up_leave_nothing_empty(folder, notebook, page):
    """The first "ready" of each view, and the first pictures of each."""
    opened = opened_explorer(folder, notebook, page, LOSE + MAKE)
    images = opened.grid("g.count > 10 && g.done === g.count", which=0)
    assert images["done"] > 10
    opened.grid("g.count > 10 && g.done === g.count", which=2)
    page.wait_for_function("() => document.querySelector('.cx-answer .cx-frame canvas[data-frames]') !== null")
    page.wait_for_function("() => document.querySelector('.cx-image canvas[data-frames]') !== null")
