"""Masks by name: what they select, what they refuse, and that inversion sees nothing else."""

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore import masks

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return cx.Network(
        nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 4, 3, 1, 1)),
        size=24,
        pixels=cx.Pixels("RGB", (120, 110, 100), (1.5, 0.7, 1.2)),
    )


def test_what_they_select():
    shape = (6, 7, 8)
    middle = masks.central(5)(shape)
    assert middle.shape == (1, 7, 8)
    assert middle.sum() == 25
    assert middle[0, 1:6, 1:6].all()
    assert np.array_equal(np.argwhere(masks.window(2, 3, 4, 4)(shape)[0]), [[2, 3], [3, 3]])
    assert np.flatnonzero(masks.channels(4, 1)(shape)).tolist() == [1, 4]
    assert np.flatnonzero(masks.groups(2, of=3)(shape)).tolist() == [2, 3]
    assert masks.groups(1)((6,)).tolist() == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    "mask", [masks.central(5), masks.window(1, 2, 4, 6), masks.channels(0, 3), masks.groups(2, of=2)], ids=repr
)
def test_only_what_is_selected_counts(net, mask):
    """Against the same array by hand, to the bit; and the code names the mask."""
    by_name = cx.invert(net, IMAGE, "conv2", mask=mask, steps=20, progress=False)
    shape = net.activations(IMAGE, "conv2").shape[1:]
    by_hand = cx.invert(net, IMAGE, "conv2", mask=mask(tuple(shape)), steps=20, progress=False)
    assert np.array_equal(by_name.picture, by_hand.picture)
    assert np.array_equal(eval(by_name.to_python(), {"cx": cx, "net": net, "image": IMAGE}).picture, by_name.picture)
    selected = np.broadcast_to(mask(tuple(shape)), tuple(shape)) > 0
    code, reference = (net.probe("conv2")(net.feed(x))["conv2"][0] for x in (by_name.x, net.pixels_of(IMAGE)))
    difference = (code - reference).detach().numpy()[selected]
    expected = np.linalg.norm(difference) / np.linalg.norm(reference.detach().numpy()[selected])
    assert by_name.error == pytest.approx(expected, rel=1e-4)


def test_what_does_not_fit_gets_a_sentence(net, refused):
    for mask, words in (
        (masks.central(13), ["central(size=13)", "12 x 12"]),
        (masks.central(0), ["central(size=0)", "1 to 12"]),
        (masks.window(0, 0, 13, 2), ["12 x 12"]),
        (masks.window(3, 3, 3, 5), ["inside"]),
        (masks.channels(4), ["channels(4)", "0 to 3"]),
        (masks.channels(), ["no channel was given"]),
        (masks.groups(3, of=2), ["from 1 to 2"]),
        (masks.groups(1, of=3), ["4 channels"]),
    ):
        refused(cx.SettingError, lambda mask=mask: cx.invert(net, IMAGE, "conv2", mask=mask), *words)
    flat = cx.Network(nn.Sequential(nn.Flatten(), nn.Linear(24 * 24 * 3, 5)), size=24)
    refused(cx.SettingError, lambda: cx.invert(flat, IMAGE, "fc1", mask=masks.central(1)), "no positions")
