"""The learned inversion beside the running optimisation, and the generator in the maximisation panel, in JupyterLab."""

from __future__ import annotations

from lab import write_notebook


def test_the_learned_picture_and_the_generator_are_seen(folder, notebook, page, photograph):
    write_notebook(
        folder / "learned.ipynb",
        "import cnnexplore as cx\nscene = cx.scene(7, 'church').image",
        "p = cx.InversionPanel('worldnet', scene, 'pool5', steps=60)\np",
        "q = cx.MaximizePanel('worldnet', 'fc8', 'church', prior='generator', steps=60, thumbnails=False)\nq",
    )
    opened = notebook("learned.ipynb")
    opened.run_all()
    opened.show()
    opened.wait_state("d.state === 'finished'")
    assert page.get_by_text("learned inverter, one pass").first.is_visible()
    assert opened.pixels(2) != opened.pixels(1), "the learned picture stands beside the estimate"
    photograph("learned-inversion")
    opened.show(1)
    page.get_by_text("generator of worldnet").first.wait_for(timeout=60_000)
    photograph("generator-prior")
