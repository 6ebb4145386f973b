"""Pictures in a page of their own, without Jupyter: their names, and the keyboard in place of the mouse."""

from __future__ import annotations

import pytest

from cnnexplore.widgets.views.source import css, javascript

MODEL = """(async ([source, changed]) => {
  const { default: view } = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const listeners = {}, sent = [];
  const traits = { width: 8, height: 6, scale: 10, caption: "a map", box: [], windows: false, brush: 0, erases: false,
    cells: true, columns: 0, poster: null, ...changed };
  const model = {
    get: (name) => traits[name],
    set: (name, value) => { traits[name] = value; },
    save_changes: () => {},
    send: (content) => sent.push(content),
    on: (name, act) => (listeners[name] ??= []).push(act),
    off: () => {},
  };
  document.body.replaceChildren();
  view.render({ model, el: document.body });
  const frame = (seq) => [{ kind: "frame", seq, w: 2, h: 2, n: 1 }, [new DataView(new Uint8Array(12).buffer)]];
  const tell = (content, buffers) => listeners["msg:custom"].forEach((act) => act(content, buffers));
  window.cx = {
    sent,
    frame: (seq) => tell(...frame(seq)),
    here: (seq) => tell({ kind: "here", view: sent[0].view, seq }, []),
  };
})"""


@pytest.fixture
def view(page):
    def show(**changed):
        page.set_content("<body style='width: 700px'></body>")
        page.add_style_tag(content=css("frame_view"))
        page.evaluate(MODEL, [javascript("frame_view"), changed])
        page.get_by_role("img", name="a map").focus()

        def sent(kind: str) -> list[dict]:
            return [m for m in page.evaluate("() => cx.sent") if m["kind"] == kind]

        return sent

    return show


def press(page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_the_arrow_keys_move_a_cursor_and_enter_picks(view, page):
    sent = view()
    press(page, "Enter")
    assert sent("pick") == [], "there is no cursor yet"
    press(page, "ArrowUp", "ArrowUp", "ArrowRight", "ArrowRight")
    page.get_by_role("img", name="a map; row 2, column 6; Enter chooses it").wait_for()
    box, canvas = page.locator(".cx-cursor").bounding_box(), page.locator("canvas").bounding_box()
    assert (box["x"] - canvas["x"], box["y"] - canvas["y"], box["width"]) == (60, 20, 10)
    press(page, "Enter")
    assert [(m["row"], m["column"], m["item"]) for m in sent("pick")] == [(2, 6, 0)]
    press(page, *["ArrowLeft"] * 9, "Enter")
    assert sent("pick")[-1]["column"] == 0, "the cursor stays in the picture"
    page.evaluate("() => document.activeElement.blur()")
    assert page.locator(".cx-cursor").count() == 0


def test_a_window_and_a_stroke_are_made_with_enter(view, page):
    sent = view(windows=True)
    press(page, "ArrowDown", "Enter")
    assert [m["window"] for m in sent("window")] == [[3, 4, 4, 5]]
    sent = view(brush=3)
    press(page, "ArrowDown", "Enter")
    assert [(m["cells"], m["brush"], m["erases"]) for m in sent("stroke")] == [([[3, 4]], 3, False)]


def test_lines_stand_between_the_positions_of_a_map_only(view, page):
    lines = "() => getComputedStyle(document.querySelector('.cx-tile'), '::after').backgroundSize"
    view()
    assert page.evaluate(lines) == "10px 10px, 10px 10px"
    view(cells=False)
    assert page.evaluate(lines) == "auto"


def test_it_says_that_it_is_ready_until_the_picture_is_there(view, page):
    """A message can be lost on the way to the kernel or back while a page is set up."""
    page.clock.install()
    sent = view()
    assert len(sent("ready")) == 1
    page.evaluate("() => cx.here(1)")  # the picture was lost before this
    page.clock.run_for(1000)
    assert len(sent("ready")) == 2
    page.evaluate("() => { cx.frame(2); cx.here(2); }")
    page.clock.run_for(100_000)
    assert len(sent("ready")) == 2
