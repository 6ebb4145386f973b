"""The embedded AlexNets reach the accuracy in their metadata; the robust ones withstand attacks."""

from __future__ import annotations

import re
from importlib import resources

import numpy as np
import pytest
import torch
from safetensors import safe_open

import cnnexplore as cx
from cnnexplore import world
from cnnexplore.zoo.training import photonet, worldnet
from cnnexplore.zoo.training import recipe as training

pytestmark = pytest.mark.slow

FOLDER = resources.files("cnnexplore.zoo") / "weights"
BOTH = {name: [name, f"{name}-robust"] for name in ("worldnet", "photonet")}
OF_WORLD = [*BOTH["worldnet"], "worldnet-styles"]


@pytest.fixture(scope="module")
def nets():
    return {name: cx.load(name, device="cpu") for name in [*OF_WORLD, *BOTH["photonet"]]}


def stated(name: str) -> float:
    with safe_open(str(FOLDER / f"{name}.safetensors"), "pt") as file:
        about = file.metadata()
    assert about["source"].startswith(f"cnnexplore train {name.split('-')[0]}")
    assert ("--robust" in about["source"]) == name.endswith("robust")
    assert ("--styles" in about["source"]) == name.endswith("styles")
    return float(re.search(r"(?:scenes|accuracy) (\d\.\d+)", about["source"])[1])


@pytest.mark.parametrize(("name", "most"), [("worldnet", 6), ("photonet", 12)])
def test_they_are_small_alexnets(nets, name, most):
    for each in BOTH[name]:
        assert (FOLDER / f"{each}.safetensors").stat().st_size < most * 1e6
        net = nets[each]
        assert net.to_python() == f"cx.load({each!r})"
        assert [n for n in net.layers if n[:4] in ("conv", "pool", "norm") or n[:2] == "fc"] == [
            "conv1", "norm1", "pool1", "conv2", "norm2", "pool2", "conv3", "conv4", "conv5", "pool5",
            "fc6", "fc7", "fc8",
        ]  # fmt: skip
        assert net.layers["pool5"].size == (6, 6)
        assert not net.module.training


def test_all_weights_together_leave_room_in_the_wheel():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 38e6


@pytest.fixture(scope="module")
def held_out():
    scenes = world.dataset(500, seed=424_242)
    return torch.stack([scenes[k][0] for k in range(500)]), torch.from_numpy(scenes.labels)


@pytest.mark.parametrize("name", OF_WORLD)
def test_worldnet_on_scenes_it_has_not_seen(nets, name, held_out):
    images, labels = held_out
    with torch.no_grad():
        scores = torch.cat([nets[name].module(worldnet.fed(x)) for x in images.split(100)])
    right = float((scores.argmax(1) == labels).float().mean())
    assert right >= (0.85 if name == "worldnet-robust" else 0.95)
    assert right == pytest.approx(stated(name), abs=0.035)
    front = [nets[name].predict(images[k].numpy(), 1)[0][0] for k in range(20)]  # channels first, as a tensor
    assert front == [world.CLASSES[int(k)] for k in scores[:20].argmax(1)]


@pytest.fixture(scope="module")
def photographs(shared):
    images, labels = photonet.photographs(str(shared / "data"), "val")
    return images[::6], labels[::6]


@pytest.mark.parametrize("name", BOTH["photonet"])
def test_photonet_on_validation_photographs(nets, name, photographs):
    right = photonet.accuracy(nets[name].module, *photographs)
    assert right >= (0.8 if name == "photonet" else 0.6)
    assert right == pytest.approx(stated(name), abs=0.04)


@pytest.mark.parametrize("name", BOTH)
def test_the_robust_one_withstands_an_attack(nets, name, held_out, request):
    recipe = {"worldnet": worldnet, "photonet": photonet}[name]
    if name == "worldnet":
        x, labels = worldnet.fed(held_out[0][:60]), held_out[1][:60]
    else:
        images, labels = request.getfixturevalue("photographs")
        net = nets[name]
        x, labels = net.feed(net.pixels_of(list(images[:60]))), torch.from_numpy(labels[:60])
    right = {}
    for each in BOTH[name]:
        logits = nets[each].module[:-1]
        limits = training.bounds(recipe.PIXELS, torch.device("cpu"))
        eps = 1.5 * 255 / recipe.PIXELS.std[0]
        moved = training.attack(logits, x, labels, eps, 10, torch.Generator().manual_seed(0), limits)
        with torch.no_grad():
            right[each] = float((logits(moved).argmax(1) == labels).float().mean())
    assert right[f"{name}-robust"] > right[name] + 0.1, right


def roughness(picture: np.ndarray) -> float:
    """The share of a picture's power above a quarter of the sampling rate."""
    grey = picture.astype(float).mean(2)
    power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2
    rows, columns = np.meshgrid(*(np.fft.fftfreq(side) for side in grey.shape), indexing="ij")
    return float(power[np.hypot(rows, columns) > 0.25].sum() / power.sum())


@pytest.mark.parametrize("name", BOTH)
def test_the_robust_ones_pre_images_are_cleaner(nets, name):
    """Nearer to the picture that was encoded, and smoother; from the same noise with the same settings."""
    images = {
        "worldnet": [world.scene(3).image, world.scene(8).image],
        "photonet": [cx.photograph("astronaut"), cx.photograph("cat"), cx.photograph("coffee")],
    }[name]
    far, rough, wanted = [], [], []
    for each in BOTH[name]:
        net = nets[each]
        results = cx.invert(net, images, "relu3", steps=150, progress=False)
        originals = net.pixels_of(images)
        far.append(np.mean([float((r.x - o).norm() / o.norm()) for r, o in zip(results, originals, strict=True)]))
        rough.append(np.mean([roughness(r.picture) for r in results]))
        classes = cx.maximize(net, "fc8", list(range(0, 10, 2)), steps=100, progress=False)
        wanted.append(np.mean([roughness(r.picture) for r in classes]))
    assert far[1] < 0.95 * far[0]
    assert rough[1] < 0.85 * rough[0]
    assert wanted[1] < 0.9 * wanted[0]


def test_checkpoints_load_by_step(refused):
    first = {}
    for step in worldnet.KEPT:
        net = cx.load(f"worldnet@{step}", device="cpu")
        assert net.to_python() == f"cx.load('worldnet@{step}')"
        assert list(net.layers)[-1] == "pool5"
        first[step] = net.module.conv1.weight.detach().flatten()
    final = cx.load("worldnet", device="cpu").module.conv1.weight.detach().flatten()
    likeness = [float(torch.corrcoef(torch.stack([first[step], final]))[0, 1]) for step in worldnet.KEPT]
    assert likeness[-1] > 0.9
    assert likeness[-1] > likeness[len(likeness) // 2] > likeness[0]  # filters grow towards what they become
    refused(cx.NetworkError, lambda: cx.load("worldnet@7"), "'7'", "1000")
    refused(cx.NetworkError, lambda: cx.load("lenet@7"), "lenet@7")
    refused(cx.NetworkError, lambda: cx.load("worldnet@1000").predict(world.scene(0).image), "not one score")
