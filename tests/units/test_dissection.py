"""Network dissection against a slow literal one, on random and hand-made networks, layouts and masks."""

import numpy as np
import pytest
import torch
from literal_dissection import literal_dissection
from torch import nn

import cnnexplore as cx
from cnnexplore.network import as_maps
from cnnexplore.units import dissect

SIZE = (20, 24)


class Blots:
    """Images of noise with random masks: overlapping, whole, empty, of several categories."""

    def __init__(self, n, seed=0, size=SIZE):
        random = np.random.default_rng(seed)
        self.pairs = []
        for k in range(n):
            image = random.integers(0, 256, (*size, 3), np.uint8)
            masks = {}
            for name in ("object/car", "object/dog", "part/car/wheel", "part/leg", "colour/red", "material/wood"):
                if random.random() < 0.6:
                    masks[name] = random.random(size) < random.random()
            if k % 3 == 0:
                masks["scene/street"] = True
            if k % 4 == 1:
                masks["colour/none"] = np.zeros(size, bool)
            self.pairs.append((image, masks))

    def __len__(self):
        return len(self.pairs)

    def concepts(self, index):
        return self.pairs[index]


def small(relu=True, seed=0, channels_last=False):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = nn.Sequential(
            nn.Conv2d(3, 5, 3, padding=1), nn.ReLU() if relu else nn.Identity(), nn.MaxPool2d(2),
            nn.Conv2d(5, 7, 3, stride=2), nn.ReLU() if relu else nn.Identity(),
        )  # fmt: skip
    return cx.Network(module, size=SIZE, name="small")


def literal(net, layer, data, quantile):
    images = [data.concepts(k)[0] for k in range(len(data))]
    where = net.layers[layer]
    maps = as_maps(net.activations(images, where.name), where).numpy()
    centres = [where.centres(axis) for axis in (0, 1)]
    order = [np.argsort(one, kind="stable") for one in centres]
    maps = maps[:, :, order[0]][:, :, :, order[1]]
    centres = [one[k] for one, k in zip(centres, order, strict=True)]
    return literal_dissection(maps, centres, net.size, [data.concepts(k)[1] for k in range(len(data))], quantile)


def check(found, expected):
    thresholds, rows = expected
    assert np.array_equal(found.thresholds, thresholds.astype(np.float32))
    seen = {concept for (_, concept), row in rows.items() if row[2]}
    assert found.concepts == sorted(seen)
    for (unit, concept), (intersection, activation, truth, iou) in rows.items():
        if concept in seen:
            k = found.concepts.index(concept)
            category = found.categories.index(concept.split("/")[0])
            counts = found.intersection[unit, k], found.activation[unit, category], found.truth[k]
            assert counts == (intersection, activation, truth)
            assert found.iou[unit, k] == pytest.approx(iou, abs=1e-6)


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("quantile", [0.005, 0.05, 0.3])
def test_counts_and_thresholds_equal_a_literal_dissection(relu, quantile):
    net, data = small(relu), Blots(13)
    for found in dissect(net, list(net.layers), data, quantile=quantile, batch=3,
                         cache=False, progress=False):  # fmt: skip
        check(found, literal(net, found.layer.name, data, quantile))
