"""The score card: methods whose score is known score that, and what is wrong gets a sentence."""

import csv
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore import world
from cnnexplore.evaluation import facet_groups, measures


@pytest.fixture(scope="module")
def net():
    """A network that knows the world's classes and nothing else."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 46 * 46, 10))
    return cx.Network(module, size=96, labels=world.CLASSES)


@pytest.fixture(scope="module")
def truth():
    scenes = world.dataset(12, world.HELD_OUT_SEED)
    return {scenes.scene(k).image.tobytes(): scenes.scene(k) for k in range(12)}


def test_the_truth_itself_scores_one_and_chance_scores_the_area(net, truth):
    card = cx.score(net, {"truth": lambda net, image, target: truth[image.tobytes()].mask.astype(float)}, n=12)
    assert card["attributions"]["truth"] == {"pointing game": 1, "mass in mask": 1, "average precision": 1}
    area = np.mean([scene.mask.mean() for scene in truth.values()])
    assert card["attributions"]["a random map"]["mass in mask"] == pytest.approx(area, abs=0.02)
    assert card["attributions"]["a random map"]["average precision"] == pytest.approx(area, abs=0.04)
    assert f"{area:.1%}" in card[0].note
    assert "truth" in repr(card)
    assert "<table>" in card._repr_html_()


def test_a_method_is_told_the_true_class_and_may_give_an_attribution(net, truth):
    asked = []

    class Attribution:
        map = np.random.RandomState(0).rand(96, 96)

    def method(net, image, target):
        asked.append(net.labels[target] == truth[image.tobytes()].name)
        return Attribution()

    cx.score(net, {"mine": method}, n=12)
    assert asked == [True] * 12


def test_the_gradient_is_by_the_pixel_value(uneven_pixels):
    """What a card scores without a method of its own: the derivative by pixel value, whatever the std."""
    net = uneven_pixels
    image = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    x = net.pixels_of(image).double().requires_grad_()
    std = torch.tensor(net.pixels.std, dtype=torch.float64).view(1, -1, 1, 1)
    net.module(x / std)[0, 2].backward()
    expected = x.grad[0].abs().amax(0).numpy()
    mask = np.zeros((12, 12), bool)
    mask[3:9, 2:7] = True
    truth = [(image, 2, mask)]
    rows = cx.score(net, {"here": partial(cx.attribute, method="gradient")}, truth=truth, progress=False)[
        "attributions"
    ]
    assert rows["here"]["mass in mask"] == pytest.approx(expected[mask].sum() / expected.sum(), rel=1e-6)
    np.testing.assert_allclose(cx.attribute(net, image, 2).map, expected, rtol=1e-6)


def test_the_gradient_is_that_of_the_score_before_the_softmax():
    torch.manual_seed(0)
    weights = nn.Linear(3 * 8 * 8, 10)
    plain = cx.Network(nn.Sequential(nn.Flatten(), weights), size=8)
    with_softmax = cx.Network(nn.Sequential(nn.Flatten(), weights, nn.Softmax(1)), size=8)
    image = np.full((8, 8, 3), 100, np.uint8)
    expected = weights.weight[4].detach().view(3, 8, 8).abs().amax(0).numpy()
    for net in (plain, with_softmax):
        assert np.allclose(cx.attribute(net, image, 4).map, expected, atol=1e-7)


def test_without_a_method_the_gradient_is_scored(net):
    rows = cx.score(net, n=2, progress=False)["attributions"]
    assert list(rows) == ["gradient", "a random map", "the picture's middle"]
    explicit = cx.score(net, {"mine": partial(cx.attribute, method="gradient")}, n=2, progress=False)["attributions"]
    assert rows["gradient"] == explicit["mine"]


def test_a_card_is_written_as_a_table_and_says_how_it_was_made(net, tmp_path, refused):
    fields = {"conv1": 5}
    card = cx.score(net, fields=fields, n=3, progress=False)
    card.save(tmp_path / "card.csv")
    with open(tmp_path / "card.csv", newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["kind", "method", "score", "mean", "standard error"],
            ["receptive fields", "conv1", "error in strides", "0.0", "0.0"],
        ]
    assert eval(card.to_python(), {"cx": cx, "net": net, "fields": fields}) == card
    refused(cx.SettingError, lambda: card.save(tmp_path / "card.png"), ".csv")


def test_topics_are_scored_for_every_class_with_styles(net):
    styles = {}
    for name in world.CLASSES:
        scenes = world.dataset(8, world.HELD_OUT_SEED, names=[name])
        styles.update({scenes.scene(k).image.tobytes(): scenes.styles[k] for k in range(8)})
    card = cx.score(
        net,
        topics={
            "truth": lambda net, images, k: [styles[image.tobytes()] for image in images],
            "one heap": lambda net, images, k: [0] * len(images),
        },
        n=8,
    )["topics"]
    assert card["truth, all"] == {"adjusted Rand index": 1, "purity": 1, "images in a group": 1}
    assert card["one heap, all"]["adjusted Rand index"] == 0
    several = {name for name in world.CLASSES if len(world.STYLES[name]) > 1}
    assert {row.removeprefix("truth, ") for row in card if row.startswith("truth")} == {*several, "all"}


@pytest.mark.slow
def test_facets_are_the_styles_of_their_class():
    """Facets of worldnet-styles against the true styles, over all classes."""
    card = cx.score(cx.load("worldnet-styles"), topics={"facets": facet_groups}, n=40, progress=False)["topics"]
    assert card["facets, all"]["adjusted Rand index"] >= 0.8
    assert card["facets, all"]["images in a group"] > 0.9


def test_images_in_no_group_do_not_count(net, refused):
    scenes = {name: world.dataset(6, world.HELD_OUT_SEED, names=[name]) for name in world.CLASSES}
    styles = {one.scene(k).image.tobytes(): one.styles[k] for one in scenes.values() for k in range(6)}

    def most(net, images, k):
        return [-1, *(styles[image.tobytes()] for image in images[1:])]

    card = cx.score(net, topics={"most": most}, n=6)["topics"]
    assert card["most, all"]["adjusted Rand index"] == 1
    assert card["most, all"]["images in a group"] == pytest.approx(5 / 6)
    refused(
        cx.SettingError, lambda: cx.score(net, topics={"none": lambda n, i, k: [-1] * 6}, n=6), "no image in a group"
    )


def test_dissections_are_scored_over_all_scenes(net, truth):
    pairs = [(s.image, s.concepts()) for s in truth.values()]
    concept = "colour/red"

    def half(net, images):
        masks = np.stack([masks.get(concept, np.zeros((96, 96), bool)) for _, masks in pairs])
        assert np.array_equal(images, np.stack([image for image, _ in pairs]))
        where = np.flatnonzero(masks.ravel())
        cut = np.zeros(masks.size, bool)
        cut[where[: len(where) // 4]] = True
        return {concept: cut.reshape(masks.shape)}

    card = cx.score(net, dissections={"a quarter": half}, n=12)["dissection"]
    assert card[f"a quarter, {concept}"]["intersection over union"] == pytest.approx(0.25, abs=0.01)


def test_fields_are_compared_with_the_layers(net):
    card = cx.score(net, fields={"conv1": 5, "relu1": (7, 5)})["receptive fields"]
    assert card["conv1"]["error in strides"] == 0
    assert card["relu1"]["error in strides"] == measures.field_error((7, 5), net.layers["relu1"]) == 1


def test_what_is_wrong_gets_a_sentence(net, refused):
    other = cx.Network(net.module, size=96, labels=["tench"] * 10, name="other")
    refused(cx.NetworkError, lambda: cx.score(other), "other", "house", "worldnet")
    for n in (0, -1, 2.5):
        refused(cx.SettingError, lambda n=n: cx.score(net, n=n), repr(n))
    refused(cx.SettingError, lambda: cx.score(net, {"mine": lambda *a: 1 / 0}, n=1), "'mine'", "division by zero")
    refused(cx.SettingError, lambda: cx.score(net, {"mine": lambda *a: np.zeros((3, 3))}, n=1), "(3, 3)")
    refused(cx.LayerNotFound, lambda: cx.score(net, fields={"conv9": 3}), "conv9")
    refused(cx.SettingError, lambda: cx.score(net, topics={"mine": lambda *a: [0]}, n=3), "one number per image")
    unknown = {"mine": lambda net, images: {"object/dragon": images[..., 0] > 3}}
    refused(cx.SettingError, lambda: cx.score(net, dissections=unknown, n=2), "object/dragon")
    with pytest.raises(KeyError, match="was not scored"):
        cx.score(net, n=1)["topics"]


def test_words_of_hand_made_units():
    card = cx.score(
        cx.load("worldnet"), words={"dissect": partial(cx.dissect, quantile=0.5, cache=False, progress=False)}, n=40,
        progress=False,
    )  # fmt: skip
    right = {name: row["named right"] for name, row in card["words"].items()}
    assert right["dissect"] >= 0.9  # two concepts can have the same pixels
    assert right["dissect, rotated units"] < 0.5
    with pytest.raises(cx.SettingError, match="a concept for each"):
        cx.score(cx.load("worldnet"), words={"none": lambda *_: []}, n=4, progress=False)
