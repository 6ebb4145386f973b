"""Units as a caller names them: found, or refused in a sentence that says what to do."""

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.network import class_name, class_scores, place_of, unit_of


@pytest.fixture(scope="module")
def net():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    return cx.Network(module, 8, labels=["red fox", "grey wolf", "dingo"], name="small")


def test_numbers_and_labels(net):
    assert [unit_of(net, net.scores, one) for one in (2, np.int64(1), "red fox")] == [2, 1, 0]
    assert [class_name(net, k) for k in range(3)] == net.labels
    assert class_name(cx.Network(net.module, 8), 1) == "class 1"


def test_what_is_no_unit_is_refused(net, refused):
    def wish(layer, unit):
        return lambda: unit_of(net, net.layers[layer], unit)

    last, first = net.scores.name, next(iter(net.layers))
    refused(cx.SettingError, wish(last, "gray wolf"), "'gray wolf'", "did you mean 'grey wolf'?")
    refused(cx.SettingError, wish(last, "fox"), "did you mean 'red fox'?")
    refused(cx.SettingError, wish(last, "cow"), "'cow'", "0 to 2", "'red fox'")
    refused(cx.SettingError, wish(first, "dingo"), first, "0 to 3", "last layer")
    for unit in (3, -1, True, 1.0, None):
        refused(cx.SettingError, wish(last, unit), repr(unit), "0 to 2")


def test_places(net, refused):
    layer = next(iter(net.layers.values()))
    assert place_of(layer, (5, 0)) == (5, 0)
    assert place_of(layer, torch.tensor([1, 2])) == (1, 2)
    for position in ((6, 0), (0, -1), 3, (1, 2, 3), "ab"):
        refused(cx.SettingError, lambda position=position: place_of(layer, position), "expected (row, column)")


def test_class_scores(net, refused):
    assert class_scores(net) is net.scores
    refused(cx.NetworkError, lambda: class_scores(cx.load("hog")), "ends in a map", "classifier")
    refused(cx.NetworkError, lambda: cx.complete(cx.load("hog"), np.zeros((9, 9, 3), np.uint8), (0, 0, 9, 9)), "map")
