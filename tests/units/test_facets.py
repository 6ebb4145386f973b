"""Facets: the published steps against a literal transcription, units of two shapes, styles of the world."""

import csv
import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.restoration import denoise_tv_bregman
from torch import nn

import cnnexplore as cx
from cnnexplore.evaluation import measures
from cnnexplore.preimage.multifaceted import SCHEDULES, Phase, ascend, noise, phases_of, shortened
from cnnexplore.preimage.unit_canvas import unit_canvas
from cnnexplore.units import facet_stream
from cnnexplore.units.excited import cut_patches

SIDE = 24


def classifier(order="BGR"):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        module = nn.Sequential(nn.Conv2d(3, 6, 5, 2), nn.Softplus(), nn.Flatten(), nn.Linear(600, 4))
    return cx.Network(module, size=SIDE, pixels=cx.Pixels(order, (104, 117, 123), (50, 60, 70)), labels=list("abcd"))


def literal(net, layer, unit, start, phases, seed):
    """The steps as the published programs take them, written out for one image of a network of `SIDE` pixels."""
    random = np.random.default_rng(seed)
    mean = np.array(net.pixels.mean)[:, None, None]
    std = torch.tensor(net.pixels.std, dtype=torch.float64).view(1, 3, 1, 1)
    module = net.module.double()
    image = start.double().numpy()[0]
    for phase in phases:
        if phase.zoom != 1:
            from scipy.ndimage import zoom

            image = zoom(image, (1, phase.zoom, phase.zoom))
        room = image.shape[1] - SIDE
        for i in range(phase.steps):
            top = left = 0
            if room > 0:
                top = int(np.clip(random.normal(room / 2.0, room * phase.width), 0, room))
                left = int(np.clip(random.normal(room / 2.0, room * phase.width), 0, room))
            rate = phase.rate[0] + ((phase.rate[1] - phase.rate[0]) * i) / phase.steps
            weight = phase.weight[0] - (phase.weight[0] - (phase.weight[1]) * i) / phase.steps
            crop = image[:, top : top + SIDE, left : left + SIDE].copy()
            x = torch.tensor(crop[None], requires_grad=True)
            scores = module(x / std)[0]
            (scores.softmax(0) if phase.softmax else scores)[unit].backward()
            slope = x.grad[0].numpy()
            margin = round(phase.margin * SIDE / 227)
            if margin:
                mask = np.zeros_like(slope)
                for row in range(margin, SIDE - margin):
                    for column in range(margin, SIDE - margin):
                        mask[:, row, column] = 1
                slope = slope * mask
            crop += rate / np.abs(slope).mean() * slope
            crop = np.clip(crop, -mean, 255 - mean)
            shown = np.moveaxis(crop + mean, 0, -1)
            clean = denoise_tv_bregman(shown, weight=weight * 227 / SIDE, max_num_iter=100, eps=1e-3, channel_axis=-1)
            image[:, top : top + SIDE, left : left + SIDE] = np.moveaxis(clean, -1, 0) - mean
    module.float()
    low = (image.shape[1] - SIDE) // 2
    return image[:, low : low + SIDE, low : low + SIDE]


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_the_steps_are_the_published_ones(name):
    net = classifier()
    layer = net.scores
    phases = [dataclasses.replace(phase, steps=max(phase.steps // 20, 2)) for phase in SCHEDULES[name]]
    start = noise(net, (SIDE, SIDE), 1, np.random.default_rng(0))
    *_, last = ascend(net, layer, 2, start, phases, seed=5)
    assert last.step == last.total == sum(phase.steps for phase in phases)
    assert np.abs(last.x[0].numpy() - literal(net, layer, 2, start, phases, 5)).max() < 0.05  # of 255
    with torch.no_grad():
        before, after = (float(net.module(net.feed(x))[0, 2]) for x in (start, last.x))
    assert after > before + 0.1


def test_the_ramp_of_the_weight_is_the_one_that_is_written():
    first = SCHEDULES["mean"][0]
    assert [round(first.weight_at(i), 3) for i in (0, 189)] == [0.398, 0.796]
    assert [first.rate_at(i) for i in (0, 95)] == [1, 1.5]
    assert [sum(phase.steps for phase in phases) for phases in SCHEDULES.values()] == [370, 530]


def test_margins_stay_and_a_flat_response_changes_nothing_but_noise():
    net = classifier("RGB")
    start = torch.full((2, 3, SIDE, SIDE), 10.0)
    *_, last = ascend(net, net.scores, 1, start, [Phase(3, (5, 5), (1e5, 1e5), margin=50)], seed=0)
    moved = (last.x - start).abs().amax((0, 1)) > 0.5
    assert not moved[:5].any()
    assert not moved[:, -5:].any()
    assert moved[5:19, 5:19].all()
    with torch.no_grad():
        net.module[3].weight.zero_()
    *_, last = ascend(net, net.scores, 1, start, [Phase(3, (5, 5), (1, 1))], seed=0)
    assert torch.allclose(last.x, start, atol=0.02)


@given(st.integers(4, 1000), st.sampled_from(sorted(SCHEDULES)))
def test_a_schedule_can_be_shortened(steps, name):
    phases = phases_of("schedule", name)
    steps = max(steps, len(phases))
    found = [phase.steps for phase in shortened(phases, steps)]
    assert sum(found) == steps
    assert min(found) >= 1
    whole = sum(phase.steps for phase in phases)
    assert all(abs(n - phase.steps * steps / whole) < len(phases) for n, phase in zip(found, phases, strict=True))


@pytest.mark.parametrize("layer", ["conv2", "relu3"])
def test_a_patch_excites_the_unit_as_its_image_does(layer):
    """What is cut out of an image is what the unit sees of it: alone it has the same response."""
    net = cx.load("worldnet", device="cpu")
    where = net.layers[layer]
    top = cx.top_patches(net, layer, 7, cx.world.dataset(40, 3), k=40, progress=False)
    size, position = unit_canvas(net, where)
    x = net.pixels_of([top.images[int(k)] for k in top.indices[0]])
    patches, inside = cut_patches(where, x, top.positions[0], size, position)
    within = inside.flatten(1).all(1)
    assert within.sum() > 3
    with torch.no_grad():
        alone = net.probe(layer)(net.feed(patches[within]))[layer][:, 7, position[0], position[1]]
    if size != net.size:  # else the image's border is another one
        assert np.allclose(alone.numpy(), top.values[0][within.numpy()], rtol=1e-3, atol=1e-3)
    assert not patches[~inside.expand_as(patches)].any()


def bars(n=60):
    """Dark images with one bright bar: in the even ones it lies, in the odd ones it stands."""
    random, images = np.random.default_rng(1), np.full((n, SIDE, SIDE, 3), 40, np.uint8)
    for k, image in enumerate(images):
        row, column = random.integers(7, SIDE - 7, 2)
        if k % 2:
            image[row - 3 : row + 4, column] = 230
        else:
            image[row, column - 3 : column + 4] = 230
    return list(images)


@pytest.fixture(scope="module")
def two_shapes():
    """A unit that answers to a bar that lies and to one that stands."""
    module = nn.Sequential(nn.Conv2d(3, 2, 7), nn.ReLU(), nn.Conv2d(2, 1, 1), nn.ReLU())
    lying = torch.full((7, 7), -1 / 42)
    lying[3] = 1 / 7
    with torch.no_grad():
        module[0].weight.copy_(torch.stack([lying, lying.T])[:, None].expand(2, 3, 7, 7) / 3)
        module[0].bias.fill_(-40)
        module[2].weight.fill_(1)
        module[2].bias.zero_()
    return cx.Network(module, size=SIDE, name="bars")


@pytest.mark.parametrize(("method", "steps"), [("multifaceted2016", 30), ("preimage2016", 40), ("none", None)])
def test_the_facets_of_a_unit_of_two_shapes_show_both(two_shapes, method, steps):
    found = cx.facets(
        two_shapes, "relu2", 0, bars(), k=2, by="relu1", method=method, steps=steps, seed=1, progress=False
    )
    truth = found.indices % 2
    assert measures.rand_index(found.assignment, truth) == 1
    size, position = found.excited.size, found.excited.position
    for facet in range(2):
        (standing,) = set(truth[found.assignment == facet])
        with torch.no_grad():
            parts = two_shapes.module[1](two_shapes.module[0](torch.from_numpy(found.x[facet])[None]))
        mine, other = parts[0, standing], parts[0, 1 - standing]
        assert mine[position] > 10
        assert mine[position] > 5 * other[position]
        assert found.images(facet).shape[1:3] == size
        assert found.responses[facet] == pytest.approx(float(mine[position] + other[position]), rel=1e-4)
    assert found.deviations.max() < found.deviation  # a facet's images are more alike than all of them
    assert found.history.shape == ((0 if steps is None else steps), 2)
    assert method != "multifaceted2016" or found.responses.min() > found.values.max()


def test_the_suggested_number_of_facets(two_shapes, tmp_path):
    found = cx.facets(two_shapes, "relu2", 0, bars(), by="relu1", method="none", progress=False)
    assert found.curve.suggested == len(found) == 2
    found.curve.save(tmp_path / "k.csv")
    rows = list(csv.reader((tmp_path / "k.csv").read_text().splitlines()))
    assert rows[0] == ["k", "separation", "agreement"]
    assert len(rows) == 1 + len(found.curve.ks)
    for picture in (found.picture, found.curve.picture):
        assert picture.shape[2] == 3


@pytest.fixture(scope="module")
def styles():
    return cx.load("worldnet-styles", device="cpu")


@pytest.mark.parametrize("name", ["church", "boat"])
def test_facets_of_a_class_are_its_styles(styles, name):
    scenes = cx.world.dataset(70, cx.world.HELD_OUT_SEED, 96, [name])
    found = cx.facets(styles, "fc8", name, scenes, k=len(cx.world.STYLES[name]), method="none", progress=False)
    assert len(found.values) >= 60
    assert measures.rand_index(found.assignment, scenes.styles[found.indices]) >= 0.8


def test_means_are_of_the_nearest_images(styles):
    scenes = cx.world.dataset(50, 5, 96, ["church"])
    found = cx.facets(styles, "fc8", "church", scenes, k=3, nearest=4, method="none", progress=False)
    points = found.embedding.points
    for facet in range(3):
        of = np.flatnonzero(found.assignment == facet)
        distance = np.linalg.norm(points[of] - points[of].mean(0), axis=1)
        assert set(found.nearest[facet]) == set(of[np.argsort(distance)[:4]])
        x = styles.pixels_of([scenes[int(k)][0] for k in found.indices[found.nearest[facet]]]).double()
        assert np.allclose(found.means[facet], x.mean(0), atol=1e-3)
        assert found.deviations[facet] == pytest.approx(float((x - x.mean(0)).square().mean().sqrt()), rel=1e-4)
        assert found.images(facet).shape == (4, 96, 96, 3)
    everything = styles.pixels_of([scenes[int(k)][0] for k in found.indices]).double()
    whole = (everything - everything.mean(0)).square().mean().sqrt()
    assert found.deviation == pytest.approx(float(whole), rel=1e-4)
    assert found.sizes.tolist() == sorted(found.sizes, reverse=True)


def test_the_same_seed_gives_the_same_facets_and_a_list_gives_a_list(styles):
    scenes = [image for image, _ in (cx.world.dataset(40, 5, 96, ["church", "boat"])[k] for k in range(40))]
    options = {"k": 2, "steps": 6, "progress": False}
    one, again = (cx.facets(styles, "fc8", "boat", scenes, **options) for _ in range(2))
    assert np.array_equal(one.x, again.x)
    several = cx.facets(styles, "fc8", [styles.labels.index("boat"), "church"], scenes, **options)
    assert [styles.labels[found.unit] for found in several] == ["boat", "church"]
    assert np.array_equal(several[0].x, one.x)
    assert one.to_python() == "cx.facets(cx.load('worldnet-styles'), 'fc8', 'boat', images, k=2, steps=6)"
    assert one.python + ".embedding" == one.embedding.to_python()


def test_the_stream_says_what_it_does(styles):
    scenes = cx.world.dataset(20, 5, 96, ["church"])
    found = list(facet_stream(styles, "fc8", "church", scenes, k=2, steps=20, method="preimage2016"))
    said = [one for one in found if isinstance(one, tuple)]
    assert {what for what, _, _ in said} == {"image", "step of t-SNE"}
    results = [one for one in found if not isinstance(one, tuple)]
    assert [one.step for one in results] == [0, 10, 20, 30, 40, 40]
    assert np.array_equal(results[0].x, results[0].means)
    assert results[-1].history.shape == (20, 2)


def test_what_cannot_be_grouped_is_refused(styles, two_shapes, refused):
    boats = cx.world.dataset(12, 5, 96, ["boat"])
    refused(
        cx.SettingError, lambda: cx.facets(styles, "fc8", "church", boats, progress=False), "'church'", "at least 3"
    )
    dark = [np.zeros((SIDE, SIDE, 3), np.uint8)] * 4
    refused(cx.SettingError, lambda: cx.facets(two_shapes, "relu2", 0, dark, progress=False), "excites unit 0")
    refused(cx.LayerError, lambda: cx.facets(styles, "conv3", 0, boats, by="fc7", progress=False), "a layer with a map")
    refused(cx.SettingError, lambda: cx.facets(styles, "fc8", "boat", boats, k=30, progress=False), "lower k")
    refused(cx.SettingError, lambda: cx.facets(styles, "fc8", "boat", boats, steps=2, progress=False), "at least 4")
    refused(cx.SettingError, lambda: cx.facets(styles, "fc8", "boat", boats, schedule="men", progress=False), "'mean'")


def test_equal_images_and_few_images(two_shapes):
    found = cx.facets(two_shapes, "relu2", 0, bars(4), by="relu1", method="none", progress=False)
    assert len(found) == 1
    assert found.picture.shape[2] == 3
    same = cx.facets(two_shapes, "relu2", 0, [bars(1)[0]] * 12, by="relu1", method="none", progress=False)
    assert len(same) == 1
    assert same.deviation == pytest.approx(0, abs=1e-3)
