"""Which units changed: against the correlation of all activations at once, and against dissection."""

import csv

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx

SIDE = 16
IMAGES = [
    (image, k % 3)
    for k, image in enumerate(np.random.default_rng(0).integers(0, 256, (10, SIDE, SIDE, 3), dtype=np.uint8))
]


def network(seed, offset=0.0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Conv2d(3, 6, 5))
    with torch.no_grad():
        module[0].bias += offset
    return cx.Network(module, size=SIDE, name=f"seed {seed}")


@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_the_change_is_one_minus_the_correlation(offset):
    before, after = network(0, offset), network(1)
    with torch.no_grad():
        after.module[0].weight[0] = 3 * before.module[0].weight[0]  # the same, three times as strong
        after.module[0].weight[1] = -before.module[0].weight[1]
        after.module[0].weight[2] = 0
    found = cx.unit_changes(before, after, "conv1", IMAGES, batch=3, progress=False)
    maps = [torch.cat([net.activations(image, "conv1") for image, _ in IMAGES]) for net in (before, after)]
    a, b = (one.double().transpose(0, 1).flatten(1).numpy() for one in maps)
    expected = [0, 2, 1, *(1 - np.corrcoef(a[unit], b[unit])[0, 1] for unit in range(3, 6))]
    assert found.change == pytest.approx(expected, abs=1e-3 if offset else 1e-6)
    assert found.movers[0] == 1
    assert found.movers == np.argsort(-found.change, kind="stable").tolist()
    assert found.top_after.units == found.movers


def test_words_are_classes_without_concepts_and_the_matrix_counts_them(tmp_path):
    before, after = network(0), network(1)
    found = cx.unit_changes(before, after, "conv1", IMAGES, progress=False)
    for words, net in ((found.words_before, before), (found.words_after, after)):
        through = cx.evolution([net], "conv1", list(range(6)), IMAGES, filters=False, progress=False)
        assert words == [f"class {k}" for k in through.preferred[0]]
    assert found.kind == "class"
    assert found.matrix.sum() == 6
    for row, first in enumerate(found.words):
        for column, second in enumerate(found.words):
            pairs = zip(found.words_before, found.words_after, strict=True)
            assert found.matrix[row, column] == sum(pair == (first, second) for pair in pairs)
    assert np.trace(found.matrix) == (~found.changed).sum()
    found.save(tmp_path / "a.csv")
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert [row["class after"] for row in rows] == found.words_after
    assert found.picture.shape[2] == 3


def test_words_are_concepts_with_a_data_set_of_them():
    scenes = cx.world.dataset(12, 1)
    before, after = cx.load("worldnet@100", device="cpu"), cx.load("worldnet", device="cpu")
    found = cx.unit_changes(before, after, "conv4", scenes, concepts=scenes, k=1, progress=False)
    assert found.kind == "concept"
    dissected = cx.dissect(after, "conv4", scenes, k=1, progress=False, cache=False)
    expected = [word.name if word.iou > 0.04 else "none" for word in dissected.words]
    assert found.words_after == expected
    assert found.scores_after == pytest.approx([word.iou for word in dissected.words])
    through = cx.evolution({"then": before, "now": after}, "conv4", [0, 5], scenes, concepts=scenes, progress=False)
    assert through.words[1] == [dissected.words[unit].name for unit in (0, 5)]
    assert through.describe(1, 1).endswith(f"{through.words[1][1]} {through.scores[1, 1]:.2f}")


def test_a_network_is_like_itself_and_others_are_refused(refused):
    net = network(0)
    same = cx.unit_changes(net, net, "conv1", IMAGES, progress=False)
    assert same.change == pytest.approx(0, abs=1e-9)
    assert not same.changed.any()
    other = cx.Network(nn.Conv2d(3, 7, 5), size=SIDE)
    refused(cx.NetworkError, lambda: cx.unit_changes(net, other, "conv1", IMAGES, progress=False), "two states of one")
