"""The training of worldnet-styles on a few scenes: it learns styles, and its file predicts classes."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors import safe_open

import cnnexplore as cx
from cnnexplore import world
from cnnexplore.zoo.training import worldnet
from cnnexplore.zoo.training import worldnet_styles as styled


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(worldnet, "BATCH", 8)
    real = worldnet.accuracy
    monkeypatch.setattr(worldnet, "accuracy", lambda module, n, workers=None: real(module, 24, workers=workers))


def test_every_style_has_a_number():
    scenes = world.dataset(200, 3, 16)
    found = styled.Styled(scenes)
    assert len(found) == 200
    names = [(c, s) for c in world.CLASSES for s in range(len(world.STYLES[c]))]
    assert len(names) == sum(styled.COUNTS) == 31
    for k in range(0, 200, 7):
        image, number = found[k]
        assert names[number] == (world.CLASSES[scenes.labels[k]], scenes.styles[k])
        assert torch.equal(image, scenes[k][0])
    assert set(found.numbers.tolist()) == set(range(31))
    part = world.dataset(40, 3, 16, ["boat", "fish"])
    names_of_part = [("boat", "fish")[label] for label in part.labels]
    assert [names[k] for k in styled.Styled(part).numbers] == list(zip(names_of_part, part.styles, strict=True))


def test_later_parts_are_half_of_hard_classes(small):
    (first, second, third) = ([*styled.batches_of(5, part, 3, 0)(2)] for part in range(3))
    again = [*styled.batches_of(5, 1, 3, 0)(2)]
    names = np.repeat(world.CLASSES, styled.COUNTS)
    assert [len(numbers) for _, numbers in first + second + third] == [8] * 9
    for (images, numbers), (same, _) in zip(second, again, strict=True):
        assert torch.equal(images, same)
        assert set(names[numbers[4:]]) == {"fish"}
    assert {names[k] for _, numbers in third for k in numbers[4:].tolist()} == {"car", "fish"}
    assert len({names[k] for _, numbers in second for k in numbers[:4].tolist()}) > 3
    assert not torch.equal(first[0][0], second[0][0])


def test_a_classs_score_is_the_mean_of_its_styles():
    activations, weights = (
        torch.rand(5, 7),
        {"fc8.weight": torch.rand(31, 7), "fc8.bias": torch.rand(31), "fc7.bias": torch.ones(2)},
    )
    scores = activations @ weights["fc8.weight"].T + weights["fc8.bias"]
    merged = styled.by_class(weights)
    assert merged["fc7.bias"] is weights["fc7.bias"]
    found = (activations @ merged["fc8.weight"].T + merged["fc8.bias"]).numpy()
    first = np.cumsum([0, *styled.COUNTS])
    expected = np.stack([scores[:, a:b].mean(1).numpy() for a, b in pairwise(first)], 1)
    assert np.allclose(found, expected, atol=1e-5)


@pytest.mark.slow
def test_it_starts_from_worldnet_and_its_file_describes_itself(small, tmp_path):
    scores = [styled.train(tmp_path / f"{k}.safetensors", epochs=1, steps=2, seed=1, workers=0) for k in range(2)]
    net = cx.load(tmp_path / "0.safetensors", device="cpu")
    assert net.labels == list(world.CLASSES)
    assert net.layers["fc8"].channels == 10
    with safe_open(tmp_path / "0.safetensors", "pt") as one, safe_open(tmp_path / "1.safetensors", "pt") as other:
        assert "cnnexplore train worldnet --styles" in one.metadata()["source"]
        assert f"{scores[0]:.4f}" in one.metadata()["source"]
        assert scores[0] == scores[1]
        for name in one.keys():  # noqa: SIM118
            assert torch.equal(one.get_tensor(name), other.get_tensor(name))
    start = cx.load("worldnet", device="cpu").module
    for name in ("conv3", "conv4"):  # the first layers are made small, and soon are others
        own, other = (one.get_submodule(name).weight.flatten(1) for one in (net.module, start))
        assert torch.nn.functional.cosine_similarity(own, other).min() > 0.5
