"""Inversions and class pictures against the truth: learned against optimised, and by the eyes of another network."""

from functools import partial

import numpy as np
import pytest
import torch
from judge import judge as other_network

import cnnexplore as cx
from cnnexplore.errors import NetworkError, SettingError
from cnnexplore.evaluation import image_error, measure_inversions, ranks_of, recognition


@pytest.fixture(scope="module")
def net():
    return cx.load("worldnet")


@pytest.fixture(scope="module")
def scenes():
    found = cx.world.dataset(3, cx.world.HELD_OUT_SEED)
    return [found.scene(k).image for k in range(3)]


def test_the_image_error_is_what_it_says(net, scenes):
    class Found:
        def __init__(self, x):
            self.x = x

    x = net.pixels_of(scenes[0])
    mean = torch.tensor(net.pixels.mean).view(1, 3, 1, 1)
    assert image_error(net, scenes[0], Found(x)) == 0
    assert image_error(net, scenes[0], Found(0 * x)) == pytest.approx(1)
    assert image_error(net, scenes[0], Found(-x)) == pytest.approx(
        float((torch.maximum(torch.minimum(-x, 255 - mean), -mean) - x).norm() / x.norm()), rel=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["pool5", "relu6"])
def test_of_deep_layers_the_learned_image_is_nearer(net, scenes, layer):
    """Learned inversion wins in pixels and in time, optimisation in activations."""
    learned = partial(cx.invert, layer=layer, method="learned")
    optimised = partial(cx.invert, layer=layer, steps=100, refine=20, progress=False)
    learned(net, scenes[0])  # the file is read once
    found = measure_inversions(net, {"learned": learned, "optimised": optimised}, scenes)
    mean = {name: values.mean(0) for name, values in found.items()}
    assert mean["learned"][0] < mean["optimised"][0]
    assert mean["optimised"][1] < mean["learned"][1]
    assert mean["learned"][2] < mean["optimised"][2] / 5


def test_inversions_in_the_score_card(net):
    methods = {"learned": partial(cx.invert, layer="pool5", method="learned")}
    card = cx.score(net, inversions=methods, n=2, progress=False)
    row = card["inversions"]["learned"]
    assert 0 < row["image error"] < 1
    assert 0 < row["activation error"] < 1
    with pytest.raises(SettingError, match="'mine' returned a ndarray"):
        cx.score(net, inversions={"mine": lambda net, image: np.zeros(3)}, n=1, progress=False)
    with pytest.raises(SettingError, match="the inversion 'mine' failed"):
        cx.score(net, inversions={"mine": lambda net, image: 1 / 0}, n=1, progress=False)


def test_ranks_are_places_of_the_true_class(net, scenes):
    labels = [cx.world.dataset(3, cx.world.HELD_OUT_SEED).scene(k).name for k in range(3)]
    ranks = ranks_of(net, scenes, labels)
    for scene, label, rank in zip(scenes, labels, ranks, strict=True):
        assert [name for name, _ in net.predict(scene, k=10)][rank - 1] == label
    with pytest.raises(NetworkError, match="has no class 'zebra'"):
        ranks_of(net, scenes[:1], ["zebra"])
    with pytest.raises(NetworkError, match="have no class in common"):
        recognition(net, cx.load("lenet"), {})


def test_the_judge_knows_the_world():
    """It is another architecture, small, and right about scenes that it has not seen."""
    judge = other_network()
    scenes = cx.world.dataset(60, cx.world.HELD_OUT_SEED + 1)
    right = np.mean([judge.predict(scenes[k][0], k=1)[0][0] == scenes.names[scenes.labels[k]] for k in range(60)])
    assert right > 0.8
    assert not any(layer.kind in ("ResponseNorm", "MaxPool2d") for layer in judge.layers.values())


@pytest.mark.slow
def test_another_network_recognises_pictures_of_the_generator(net):
    """Top-1 over the ten classes: the generator's pictures well above those of plain maximisation."""

    def plain(net, label, seed):
        return cx.maximize(net, "fc8", label, seed=seed, steps=100, progress=False)

    def generator(net, label, seed):
        return cx.maximize(net, "fc8", label, prior="generator", seed=seed, steps=100, progress=False)

    found = recognition(net, other_network(), {"plain": plain, "generator": generator})
    top1 = found.top(1)
    assert top1["generator"] >= top1["plain"] + 0.2
    assert str(found).splitlines()[0].startswith("recognised by judge")
    assert found.plot().axes[0].get_title() == net.labels[0]
