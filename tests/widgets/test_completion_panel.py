"""The completion panel without a browser: what is painted fills, and its code remakes it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from waiting import until

import cnnexplore as cx
from cnnexplore.widgets.live.selection import EACH_STYLE
from cnnexplore.widgets.views.mask_painter import TINT


@pytest.fixture(scope="module")
def net():
    return cx.load("worldnet", device="cpu")


@pytest.fixture
def panel(keep):
    return lambda *args, **settings: keep(cx.CompletionPanel(*args, **{"steps": 3, **settings}))


def remade(p, **names) -> np.ndarray:
    made = eval(p.to_python(), {"cx": cx, **names})
    return np.stack([one.picture for one in made]) if isinstance(made, list) else made.picture


@pytest.mark.slow
def test_the_mask_is_found_until_one_is_drawn(panel, net, on_cpu):
    p = panel(net)
    assert p.wait(60)
    scene = p.selection.image
    assert np.array_equal(p.runner.run.masked.mask, cx.salient_part(net, scene))
    assert "mask=" not in p.to_python()
    assert np.array_equal(remade(p), p.picture)
    run = p.runner.run
    assert p.original.caption == f"drag or paint the part to fill: {run.masked.update_mask.mean():.0%}"
    until(lambda: "→" in p.estimate.caption)
    made = eval(p.to_python(), {"cx": cx})
    assert p.estimate.caption == f"{run.class_name}, filled in: {made.before:.0%} → {made.after:.0%}"
    p.original.receive({"kind": "window", "window": [20, 30, 60, 80]})
    assert p.wait(60)
    mask = np.zeros((96, 96), bool)
    mask[20:60, 30:80] = True
    assert np.array_equal(p.runner.run.masked.mask, mask)
    assert np.array_equal(p.picture[~mask], scene[~mask])
    until(lambda: (p.painter.tinted != scene).any(2).sum() > 0)
    assert np.array_equal((p.painter.tinted != scene).any(2), mask)
    assert np.array_equal(remade(p), p.picture)
    p.painter.find.click()
    assert p.wait(60)
    assert "mask=" not in p.to_python()


def test_brush_and_eraser(panel, net, on_cpu):
    p = panel(net, mask=(10, 10, 40, 40))
    assert p.wait(60)
    p.painter.tool.value = "brush"
    assert not p.original.windows
    assert p.original.brush == round(12 * 96 / 100)
    p.original.receive({"kind": "stroke", "cells": [[70, 20], [70, 60]], "brush": 9, "erases": False})
    assert p.mask[70, 20:60].all()
    assert p.mask[10:40, 10:40].all()
    assert not p.mask[60].any()
    assert p.wait(60)
    p.painter.tool.value = "eraser"
    assert p.original.erases
    p.original.receive({"kind": "stroke", "cells": [[70, 40]], "brush": 9, "erases": True})
    assert not p.mask[70, 38:42].any()
    assert p.mask[70, 22]
    assert p.wait(60)
    assert np.array_equal(p.runner.run.masked.mask, p.mask)
    assert np.array_equal(remade(p), p.picture)
    p.painter.tool.value = "box"
    assert p.original.brush == 0


def test_everything_erased_is_told_and_the_last_picture_stays(panel, net, said, on_cpu):
    p = panel(net, mask=(10, 10, 40, 40))
    assert p.wait(60)
    before = p.picture
    p.original.receive({"kind": "stroke", "cells": [[20, 20], [60, 60]], "brush": 150, "erases": True})
    assert any("nothing is masked" in content.get("text", "") for content, _ in said)
    assert np.array_equal(p.picture, before)


@pytest.mark.slow
def test_class_style_and_seeds(panel, net, on_cpu):
    styles = [np.arange(256) % 2 == 0, cx.Pathway.ensemble(1)]
    p = panel(net, mask=(20, 20, 70, 70), target="church", styles=styles, seeds=2)
    assert p.wait(60)
    assert p.runner.run.class_name == "church"
    p.class_selector.style_box.value = EACH_STYLE
    assert p.wait(60)
    assert p.picture.shape[0] == 4
    assert p.estimate.columns == 2
    assert np.array_equal(remade(p), p.picture)
    p.fill.value = "noise"
    p.class_selector.class_box.value = None
    assert p.wait(60)
    until(lambda: p.runner.state == "finished" and "init='noise'" in p.to_python())
    assert np.array_equal(remade(p), p.picture)


def test_a_large_photograph_is_saved_whole(panel, net, said, on_cpu):
    photo = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    p = panel(net, photo, (40, 80, 160, 220), target=2)
    assert p.wait(60)
    until(lambda: p.runner.state == "finished")
    p.save_button.click()
    (saved,) = [buffers[0] for content, buffers in said if content["kind"] == "download"]
    picture = Image.open(io.BytesIO(saved))
    pixels, mask = np.asarray(picture), np.zeros((200, 300), bool)
    mask[40:160, 80:220] = True
    assert np.array_equal(pixels[~mask], photo[~mask])
    again = eval(picture.text["cnnexplore"], {"cx": cx, "image": photo})
    assert np.array_equal(again.picture, pixels)


def test_another_image_or_network_finds_its_own_mask(panel, net, on_cpu):
    p = panel(net, {"a": cx.scene(3).image, "b": cx.scene(4).image}, (5, 5, 50, 50))
    assert p.wait(60)
    p.selectors.image.value = "b"
    until(lambda: p.runner.run is not None and p.runner.state == "finished" and p.mask is None)
    assert np.array_equal(p.runner.run.masked.mask, cx.salient_part(net, cx.scene(4).image))
    p.selectors.network.value = "worldnet-robust"
    until(lambda: p.runner.run is not None and p.runner.run.net.name == "worldnet-robust")
    assert p.wait(60)
    assert tuple(TINT) != (0, 0, 0)


def test_what_is_wrong_is_refused_at_once(net, refused):
    scene = cx.scene(3).image
    refused(cx.SettingError, lambda: cx.CompletionPanel(net, scene, (0, 0, 200, 3)), "box")
    refused(cx.SettingError, lambda: cx.CompletionPanel(net, scene, target="cow"), "'cow'")
    refused(cx.SettingError, lambda: cx.CompletionPanel(net, scene, fill="grass"), "'grass'")
