"""Bottleneck layers: with the activations of one held, the input does not matter."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cnnexplore as cx
from cnnexplore.network import bottleneck_layers

SIDE = 24


def net_of(*parts):
    torch.manual_seed(0)
    return cx.Network(nn.Sequential(*parts).eval(), size=SIDE, pixels=cx.Pixels("RGB", (0, 0, 0)))


class Body(nn.Module):
    """A module whose forward pass is given as a function of itself and x."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.body = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.body(self, x)


def conv(channels=4, kernel=3):
    return nn.Conv2d(channels, channels, kernel, 1, kernel // 2)


def first_block(**more):
    return {"a": conv(), "b": conv(kernel=5), **more}


def filled(self, x):
    """Written into memory that does not come from the input."""
    out = torch.empty_like(x)
    out[:, :2] = self.a(x)[:, :2]
    out[:, 2:] = self.b(x)[:, 2:]
    return self.end(out)


def through_a_view(self, x):
    y = self.a(x)
    y[:, 1:].add_(self.b(x)[:, 1:])
    return self.end(y)


def also_before_in_place(self, x):
    """The rectifier hands on its argument; what it returns is not all that is used."""
    y = self.a(x)
    z = self.r(y)
    return self.end(self.b(z) + y)


def no_gradient(self, x):
    with torch.no_grad():
        gate = self.b(x)
    return self.end(self.a(x) + gate)


# By name: a block, and which of its layers are on every path.
BLOCKS = {
    "identity shortcut": (lambda s, x: (s.a(x) + s.i(x)).relu(), first_block(i=nn.Identity()), {"relu()"}),
    "identity in a line": (lambda s, x: s.b(s.i(s.a(x))), first_block(i=nn.Identity()), {"a", "i", "b"}),
    "dropout shortcut": (lambda s, x: s.end(s.a(x) * s.d(x)), first_block(d=nn.Dropout(), end=conv()), {"end"}),
    "dropout in a line": (lambda s, x: s.b(s.d(s.a(x))), first_block(d=nn.Dropout2d()), {"a", "d", "b"}),
    "empty sequence": (lambda s, x: s.end(s.a(x) + s.e(x)), first_block(e=nn.Sequential(), end=conv()), {"end"}),
    "in place": (also_before_in_place, first_block(r=nn.ReLU(True), end=conv()), {"a", "end"}),
    "filled": (filled, first_block(end=conv()), {"end"}),
    "through a view": (through_a_view, first_block(end=conv()), {"end"}),
    "without a gradient": (no_gradient, first_block(end=conv()), {"end"}),
    "detached": (lambda s, x: s.end(s.a(x) + s.b(x).detach()), first_block(end=conv()), {"end"}),
    "a comparison": (lambda s, x: s.end(s.a(x) * (s.b(x) > 0)), first_block(end=conv()), {"end"}),
    "the largest": (lambda s, x: s.end(s.a(x).gather(1, s.b(x).argmax(1, True))), {"end": nn.Conv2d(1, 2, 1)}, {"end"}),
    "halves": (lambda s, x: s.end(torch.cat([s.h(x[:, :2]), x[:, 2:]], 1)), {"h": conv(2), "end": conv()}, {"end"}),
}  # fmt: skip


@pytest.mark.parametrize("name", BLOCKS)
def test_each_layer_found_determines_the_result_and_no_other_does(name):
    forward, parts, expected = BLOCKS[name]
    parts = first_block() | parts
    net = net_of(nn.Conv2d(3, 4, 3), Body(forward, **parts), conv(_channels(parts)))
    last = list(net.layers)[-1]
    found = [layer.path for layer in bottleneck_layers(net, last)]
    assert {p.removeprefix("1.") for p in found if p.startswith("1.")} == expected
    assert "0" in found
    for path in (layer.path for layer in net.layers.values() if layer.site[0] != "output"):
        assert determines(net, path, last) == (path in found), path


def _channels(parts):
    return parts["end"].out_channels if "end" in parts else 4


def determines(net, layer, last):
    """Whether the result is the same for any input when a layer's activations are replaced by fixed ones."""
    one, other = (net.feed(100 * torch.randn(1, 3, SIDE, SIDE, generator=torch.manual_seed(k))) for k in (1, 2))
    name, end = net.layers[layer].name, net.layers[last].name
    with torch.no_grad():
        kept = net.probe(layer)(one)[name]
        probe = net.probe(layer, last)
        a, b = (probe(x, {name: lambda activations: kept.clone()})[end] for x in (one, other))
    return torch.equal(a, b)


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.a, self.b = conv(channels), conv(channels, 5)

    def forward(self, x):
        return F.relu(self.a(x) + self.b(F.relu(self.a(x))) + x)


def test_blocks_in_a_row():
    net = net_of(
        nn.Conv2d(3, 4, 7, 3, 3),
        nn.BatchNorm2d(4),
        Block(4),
        nn.MaxPool2d(2, 2),
        Block(4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
    )
    found = [layer.path for layer in bottleneck_layers(net, list(net.layers)[-1])]
    assert found == ["0", "1", "2.relu():2", "3", "4.relu():2", "5", "6", "7"]


def test_a_layer_that_does_not_depend_on_the_input_is_none():
    constant = Body(
        lambda s, x: s.end(torch.ones(1, 4, 8, 8)) + s.a(x).mean((1, 2, 3), True), **first_block(end=conv())
    )
    net = net_of(nn.Conv2d(3, 4, 3), constant, conv())
    assert "1.end" not in [layer.path for layer in bottleneck_layers(net, list(net.layers)[-1])]
