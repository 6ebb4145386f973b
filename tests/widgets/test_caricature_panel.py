"""The caricature panel without a browser."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn
from waiting import until

import cnnexplore as cx


@pytest.fixture
def panel(keep):
    return lambda *args, **settings: keep(cx.CaricaturePanel(*args, **settings))


def test_it_starts_from_the_image_and_makes_its_code_stronger(panel, said):
    p = panel("lenet", layer="conv2", C=1000, steps=40, start=False)
    until(lambda: p.runner.run is not None)
    assert np.array_equal(p.picture, p.runner.run.net.picture(p.runner.run.net.pixels_of(cx.digit(2))))
    p.start()
    assert p.wait(60)
    assert float(p.runner.run.responses) > 1.05
    begun = next(content for content, _ in said if content.get("reset"))
    assert (begun["metric"], begun["unit"]) == ("response", " × its own")
    points = np.concatenate([np.frombuffer(b[0], np.float32) for c, b in said if c["kind"] == "trace" and b])
    step, weighted, priors, response = points.reshape(-1, 4).T
    assert np.array_equal(np.unique(step), np.arange(1, 41))
    assert np.allclose(weighted, p.settings.C * response, rtol=1e-4)
    assert (priors > 0).all()


def test_the_code_remakes_the_picture(panel):
    p = panel("lenet", layer="conv2", steps=15)
    assert p.wait(60)
    assert p.to_python().startswith("cx.caricature(cx.load('lenet'), cx.digit(2), 'conv2', C=10,")
    assert np.array_equal(eval(p.to_python(), {"cx": cx}).picture, p.picture)


def test_what_is_wrong_is_refused_or_told(panel, said, refused):
    refused(cx.LayerNotFound, lambda: cx.CaricaturePanel("lenet", layer="conv9"), "conv9")
    refused(cx.SettingError, lambda: cx.CaricaturePanel("lenet", C=-1), "C is -1")
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3))
    nn.init.zeros_(module[0].weight)
    nn.init.constant_(module[0].bias, -1.0)  # no activation is positive, whatever the image
    p = panel(cx.Network(module, size=28, pixels=cx.load("lenet").pixels), cx.digit(2), "conv1")
    until(lambda: p.runner.state == "failed")
    assert any("nothing can be exaggerated" in content.get("text", "") for content, _ in said)
