"""Units as a caller names them: found, or refused in a sentence that says what to do."""

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.network import (
    class_score_layer,
    features_layer,
    last_map_layer,
    layer_with_map,
    resolve_position,
    resolve_unit,
    resolve_units,
    unit_name,
)


@pytest.fixture(scope="module")
def net():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    return cx.Network(module, size=8, labels=["red fox", "grey wolf", "dingo"], name="small")


def test_numbers_and_labels(net):
    assert [resolve_unit(net, net.scores, one) for one in (2, np.int64(1), "red fox")] == [2, 1, 0]
    assert resolve_unit(net, net.scores, torch.tensor(2)) == 2
    assert [unit_name(net, net.scores, k) for k in range(3)] == net.labels
    assert unit_name(cx.Network(net.module, size=8), net.scores, 1) == "unit 1"


def test_several_units(net):
    layer = net.layers["conv1"]
    assert resolve_units(net, layer) == [0, 1, 2, 3]
    for given in ([3, 1], (3, 1), np.array([3, 1]), torch.tensor([3, 1]), [np.int64(3), torch.tensor(1)]):
        assert resolve_units(net, layer, given) == [3, 1]
    assert resolve_units(net, layer, np.int8(2)) == resolve_units(net, layer, np.array(2)) == [2]
    assert resolve_units(net, layer, range(2)) == [0, 1]
    assert resolve_units(net, net.scores, ["dingo", 0]) == [2, 0]
    assert resolve_units(net, net.scores, "dingo") == [2]
    assert all(type(unit) is int for unit in resolve_units(net, layer, np.arange(3)))


def test_what_are_no_units_is_refused(net, refused):
    layer = net.layers["conv1"]
    for empty in ([], (), np.zeros(0, int), torch.zeros(0, dtype=torch.long)):
        refused(cx.SettingError, lambda empty=empty: resolve_units(net, layer, empty), "empty", "conv1")
    for array in (np.ones(4), torch.ones(4), np.ones((2, 2), int), np.array([True, False])):
        refused(cx.SettingError, lambda array=array: resolve_units(net, layer, array), "array", "integers")
    refused(cx.SettingError, lambda: resolve_units(net, layer, [1, 4]), "4", "conv1 has units 0 to 3")
    refused(cx.SettingError, lambda: resolve_units(net, layer, {1}), "conv1 has units 0 to 3")


def test_labels_belong_to_class_units_alone(refused):
    module = nn.Sequential(
        nn.Conv2d(3, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 36, 3), nn.ReLU(), nn.Linear(3, 3)
    )
    net = cx.Network(module, size=8, labels=["a", "b", "a"], name="small")
    sentence = refused(cx.SettingError, lambda: resolve_unit(net, net.layers["fc2"], "b"), "at fc2", "0 to 2")
    assert "'a' at fc3" in sentence
    assert unit_name(net, net.layers["fc2"], 1) == "unit 1"
    refused(cx.SettingError, lambda: resolve_unit(net, net.scores, "a"), "several classes", "0, 2")


def test_class_maps_carry_the_labels():
    module = nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Softmax(1))
    net = cx.Network(module, size=8, labels=["a", "b", "c"])
    assert [unit_name(net, layer, 1) for layer in net.layers.values()] == ["b"] * len(net.layers)
    assert resolve_unit(net, net.layers["conv1"], "c") == 2


def test_layers_by_what_they_have(net, refused):
    assert layer_with_map(net, "relu1", "a test") is net.layers["relu1"]
    refused(cx.LayerError, lambda: layer_with_map(net, net.scores.name, "a test"), "a test needs", "3 numbers")
    assert last_map_layer(net, net.scores, "a test") is net.layers["relu1"]
    assert last_map_layer(net, net.layers["relu1"], "a test") is net.layers["conv1"]
    refused(cx.LayerError, lambda: last_map_layer(net, net.layers["conv1"], "a test"), "a test needs", "before conv1")
    assert features_layer(net) is net.layers["relu1"]
    alone = cx.Network(nn.Conv2d(3, 4, 3), size=8)
    refused(cx.LayerError, lambda: features_layer(alone), "no layer before its class scores")


def test_what_is_no_unit_is_refused(net, refused):
    def wish(layer, unit):
        return lambda: resolve_unit(net, net.layers[layer], unit)

    last, first = net.scores.name, next(iter(net.layers))
    refused(cx.SettingError, wish(last, "gray wolf"), "'gray wolf'", "did you mean 'grey wolf'?")
    refused(cx.SettingError, wish(last, "fox"), "did you mean 'red fox'?")
    refused(cx.SettingError, wish(last, "cow"), "'cow'", "0 to 2", "'red fox'")
    refused(cx.SettingError, wish(first, "dingo"), first, "0 to 3", net.scores.name)
    for unit in (3, -1, True, 1.0, None):
        refused(cx.SettingError, wish(last, unit), repr(unit), "0 to 2")


def test_places(net, refused):
    layer = next(iter(net.layers.values()))
    assert resolve_position(layer, (5, 0)) == (5, 0)
    assert resolve_position(layer, torch.tensor([1, 2])) == (1, 2)
    for position in ((6, 0), (0, -1), 3, (1, 2, 3), "ab"):
        refused(cx.SettingError, lambda position=position: resolve_position(layer, position), "expected (row, column)")


def test_class_scores(net, refused):
    assert class_score_layer(net) is net.scores
    refused(cx.NetworkError, lambda: class_score_layer(cx.load("hog")), "ends in a map", "classifier")
    refused(cx.NetworkError, lambda: cx.complete(cx.load("hog"), np.zeros((9, 9, 3), np.uint8), (0, 0, 9, 9)), "map")
