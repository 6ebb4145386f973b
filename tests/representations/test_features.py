"""Features: the same numbers as image by image, kept, gone on from after a kill, made again where they are damaged."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import Subset

import cnnexplore as cx
from cnnexplore.data.journal import Journal
from cnnexplore.network import features_layer
from cnnexplore.representations import digests, store
from cnnexplore.representations.features import BATCH

SIDE = 12
PIXELS = cx.Pixels("BGR", (100.0, 110.0, 120.0), (40.0, 50.0, 60.0))
IMAGES = [np.random.default_rng(k).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) for k in range(75)]


def build(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(100, 7), nn.ReLU(), nn.Dropout(), nn.Linear(7, 3)
        )


@pytest.fixture
def net():
    return cx.Network(build(), size=SIDE, pixels=PIXELS, labels=["a", "b", "c"], name="tiny")


def direct(net, images=IMAGES, layer="relu2"):
    return net.activations(list(images), layer).flatten(1).numpy()


@pytest.fixture
def passes(monkeypatch):
    """Counts the images that are computed."""
    seen = []
    feed = cx.Network.feed

    def counted(net, x):
        seen.append(len(x))
        return feed(net, x)

    monkeypatch.setattr(cx.Network, "feed", counted)
    return seen


def test_activations_and_predictions_are_those_of_each_image(net, tmp_path):
    found = cx.features(net, IMAGES, cache=tmp_path, progress=False)
    assert found.shape == (75, 7)
    assert len(found) == 75
    assert found.layer.name == features_layer(net).name == list(net.layers)[-3]  # the relu before dropout and scores
    assert isinstance(found.activations, np.memmap)
    assert found.activations.dtype == np.float16
    assert not found.activations.flags.writeable
    expected = direct(net, layer=found.layer.name)
    assert np.allclose(np.asarray(found), expected, atol=2e-3, rtol=1e-3)
    answers = [net.predict(image, 1)[0][0] for image in IMAGES]
    assert [found.predictions[k] for k in found.predicted] == answers
    assert set(found.labels.tolist()) == {-1}
    assert np.array_equal(found.pictures([3])[0], IMAGES[3])
    whole = cx.features(net, IMAGES, "fc2", cache=tmp_path, dtype="float32", progress=False)
    assert np.allclose(np.asarray(whole), direct(net, layer="fc2"), atol=1e-4)
    maps = cx.features(net, IMAGES[:5], "conv1", cache=False, progress=False)
    assert maps.shape == (5, 100)
    assert np.allclose(np.asarray(maps), direct(net, IMAGES[:5], "conv1"), atol=5e-3, rtol=1e-3)


def test_a_second_call_computes_nothing_and_another_key_all(net, tmp_path, passes):
    first = cx.features(net, IMAGES, cache=tmp_path, progress=False)
    assert sum(passes) == 75
    again = cx.features(net, list(IMAGES), cache=tmp_path, progress=False)
    assert sum(passes) == 75
    assert np.array_equal(again.activations, first.activations)
    assert again.folder == first.folder
    count = 75
    others = [
        lambda: cx.features(net, IMAGES[1:], cache=tmp_path, progress=False),
        lambda: cx.features(net, [*IMAGES[:-1], 255 - IMAGES[-1]], cache=tmp_path, progress=False),
        lambda: cx.features(net, IMAGES, "fc2", cache=tmp_path, progress=False),
        lambda: cx.features(net, IMAGES, cache=tmp_path, dtype="float32", progress=False),
        lambda: cx.features(net, [(image, 1) for image in IMAGES], cache=tmp_path, progress=False),
    ]
    for other in others:
        passes.clear()
        assert other().folder != first.folder
        assert sum(passes) >= 74
    with torch.no_grad():
        net.module[3].weight[0, 0] += 1e-3  # one weight
    passes.clear()
    assert cx.features(net, IMAGES, cache=tmp_path, progress=False).folder != first.folder
    assert sum(passes) == count


def test_labels_of_every_kind_of_image_set(net, tmp_path):
    for k, image in enumerate(IMAGES[:6]):
        (tmp_path / "set" / "xy"[k % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "set" / "xy"[k % 2] / f"{k}.png")
    world = cx.world.dataset(20, 3, SIDE + 4)
    from torchvision.datasets import ImageFolder

    sets = {
        "folder": (tmp_path / "set", [0, 0, 0, 1, 1, 1], ["x", "y"]),
        "ImageFolder": (ImageFolder(str(tmp_path / "set")), [0, 0, 0, 1, 1, 1], ["x", "y"]),
        "world": (world, world.labels.tolist(), list(cx.world.CLASSES)),
        "part": (Subset(world, [5, 3, 8]), world.labels[[5, 3, 8]].tolist(), list(cx.world.CLASSES)),
        "pairs": ([(IMAGES[0], 2), (IMAGES[1], 0)], [2, 0], ["class 0", "class 1", "class 2"]),
        "paths": (sorted((tmp_path / "set").rglob("*.png")), [-1] * 6, []),
    }
    for name, (images, labels, classes) in sets.items():
        found = cx.features(net, images, cache=tmp_path / "kept", progress=False)
        assert found.labels.tolist() == labels, name
        assert found.classes == classes, name
        expected = direct(
            net,
            [
                item[0] if isinstance(item, tuple) else item
                for item in (images if not isinstance(images, Path) else sets["paths"][0])
            ],
            found.layer.name,
        )
        assert np.allclose(np.asarray(found), expected, atol=2e-3, rtol=2e-3), name


def test_a_part_of_the_world_is_another_set(net):
    from cnnexplore.data import Images

    world = cx.world.dataset(20, 3, 16)
    found = {
        digests.images_digest(Images(one))
        for one in (
            world,
            cx.world.dataset(20, 4, 16),
            Subset(world, [1, 2]),
            Subset(world, [2, 1]),
            Subset(Subset(world, [2, 1]), [1]),
        )
    }
    assert len(found) == 5
    assert digests.images_digest(Images(Subset(Subset(world, [2, 1]), [1, 0]))) == digests.images_digest(
        Images(Subset(world, [1, 2]))
    )
    _ = world.labels  # what the data set remembers is no part of it
    assert digests.images_digest(Images(world)) in found


def test_a_file_that_changed_is_noticed(net, tmp_path, passes):
    paths = [tmp_path / f"{k}.png" for k in range(3)]
    for path, image in zip(paths, IMAGES, strict=False):
        Image.fromarray(image).save(path)
    first = cx.features(net, paths, cache=tmp_path / "kept", progress=False)
    Image.fromarray(IMAGES[9]).save(paths[1])
    second = cx.features(net, paths, cache=tmp_path / "kept", progress=False)
    assert sum(passes) == 6
    assert not np.array_equal(first[1], second[1])


def test_a_named_set_is_not_read_to_be_known_again(net, tmp_path):
    class Slow(torch.utils.data.Dataset):
        reads = 0

        def __len__(self):
            return 40

        def __getitem__(self, k):
            if k >= 40:
                raise IndexError
            Slow.reads += 1
            return torch.from_numpy(IMAGES[k].transpose(2, 0, 1).copy()), k % 3

    once = cx.features(net, Slow(), cache=tmp_path, name="slow", progress=False)
    assert Slow.reads == 40
    assert once.labels.tolist() == [k % 3 for k in range(40)]
    cx.features(net, Slow(), cache=tmp_path, name="slow", progress=False)
    assert Slow.reads == 40
    unnamed = cx.features(net, Slow(), cache=tmp_path, progress=False)
    assert Slow.reads == 121  # once to be known, once to be computed; the first also to see that it is an image
    assert np.array_equal(unnamed.activations, once.activations)


CHILD = """
    import sys, time
    import numpy as np
    import cnnexplore as cx
    sys.path.insert(0, {folder!r})
    import test_features as here
    net = cx.Network(here.build(), size=here.SIDE, pixels=here.PIXELS, name="tiny")
    images = here.Slowly(0.02)
    for step in cx.representations.feature_stream(net, images, cache={cache!r}, batch=4, name="slowly"):
        print("step", flush=True)
"""


class Slowly:
    """The images, each after a while."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, k):
        time.sleep(self.seconds)
        return IMAGES[k]


@pytest.mark.slow
def test_a_process_that_is_killed_half_way_loses_nothing(net, tmp_path, passes):
    """Killed by force while it works, twice; the array is then that of a pass nobody disturbed."""
    script = (
        textwrap.dedent(CHILD)
        .format(folder=str(Path(__file__).parent), cache=str(tmp_path))
        .replace("cx.representations.feature_stream", "feature_stream")
    )
    script = "from cnnexplore.representations import feature_stream\n" + script
    done = []
    for _ in range(2):
        child = subprocess.Popen(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for _ in range(4):
            assert child.stdout.readline() == "step\n"
        child.kill()
        child.wait()
        assert child.returncode == (-signal.SIGKILL if hasattr(signal, "SIGKILL") else 1)  # it did not end by itself
        (kept,) = tmp_path.iterdir()
        done.append(len((kept / "blocks.jsonl").read_text().splitlines()) - 1)  # without the header
    assert 4 <= done[0] < done[1] < 19
    half = np.array(np.load(kept / "activations.npy", mmap_mode="r"))
    assert half.any(1).sum() < 75  # the rest was never written
    found = cx.features(net, Slowly(0), cache=tmp_path, batch=4, name="slowly", progress=False)
    assert found.folder == kept
    assert 75 - 4 * (done[1] + 1) <= sum(passes) <= 75 - 4 * (done[1] - 1)
    written = half.any(1)
    assert np.array_equal(found.activations[written], half[written])  # what the killed ones did stands as it was
    undisturbed = cx.features(net, Slowly(0), cache=tmp_path / "other", batch=4, name="slowly", progress=False)
    assert np.array_equal(found.activations, undisturbed.activations)
    assert np.array_equal(found.predicted, undisturbed.predicted)


def test_a_stream_that_is_left_goes_on(net, tmp_path, passes):
    from cnnexplore.representations import feature_stream

    stream = feature_stream(net, IMAGES, cache=tmp_path, batch=10)
    assert [next(stream), next(stream)] == [(10, 75), (20, 75)]
    stream.close()
    seen = list(feature_stream(net, IMAGES, cache=tmp_path, batch=10))
    assert seen[0] == (30, 75)
    assert sum(passes) == 75


def damage_header(folder):
    (folder / "activations.npy").write_bytes(b"nonsense")


def damage_length(folder):
    data = (folder / "activations.npy").read_bytes()
    (folder / "activations.npy").write_bytes(data[: len(data) // 2])


def damage_pickle(folder):
    np.save(folder / "activations.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)


def damage_shape(folder):
    np.save(folder / "classes.npy", np.zeros(3, store.CLASSES))


def damage_kind(folder):
    np.save(folder / "activations.npy", np.zeros((75, 7), np.int16))


def lose_log(folder):
    (folder / "blocks.jsonl").unlink()


def of_another_run(folder):
    (folder / "blocks.jsonl").unlink()
    Journal(folder / "blocks.jsonl", {}).append([0, 1])


def garble_log(folder):
    (folder / "blocks.jsonl").write_bytes(b'\x00\xff{"a": [\n[1e99, 3]\n[3]\nnull\n[-4, 1]\n[7, 7]\n[0, 1')


def lose_activations(folder):
    (folder / "activations.npy").unlink()


@pytest.mark.parametrize(
    "damage",
    [
        damage_header,
        damage_length,
        damage_pickle,
        damage_shape,
        damage_kind,
        lose_log,
        garble_log,
        of_another_run,
        lose_activations,
    ],
)
def test_what_is_damaged_is_made_again(net, tmp_path, damage, passes):
    first = cx.features(net, IMAGES, cache=tmp_path, progress=False)
    expected = np.array(first.activations)
    damage(first.folder)
    passes.clear()
    again = cx.features(net, IMAGES, cache=tmp_path, progress=False)
    assert sum(passes) == (75 - BATCH if damage is damage_length else 75)  # the first block is still whole
    assert np.array_equal(again.activations, expected)
    passes.clear()
    assert np.array_equal(cx.features(net, IMAGES, cache=tmp_path, progress=False).activations, expected)
    assert not passes


def test_one_wrong_number_costs_one_block(net, tmp_path, passes):
    first = cx.features(net, IMAGES, cache=tmp_path, progress=False)
    expected = np.array(first.activations)
    changed = np.load(first.folder / "activations.npy", mmap_mode="r+")
    changed[BATCH + 1, 3] += 1
    changed.flush()
    torn = (first.folder / "blocks.jsonl").read_text()[:-4]  # killed while it wrote the last line
    (first.folder / "blocks.jsonl").write_text(torn)
    passes.clear()
    again = cx.features(net, IMAGES, cache=tmp_path, progress=False)
    assert sum(passes) == BATCH + 75 % BATCH
    assert np.array_equal(again.activations, expected)
    passes.clear()
    cx.features(net, IMAGES, cache=tmp_path, progress=False)
    assert not passes


def test_only_those_of_a_class(net, tmp_path, refused):
    labelled = [(image, k % 3) for k, image in enumerate(IMAGES)]
    found = cx.features(net, labelled, cache=tmp_path, progress=False)
    ones = found.of(np.int64(1))
    assert ones.numbers.tolist() == list(range(1, 75, 3))
    assert np.array_equal(ones.activations, found.activations[1::3])
    assert np.array_equal(ones.pictures([2])[0], IMAGES[7])
    assert np.array_equal(ones.of("class 1").activations, ones.activations)
    assert found.of(1).to_python() == "cx.features(net, images).of(1)"
    assert found.only([3, 1]).to_python() == "cx.features(net, images).only([3, 1])"
    said = found.predicted[0]
    assert (found.of(net.labels[said], by="predicted").predicted == said).all()
    assert found.only(np.arange(75) < 4).numbers.tolist() == [0, 1, 2, 3]
    assert ones.only([1]).numbers.tolist() == [4]
    found.source.classes = ["n1_sea_horse", "n2_golf_ball", "n3_sea_ball"]
    assert found.of("golf ball").numbers.tolist() == found.of("n2_golf_ball").numbers.tolist() == ones.numbers.tolist()
    refused(cx.SettingError, lambda: found.of("ball"), "n2_golf_ball")  # which of the two?
    refused(cx.SettingError, lambda: found.of("horse", by="predicted"), "'horse'", "there are")
    refused(cx.SettingError, lambda: found.of(1, by="colour"), "predicted")


def test_what_cannot_be_gets_a_sentence(net, tmp_path, refused, monkeypatch):
    def make(images=IMAGES, **options):
        return cx.features(net, images, **({"cache": tmp_path, "progress": False} | options))

    refused(cx.SettingError, lambda: make([]), "empty")
    refused(cx.SettingError, lambda: make(tmp_path / "none"), "not a folder")
    refused(cx.LayerNotFound, lambda: make(layer="fc77"), "fc77")
    refused(cx.SettingError, lambda: make(dtype="int8"), "float16")
    refused(cx.SettingError, lambda: make(batch=0), "batch")
    refused(cx.ImageError, lambda: make([tmp_path / "lost.png"]), "lost.png")
    (tmp_path / "file").write_text("")
    refused(cx.SettingError, lambda: make(cache=tmp_path / "file"), "cannot be written", "cache=")
    monkeypatch.setattr(store, "_free", lambda folder: 1000)
    refused(cx.SettingError, lambda: make(IMAGES[:3]), "GB free")
    monkeypatch.undo()
    with torch.no_grad():
        net.module[3].bias += 1e5
    refused(cx.LayerError, lambda: make(), "float16", "float32")
    assert make(dtype="float32")[0].max() > 9e4
    with torch.no_grad():
        net.module[3].bias += torch.nan
    refused(cx.LayerError, lambda: make(), "not finite")


def test_the_place_for_caches(net, tmp_path, monkeypatch):
    monkeypatch.setenv("CNNEXPLORE_CACHE", str(tmp_path / "mine"))
    assert cx.features(net, IMAGES[:3], progress=False).folder.parent == tmp_path / "mine" / "features"
    nowhere = cx.features(net, IMAGES[:3], cache=False, progress=False)
    folder = nowhere.folder
    part = nowhere.only([1])
    del nowhere
    assert folder.is_dir()  # the part may still ask for its pictures
    del part
    assert not folder.exists()
