"""Codes of images with windows replaced: the same as whole passes give, for every window, or whole passes are made."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import cnnexplore as cx
from cnnexplore.network import PatchedActivations, bottleneck_layers, window_grid

SIDE = 45
X = 100 * torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) - 50


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.a, self.b = nn.Conv2d(channels, channels, 3, 1, 1), nn.Conv2d(channels, channels, 5, 1, 2)

    def forward(self, x):
        return F.relu(self.a(x) + self.b(F.relu(self.a(x))) + x)


def build(parts, side=SIDE):
    torch.manual_seed(0)
    module = nn.Sequential(*parts).eval()
    module(torch.zeros(1, 3, side, side))  # lazy layers take their size
    return cx.Network(module, size=side, pixels=cx.Pixels("RGB", (0, 0, 0)))


NETS = {
    "plain": lambda: [
        nn.Conv2d(3, 4, 5, 2, 1),
        nn.ReLU(True),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Conv2d(4, 6, 3, 1, 1),
        nn.ReLU(True),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.LazyLinear(5),
    ],
    "blocks": lambda: [
        nn.Conv2d(3, 4, 7, 3, 3),
        nn.BatchNorm2d(4),
        Block(4),
        nn.MaxPool2d(2, 2),
        Block(4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
    ],
    "dilated": lambda: [
        nn.Conv2d(3, 4, 3, 1, 0),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, 2, 2, dilation=2),
        nn.LocalResponseNorm(3),
        nn.Conv2d(4, 5, 3, 1, 1),
    ],
    "reflecting": lambda: [
        nn.Conv2d(3, 4, 5, 1, 2, padding_mode="reflect"),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3),
    ],
    "seeing all": lambda: [nn.Conv2d(3, 4, 3, 2), nn.GroupNorm(2, 4), nn.ReLU(), nn.Conv2d(4, 5, 3)],
}


def collect(patched, places, patch):
    """What all windows give; a run that starts again replaces what came before."""
    found = {}
    for first, activations in patched.activations(places, patch):
        found = {} if first == 0 else found
        found.update({first + k: one for k, one in enumerate(activations)})
    return torch.stack([found[k] for k in range(len(places))])


@pytest.mark.parametrize("name", NETS)
@given(data=st.data())
def test_any_window_anywhere(name, data):
    net = build(NETS[name]())
    last = list(net.layers)[-1]
    layer = data.draw(st.sampled_from([last, *[n.name for n in bottleneck_layers(net, last)]]))
    window = data.draw(st.tuples(*[st.integers(1, SIDE)] * 2))
    places = data.draw(st.lists(st.tuples(*[st.integers(-3, SIDE - 1)] * 2), min_size=1, max_size=5))
    places = [tuple(max(p, 1 - w) for p, w in zip(place, window, strict=True)) for place in places]
    patched = PatchedActivations(net, X, layer, window, batch=3)
    patch = torch.randn(data.draw(st.sampled_from([1, len(places)])), 3, *data.draw(st.sampled_from([(1, 1), window])))
    found = collect(patched, places, 50 * patch)
    for k, (row, column) in enumerate(places):
        x = X.clone()
        full = 50 * patch[k if len(patch) > 1 else 0].expand(3, *window)
        for r in range(window[0]):
            for c in range(window[1]):
                if 0 <= row + r < SIDE and 0 <= column + c < SIDE:
                    x[0, :, row + r, column + c] = full[:, r, c]
        with torch.no_grad():
            expected = net.probe(layer)(net.feed(x))[net.layers[layer].name]
        assert torch.allclose(found[k], expected[0], rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_which_ones_are_spliced():
    assert PatchedActivations(build(NETS["plain"]()), X, "conv2", (4, 4)).exact
    assert PatchedActivations(build(NETS["blocks"]()), X, list(build(NETS["blocks"]()).layers)[-1], (4, 4)).exact
    normalised = PatchedActivations(build(NETS["seeing all"]()), X, "3", (4, 4))
    assert normalised.exact  # before the normalisation
    assert not normalised.is_local


def test_less_is_computed(monkeypatch):
    """The point of it: multiplications, counted."""
    from torch.utils.flop_counter import FlopCounterMode

    net = build([nn.Conv2d(3, 8, 5, 2), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 8, 3)], 96)
    x = torch.randn(1, 3, 96, 96)
    patched = PatchedActivations(net, x, "conv3", (8, 8))
    places = window_grid((96, 96), (8, 8), (6, 6))
    flops = {}
    for exact in (True, False):
        patched.exact = exact
        with FlopCounterMode(display=False) as counter:
            list(patched.activations(places, torch.zeros(1, 3, 1, 1)))
        flops[exact] = counter.get_total_flops()
    assert flops[True] < 0.15 * flops[False]


@given(st.tuples(*[st.integers(1, 60)] * 3))
def test_a_grid_covers_every_pixel(numbers):
    size, window, stride = numbers
    window, stride = min(window, size), min(stride, window)
    places = sorted({row for row, _ in window_grid((size, 5), (window, 5), (stride, 5))})
    covered = np.zeros(size, int)
    for row in places:
        covered[row : row + window] += 1
    assert covered.all()
    assert all(row < size for row in places)
    assert places == list(range(0, places[-1] + 1, stride))


def test_patches_are_in_units_of_x_with_uneven_pixels(uneven_pixels):
    net = uneven_pixels
    generator = torch.Generator().manual_seed(0)
    x, patch = (torch.randn(1, 3, side, side, generator=generator, dtype=torch.float64) * 60 for side in (12, 4))
    places = [(0, 0), (5, 3), (10, 10)]
    std = torch.tensor(net.pixels.std, dtype=torch.float64).view(1, -1, 1, 1)
    found = collect(PatchedActivations(net, x, "conv2", (4, 4)), places, patch)
    for one, (row, column) in zip(found, places, strict=True):
        covered = x.clone()
        covered[:, :, row : row + 4, column : column + 4] = patch[:, :, : 12 - row, : 12 - column]
        with torch.no_grad():
            expected = net.module[:3](covered / std)[0]
        torch.testing.assert_close(one, expected, rtol=1e-10, atol=1e-10)
