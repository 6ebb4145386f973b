"""Every public function on a GPU: the numbers of the CPU, the same numbers twice, and numbers that numpy reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx


class Pooled(nn.Module):
    """What the embedded networks do not have: batch norm, a shortcut and a global mean."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 5, stride=2, padding=2), nn.BatchNorm2d(16)
        self.conv2, self.bn2 = nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
        self.pool, self.flatten, self.fc = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4)
        for norm in (self.bn1, self.bn2):
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.normal_(norm.running_mean)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.relu2(self.bn2(self.conv2(x)) + x)
        return self.fc(self.flatten(self.pool(x)))


@cache
def world(device: str) -> cx.Network:
    return cx.load("worldnet", device=device)


@cache
def pooled(device: str) -> cx.Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = Pooled().eval().to(device)
    pixels = cx.Pixels("BGR", mean=(120.0, 90.0, 60.0), std=(70.0, 35.0, 11.0))
    return cx.Network(module, size=(64, 48), pixels=pixels, labels=["ant", "bee", "cat", "dog"], name="pooled")


@cache
def scenes() -> list[np.ndarray]:
    return [cx.scene(seed).image for seed in range(12)]


def churches(device: str) -> cx.Features:
    net, images = cx.load("worldnet-styles", device=device), cx.world.dataset(24, 1, 96, ["church"])
    return cx.features(net, images, cache=False, progress=False)


def styles(device: str) -> cx.Topics:
    return cx.topics(churches(device), 2)


def patches(device: str) -> cx.PatchDatabase:
    return cx.PatchDatabase(world(device), scenes()[:8], "conv4", k=2, size=9, cache=False, progress=False)


def attribution(net: Callable[[str], cx.Network], method: str) -> Callable[[str], cx.Attribution]:
    return lambda device: cx.attribute(net(device), scenes()[7], method=method, progress=False)


# What is computed, by public name, on a network on the device. Runs change their image step by step, and rounding grows
# with the steps: they are in a table of their own. Methods that draw a figure or a panel from these are left out.

QUIET, QUICK = {"progress": False}, {"steps": 8, "progress": False}
METHODS = cx.attribution_methods()
CALLS: dict[str, Callable[[str], Any]] = {
    "Network.predict": lambda device: world(device).predict(scenes()[7]),
    "Network.activations": lambda device: [
        found.cpu() for found in world(device).activations(scenes(), ["conv1", "fc8"]).values()
    ],
    "Network.layers": lambda device: [(layer.name, layer.channels) for layer in pooled(device).layers.values()],
    **{f"attribute.{method}": attribution(world, method) for method in METHODS if method != "cam"},
    **{f"attribute.{method}, pooled": attribution(pooled, method) for method in METHODS},
    "attribute.unit": lambda device: cx.attribute(
        world(device), scenes()[7], layer="conv4", unit=[7, 9], method="guided_backprop"
    ),
    "decode": lambda device: cx.decode(world(device), "conv3", [0, 5], **QUIET),
    "decode_activation": lambda device: cx.decode_activation(
        world(device), "conv3", world(device).activations(scenes()[7], "conv3")
    ),
    "activation_maps": lambda device: cx.activation_maps(world(device), scenes()[7], "conv4"),
    "discrepancy_maps": lambda device: cx.discrepancy_maps(
        world(device), scenes()[7], "conv3", [1, 5], patch=12, stride=12
    ),
    "filters": lambda device: cx.filters(world(device)),
    "minimal_image": lambda device: cx.minimal_image(world(device), scenes()[7], segments=8, **QUIET),
    "neighbours": lambda device: cx.neighbours(world(device), scenes()[7], "fc7", scenes(), k=3, **QUIET),
    "receptive_field": lambda device: cx.receptive_field(world(device), "conv2", 3, scenes()[:4], **QUIET),
    "top_patches": lambda device: cx.top_patches(world(device), "conv3", [1, 5], scenes(), **QUIET),
    "top_patches.projections": lambda device: cx.top_patches(
        world(device), "conv3", [1], scenes(), **QUIET
    ).projections(1),
    "unit_segments": lambda device: cx.unit_segments(world(device), "conv4", 1, scenes(), **QUIET),
    "features": churches,
    "embed": lambda device: cx.embed(churches(device), method="pca", **QUIET),
    "topic_curve": lambda device: cx.topic_curve(churches(device), ks=[1, 2], splits=2),
    "retrieve": lambda device: cx.retrieve(styles(device), scenes()[1]),
    "cone": lambda device: cx.cone(churches(device), pairs=5),
    "PatchDatabase": lambda device: patches(device).neighbours(scenes()[7], 2),
    "salient_part": lambda device: cx.salient_part(world(device), scenes()[7]),
    "dissect": lambda device: cx.dissect(
        world(device), ["conv3", "conv5"], cx.world.dataset(12, 1), cache=False, **QUIET
    ),
    "intervene": lambda device: cx.intervene(world(device), scenes(), "conv5", unit=[1, 5], **QUIET),
    "evolution": lambda device: cx.evolution([world(device)], "conv3", [1, 5], scenes(), **QUIET),
    "unit_changes": lambda device: cx.unit_changes(
        cx.load("worldnet@100", device=device), cx.load("worldnet@1000", device=device), "conv2", scenes(), **QUIET
    ),
    "sanity_check": lambda device: cx.sanity_check(world(device), scenes()[:2], ["gradient"], **QUIET),
    "score": lambda device: dict(cx.score(world(device), n=2, **QUIET)["attributions"]),
}
RUNS: dict[str, Callable[[str], Any]] = {
    "invert": lambda device: cx.invert(world(device), scenes()[7], "conv4", seed=[0, 1], refine=3, **QUICK),
    "invert, adagrad": lambda device: cx.invert(world(device), scenes()[7], "pool2", solver="adagrad", **QUICK),
    "invert, 2015": lambda device: cx.invert(pooled(device), scenes()[7], "relu2", variant="inverting2015", **QUICK),
    "invert, patches": lambda device: cx.invert(
        world(device), scenes()[7], "conv4", patches=patches(device), init="patches", refine=0, **QUICK
    ),
    "maximize": lambda device: cx.maximize(world(device), "conv4", [3, 7], images=scenes()[:2], **QUICK),
    "maximize, class": lambda device: cx.maximize(pooled(device), "fc", "cat", M=1.0, **QUICK),
    "maximize, pathway": lambda device: cx.maximize(
        world(device), "fc8", 1, M=1.0, pathway=cx.Pathway.location(3, 3), **QUICK
    ),
    "invert, learned": lambda device: cx.invert(world(device), scenes()[7], "pool5", method="learned"),
    "maximize, generator": lambda device: cx.maximize(world(device), "fc8", 1, M=1.0, prior="generator", **QUICK),
    "gallery": lambda device: cx.gallery(world(device), "conv4", [3, 5], cache=False, **QUICK),
    "facets": lambda device: cx.facets(world(device), "conv4", 3, scenes(), k=2, **QUICK),
    "ask": lambda device: cx.ask(world(device), "conv4", 3, scenes(), parts=["top patches", "effect"], **QUIET),
    "finetune": lambda device: cx.finetune(
        world(device), cx.world.dataset(8, 1), layers="fc8", epochs=1, batch=4, **QUIET
    ),
    "caricature": lambda device: cx.caricature(world(device), scenes()[7], "conv4", **QUICK),
    "topics": styles,
    "visualize_topic": lambda device: cx.visualize_topic(styles(device), 0, **QUICK),
    "complete": lambda device: cx.complete(
        world(device), scenes()[7], (20, 20, 70, 70), target="bird", M=10, refine=0, **QUICK
    ),
    "figure": lambda device: cx.figure("preimage2016.1", world(device), scenes()[7], layer="fc7", **QUICK).picture,
}
OF_RUNS = {"Inversion", "Maximization", "Caricature", "Completion"}  # what invert, maximize, caricature, complete run
RESULTS = {
    "Attribution", "Completed", "ConceptImages", "Cone", "Decoding", "Dissection", "DissectionComparison",
    "Embedding", "Evolution", "FacetCurve", "Facets", "Features", "Finetuning", "Gallery", "Intervention", "PreImage",
    "Retrieved", "SanityCheck", "SavedPicture", "Topic", "TopicCurve", "Topics", "UnitChanges", "UnitReport",
}  # fmt: skip
ON_NO_DEVICE = {
    "Layer", "Network", "PatchIndex", "Pathway", "Pixels", "annotated", "attribution_methods",
    "compare_dissections", "concept_images", "digit", "digits", "from_picture", "inverters", "load", "masks",
    "networks", "photograph", "photographs", "register_attribution", "scene", "solvers", "world",
}  # fmt: skip


def numbers(value: Any, path: str = "result") -> Iterator[tuple[str, Any]]:
    """The numbers of a result by their path, as numpy arrays or texts; the network and the Python are left out."""
    if isinstance(value, torch.Tensor):
        assert value.device.type == "cpu", f"{path} is on {value.device}; numpy cannot read it"
        yield path, value.numpy()
    elif isinstance(value, (np.ndarray, np.generic, int, float)):
        value = np.asarray(value)
        for name in value.dtype.names or ():
            yield f"{path}[{name!r}]", value[name]
        if not value.dtype.names:
            yield path, value
    elif isinstance(value, str):
        yield path, value
    elif isinstance(value, (Mapping, list, tuple)):
        for key in value if isinstance(value, Mapping) else range(len(value)):
            yield from numbers(value[key], f"{path}[{key!r}]")
    elif dataclasses.is_dataclass(value) and not isinstance(value, cx.Layer):
        for part in dataclasses.fields(value):
            if part.name != "python" and not part.name.startswith("_"):
                yield from numbers(getattr(value, part.name), f"{path}.{part.name}")
        if isinstance(value, (cx.PreImage, cx.Attribution, cx.Decoding)):  # those of others are figures of the same
            yield f"{path}.picture", value.picture


@cache
def computed(name: str, device: str, time: int = 1) -> dict[str, Any]:
    """The numbers of a call; `time` tells a second computation from the first."""
    found = dict(numbers((CALLS | RUNS)[name](device)))
    assert found, name
    return found


def far(a: np.ndarray, b: np.ndarray) -> float:
    """The distance of two arrays over the norm of the second; both must be finite in the same places."""
    finite = np.isfinite(b)
    assert np.array_equal(np.isfinite(a), finite)
    a, b = a[finite].astype(np.float64), b[finite].astype(np.float64)
    return float(np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-12))


def agree(name: str, gpu: str, distance: float, greys: int) -> None:
    there, here = computed(name, gpu), computed(name, "cpu")
    assert list(there) == list(here)
    for path, value in here.items():
        other = there[path]
        if isinstance(value, str):
            assert other == value, path
            continue
        assert (other.shape, other.dtype) == (value.shape, value.dtype), path
        if value.dtype == np.uint8:
            off = np.abs(other.astype(int) - value)
            assert np.quantile(off, 0.99) <= greys, f"{path}: {np.quantile(off, 0.99)} grey levels"
        elif value.dtype == bool:
            assert (other == value).mean() >= 0.995, path
        elif value.dtype.kind in "iu":
            assert np.array_equal(other, value), path
        else:  # the descent enlarges rounding in the estimate, which its picture and its error do not show
            limit = 15 * distance if path.endswith(".x") else 1e-3 if value.dtype == np.float16 else distance
            assert far(other, value) <= limit, f"{path}: {far(other, value):.1e}"


@pytest.mark.gpu
@pytest.mark.parametrize("name", CALLS)
def test_a_gpu_computes_what_the_cpu_does(name, gpu):
    """With torch's own settings, which allow TF32 in convolutions: its rounding is a hundred times as large."""
    distance = 2e-4 if name == "attribute.integrated_gradients" else 2e-5  # its path crosses the kinks of rectifiers
    agree(name, gpu, distance, 2)


@pytest.mark.gpu
@pytest.mark.parametrize("name", RUNS)
def test_a_run_on_a_gpu_is_that_on_the_cpu(name, gpu, monkeypatch):
    """Runs may use TF32: they are compared without it."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    agree(name, gpu, 2e-3, 8)


@pytest.mark.gpu
@pytest.mark.parametrize("name", CALLS | RUNS)
def test_the_same_numbers_twice(name, gpu, monkeypatch):
    if name in RUNS:
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    first, second = computed(name, gpu), computed(name, gpu, 2)
    assert list(first) == list(second)
    for path, value in second.items():
        nan = not isinstance(value, str) and value.dtype.kind == "f"
        assert np.array_equal(first[path], value, equal_nan=nan), path


def test_the_table_is_complete():
    """A new public function belongs into a table, or among what computes nothing on a device."""
    tested = {name.split(".")[0].split(",")[0] for name in CALLS | RUNS}
    panels = {name for name in cx.__all__ if name.endswith("Panel")} | {"UnitGrid", "Exercise", "explore"}
    errors = {name for name in cx.__all__ if name.endswith(("Error", "Warning")) or name == "LayerNotFound"}
    assert tested | OF_RUNS | RESULTS | ON_NO_DEVICE | panels | errors == set(cx.__all__) | {"Network"}
