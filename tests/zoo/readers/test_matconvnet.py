"""MatConvNet's .mat files: the network computes what MatConvNet's manual defines, layer by layer."""

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st
from matfiles import (
    cell,
    conv,
    extent,
    meta,
    normalize,
    pool,
    row,
    softmax,
    write_dagnn,
    write_simplenn,
)
from scipy.io import savemat
from torch import nn

import cnnexplore as cx

RNG = np.random.default_rng(5)


def numbers(*shape, scale=1.0):
    return (RNG.standard_normal(shape) * scale).astype(np.float32)


def run(net, x):
    """The output of the loaded module for a map H x W x C, in the same order."""
    with torch.no_grad():
        y = net.module(torch.from_numpy(x.transpose(2, 0, 1)[None].copy()))
    return y.reshape(*y.shape[:2], *(y.shape[2:] or (1, 1)))[0].numpy().transpose(1, 2, 0)


def check(path, x, expected, tolerance=1e-5):
    net = cx.load(path, device="cpu")
    found = run(net, x)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    last = list(net.layers.values())[-1]
    assert (*last.size, last.channels) == expected.shape
    return net


# one layer of each kind

ones = st.integers(1, 3)
pads4 = st.tuples(*[st.integers(0, 2)] * 4)


@given(
    size=st.tuples(st.integers(3, 7), st.integers(3, 7)), kernel=st.tuples(ones, ones), stride=st.tuples(ones, ones),
    pads=pads4, dilate=st.tuples(st.integers(1, 2), st.integers(1, 2)), groups=st.sampled_from([1, 3]),
    count=st.sampled_from([3, 6]), old=st.booleans(),
)  # fmt: skip
@example((3, 3), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1, 3, False)  # as large as the map, but it slides
@example((3, 3), (3, 3), (1, 1), (0, 0, 0, 0), (1, 1), 3, 6, False)  # as large as the map, but in groups
@example((3, 3), (3, 3), (2, 2), (0, 0, 0, 0), (1, 1), 1, 3, False)
def test_convolution(tmp_path_factory, size, kernel, stride, pads, dilate, groups, count, old):
    window = [d * (k - 1) + 1 for d, k in zip(dilate, kernel, strict=True)]
    assume(min(extent(size, window, pads, stride)) > 0)
    x, f, b = numbers(*size, 3), numbers(*kernel, 3 // groups, count), numbers(count)
    layer = {"type": "conv", "name": "conv1", "weights": [f, b[None]], "stride": row(*stride), "pad": row(*pads)}
    layer["dilate"] = row(*dilate)
    path = write_simplenn(tmp_path_factory.mktemp("m") / "a.mat", [layer], meta((*size, 3)), old)
    check(path, x, conv(x, f, b, stride, pads, dilate))


@given(
    size=st.tuples(st.integers(3, 8), st.integers(3, 8)), window=st.tuples(ones, ones), stride=st.tuples(ones, ones),
    pads=pads4, method=st.sampled_from(["max", "avg"]), shift=st.sampled_from([-5.0, 0.0, 5.0]),
)  # fmt: skip
@example((4, 4), (3, 3), (3, 3), (0, 1, 0, 1), "max", 0.0)  # less than it takes to round up
@example((4, 7), (3, 3), (2, 2), (0, 1, 0, 1), "avg", 0.0)
@example((6, 6), (3, 3), (2, 2), (0, 1, 0, 0), "max", -5.0)
@example((6, 6), (3, 2), (2, 2), (2, 2, 1, 1), "avg", 5.0)
def test_pooling(tmp_path_factory, size, window, stride, pads, method, shift):
    pads = tuple(min(p, window[k // 2] - 1) for k, p in enumerate(pads))
    assume(min(extent(size, window, pads, stride)) > 0)
    x = numbers(*size, 3) + np.float32(shift)
    layer = {"type": "pool", "name": "pool1", "pool": row(*window), "stride": row(*stride), "pad": row(*pads),
             "method": method}  # fmt: skip
    path = write_simplenn(tmp_path_factory.mktemp("m") / "a.mat", [layer], meta((*size, 3)))
    net = check(path, x, pool(x, window, stride, pads, method))
    bigger = numbers(size[0] + 3, size[1] + 4, 3)  # right for any canvas, not only the file's
    np.testing.assert_allclose(run(net, bigger), pool(bigger, window, stride, pads, method), rtol=1e-5, atol=1e-5)


@given(
    n=st.integers(1, 9), kappa=st.sampled_from([1.0, 2.0]), alpha=st.floats(0.01, 1), beta=st.sampled_from([0.5, 0.75])
)
def test_normalisation(tmp_path_factory, n, kappa, alpha, beta):
    x, f = numbers(3, 4, 3), numbers(1, 1, 3, 7)
    layers = [
        {"type": "conv", "name": "conv1", "weights": [f, np.zeros((1, 7))]},
        {"type": "normalize" if n % 2 else "lrn", "name": "norm1", "param": row(n, kappa, alpha, beta)},
    ]
    path = write_simplenn(tmp_path_factory.mktemp("m") / "a.mat", layers, meta((3, 4, 3)))
    check(path, x, normalize(conv(x, f, np.zeros(7)), n, kappa, alpha, beta))


def test_the_odd_poolings_are_torchs_own_where_they_are_the_same(tmp_path):
    kinds = {(0, 1, 0, 1): nn.MaxPool2d, (1, 1, 1, 1): nn.MaxPool2d, (0, 0, 0, 0): nn.MaxPool2d}
    for k, (pads, kind) in enumerate(kinds.items()):
        layer = {"type": "pool", "name": "pool1", "pool": row(3, 3), "stride": row(2), "pad": row(*pads)}
        net = cx.load(write_simplenn(tmp_path / f"{k}.mat", [layer], meta((8, 8, 3))), device="cpu")
        assert type(net.module.pool1) is kind
    layer["pad"] = row(0, 2, 1, 0)
    net = cx.load(write_simplenn(tmp_path / "odd.mat", [layer], meta((8, 8, 3))), device="cpu")
    assert type(net.module.pool1) is not nn.MaxPool2d
    assert net.layers["pool1"].rf_offset == (1, 0)


# whole chains


def chain(f1, b1, f2, b2, f3, b3):
    return [
        {"type": "conv", "name": "conv1", "weights": [f1, b1], "stride": 2.0, "pad": row(1, 0, 0, 1)},
        {"type": "relu", "name": "relu1"},
        {"type": "normalize", "name": "norm1", "param": row(5, 2, 1e-2, 0.75)},
        {"type": "pool", "name": "pool1", "method": "max", "pool": row(3, 3), "stride": row(2), "pad": row(0, 1, 0, 1)},
        {"type": "conv", "name": "fc6", "weights": [f2, b2]},
        {"type": "relu", "name": "relu6"},
        {"type": "dropout", "name": "drop6", "rate": 0.5},
        {"type": "conv", "name": "fc7", "weights": [f3, b3], "stride": row(1, 1), "pad": 0.0},
        {"type": "softmax", "name": "prob"},
    ]  # fmt: skip


@pytest.fixture
def small():
    """(weights, image, what comes out) of a network of 13 x 13 x 3 with two groups."""
    weights = [
        numbers(3, 3, 3, 4),
        numbers(1, 4),
        numbers(3, 3, 4, 5),
        numbers(1, 5),
        numbers(1, 1, 5, 2),
        numbers(2, 1),
    ]
    x = numbers(13, 13, 3)
    f1, b1, f2, b2, f3, b3 = weights
    a = normalize(np.maximum(conv(x, f1, b1.ravel(), (2, 2), (1, 0, 0, 1)), 0), 5, 2, 1e-2, 0.75)
    a = pool(a, (3, 3), (2, 2), (0, 1, 0, 1))
    assert a.shape == (3, 3, 4)
    a = np.maximum(conv(a, f2, b2.ravel()), 0)
    return weights, x, softmax(conv(a, f3, b3.ravel()))


@pytest.mark.parametrize("old", [False, True])
def test_a_simplenn_network(tmp_path, small, old):
    weights, x, expected = small
    mean = numbers(13, 13, 3) + np.float32([120, 110, 100])
    path = write_simplenn(tmp_path / "mine.mat", chain(*weights), meta((13, 13, 3), mean, ("cat, feline", "dog")), old)
    net = check(path, x, expected)
    assert type(net.module) is nn.Sequential
    assert list(net.layers) == ["conv1", "relu1", "norm1", "pool1", "flatten", "fc6", "relu6", "drop6", "fc7", "prob"]
    assert (net.name, net.labels, net.size) == ("mine", ["cat, feline", "dog"], (13, 13))
    assert net.pixels.order == "RGB"
    assert net.pixels.mean == pytest.approx(mean.mean((0, 1)), rel=1e-5)
    assert not net.module.training
    assert net.to_python() == f"cx.load({str(path)!r})"
    picture = RNG.integers(0, 255, (20, 20, 3), np.uint8)
    assert net.activations(picture, "fc6").shape == (1, 5)
    assert net.activations(picture, "fc7").shape == (1, 2)
    (first, p), (second, q) = net.predict(picture)
    assert {first, second} == {"cat, feline", "dog"}
    assert p + q == pytest.approx(1, abs=1e-5)


def test_filters_are_not_flipped_and_rows_are_rows(tmp_path):
    f = np.zeros((2, 3, 3, 1), np.float32)
    f[1, 0, 2, 0] = 1  # the pixel below, of the third channel
    layer = {"type": "conv", "name": "conv1", "weights": [f, np.zeros((1, 1))]}
    x = np.arange(4 * 5 * 3, dtype=np.float32).reshape(4, 5, 3)
    net = cx.load(write_simplenn(tmp_path / "a.mat", [layer], meta((4, 5, 3))), device="cpu")
    assert np.array_equal(run(net, x)[..., 0], x[1:, :3, 2])


def test_means_labels_and_grey(tmp_path):
    layer = {"type": "conv", "name": "conv1", "weights": [numbers(2, 2, 3, 2), numbers(2)]}

    def load(about):
        return cx.load(write_simplenn(tmp_path / "a.mat", [layer], about), device="cpu")

    for mean in (row(120, 110, 100), row(120, 110, 100).T, np.reshape([120, 110, 100], (1, 1, 3))):
        assert load(meta((5, 5, 3), mean)).pixels.mean == (120, 110, 100)
    for mean in (None, row(0, 0), np.zeros((0, 0))):  # Caffe's importer writes [0 0] for none
        assert load(meta((5, 5, 3), mean)).pixels.mean == (0, 0, 0)
    assert load(meta((5, 5))).pixels.order == "RGB"  # the filters know
    assert load(meta((5, 5, 3, 10))).size == (5, 5)
    assert load(meta((5, 5, 3), classes=("a", "b", "c"))).labels == []  # not one per output
    layer["weights"][0] = numbers(2, 2, 1, 2)
    assert load(meta((5, 6, 1), numbers(5, 6) + 30)).pixels.order == "grey"
    assert load({"inputSize": row(28, 28, 1)}).size == (28, 28)


def test_a_training_network(tmp_path):
    """Layers without names, a loss at the end, one output: MATLAB drops ones at the end of a shape."""
    layers = [
        {"type": "conv", "weights": [numbers(3, 3), numbers(1, 1)]},
        {"type": "bnorm", "weights": [numbers(1, 1), numbers(1, 1), row(0.5, 2)]},
        {"type": "relu", "leak": 0.1},
        {"type": "sigmoid"},
        {"type": "conv", "weights": [numbers(1, 1, 1, 2), np.zeros((0, 0))]},
        {"type": "bnorm", "weights": [numbers(2, 1), numbers(1, 2), np.float32([[0.1, 0.5], [-0.2, 2]])]},
        {"type": "softmaxloss", "class": row(1)},
    ]
    x = numbers(5, 5, 1)
    f, b = layers[0]["weights"]
    g, shift, _ = layers[1]["weights"]
    a = (conv(x, f.reshape(3, 3, 1, 1), b.ravel()) - 0.5) / 2 * g + shift
    a = conv(1 / (1 + np.exp(-np.where(a > 0, a, 0.1 * a))), layers[4]["weights"][0], np.zeros(2))
    g, shift, moments = layers[5]["weights"]
    a = (a - moments[:, 0]) / moments[:, 1] * g.ravel() + shift.ravel()
    net = check(write_simplenn(tmp_path / "a.mat", layers, meta((5, 5, 1))), x, softmax(a))
    assert list(net.layers) == ["conv1", "bn1", "relu1", "sigmoid1", "conv2", "bn2", "prob"]
    assert net.layers["layer1"].name == "conv1"


# graphs


def graph_layers(f1, b1, f2, f3, b3):
    conv_block = {"size": row(3, 3, 3, 4), "hasBias": True, "pad": row(1, 1, 1, 1), "stride": row(1, 1), "opts": cell()}
    plain = {
        "size": row(1, 1, 4, 4),
        "hasBias": False,
        "pad": row(0, 0, 0, 0),
        "stride": row(1, 1),
        "dilate": row(1, 1),
    }
    params = {"c1f": f1, "c1b": b1, "c2f": f2, "c3f": f3, "c3b": b3}
    layers = [
        ("prob", "SoftMax", ["score"], ["prediction"], [], None),  # written first, run last
        ("conv1", "Conv", ["data"], ["x1"], ["c1f", "c1b"], conv_block),
        ("relu1", "ReLU", ["x1"], ["x2"], [], {"leak": 0.0, "opts": cell()}),
        ("branch", "Conv", ["x2"], ["x3"], ["c2f"], plain),
        ("mixed.sum", "Sum", ["x2", "x3"], ["x4"], [], {"numInputs": 2.0}),
        ("both", "Concat", ["x4", "x2"], ["x5"], [], {"dim": 3.0, "numInputs": 2.0}),
        ("norm", "LRN", ["x5"], ["x6"], [], {"param": row(4, 1, 0.1, 0.75)}),
        ("pool", "Pooling", ["x6"], ["x7"], [],
         {"method": "avg", "poolSize": row(3, 3), "pad": row(1, 0, 0, 1), "stride": row(2, 2)}),
        ("fc", "Conv", ["x7"], ["score"], ["c3f", "c3b"], {"size": row(3, 3, 8, 3), "pad": row(0, 0, 0, 0)}),
        ("loss", "Loss", ["prediction", "label"], ["objective"], [], {"loss": "log"}),
    ]  # fmt: skip
    return layers, params


@pytest.mark.parametrize("name", [None, "net"])
def test_a_dagnn_network(tmp_path, name):
    f1, b1, f2 = numbers(3, 3, 3, 4), numbers(4, 1), numbers(1, 1, 4, 4)
    f3, b3 = numbers(3, 3, 8, 3), numbers(3, 1)
    layers, params = graph_layers(f1, b1, f2, f3, b3)
    about = meta((6, 6, 3), row(1, 2, 3), ("a", "b", "c"))
    path = write_dagnn(tmp_path / "dag.mat", layers, params, about, name)
    x = numbers(6, 6, 3)
    x2 = np.maximum(conv(x, f1, b1.ravel(), pads=(1, 1, 1, 1)), 0)
    x4 = x2 + conv(x2, f2, np.zeros(4))
    x6 = normalize(np.concatenate([x4, x2], 2), 4, 1, 0.1, 0.75)
    x7 = pool(x6, (3, 3), (2, 2), (1, 0, 0, 1), "avg")
    assert x7.shape == (3, 3, 8)
    net = check(path, x, softmax(conv(x7, f3, b3.ravel())))
    assert list(net.layers) == [
        "conv1", "relu1", "branch", "mixed_sum", "both", "norm", "pool", "flatten", "fc", "prob",
    ]  # fmt: skip
    assert net.labels == ["a", "b", "c"]
    assert net.layers["both"].channels == 8
    assert net.layers["fc"].rf_size == (9, 9)
    activation = net.activations(np.zeros((6, 6, 3), np.uint8), ["mixed_sum", "fc"])
    assert activation["mixed_sum"].shape == (1, 4, 6, 6)
    assert activation["fc"].shape == (1, 3)
    assert len(net.predict(np.zeros((6, 6, 3), np.uint8))) == 3


def test_a_dagnn_chain_is_a_sequential(tmp_path):
    layers, params = graph_layers(numbers(3, 3, 3, 4), numbers(4, 1), 0, 0, 0)
    net = cx.load(write_dagnn(tmp_path / "a.mat", layers[1:3], params, meta((6, 6, 3))), device="cpu")
    assert type(net.module) is nn.Sequential
    assert list(net.layers) == ["conv1", "relu1"]


def test_what_is_beside_a_fully_connected_layer(tmp_path):
    """A pooled map is added to fc's activation, and the sum is normalised as a map of one position."""
    f, b, g = numbers(5, 5, 3, 3), numbers(3, 1), numbers(1, 1, 3, 2)
    layers = [
        ("aside", "Sigmoid", ["a"], ["unused"], [], None),
        ("fc", "Conv", ["image"], ["a"], ["f", "b"], {"pad": row(0, 0, 0, 0)}),
        ("pool", "Pooling", ["image"], ["b"], [], {"method": "max", "poolSize": row(5, 5)}),
        ("sum", "Sum", ["a", "b"], ["c"], [], None),
        ("entry", "LRN", ["c"], ["d"], [], {"param": row(2, 1, 0.5, 0.75)}),
        ("last.fc", "Conv", ["d"], ["e"], ["g"], {"hasBias": False}),
        ("beside", "Sigmoid", ["a"], ["unused too"], [], None),
    ]
    path = write_dagnn(tmp_path / "a.mat", layers, {"f": f, "b": b, "g": g}, meta((5, 5, 3)))
    x = numbers(5, 5, 3)
    c = conv(x, f, b.ravel()) + pool(x, (5, 5))
    net = check(path, x, conv(normalize(c, 2, 1, 0.5, 0.75), g, np.zeros(2)))
    shapes = {name: net.activations(np.zeros((5, 5, 3), np.uint8), name).shape for name in ("fc", "sum", "last_fc")}
    assert shapes == {"fc": (1, 3), "sum": (1, 3), "last_fc": (1, 2)}
    assert "entry_" in net.layers  # a module has something called entry
    assert not {"aside", "beside"} & set(net.layers)


def test_gradients_reach_the_image(tmp_path, small):
    path = write_simplenn(tmp_path / "a.mat", chain(*small[0]), meta((13, 13, 3)))
    result = cx.invert(cx.load(path, device="cpu"), RNG.integers(0, 255, (13, 13, 3), np.uint8), "pool1", steps=5)
    assert np.isfinite(result.error)


def test_reading_leaves_torchs_randomness_alone(tmp_path, small):
    path = write_simplenn(tmp_path / "a.mat", chain(*small[0]), meta((13, 13, 3)))
    before = torch.get_rng_state()
    cx.load(path, device="cpu")
    assert torch.equal(torch.get_rng_state(), before)


# what is refused


@pytest.fixture
def sentence(tmp_path, refused):
    """The error message for a simplenn of one layer, with changes."""

    def sentence(layer, *words, about=None):
        base = {"type": "conv", "name": "conv1", "weights": [numbers(3, 3, 3, 4), numbers(1, 4)]}
        chosen = {k: v for k, v in (base | layer).items() if v is not None}
        path = write_simplenn(tmp_path / "bad.mat", [chosen], about or meta((8, 8, 3)))
        return refused(cx.WeightsError, lambda: cx.load(path), "bad.mat", *words)

    return sentence


def test_wrong_layers(sentence):
    name = "layer 'conv1'"
    nan = numbers(3, 3, 3, 4)
    nan[1, 1, 1, 1] = np.nan
    sentence({"weights": [nan, numbers(4)]}, name, "filters", "not finite")
    sentence({"weights": [numbers(3, 3, 3, 4), np.float32([0, 1, np.inf, 0])]}, name, "biases", "not finite")
    sentence({"weights": [numbers(3, 3, 3, 4), numbers(1, 5)]}, name, "(1, 5)", "4 values")
    sentence({"weights": [numbers(3, 3, 2, 4), numbers(4)]}, name, "(3, 3, 2, 4)", "3 channels")
    sentence({"weights": [numbers(3, 3, 1, 4), numbers(4)]}, name, "(3, 3, 1, 4)", "groups")
    sentence({"weights": [numbers(9, 9, 3, 4), numbers(4)]}, name, "9 x 9", "8 x 8")
    sentence({"weights": [numbers(1, 3, 3, 3, 4), numbers(4)]}, name, "H x W x C x K")
    sentence({"weights": ["text", numbers(4)]}, name, "real numbers")
    sentence({"weights": [np.ones((3, 3, 3, 4)) * 1j, numbers(4)]}, name, "real numbers")
    sentence({"weights": None}, name, "no filters")
    sentence({"pad": row(1, 2, 3)}, name, "pad is [1 2 3]", "4 whole numbers")
    sentence({"pad": row(-1)}, name, "pad", "from 0")
    sentence({"pad": row(1e9)}, name, "pad")
    sentence({"stride": row(0)}, name, "stride", "from 1")
    sentence({"stride": row(1.5)}, name, "stride is [1.5 1.5]")
    sentence({"stride": "two"}, name, "stride", "numbers")
    sentence({"type": "roipool"}, name, "'roipool'", "softmax")
    sentence({"type": None}, name, "no type")
    sentence({"type": "pool"}, name, "pool")
    sentence({"type": "pool", "pool": row(2), "pad": row(0, 2, 0, 0)}, name, "pad", "2 x 2")
    sentence({"type": "pool", "pool": row(2), "method": "min"}, name, "'min'")
    sentence({"type": "lrn", "param": row(5, 1)}, name, "[n kappa alpha beta]")
    sentence({"type": "lrn", "param": row(5, -1, 1, 1)}, name, "param")
    sentence({"type": "dropout", "rate": row(2)}, name, "rate")
    sentence({"type": "relu", "leak": row(2, 1)}, name, "leak")
    sentence({"type": "bnorm", "weights": [numbers(3), numbers(3)]}, name, "moments")
    sentence({"type": "bnorm", "weights": [numbers(3), numbers(3), np.zeros((3, 2))]}, name, "spread")


def test_wrong_meta(sentence):
    for size in ((0, 8, 3), (8, 8, 2000), (8.5, 8, 3), (1e6, 8, 3), (np.nan, 8, 3), (8,)):
        sentence({}, "imageSize", "[rows columns channels]", about=meta(size))
    sentence({}, "imageSize is missing", about={"normalization": {"keepAspect": 1.0}})
    sentence({}, "averageImage", "(8, 8, 4)", about=meta((8, 8, 3), np.ones((8, 8, 4))))
    sentence({}, "averageImage", "not finite", about=meta((8, 8, 3), row(1, np.nan, 3)))


def test_wrong_graphs(tmp_path, refused):
    layers, params = graph_layers(*(numbers(*s) for s in ((3, 3, 3, 4), (4, 1), (1, 1, 4, 4), (3, 3, 8, 3), (3, 1))))

    def refuse(changed, *words):
        path = write_dagnn(tmp_path / "bad.mat", changed, params, meta((6, 6, 3)))
        refused(cx.WeightsError, lambda: cx.load(path), "bad.mat", *words)

    def without(name, k, value):
        return [(*t[:k], value, *t[k + 1 :]) if t[0] == name else t for t in layers]

    refuse(without("branch", 4, ["nowhere"]), "'branch'", "'nowhere'")
    refuse(without("relu1", 2, ["x4"]), "circle")
    refuse(without("branch", 2, ["elsewhere"]), "'elsewhere'", "one image")
    refuse(without("branch", 3, ["x2"]), "same variable")
    refuse(without("branch", 3, []), "0 outputs")
    refuse(without("mixed.sum", 2, ["x2", "data"]), "'mixed.sum'", "(4, 6, 6)", "(3, 6, 6)")
    refuse(without("both", 5, {"dim": 1.0}), "'both'", "dim is [1.0]")
    refuse(without("both", 2, ["x4", "x7"]), "circle")
    refuse(without("branch", 1, "ConvTranspose"), "'branch'", "'convtranspose'")
    refuse([layers[-1]], "losses")


def test_files_that_are_something_else(tmp_path, small, refused):
    def refuse(path, *words):
        return refused(cx.WeightsError, lambda: cx.load(path), *words)

    refuse(tmp_path / "none.mat", "no weights file")
    path = write_simplenn(tmp_path / "a.mat", chain(*small[0]), meta((13, 13, 3)))
    whole = path.read_bytes()
    for length in (0, 10, 128, 140, 1000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        refuse(path, "a.mat")
    path.write_text("no network here " * 50)
    refuse(path, "not a whole .mat file")
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(600))
    refuse(path, "a.mat")
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    path.write_bytes(header.ljust(512, b"\0") + b"\x89HDF\r\n\x1a\n" + bytes(600))
    refuse(path, "7.3", "-v7")
    for content in ({"x": row(1)}, {"layers": row(1, 2)}, {"layers": cell()}, {"layers": cell("a", "b")}, {"net": "x"}):
        savemat(path, content)
        refuse(path, "no MatConvNet network", "'layers'")
