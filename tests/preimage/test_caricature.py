"""Caricatures: from the image, by the paper's weights, towards more of its own code."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx

ROWS, COLUMNS = np.mgrid[:20, :20] / 3
IMAGE = np.stack([120 + 60 * np.sin(ROWS), 110 + 60 * np.cos(COLUMNS), 100 + 60 * np.sin(ROWS + COLUMNS)], -1)
IMAGE = IMAGE.astype(np.uint8)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return cx.Network(
        nn.Sequential(nn.Conv2d(3, 6, 5, 2, 2), nn.ReLU(), nn.Conv2d(6, 8, 3)),
        size=20,
        pixels=cx.Pixels("RGB", (120, 110, 100), (1.5, 0.7, 1.2)),
    )


def test_the_weights_are_the_papers(net):
    run = cx.Caricature(net, IMAGE, "conv2")
    code = net.activations(IMAGE, "conv2").double()
    positive = code.clamp_min(0)
    assert torch.allclose(run.loss.weights.double(), positive / positive.square().sum(), rtol=1e-5)
    # <Phi0, relu(Phi0)> / ||relu(Phi0)||^2: the image's own response is 1
    assert float(run.responses) == pytest.approx(1, rel=1e-4)
    assert run.first.C == 1


def test_it_starts_from_the_image(net):
    for jitter in (0, 4):
        run = cx.Caricature(net, IMAGE, "conv2", jitter=jitter)
        assert torch.equal(run.x, net.pixels_of(IMAGE))


def test_the_response_rises_and_the_code_remakes_it(net):
    run = cx.Caricature(net, IMAGE, "relu1", C=20, steps=30, jitter=2)
    for frame in run.frames():
        if frame.step == 10:
            run.settings.update(beta=1.5)
    result = run.result()
    assert result.response > 1.3
    assert math.isnan(result.error)
    again = eval(run.to_python(), {"cx": cx, "net": net, "image": IMAGE})
    assert np.array_equal(again.picture, result.picture)
    assert "caricature at relu1" in result.plot().axes[0].get_title()
    assert not np.array_equal(result.picture, IMAGE)


def test_a_list_of_images_runs_as_one_batch(net):
    images = [IMAGE, 255 - IMAGE]
    together = cx.caricature(net, images, "conv2", steps=8, progress=False)
    for image, result in zip(images, together, strict=True):
        alone = cx.caricature(net, image, "conv2", steps=8, progress=False)
        assert torch.allclose(result.x, alone.x, atol=0.05)


def test_what_is_wrong_gets_a_sentence(net, refused):
    refused(cx.LayerNotFound, lambda: cx.caricature(net, IMAGE, "conv9"), "conv9")
    refused(cx.SettingError, lambda: cx.caricature(net, IMAGE, "conv2", C=float("nan")), "C is nan")
    refused(cx.ImageError, lambda: cx.caricature(net, "nowhere.png", "conv2"), "nowhere.png")
    silent = cx.Network(nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU()), size=20)
    with torch.no_grad():
        silent.module[0].weight.zero_()
        silent.module[0].bias.fill_(-1)
    refused(cx.LayerError, lambda: cx.caricature(silent, IMAGE, "relu1"), "nothing", "positive")
