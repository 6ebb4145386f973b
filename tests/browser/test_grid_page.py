"""The grid of thumbnails in a page of its own, without Jupyter: whatever the order in which its messages arrive."""

from __future__ import annotations

import itertools

import pytest

from cnnexplore.widgets.views.source import javascript

# A layer of SqueezeNet: 384 units, with thumbnails of another size than those of the layer before.
COUNT, BEFORE, SIDE = 384, 48, 60
MODEL = """(async ([source, before]) => {
  const { default: view } = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const listeners = {}, sent = [];
  const traits = { count: 64, order: [], side: before, shown: before, rows: 3.5, captions: [], selected: -1, note: "",
    action: "", resets: 0 };
  const tell = (name, ...given) => (listeners[name] ?? []).forEach((act) => act(...given));
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
  const sheet = (units, side) => new DataView(new Uint8Array(units.length * side * side * 3).fill(200).buffer);
  window.cx = {
    sent,
    traits: (changed) => {
      Object.assign(traits, changed);
      for (const name of Object.keys(changed)) tell(`change:${name}`);
    },
    clear: (sizes) => tell("msg:custom", { kind: "clear", ...sizes }, []),
    sprites: (units, sizes) => tell("msg:custom", { kind: "sprites", units, ...sizes }, [sheet(units, sizes.side)]),
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
