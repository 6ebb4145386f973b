"""The canvas of a unit: on a smaller image units respond as in the network, or the image is the network's input."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cnnexplore as cx
from cnnexplore.network import as_maps
from cnnexplore.preimage.unit_canvas import field_canvas, unit_canvas

SIDE = 64
PIXELS = cx.Pixels("RGB", (123.675, 116.28, 103.53), (58.4, 57.1, 57.4))


class Body(nn.Module):
    def __init__(self, forward, *parts):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 5, 3, 1, 1)
        self.parts, self.body = nn.ModuleList(parts), forward

    def forward(self, x):
        return self.last(self.body(self, self.first(x).relu()))


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(6, 3, 1), nn.Conv2d(3, 6, 1)

    def forward(self, x):
        return x * self.up(self.down(F.adaptive_avg_pool2d(x, 1)).relu()).sigmoid()


class Places(nn.Module):
    def __init__(self):
        super().__init__()
        self.where = nn.Parameter(torch.randn(1, 6, SIDE // 2, SIDE // 2))

    def forward(self, x):
        return x + self.where


class Resized(nn.Module):
    """An embedding of positions that is fitted to any size."""

    def __init__(self):
        super().__init__()
        self.where = nn.Parameter(torch.randn(1, 6, 4, 4))

    def forward(self, x):
        return x + F.interpolate(self.where, size=x.shape[2:], mode="bilinear")


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(6, 6, 3, 1, 1), nn.Conv2d(6, 6, 3, 1, 1), nn.Conv2d(12, 6, 3, 1, 1)
        self.up = nn.ConvTranspose2d(6, 6, 2, 2)

    def forward(self, x):
        return self.c(torch.cat([self.a(x), self.up(self.b(F.max_pool2d(x, 2)))], 1))


class OneSize(nn.Module):
    def forward(self, x):
        assert x.shape[2] == SIDE // 2, "Wrong image height!"
        return x


class Brightest(nn.Module):
    def forward(self, x):
        return x - x.amax((2, 3), keepdim=True)


def through(*parts):
    return lambda: Body(lambda s, x: nn.Sequential(*s.parts)(x), *[part() for part in parts])


WHOLE = {
    "gate": through(Gate),
    "instance norm": through(lambda: nn.InstanceNorm2d(6)),
    "group norm": through(lambda: nn.GroupNorm(3, 6)),
    "brightest": through(Brightest),
    "positions": through(Places),
    "resized positions": through(Resized),
    "one size": through(OneSize),
    "pooled and enlarged": lambda: Body(lambda s, x: x + F.interpolate(F.adaptive_avg_pool2d(x, 2), x.shape[2:])),
    "roll": lambda: Body(lambda s, x: x.roll((5, 3), (2, 3))),
    "flip": lambda: Body(lambda s, x: x.flip(2)),
}
SMALL = {
    "plain": through(lambda: nn.Conv2d(6, 6, 5, 2, 2), nn.ReLU, lambda: nn.MaxPool2d(2)),
    "even kernels": through(lambda: nn.Conv2d(6, 6, 4, 2, 1), nn.ReLU, lambda: nn.AvgPool2d(2, 1)),
    "dilated": through(lambda: nn.Conv2d(6, 6, 3, 1, 2, dilation=2)),
    "padded by more": through(lambda: nn.Conv2d(6, 6, 3, 1, 2), lambda: nn.MaxPool2d(3, 2, 1)),
    "batch norm": through(lambda: nn.BatchNorm2d(6), lambda: nn.LocalResponseNorm(3)),
}


def network(make, size=SIDE):
    torch.manual_seed(0)
    return cx.Network(make().eval(), size=size, pixels=PIXELS)


@pytest.mark.parametrize("size", [SIDE, (61, 75)])
@pytest.mark.parametrize("name", SMALL)
def test_units_respond_on_the_canvas_as_in_the_network(name, size):
    """Each unit of each layer: its field lies inside, and what surrounds the canvas changes nothing (in float64)."""
    net = network(SMALL[name], size)
    double = copy.deepcopy(net.module).double()
    wide = cx.Network(double, size=size, pixels=PIXELS)
    small = 0
    for layer in list(net.layers.values())[:-1]:
        canvas, (row, column) = unit_canvas(net, layer)
        if canvas == net.size:
            continue
        small += 1
        box = layer.rf_box(row, column)
        half = [(side - 1) / 2 for side in layer.rf_size]
        centre = [layer.rf_offset[a] + layer.rf_stride[a] * (row, column)[a] for a in (0, 1)]
        for a in (0, 1):
            assert centre[a] - half[a] >= -1e-6, (layer.name, box)
            assert centre[a] + half[a] <= canvas[a] - 1 + 1e-6, (layer.name, box)
        cells = [(net.size[a] - canvas[a]) // int(layer.rf_stride[a]) // 2 for a in (0, 1)]
        top, left = (int(n * layer.rf_stride[a]) for a, n in enumerate(cells))
        image = torch.randn(1, 3, *net.size, dtype=torch.float64, generator=torch.manual_seed(1))
        part = image[:, :, top : top + canvas[0], left : left + canvas[1]]
        probe = wide.probe(layer.name)
        with torch.no_grad():
            here = as_maps(probe(part)[layer.name], layer)[0, :, row, column]
            there = as_maps(probe(image)[layer.name], layer)[0, :, row + cells[0], column + cells[1]]
        torch.testing.assert_close(here, there, rtol=1e-9, atol=1e-9)
    assert small


@pytest.mark.parametrize("name", WHOLE)
def test_where_a_smaller_image_would_change_the_response_it_is_the_whole_input(name):
    net = network(WHOLE[name])
    last = net.layers[list(net.layers)[-1]]
    size, position = unit_canvas(net, last)
    assert size == net.size
    assert all(abs(position[a] - (last.size[a] - 1) / 2) <= 6 for a in (0, 1))
    run = cx.Maximization(net, last.name, 2, steps=1, M=1)
    assert run.size == net.size
    assert cx.maximize(net, last.name, 2, steps=2, M=1, progress=False).picture.shape == (SIDE, SIDE, 3)
    assert unit_canvas(net, net.layers["conv1"])[0] < net.size or name in ("one size", "positions")


def test_a_layer_that_is_no_sliding_window_is_found_in_half_precision_too():
    net = network(lambda: WHOLE["gate"]().bfloat16())
    assert unit_canvas(net, net.layers[list(net.layers)[-1]])[0] == net.size
    plain = network(lambda: SMALL["plain"]().bfloat16())
    assert unit_canvas(plain, plain.layers["conv1"])[0] != plain.size


def test_down_and_up_again():
    net = network(through(UNet))
    for layer in net.layers.values():
        size, (row, column) = unit_canvas(net, layer)
        result = cx.maximize(net, layer.name, 0, steps=1, M=1, progress=False)
        assert result.picture.shape[:2] == size
        assert 0 <= row < layer.size[0] or size != net.size
        assert column >= 0


def test_a_transformer_of_one_size():
    vision = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    net = cx.Network(vision.VisionTransformer(32, 8, 1, 2, 16, 32, num_classes=5).eval(), size=32)
    for layer in net.layers:
        if net.layers[layer].layout.image is not None:
            cx.maximize(net, layer, 0, steps=1, M=1, progress=False)
    assert unit_canvas(net, net.layers["conv1"])[0] == net.size


@pytest.mark.parametrize("name", ["alexnet", "resnet18"])
def test_the_field_of_public_architectures_is_not_cut(name):
    """With the padding of torchvision's the field left the former canvas by up to three pixels."""
    vision = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    net = cx.Network(getattr(vision, name)(weights=None).eval(), size=160)
    early = [layer for layer in net.layers.values() if layer.has_map and max(layer.rf_size) < 60]
    assert len(early) >= 5
    for layer in early[:: max(len(early) // 4, 1)]:
        size, (row, _) = unit_canvas(net, layer)
        assert field_canvas(layer, net.size)[0] <= size[0] < net.size[0]
        centre = layer.rf_offset[0] + layer.rf_stride[0] * row
        assert centre - (layer.rf_size[0] - 1) / 2 >= 0
        assert centre + (layer.rf_size[0] - 1) / 2 <= size[0] - 1
