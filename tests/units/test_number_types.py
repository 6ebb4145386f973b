"""Networks in half and double precision give the answers of single precision, to their rounding, as numpy arrays."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.decoding import compare, composition
from cnnexplore.styles.cone import score_weights

IMAGES = list(np.random.default_rng(0).integers(0, 256, (6, 24, 24, 3), dtype=np.uint8))
TYPES = [torch.bfloat16, torch.float16, torch.float64]


def network(dtype=torch.float32):
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 6, 5), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 10), nn.ReLU(), nn.Linear(10, 4),
    )  # fmt: skip
    module[1].running_var.fill_(3.0)
    return cx.Network(module.to(dtype), size=24, pixels=cx.Pixels("RGB", (), (60.0,) * 3), labels=list("abcd"))


SINGLE = network()

ARRAYS = {
    "top_patches": lambda net: cx.top_patches(net, "conv2", None, IMAGES, k=3, progress=False).values,
    "activation_maps": lambda net: cx.activation_maps(net, IMAGES[0], "conv2").maps,
    "filters": lambda net: cx.filters(net, "conv2").weights,
    "discrepancy_maps": lambda net: (
        cx.discrepancy_maps(net, IMAGES[0], "conv2", [0, 1], patch=5, positions=[(4, 4), (2, 3)], progress=False).values
    ),
    "neighbours": lambda net: cx.neighbours(net, IMAGES[0], "relu3", IMAGES, progress=False).layer_distances,
    "features": lambda net: np.asarray(cx.features(net, IMAGES, "relu3", cache=False, progress=False)),
    "decode": lambda net: cx.decode(net, "conv2", progress=False).filters,
    "decode_activation": lambda net: cx.decode_activation(net, "conv2", net.activations(IMAGES[0], "conv2")),
    "compare, network": lambda net: compare(net, "conv2", [0, 1], IMAGES[:2], progress=False).network,
    "compare, filters": lambda net: compare(net, "conv2", [0, 1], IMAGES[:2], progress=False).filters,
    "composition": lambda net: composition(net, "conv2", 3)[0].weights,
    "unit_segments": lambda net: cx.unit_segments(net, "conv2", 1, IMAGES, k=2, progress=False).responses,
    "score_weights": lambda net: score_weights(net, "relu3")[0],
}


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("name", ARRAYS)
def test_numbers_of_other_types(name, dtype):
    found, expected = ARRAYS[name](network(dtype)), ARRAYS[name](SINGLE)
    assert isinstance(found, np.ndarray)
    assert found.shape == expected.shape
    assert found.dtype.kind == "f"
    tolerance = 1e-3 if dtype == torch.float64 else 0.06 if dtype == torch.bfloat16 else 0.01
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_whole_functions_in_other_types(dtype):
    net = network(dtype)
    top = cx.top_patches(net, "conv2", [0, 1], IMAGES, k=3, progress=False)
    assert top.projections(0).dtype == np.uint8
    assert top.plot() is not None
    assert cx.neighbours(net, IMAGES[0], None, IMAGES, progress=False).plot() is not None
    field = cx.receptive_field(net, "conv2", 1, IMAGES, k=2, progress=False)
    assert np.isfinite(field.map).all()
    assert cx.unit_segments(net, "conv2", 1, IMAGES, k=2, field=field, progress=False).plot() is not None
    minimal = cx.minimal_image(net, IMAGES[0], segments=4, progress=False)
    assert np.isfinite(minimal.scores).all()
    assert net.predict(minimal.minimal, 1)[0][0] == minimal.label
    features = cx.features(net, IMAGES, cache=False, progress=False)
    topics = cx.topics(features, 2)
    assert np.isfinite(topics.components).all()
    assert np.isfinite(cx.retrieve(topics, IMAGES[0], k=2).similarity).all()
    assert cx.cone(features, pairs=3).share[1.0] == 1.0 or len(set(features.predicted)) == 1
    assert np.isfinite(cx.embed(features, steps=25, progress=False).points).all()


def test_half_precision_is_not_squared_in_half_precision():
    """Distances between activations whose squares float16 cannot hold."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 64), nn.Linear(64, 2))
    with torch.no_grad():
        module[1].weight.fill_(0.01)
        module[1].bias.zero_()
    images = [*np.random.default_rng(1).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8), np.zeros((8, 8, 3), "u1")]
    half = cx.Network(copy.deepcopy(module).half(), size=8)
    found = cx.neighbours(half, images[0], "fc1", images, progress=False)
    activations = half.activations(images, "fc1").double()
    expected = (activations - activations[:1]).norm(dim=1).sort().values.numpy()
    assert np.allclose(found.layer_distances, expected, rtol=1e-3)
    assert found.layer_distances.max() > 260
