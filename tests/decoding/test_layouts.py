"""Units of channels-last maps, of tokens and of sequences: decoded, measured and compared as those of plain maps."""

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.decoding import compare, composition

SIZE, C = 24, 6
IMAGES = list(np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE, 3), dtype=np.uint8))


class Plain(nn.Module):
    """A 1 x 1 convolution on a map; the other modules compute the same in other layouts."""

    channels = 10

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.up, self.fc = nn.Conv2d(3, C, 4, 4), nn.Linear(C, self.channels), nn.Linear(self.channels, 3)

    def mixed(self, x):
        w = self.up.weight[:, :, None, None]
        return nn.functional.conv2d(x, w, self.up.bias)

    def forward(self, x):
        return self.fc(self.mixed(self.stem(x)).relu().mean((2, 3)))


class ChannelsLast(Plain):
    """6 rows, 6 columns and 6 channels: sizes tell nothing."""

    def forward(self, x):
        return self.fc(self.up(self.stem(x).permute(0, 2, 3, 1)).relu().mean((1, 2)))


class Tokens(Plain):
    def forward(self, x):
        return self.fc(self.up(self.stem(x).flatten(2).transpose(1, 2)).relu().mean(1))


class WithAClassToken(Plain):
    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, C))

    def forward(self, x):
        tokens = self.stem(x).flatten(2).transpose(1, 2)
        return self.fc(self.up(torch.cat([self.token.expand(len(x), -1, -1), tokens], 1)).relu()[:, 1:].mean(1))


class SequenceFirst(Plain):
    def forward(self, x):
        return self.fc(self.up(self.stem(x).flatten(2).permute(2, 0, 1)).relu().mean(0))


class WeightsFirst(Plain):
    """The matrix of weights times the map."""

    def mixed(self, x):
        return (self.up.weight @ x.flatten(2) + self.up.bias[:, None]).unflatten(2, x.shape[2:])


class OneMatrixForEachImage(Plain):
    """A linear layer as PyTorch computes it for some layouts: a batch of products with the weights repeated."""

    def mixed(self, x):
        weights = self.up.weight.T.expand(len(x), -1, -1)
        return torch.baddbmm(self.up.bias, x.flatten(2).mT, weights).mT.unflatten(2, x.shape[2:])


class SixWide(ChannelsLast):
    channels = 6


class SixWidePlain(Plain):
    channels = 6


PAIRS = [
    (ChannelsLast, Plain),
    (Tokens, Plain),
    (WithAClassToken, Plain),
    (SequenceFirst, Plain),
    (SixWide, SixWidePlain),
]


@pytest.fixture(scope="module", params=PAIRS, ids=lambda pair: pair[0].__name__)
def pair(request):
    """A network, the name of its layer of products, and the plain network and its layer."""
    nets = [cx.Network(one(), size=SIZE) for one in request.param]
    names = [
        next(n for n, layer in net.layers.items() if layer.kind in kinds)
        for net, kinds in zip(nets, (("Linear",), ("conv2d",)), strict=True)
    ]
    return nets[0], names[0], nets[1], names[1]


def test_the_layer_is_found_to_be_a_map(pair):
    net, name, plain, other = pair
    assert net.layers[name].size == plain.layers[other].size == (6, 6)
    assert net.layers[name].channels == plain.layers[other].channels


def test_decoded_filters(pair):
    net, name, plain, other = pair
    found, expected = cx.decode(net, name, [0, 4], progress=False), cx.decode(plain, other, [0, 4], progress=False)
    top, left, bottom, right = (a - b for a, b in zip(expected.box, found.box[:2] * 2, strict=True))
    assert np.allclose(found.filters[..., top : bottom + 1, left : right + 1], expected.filters, atol=1e-6)
    assert np.isclose(np.abs(found.filters).sum(), np.abs(expected.filters).sum(), rtol=1e-5)  # and nothing elsewhere


def test_decoded_activations(pair):
    net, name, plain, other = pair
    found = cx.decode_activation(net, name, net.activations(IMAGES[:2], name))
    expected = cx.decode_activation(plain, other, plain.activations(IMAGES[:2], other))
    bias = 0.0
    if "Token" in type(net.module).__name__ and net.layers[name].layout.tokens == 37:
        bias = 1e-4  # the class token is decoded to nothing
    assert np.allclose(found, expected, atol=1e-3 + bias * np.abs(expected).max())


def test_composition(pair):
    net, name, plain, other = pair
    (found,), (expected,) = composition(net, name, 4), composition(plain, other, 4)
    assert found.layer == net.layers[found.layer].name
    assert [unit for unit, _ in found.strongest(3)] == [unit for unit, _ in expected.strongest(3)]
    assert np.allclose([v for _, v in found.strongest()], [v for _, v in expected.strongest()], atol=1e-6)


def test_responses_beside_those_of_filters(pair):
    net, name, plain, other = pair
    found, expected = (
        compare(n, layer, [1, 4], IMAGES[:2], progress=False) for n, layer in ((net, name), (plain, other))
    )
    assert np.allclose(found.network, expected.network, atol=1e-4)
    assert np.allclose(found.filters, expected.filters, atol=1e-3)


def test_top_patches_maps_fields_and_segments(pair):
    net, name, plain, other = pair
    found, expected = (
        cx.top_patches(n, layer, None, IMAGES, k=3, progress=False) for n, layer in ((net, name), (plain, other))
    )
    assert np.allclose(found.values, expected.values, atol=1e-4)
    assert np.array_equal(found.indices, expected.indices)
    assert np.array_equal(found.positions, expected.positions)
    assert np.array_equal(found.patches(4), expected.patches(4))
    assert np.abs(found.projections(4).astype(int) - expected.projections(4)).max() <= 1
    maps = [cx.activation_maps(n, IMAGES[0], layer).maps for n, layer in ((net, name), (plain, other))]
    assert np.allclose(*maps, atol=1e-4)
    options = {"patch": 4, "stride": 4, "positions": [(1, 2), (3, 5)], "progress": False}
    changes = [
        cx.discrepancy_maps(n, IMAGES[0], layer, [0, 4], **options) for n, layer in ((net, name), (plain, other))
    ]
    assert np.allclose(changes[0].values, changes[1].values, atol=1e-3)
    masks = [
        cx.unit_segments(n, layer, 4, IMAGES, k=2, progress=False).masks for n, layer in ((net, name), (plain, other))
    ]
    assert np.array_equal(*masks)


def test_features_hold_all_numbers_of_an_image(pair):
    net, name, *_ = pair
    found = cx.features(net, IMAGES, name, cache=False, dtype="float32", progress=False)
    with torch.no_grad():
        kept = {}
        hook = net.module.up.register_forward_hook(lambda part, args, out: kept.update(out=out.clone()))
        net.module(net.feed(net.pixels_of(IMAGES)))
        hook.remove()
    whole = kept["out"].movedim(1, 0) if isinstance(net.module, SequenceFirst) else kept["out"]
    assert np.allclose(np.asarray(found), whole.reshape(5, -1).numpy(), atol=1e-4)


def test_neighbours_are_of_the_image(pair):
    net, name, plain, other = pair
    found, expected = (
        cx.neighbours(n, IMAGES[2], layer, IMAGES, progress=False) for n, layer in ((net, name), (plain, other))
    )
    assert np.array_equal(found.in_layer, expected.in_layer)
    assert np.allclose(found.layer_distances, expected.layer_distances, rtol=1e-4, atol=1e-3)


def _relu(net):
    return next(name for name, layer in net.layers.items() if layer.kind == "relu")


@pytest.mark.parametrize("module", [WeightsFirst, OneMatrixForEachImage], ids=lambda one: one.__name__)
def test_products_of_other_forms_are_decoded_as_a_convolution(module):
    net, plain = (cx.Network(one(), size=SIZE) for one in (module, Plain))
    found, expected = (cx.decode(n, _relu(n), [0, 4], progress=False) for n in (net, plain))
    a, b = (np.zeros((2, 3, SIZE, SIZE)) for _ in range(2))
    for canvas, one in ((a, found), (b, expected)):
        top, left, bottom, right = one.box
        canvas[..., top : bottom + 1, left : right + 1] = one.filters
    assert np.abs(b).max() > 1e-3
    assert np.allclose(a, b, atol=1e-6)
    (below,), (other,) = (composition(n, _relu(n), 4) for n in (net, plain))
    assert below.layer == other.layer
    assert np.allclose(below.weights.sum((1, 2)), other.weights.sum((1, 2)), atol=1e-6)
