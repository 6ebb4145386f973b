"""Network dissection against a slow literal one, on random and hand-made networks, layouts and masks."""

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from layouts import OTHERS, Plain, network
from literal_dissection import literal_dissection
from PIL import Image
from published_detectors import published_rows
from torch import nn

import cnnexplore as cx
from cnnexplore.evaluation.hand_made_units import CodedScenes
from cnnexplore.network import as_maps
from cnnexplore.units import count_detectors, dissect, intersection_over_union, random_rotation
from cnnexplore.units.detectors import total
from cnnexplore.units.thresholds import LowerBound, exact_thresholds, rank_of

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


def small(relu=True, seed=0, double=False):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = nn.Sequential(
            nn.Conv2d(3, 5, 3, padding=1), nn.ReLU() if relu else nn.Identity(), nn.MaxPool2d(2),
            nn.Conv2d(5, 7, 3, stride=2), nn.ReLU() if relu else nn.Identity(),
        )  # fmt: skip
    return cx.Network(module.double() if double else module, size=SIZE, name="small")


def literal(net, layer, data, quantile):
    images = [data.concepts(k)[0] for k in range(len(data))]
    where = net.layers[layer]
    maps = as_maps(net.activations(images, where.name), where).float().numpy()
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


@pytest.mark.parametrize(("relu", "quantile"), [(True, 0.005), (True, 0.3), (False, 0.05)])
def test_counts_and_thresholds_equal_a_literal_dissection(relu, quantile):
    net, data = small(relu, double=True), Blots(13)  # float32 differs by rounding between batches of 3 and of 13
    layers = ["conv1", "pool1", "conv2"]
    for found in dissect(net, layers, data, quantile=quantile, batch=3, cache=False, progress=False):
        check(found, literal(net, found.layer.name, data, quantile))


@pytest.mark.parametrize("kind", OTHERS, ids=lambda kind: kind.__name__)
def test_units_of_other_layouts(kind):
    data = Blots(9, size=(24, 24))
    plain = network(Plain)
    images = plain.pixels_of([image for image, _ in data.pairs])
    maps = plain.module.mixed(plain.feed(images)).detach().numpy()
    net = network(kind)
    centres = [net.layers["up"].centres(axis) for axis in (0, 1)]
    masks = [masks for _, masks in data.pairs]
    found = cx.dissect(net, "up", data, quantile=0.1, cache=False, progress=False)
    thresholds, rows = literal_dissection(maps, centres, net.size, masks, 0.1)
    assert np.allclose(found.thresholds, thresholds, atol=1e-5)
    for (unit, concept), row in rows.items():
        if row[2]:
            assert found.iou[unit, found.concepts.index(concept)] == pytest.approx(row[3], abs=1e-6)


def test_a_layer_without_a_map_is_active_on_whole_images():
    data = Blots(12, size=(24, 24))
    net = network(Plain)
    found = cx.dissect(net, net.scores.name, data, quantile=0.25, cache=False, progress=False)
    scores = net.activations([image for image, _ in data.pairs], net.scores.name).numpy()
    for unit in range(3):
        active = scores[:, unit] > np.sort(scores[:, unit])[-4]
        assert active.sum() == 3
        assert found.share[unit] == 0.25
        whole = [n for n in range(12) if "scene/street" in data.pairs[n][1]]
        assert found.intersection[unit, found.concepts.index("scene/street")] == 24 * 24 * active[whole].sum()


# thresholds


@given(
    st.lists(st.sampled_from([0.0, -0.0, 1.0, 1.0000001, -2.5, 3e-40, 1e38, 7.0, -1e-3]), min_size=1, max_size=60),
    st.sampled_from([0.001, 0.005, 0.1, 0.25, 0.5]),
    st.integers(1, 7),
)
def test_thresholds_are_exact_quantiles(values, quantile, step):
    activations = np.array([values, np.random.default_rng(len(values)).normal(size=len(values))], np.float32)
    rank = rank_of(quantile, len(values))
    bound, kept = LowerBound(2, rank), []
    for low in range(0, len(values), step):
        some = activations[:, low : low + step] + np.float32(0)
        above = (some > bound.bound[:, None]).nonzero()
        kept.append((above[0], some[above]))
        bound.count(*kept[-1])
    found = exact_thresholds(bound.bound, rank, lambda: kept)
    assert np.array_equal(found, np.sort(activations, 1)[:, -rank] + 0.0)
    assert ((activations > found[:, None]).mean(1) <= quantile + 1e-9).all()


def test_few_activations_are_kept():
    random_ = np.random.default_rng(0)
    maps = random_.normal(size=(200, 4, 12, 12)).astype(np.float32)
    rank = rank_of(0.005, 200 * 144)
    bound, kept = LowerBound(4, rank), 0
    for low in range(0, 200, 8):
        some = maps[low : low + 8]
        unit = (some > bound.bound[:, None, None]).nonzero()[1]
        bound.count(unit, some[some > bound.bound[:, None, None]])
        kept += len(unit)
    assert kept < 0.12 * maps.size  # the first 4 %; K (1 + ln(1 / 0.005)) of 0.5 %; and what a bin is coarse
    exact = np.sort(maps.swapaxes(0, 1).reshape(4, -1), 1)[:, -rank]
    assert (bound.bound <= exact).all()
    assert (exact < 1.15 * bound.bound).all()  # a bin is an eighth of an octave


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images():
    scenes = [cx.world.dataset(48, 3, 32).concepts(k) for k in range(48)]

    class Again:  # the same scenes again and again
        def __init__(self, count):
            self.count = count

        def __len__(self):
            return self.count

        def concepts(self, index):
            return scenes[index % len(scenes)]

    # With a quarter of the activations, as with 0.5 % of many images, a block that is kept whole is the largest.
    net, peaks = cx.load("lenet"), []
    for images in (64, 320, 960):  # the first fills what is kept once, such as the layers' geometry
        tracemalloc.start()
        cx.dissect(net, "conv2", Again(images), quantile=0.25, null="masks", cache=False, progress=False)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert abs(peaks[2] - peaks[1]) < 1e6, peaks  # the masks of 640 images take 3 MB or more, their activations 8


def test_dead_and_saturated_units_say_so():
    with torch.random.fork_rng():
        net = small()
        with torch.no_grad():
            net.module[0].weight[1], net.module[0].bias[1] = 0, -1.0  # always 0 after the rectifier
    found = cx.dissect(net, "relu1", Blots(10), cache=False, progress=False)
    assert found.dead.tolist() == [False, True, False, False, False]
    assert found.share[1] == 0
    assert found.thresholds[1] == 0
    assert found.word(1).iou == 0
    assert found.title_of(1) == "unit 1: dead"
    assert "1 units are dead" in str(found)
    rare = cx.dissect(net, "relu1", Blots(10), quantile=0.5, cache=False, progress=False)
    zero = rare.thresholds == 0
    assert (rare.share[zero] < 0.5).all()  # "> 0" is a smaller set than the share asked for


# what is named


def test_all_hand_made_units_are_named():
    scenes = CodedScenes(60)
    net, names = scenes.network()
    assert len(names) > 60
    found = cx.dissect(net, "relu2", scenes, quantile=0.5, cache=False, progress=False)
    for unit, name in enumerate(names):
        k = found.concepts.index(name)
        assert found.iou[unit, k] == 1.0
        assert found.word(unit).iou == 1.0
        same = np.flatnonzero(found.iou[unit] == 1.0)
        assert all(found.truth[one] == found.truth[k] for one in same)  # another word only for the same pixels
    named = sum(found.word(unit).concept == name for unit, name in enumerate(names))
    assert named >= 0.9 * len(names)
    assert found.detectors != []
    null = cx.dissect(net, "relu2", scenes, quantile=0.5, null="rotation", cache=False, progress=False).null
    assert np.mean([word.iou for word in null.words]) < 0.5 < np.mean([word.iou for word in found.words])


def test_null_masks_are_those_of_other_images():
    data = Blots(30)
    found = cx.dissect(small(), "conv1", data, null="masks", quantile=0.1, cache=False, progress=False)
    null = found.null
    assert np.array_equal(np.sort(null.truth), np.sort(found.truth))  # the same masks
    assert np.array_equal(null.thresholds, found.thresholds)
    assert not np.array_equal(null.intersection, found.intersection)
    assert null.to_python() == f"{found.to_python()}.null"


def test_a_rotation_of_power_0_changes_nothing():
    data = Blots(10)
    found = cx.dissect(small(), "conv2", data, null="rotation", power=0.0, cache=False, progress=False)
    assert np.array_equal(found.null.intersection, found.intersection)
    again = cx.dissect(small(), "conv2", data, null="rotation", seed=1, cache=False, progress=False)
    maps = as_maps(small().activations([image for image, _ in data.pairs], "conv2"), small().layers["conv2"]).numpy()
    turned = np.einsum("uc,nchw->nuhw", random_rotation(7, seed=1), maps)
    exact = np.quantile(turned.transpose(1, 0, 2, 3).reshape(7, -1), 0.995, axis=1, method="inverted_cdf")
    assert np.allclose(again.null.thresholds, exact, rtol=1e-5)


@given(st.integers(1, 12), st.integers(0, 1000), st.floats(0, 1), st.floats(0, 1))
def test_rotations(units, seed, a, b):
    whole = random_rotation(units, seed=seed)
    assert np.allclose(whole @ whole.T, np.eye(units), atol=1e-10)
    assert np.linalg.det(whole) == pytest.approx(1)
    one, other = random_rotation(units, a, seed), random_rotation(units, b, seed)
    assert np.allclose(one @ one.T, np.eye(units), atol=1e-8)
    assert np.allclose(one @ other, other @ one, atol=1e-8)  # powers of one rotation
    if a + b <= 1:
        assert np.allclose(one @ other, random_rotation(units, a + b, seed), atol=1e-7)


def test_rotations_are_uniform():
    """The first entry of a uniform rotation in 3 dimensions is uniform in -1..1 (Archimedes)."""
    from scipy.stats import kstest

    entries = [random_rotation(3, seed=seed)[0, 0] for seed in range(2000)]
    assert kstest(entries, "uniform", (-1, 2)).pvalue > 0.01


# published rows and rules


# (truth, activation, intersect, iou) of units of AlexNet's conv5 (ImageNet), as published
PUBLISHED = {
    "wheel (unit 198)": (1540612, 1584597, 561458, 0.21899864690447707),
    "dotted (unit 245)": (2987946, 1245241, 748427, 0.21477146202320962),
    "banded (unit 105)": (2617645, 1995111, 587727, 0.14601807837906261),
    "water (unit 31)": (5727011, 2738108, 1050204, 0.14163399040986985),
    "cat (unit 223)": (4228548, 2026392, 677777, 0.12152719940227674),
    "mountain_snowy-s (unit 87)": (1825967, 997699, 216113, 0.08287961932125637),
    "red-c (unit 57)": (21346526, 3338500, 1799479, 0.078629494851051626),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_scores_follow_from_published_counts(name):
    truth, activation, intersection, iou = PUBLISHED[name]
    assert float(intersection_over_union(intersection, activation, truth)) == pytest.approx(iou, abs=1e-12)


def test_published_unique_detectors_follow_from_published_rows():
    """61 unique detectors of AlexNet's conv5, by category as in the published chart; 50 by the units' words alone."""
    rows = published_rows()
    counts = count_detectors(rows)
    unique = {"object": 21, "part": 8, "scene": 4, "material": 1, "texture": 23, "color": 4}
    assert {category: count.unique for category, count in counts.items()} == unique
    assert total(counts).unique == 61
    assert total(count_detectors(rows, by="word")) == (50, 97)


def row(category, label, score, **best):
    cells = {"category": category, "label": label, "score": str(score)}
    for name, (word, iou) in best.items():
        cells |= {f"{name}-label": word, f"{name}-iou": str(iou)}
    return cells


def test_unique_detectors_are_counted_as_the_published_figures_are():
    rows = [
        row("object", "dog", 0.10, object=("dog", 0.10), part=("leg", 0.05)),
        row("object", "dog", 0.30, object=("dog", 0.30), part=("head", 0.02)),
        row("part", "leg", 0.09, object=("cat", 0.06), part=("leg", 0.09)),
        row("part", "leg", 0.04, object=("cow", 0.01), part=("leg", 0.04)),  # not above the threshold
    ]
    assert count_detectors(rows) == {"object": (2, 3), "part": (1, 2)}
    assert count_detectors(rows, by="word") == {"object": (1, 2), "part": (1, 1)}
    assert total(count_detectors(rows)).unique == 3
    assert total(count_detectors(rows, by="word")).unique == 2
    assert count_detectors(rows, 0.2) == {"object": (1, 1), "part": (0, 0)}


def test_the_table_is_written_in_the_published_columns(tmp_path):
    found = cx.dissect(small(), "conv2", Blots(10), cache=False, progress=False)
    found.save(tmp_path / "table.csv")
    with open(tmp_path / "table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:9] == ["unit", "category", "label", "score", "colour-label", "colour-truth",
                                 "colour-activation", "colour-intersect", "colour-iou"]  # fmt: skip
    assert [int(one["unit"]) for one in rows] == list(range(1, 8))
    assert count_detectors(rows) == found.counts()
    assert count_detectors(rows, by="word") == found.counts("word")
    for one in rows:
        for category in found.categories:
            counts = [float(one[f"{category}-{name}"]) for name in ("intersect", "activation", "truth")]
            assert float(intersection_over_union(*counts)) == pytest.approx(float(one[f"{category}-iou"]), abs=1e-12)
        assert float(one["score"]) == max(float(one[f"{c}-iou"]) for c in found.categories)


def test_pictures_show_where_a_unit_is_active():
    data = Blots(10)
    net = small()
    found = cx.dissect(net, "conv1", data, quantile=0.1, k=2, cache=False, progress=False)
    maps = as_maps(net.activations([image for image, _ in data.pairs], "conv1"), found.layer).numpy()
    order = np.argsort(-maps[:, 3].max((1, 2)), kind="stable")[:2]
    assert found.top_images[3].tolist() == order.tolist()
    assert np.allclose(found.top_values[3], maps[order, 3].max((1, 2)))
    shown = found.images(3, concept="object/dog")
    for picture, n in zip(shown, order, strict=True):
        outline = (picture == (255, 140, 0)).all(2)
        bright = (picture == data.pairs[n][0]).all(2) & ~outline
        active = maps[n, 3] > found.thresholds[3]  # conv1's centres are the pixels
        assert np.array_equal(bright | outline, active | outline)
    assert found.picture.shape[2] == 3
    compared = cx.compare_dissections([found, found.with_threshold(0.5)])
    assert [one["name"] for one in compared.table] == ["conv1", "conv1 (2)"]
    assert compared.table[0]["unique"] == total(found.counts()).unique
    assert compared.picture.shape[2] == 3


# data sets of one's own


def test_wrong_data_is_refused(refused):
    class Wrong(Blots):
        def concepts(self, index):
            return self.pairs[index][0], self.masks

    data = Wrong(2)
    for masks, words in [
        ({"car": np.ones(SIZE, bool)}, ("'car'", "category/name")),
        ({"object/car": np.ones((10, 20), bool)}, ("10 x 20", "proportions")),
        ({"object/car": np.ones(3)}, ("object/car", "(H, W)")),
        ([1, 2], ("dict of masks",)),
    ]:
        data.masks = masks
        refused(cx.ImageError, lambda: cx.dissect(small(), "conv1", data, cache=False, progress=False), *words)
    data.masks = {}
    refused(cx.SettingError, lambda: cx.dissect(small(), "conv1", data, cache=False, progress=False), "no mask")
    refused(cx.SettingError, lambda: cx.dissect(small(), "conv1", [1, 2]), "concept_images")
    refused(cx.SettingError, lambda: cx.dissect(small(), "conv1", Blots(2), cache="here"), "name=")
    broken = small()
    with torch.no_grad():
        broken.module[0].weight[:] = float("nan")
    refused(cx.LayerError, lambda: cx.dissect(broken, "conv1", Blots(2), cache=False, progress=False), "finite")


def test_masks_follow_the_crop_of_the_image():
    """A wide image is cropped to the network's input; a mask of half its size is too."""

    class Wide:
        def __len__(self):
            return 1

        def concepts(self, index):
            mask = np.zeros((10, 30), bool)
            mask[:, 12:18] = True  # the middle
            return np.zeros((20, 60, 3), np.uint8), {"object/a": mask, "object/b": ~mask}

    net = cx.Network(nn.Sequential(nn.Conv2d(3, 2, 1)), size=20)
    found = cx.dissect(net, "conv1", Wide(), cache=False, progress=False)
    assert dict(zip(found.concepts, found.truth.tolist(), strict=True)) == {"object/a": 240, "object/b": 160}
    half = cx.dissect(net, "conv1", Wide(), reduce=2, cache=False, progress=False)
    assert half.grid == (10, 10)
    assert dict(zip(half.concepts, half.truth.tolist(), strict=True)) == {"object/a": 60, "object/b": 40}


def test_masks_of_pillow_count_as_any():
    class Bitmap:  # its bytes are 0 and 255
        def __len__(self):
            return 1

        def concepts(self, index):
            left, right = (Image.new("1", (20, 20)) for _ in range(2))
            left.paste(1, (0, 0, 8, 20)), right.paste(1, (8, 0, 20, 20))
            return np.zeros((20, 20, 3), np.uint8), {"object/a": np.asarray(left), "object/b": np.asarray(right)}

    net = cx.Network(nn.Sequential(nn.Conv2d(3, 2, 1)), size=20)
    found = cx.dissect(net, "conv1", Bitmap(), quantile=0.5, cache=False, progress=False)
    assert dict(zip(found.concepts, found.truth.tolist(), strict=True)) == {"object/a": 160, "object/b": 240}
    assert (found.intersection.sum(1) <= 400).all()


# kept passes

PASS = """
import sys
import cnnexplore as cx
import torch
torch.set_num_threads(1)
cx.dissect
sys.modules["cnnexplore.units.dissect"]._BLOCK = 4
found = cx.dissect(cx.load("lenet"), ["conv1", "conv2"], cx.world.dataset(48, 3, 32), null=sys.argv[2], batch=4,
                   cache=sys.argv[1], progress=False)
for one in found:
    one.save(f"{sys.argv[1]}/{one.layer.name}.csv")
"""


def kill_test(folder, kills, null):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(place):
        place.mkdir(exist_ok=True)
        return subprocess.Popen([sys.executable, "-c", PASS, str(place), null], env=environment)

    whole = folder / "whole"
    assert start(whole).wait() == 0
    once, killed, dice = folder / "killed", 0, random.Random(0)
    for k in range(kills):
        process = start(once)
        aim = k * 12 // kills + 1  # blocks that are there when it is killed
        while process.poll() is None and len(list(once.glob("*/[0-9]*.npz"))) < aim:
            time.sleep(0.002)
        time.sleep(dice.random() * 0.03)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
    assert start(once).wait() == 0
    assert killed >= kills // 2
    for name in ("conv1.csv", "conv2.csv"):
        assert (once / name).read_bytes() == (whole / name).read_bytes()
    [ours], [theirs] = (list(place.glob("*/result.npz")) for place in (once, whole))
    assert ours.read_bytes() == theirs.read_bytes()
    assert sorted(path.name for path in ours.parent.iterdir()) == ["lock", "result.npz"]


@pytest.mark.slow
def test_a_pass_that_is_killed_ends_with_the_same_bytes(tmp_path):
    kill_test(tmp_path, 3, "masks")


@pytest.mark.long
def test_fifty_kills(tmp_path):
    kill_test(tmp_path, 50, "rotation")


def test_a_kept_pass_is_not_computed_again(tmp_path, monkeypatch):
    data = Blots(9)
    found = cx.dissect(small(), "conv1", data, name="blots", cache=tmp_path, progress=False)
    monkeypatch.setattr(Blots, "concepts", None)
    again = cx.dissect(small(), "conv1", data, name="blots", cache=tmp_path, threshold=0.2, progress=False)
    assert np.array_equal(again.intersection, found.intersection)
    assert again.concepts == found.concepts
    with pytest.raises(TypeError):
        cx.dissect(small(seed=1), "conv1", data, name="blots", cache=tmp_path, progress=False)


def test_a_damaged_block_is_computed_again(tmp_path, monkeypatch):
    module = sys.modules["cnnexplore.units.dissect"]
    monkeypatch.setattr(module, "_BLOCK", 4)
    scenes = cx.world.dataset(12, 3, 32)
    options = {"batch": 4, "progress": False}
    expected = cx.dissect(cx.load("lenet"), "conv2", scenes, cache=False, **options)
    monkeypatch.setattr(module, "write_result", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cx.dissect(cx.load("lenet"), "conv2", scenes, cache=tmp_path, **options)
    blocks = sorted(tmp_path.glob("*/[0-9]*.npz"))
    assert len(blocks) == 3
    damaged = bytearray(blocks[1].read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    blocks[1].write_bytes(damaged)
    blocks[2].write_bytes(b"before" + blocks[2].read_bytes())
    monkeypatch.undo()
    monkeypatch.setattr(module, "_BLOCK", 4)
    found = cx.dissect(cx.load("lenet"), "conv2", scenes, cache=tmp_path, **options)
    assert np.array_equal(found.intersection, expected.intersection)


def test_a_folder_that_cannot_be_locked_is_a_sentence(tmp_path, refused):
    options = {"name": "blots", "cache": tmp_path, "progress": False}
    cx.dissect(small(), "conv1", Blots(3), **options)
    (key,) = tmp_path.iterdir()
    for name in ("result.npz", "lock"):
        (key / name).unlink()
    (key / "lock").mkdir()
    refused(cx.SettingError, lambda: cx.dissect(small(), "conv1", Blots(3), **options), "cannot be written")


def test_a_link_of_a_guessed_name_is_not_written_through(tmp_path, monkeypatch):
    """In a folder that others may write: no name of a file that is being written can be guessed."""
    made, options = [], {"name": "blots", "cache": tmp_path / "cache", "progress": False}
    monkeypatch.setattr("os.replace", lambda part, path: made.append(Path(part).name) or os.rename(part, path))
    for _ in range(2):
        cx.dissect(small(), "conv1", Blots(3), **options)
        shutil.rmtree(tmp_path / "cache")
    assert len(made) == len(set(made)) == 4


def test_the_python_makes_it_again():
    found = cx.dissect(cx.load("lenet"), ["conv1", "conv2"], cx.world.dataset(6, 3, 32), null="masks", quantile=0.01,
                       cache=False, progress=False)[1]  # fmt: skip
    again = eval(found.to_python(), {"cx": cx})
    assert np.array_equal(found.intersection, again.intersection)
    assert np.array_equal(found.null.iou, again.null.iou)
