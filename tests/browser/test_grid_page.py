"""The grid of thumbnails in a page of its own, without Jupyter: whatever the order in which its messages arrive."""

from __future__ import annotations

import itertools

import pytest

from cnnexplore.widgets.views.source import css, javascript

# A layer of SqueezeNet: 384 units, with thumbnails of another size than those of the layer before.
COUNT, BEFORE, SIDE = 384, 48, 60
MODEL = """(async ([source, before]) => {
  const { default: view } = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const listeners = {}, sent = [];
  const traits = { count: 64, order: [], side: before, shown: before, rows: 3.5, captions: [], selected: -1, note: "",
    action: "", resets: 0, labelled: false, label: "units", words: {} };
  const tell = (name, ...given) => (listeners[name] ?? []).forEach((act) => act(...given));
  const model = {
    get: (name) => traits[name],
    set: (name, value) => { traits[name] = value; tell(`change:${name}`); },
    save_changes: () => {},
    send: (content) => sent.push(content),
    on: (name, act) => (listeners[name] ??= []).push(act),
    off: () => {},
  };
  document.body.replaceChildren();
  view.render({ model, el: document.body });
  const sheet = (units, side) => new DataView(new Uint8Array(units.length * side * side * 3).fill(200).buffer);
  window.cx = {
    sent,
    traits: (changed) => {
      Object.assign(traits, changed);
      for (const name of Object.keys(changed)) tell(`change:${name}`);
    },
    clear: (sizes) => tell("msg:custom", { kind: "clear", ...sizes }, []),
    sprites: (units, sizes) => tell("msg:custom", { kind: "sprites", units, ...sizes }, [sheet(units, sizes.side)]),
    here: (done, resets) => tell("msg:custom", { kind: "here", view: sent[0].view, done, resets }, []),
    selected: () => traits.selected,
    painted: () => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(() => {
      const canvas = document.querySelector(".cx-units-canvas");
      const { data } = canvas.getContext("2d").getImageData(8, 8, 1, 1);
      go([JSON.parse(document.querySelector(".cx-units").dataset.state).done, data[0]]);
    }))),
  };
})"""
EVENTS = ("traits", "clear", "sprites")


@pytest.mark.parametrize("order", list(itertools.permutations(EVENTS)), ids="-".join)
def test_thumbnails_of_another_layer_appear_in_any_order_of_messages(page, order):
    page.set_content("<body style='width: 700px'></body>")
    page.evaluate(MODEL, [javascript("unit_grid"), BEFORE])
    page.evaluate(
        "(side) => cx.sprites([0, 1, 2], { resets: 0, side, shown: side })", BEFORE
    )  # of the layer before: they must go
    sizes = f"{{ resets: 1, side: {SIDE}, shown: {SIDE} }}"
    acts = {
        "traits": f"() => cx.traits({{ count: {COUNT}, ...{sizes} }})",
        "clear": f"() => cx.clear({sizes})",
        "sprites": f"() => cx.sprites([...Array(72).keys()], {sizes})",
    }
    for name in order:
        page.evaluate(acts[name])
    assert page.evaluate("() => cx.painted()") == [72, 200]
    late = f"() => cx.sprites([100], {{ resets: 0, side: {BEFORE}, shown: {BEFORE} }})"
    page.evaluate(late)  # one of the layer before, that was on its way
    assert page.evaluate("() => cx.painted()") == [72, 200]
    page.evaluate(f"() => cx.sprites([100], {sizes})")
    assert page.evaluate("() => cx.painted()") == [73, 200]


METHODS = ["gradient", "integrated gradients through all of the layers", "cam"]


def test_captions_stand_under_thumbnails_in_one_line_and_a_word_in_place_of_one(page):
    page.set_content("<body style='width: 400px'></body>")
    page.evaluate(MODEL, [javascript("unit_grid"), SIDE])
    page.add_style_tag(content=css("unit_grid"))
    words = {2: ["does not fit", "the network has no global average pooling."]}
    page.evaluate(
        "([captions, words]) => cx.traits({ count: 3, captions, words, labelled: true, label: 'methods' })",
        [METHODS, words],
    )
    page.evaluate(f"() => cx.sprites([0, 1], {{ resets: 0, side: {SIDE}, shown: {SIDE} }})")
    page.evaluate("() => cx.painted()")
    dark = """([left, top, width, height]) => {
      const pen = document.querySelector(".cx-units-canvas").getContext("2d");
      const { data } = pen.getImageData(left, top, width, height);
      return data.filter((_, k) => k % 4 === 3 && data[k] > 60).length;
    }"""
    for k in range(3):  # something is written under each, and nothing between the columns
        assert page.evaluate(dark, [4 + k * (SIDE + 4), SIDE + 6, SIDE, 14]) > 20
        assert page.evaluate(dark, [k * (SIDE + 4), SIDE + 6, 4, 14]) == 0
    port = page.get_by_role("listbox", name="methods, 3")
    port.focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    page.get_by_role("option", name="cam, does not fit: the network has no global average pooling.").wait_for()
    assert page.evaluate("() => cx.selected()") == 2
    box = page.locator(".cx-units-canvas").bounding_box()
    page.mouse.move(box["x"] + SIDE + 20, box["y"] + SIDE + 12)  # over the caption that is cut
    page.locator(".cx-units-lens", has_text=METHODS[1]).wait_for()
    page.mouse.move(box["x"] + 2 * SIDE + 30, box["y"] + 20)
    page.locator(".cx-units-lens", has_text="no global average pooling").wait_for()
    page.mouse.click(box["x"] + 20, box["y"] + SIDE + 12)
    assert page.evaluate("() => cx.selected()") == 0, "a caption belongs to its thumbnail"


def test_what_is_painted_follows_the_theme(page):
    page.set_content("<body data-jp-theme-light='true' style='width: 400px; --jp-ui-font-color2: #111111'></body>")
    page.evaluate(MODEL, [javascript("unit_grid"), SIDE])
    page.evaluate("() => cx.traits({ count: 1, captions: ['MMMMM'], labelled: true })")
    darkest = """([top, width]) => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(() => {
      const pen = document.querySelector(".cx-units-canvas").getContext("2d");
      const { data } = pen.getImageData(4, top, width, 14);
      let most = 0, at = 0;
      for (let k = 3; k < data.length; k += 4) if (data[k] > most) [most, at] = [data[k], k];
      go(data[at - 3]);
    })))"""
    assert page.evaluate(darkest, [SIDE + 6, SIDE]) < 60
    page.evaluate("""() => {
      document.body.style.setProperty("--jp-ui-font-color2", "#eeeeee");
      document.body.dataset.jpThemeLight = "false";
    }""")
    assert page.evaluate(darkest, [SIDE + 6, SIDE]) > 180


def test_it_says_that_it_is_ready_until_all_thumbnails_are_there(page):
    """A message can be lost on the way to the kernel or back while a page is set up."""
    page.clock.install()
    page.set_content("<body style='width: 700px'></body>")
    page.evaluate(MODEL, [javascript("unit_grid"), SIDE])

    def ready() -> int:
        return page.evaluate("() => cx.sent.filter((m) => m.kind === 'ready').length")

    assert ready() == 1
    page.clock.run_for(1000)  # the kernel did not hear it
    assert ready() == 2
    page.evaluate("() => cx.here(3, 0)")  # the thumbnails were lost before this
    page.clock.run_for(2000)
    assert ready() == 3
    page.evaluate(f"() => cx.sprites([0, 1, 2], {{ resets: 0, side: {SIDE}, shown: {SIDE} }})")
    page.evaluate("() => cx.here(3, 0)")
    page.clock.run_for(100_000)
    assert ready() == 3
