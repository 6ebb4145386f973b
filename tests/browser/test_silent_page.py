"""A view whose kernel does not answer says so within five seconds, and takes it back when the kernel answers."""

from __future__ import annotations

from cnnexplore.widgets.views.source import css, javascript

MODEL = """(async (source) => {
  const { default: view } = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const listeners = {};
  const model = {
    get: () => undefined, set: () => {}, save_changes: () => {}, send: () => {}, off: () => {},
    on: (name, act) => (listeners[name] ??= []).push(act),
  };
  document.body.replaceChildren();
  view.render({ model, el: document.body });
  window.cx = { answer: (content) => listeners["msg:custom"].forEach((act) => act(content, [])) };
})"""
STATUS = {"kind": "status", "state": "loading", "text": "computing", "live": True}


def show(page):
    page.clock.install()
    page.set_content("<body style='width: 700px'></body>")
    page.add_style_tag(content=css("run_view"))
    page.evaluate(MODEL, javascript("run_view"))


def test_silence_is_said_and_taken_back(page, photograph):
    show(page)
    message = page.locator(".cx-message")
    page.clock.fast_forward(3500)
    assert not message.is_visible()
    page.clock.fast_forward(1400)
    assert message.is_visible(), "within five seconds"
    assert "cnnexplore doctor" in message.inner_text()
    photograph("silent-kernel")
    page.evaluate("(content) => cx.answer(content)", STATUS)
    assert not message.is_visible()


def test_a_kernel_that_answers_is_not_silent(page):
    show(page)
    page.evaluate("(content) => cx.answer(content)", STATUS)
    page.clock.fast_forward(60_000)
    assert not page.locator(".cx-message").is_visible()
    page.evaluate("(content) => cx.answer(content)", {"kind": "message", "text": "C is -1"})
    assert page.locator(".cx-message").is_visible(), "what was refused stays"
