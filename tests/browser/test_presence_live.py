"""A panel whose tab is hidden, whose page changes its theme, and whose kernel ends."""

from __future__ import annotations

from lab import write_notebook

BRIGHTEST = """() => {
  const chart = document.querySelector(".cx-chart");
  const { data } = chart.getContext("2d").getImageData(0, 0, 42 * devicePixelRatio, chart.height);
  let best = 0;
  for (let k = 0; k < data.length; k += 4) if (data[k + 3] > 90) best = Math.max(best, data[k]);
  return best;
}"""


def test_hidden_it_pauses_dark_it_is_legible_and_without_a_kernel_it_says_so(folder, notebook, page, photograph):
    make = "panel = cx.InversionPanel('lenet', layer='conv2', steps=90_000)"
    write_notebook(folder / "presence.ipynb", f"import cnnexplore as cx\n{make}\npanel")
    opened = notebook("presence.ipynb")
    opened.run_all()
    opened.show()
    opened.wait_state("d.state === 'running' && d.step > 5")

    opened.execute("states = []; known = panel.runner.on_state")
    opened.execute("panel.runner.on_state = lambda state: (states.append(state), known(state))")
    name = page.evaluate("() => jupyterapp.shell.currentWidget.id")
    page.evaluate("() => { jupyterapp.commands.execute('launcher:create'); }")
    page.wait_for_function("(name) => !document.getElementById(name).getClientRects().length", arg=name)
    page.wait_for_timeout(3000)
    page.evaluate("(name) => { jupyterapp.shell.activateById(name); }", name)
    page.wait_for_function("(name) => jupyterapp.shell.currentWidget.id === name", arg=name)
    opened.wait_state("d.state === 'running'")
    states = opened.execute("print(*states)").split()
    assert (states[0], states[-1]) == ("paused", "running")
    first = opened.state()["step"]
    opened.wait_state(f"d.step > {first}")

    opened.theme("Dark")
    page.wait_for_timeout(500)
    assert page.evaluate(BRIGHTEST) > 120, "the numbers of the axis are light on dark"
    photograph("presence-dark")
    opened.theme("Light")

    page.evaluate("() => { jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart(); }")
    page.wait_for_function(
        """() => {
          const status = document.querySelector(".cx-run .cx-status");
          return getComputedStyle(status, "::before").content.includes("kernel is gone");
        }"""
    )
    assert not page.locator(".cx-sentence").is_visible()
    photograph("presence-gone")
