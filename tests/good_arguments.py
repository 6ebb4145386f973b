"""A small call of every public function, class and method that works, with every argument given."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore import evaluation, preimage, reports, units
from cnnexplore.attribution import AttributionMethod, attribute_stream, unregister_attribution
from cnnexplore.data import Images
from cnnexplore.generators import read_inverter
from cnnexplore.network import read_image
from cnnexplore.preimage import Phase
from cnnexplore.results import png
from cnnexplore.widgets.live.selection import SharedSelection

SIDE = 16
IMAGE = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
OTHERS = list(np.random.default_rng(1).integers(0, 256, (6, SIDE, SIDE, 3), dtype=np.uint8))

NOISE, SQUARE = np.random.default_rng(2).normal(size=(SIDE, SIDE)), np.eye(SIDE, dtype=bool)
CONCEPTS = cx.world.dataset(5, 1, SIDE)


class Things:
    """What the calls are about, each made once."""

    @functools.cached_property
    def net(self) -> cx.Network:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module = nn.Sequential(
                nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                nn.Linear(144, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3),
            )  # fmt: skip
        return cx.Network(module, size=SIDE, labels=["ant", "bee", "cat"], name="small")

    @functools.cached_property
    def world(self) -> cx.Network:
        return cx.load("worldnet")

    @functools.cached_property
    def threads(self) -> Executor:
        return ThreadPoolExecutor(1)

    @functools.cached_property
    def features(self) -> cx.Features:
        return cx.features(self.net, OTHERS, "relu4", cache=False, progress=False)

    @functools.cached_property
    def topics(self) -> cx.Topics:
        return cx.topics(self.features, 2)

    @functools.cached_property
    def attribution(self) -> cx.Attribution:
        return cx.attribute(self.net, IMAGE)

    @functools.cached_property
    def preimage(self) -> cx.PreImage:
        return cx.invert(self.net, IMAGE, "conv2", steps=2, refine=0, progress=False)

    @functools.cached_property
    def decoding(self) -> cx.Decoding:
        return cx.decode(self.net, "conv2", progress=False)

    @functools.cached_property
    def top(self) -> units.TopPatches:
        return cx.top_patches(self.net, "conv2", None, OTHERS, k=2, progress=False)

    @functools.cached_property
    def evolution(self) -> cx.Evolution:
        return cx.evolution([self.net], "conv2", 1, OTHERS, progress=False)

    @functools.cached_property
    def facets(self) -> cx.Facets:
        return cx.facets(self.net, "conv2", 1, OTHERS, k=2, method="none", progress=False)

    @functools.cached_property
    def dissection(self) -> cx.Dissection:
        return cx.dissect(self.net, "conv2", CONCEPTS, k=2, cache=False, progress=False)

    @functools.cached_property
    def gallery(self) -> cx.Gallery:
        return cx.gallery(self.net, ["conv2", "fc4"], [0, 2], steps=1, cache=False, progress=False)

    @functools.cached_property
    def filters(self) -> units.Filters:
        return cx.filters(self.net, "conv2")

    @functools.cached_property
    def discrepancy(self) -> units.DiscrepancyMaps:
        return cx.discrepancy_maps(self.net, IMAGE, "conv2", patch=4, progress=False)

    @functools.cached_property
    def field(self) -> units.ReceptiveField:
        return cx.receptive_field(self.net, "conv2", 1, OTHERS, k=2, patch=4, progress=False)

    @functools.cached_property
    def patches(self) -> cx.PatchDatabase:
        return cx.PatchDatabase(self.net, OTHERS, "conv2", k=2, size=5, cache=False, progress=False)

    @functools.cached_property
    def index(self) -> cx.PatchIndex:
        return cx.PatchIndex([*OTHERS], 4, 5)

    def run(self) -> cx.Inversion:
        return cx.Inversion(self.net, IMAGE, "conv2", steps=2, refine=0)


def _registered(name: Any, *args: Any, **kwargs: Any) -> None:
    """Registers a method and takes it back, so that the tests after this one know the usual methods only."""
    cx.register_attribution(name, *args, **kwargs)
    unregister_attribution(getattr(name, "name", name))


def _prior() -> preimage.Prior:
    class Grey(preimage.Prior):
        name = "grey"
        parameters = (preimage.Parameter("warmth", 0, 1, "linear", 0.5, "warmth"),)

        def __call__(self, x, values, scale, gradient):
            return 0 * x.square().flatten(1).sum(1)

    return Grey()


RUN = {"C": 5.0, "alpha": 6, "beta": 2, "jitter": 2, "steps": 2, "seed": 0, "solver": "spectral", "rate": 0.05,
       "refine": 1, "schedule": {1: {"C": 3}}}  # fmt: skip

# name: (the function, its arguments), made from the things
CALLS: dict[str, Callable[[Things], tuple[Callable[..., Any], dict[str, Any]]]] = {
    "load": lambda t: (cx.load, {"name_or_path": "lenet", "weights": None, "device": "cpu"}),
    "Network": lambda t: (
        cx.Network,
        {"module": t.net.module, "size": (16, 16), "pixels": cx.Pixels(), "labels": ["a", "b", "c"], "name": "n",
         "source": "net"},
    ),
    "Network.activations": lambda t: (t.net.activations, {"image": IMAGE, "layers": "conv2"}),
    "Network.feed": lambda t: (t.net.feed, {"x": t.net.pixels_of(IMAGE)}),
    "Network.picture": lambda t: (t.net.picture, {"x": t.net.pixels_of(IMAGE)}),
    "Network.pixels_of": lambda t: (t.net.pixels_of, {"image": IMAGE}),
    "Network.predict": lambda t: (t.net.predict, {"image": IMAGE, "k": 2}),
    "Network.probe": lambda t: (lambda layer: t.net.probe(layer), {"layer": "conv2"}),
    "Network.layers": lambda t: (lambda layer: t.net.layers[layer], {"layer": "conv2"}),
    "Layer.rf_box": lambda t: (t.net.layers["conv2"].rf_box, {"row": 0, "column": 0}),
    "Pixels": lambda t: (cx.Pixels, {"order": "RGB", "mean": (1, 2, 3), "std": (4, 5, 6), "norm": 70.0}),
    "Pixels.from_json": lambda t: (cx.Pixels.from_json, {"text": cx.Pixels().to_json()}),
    "Pixels.encode": lambda t: (cx.Pixels().encode, {"rgb": torch.zeros(1, 3, 4, 4)}),
    "Pixels.decode": lambda t: (cx.Pixels().decode, {"x": torch.zeros(1, 3, 4, 4)}),
    "Pixels.feed": lambda t: (cx.Pixels(std=(1, 2, 3)).feed, {"x": torch.zeros(1, 3, 4, 4)}),
    "invert": lambda t: (
        cx.invert,
        {"net": t.net, "image": IMAGE, "layer": "conv2", **RUN, "mask": None, "variant": "preimage2016",
         "pathway": None, "patches": None, "gamma": None, "init": IMAGE, "priors": (), "settings": None,
         "progress": False},
    ),
    "invert.learned": lambda t: (
        cx.invert, {"net": t.world, "image": IMAGE, "layer": "relu6", "method": "learned", "inverter": None,
                    "progress": False},
    ),
    "invert.patches": lambda t: (
        cx.invert,
        {"net": t.net, "image": IMAGE, "layer": "conv2", "steps": 2, "patches": t.patches, "gamma": 5.0,
         "init": "patches", "priors": (_prior(),), "settings": {"warmth": 0.2}, "progress": False},
    ),
    "Inversion": lambda t: (
        cx.Inversion,
        {"net": t.net, "image": IMAGE, "layer": "conv2", **RUN, "mask": cx.masks.central(2), "pathway": None,
         "settings": None},
    ),
    "Inversion.finish": lambda t: (t.run().finish, {"progress": False}),
    "Inversion.lengthen": lambda t: (t.run().lengthen, {"steps": 2}),
    "Inversion.records": lambda t: (t.run().records, {"first": 0}),
    "Inversion.restore": lambda t: (t.run().restore, {"state": t.run().state()}),
    "Inversion.data_term": lambda t: (
        (run := t.run()).data_term, {"x": run.x.clone(), "values": run.settings.snapshot()},
    ),
    "Inversion.energy": lambda t: (
        (run := t.run()).energy, {"canvas": run.canvas.clone(), "values": run.settings.snapshot()},
    ),
    "Inversion.to_python": lambda t: (t.run().to_python, {"image": "image", "item": 0, "step": 1}),
    "Inversion.parameters_for": lambda t: (
        cx.Inversion.parameters_for, {"variant": "preimage2016", "priors": (_prior(),)},
    ),
    "Settings.update": lambda t: (t.run().settings.update, {"C": 2, "jitter": 1}),
    "Parameter": lambda t: (
        preimage.Parameter,
        {"name": "warmth", "low": 0, "high": 2, "scale": "linear", "default": 1, "description": "d", "label": "l",
         "shown": (0, 1), "whole": False},
    ),
    "maximize": lambda t: (
        cx.maximize,
        {"net": t.net, "layer": "conv2", "unit": 1, **RUN, "position": (3, 4), "direction": None, "M": 2.0,
         "images": OTHERS, "pathway": None, "patches": None, "gamma": None, "init": IMAGE, "priors": (),
         "settings": None, "progress": False},
    ),
    "maximize.direction": lambda t: (
        cx.maximize,
        {"net": t.net, "layer": "fc4", "direction": np.ones(8), "steps": 2, "patches": cx.PatchDatabase(
            t.net, OTHERS, size=5), "gamma": 3.0, "progress": False},
    ),
    "maximize.generator": lambda t: (
        cx.maximize,
        {"net": t.world, "layer": "fc8", "unit": 1, "prior": "generator", "generator": "worldnet", "position": None,
         "steps": 1, "seed": 0, "M": 1.0, "images": None, "schedule": {0: {"decay": 0.9}},
         "settings": {"code_rate": 0.5}, "progress": False},
    ),
    "maximize.images": lambda t: (
        cx.maximize, {"net": t.net, "layer": "fc5", "unit": "bee", "images": OTHERS, "steps": 1, "progress": False},
    ),
    "maximize.pathway": lambda t: (
        cx.maximize,
        {"net": t.net, "layer": "fc5", "unit": 1, "M": 1.0, "steps": 1, "pathway": cx.Pathway(m7=np.ones(8)),
         "progress": False},
    ),
    "Maximization": lambda t: (
        cx.Maximization, {"net": t.net, "layer": "conv2", "unit": [0, 1], **RUN, "M": None, "images": OTHERS},
    ),
    "Maximization.about": lambda t: (
        cx.Maximization(t.net, "conv2", [0, 1], M=1.0, steps=1).about, {"item": 1},
    ),
    "caricature": lambda t: (
        cx.caricature,
        {"net": t.net, "image": IMAGE, "layer": "conv2", **RUN, "priors": (), "settings": None, "progress": False},
    ),
    "Caricature": lambda t: (cx.Caricature, {"net": t.net, "image": IMAGE, "layer": "conv2", **RUN}),
    "PreImage.save": lambda t: (t.preimage.save, {"path": "a.png"}),
    "masks.central": lambda t: (lambda size: cx.masks.central(size)((4, 6, 6)), {"size": 2}),
    "masks.window": lambda t: (
        lambda top, left, bottom, right: cx.masks.window(top, left, bottom, right)((4, 6, 6)),
        {"top": 0, "left": 1, "bottom": 3, "right": 4},
    ),
    "masks.channels": lambda t: (lambda number: cx.masks.channels(number, 2)((4, 6, 6)), {"number": 0}),
    "masks.groups": lambda t: (lambda which, of: cx.masks.groups(which, of)((4, 6, 6)), {"which": 1, "of": 2}),
    "attribute": lambda t: (
        cx.attribute, {"net": t.net, "image": IMAGE, "target": 1, "method": "gradient", "progress": False},
    ),
    "attribute.unit": lambda t: (
        cx.attribute,
        {"net": t.net, "image": IMAGE, "layer": "conv2", "unit": 1, "position": (2, 3), "progress": False},
    ),
    "attribute.smoothgrad": lambda t: (
        cx.attribute,
        {"net": t.net, "image": IMAGE, "method": "smoothgrad", "samples": 2, "noise": 0.1, "seed": 0,
         "progress": False},
    ),
    "attribute.integrated_gradients": lambda t: (
        cx.attribute,
        {"net": t.net, "image": IMAGE, "method": "integrated_gradients", "steps": 3, "progress": False},
    ),
    "attribute.occlusion": lambda t: (
        cx.attribute,
        {"net": t.net, "image": IMAGE, "method": "occlusion", "window": 8, "stride": 8, "progress": False},
    ),
    "attribute.gradcam": lambda t: (
        cx.attribute, {"net": t.net, "image": IMAGE, "method": "gradcam", "at": "conv2", "progress": False},
    ),
    "attribute_stream": lambda t: (
        attribute_stream, {"net": t.net, "image": IMAGE, "target": 1, "method": "occlusion", "window": 8},
    ),
    "register_attribution": lambda t: (
        _registered,
        {
            "name": "mine", "function": lambda module, input, target: input, "signed": True, "summary": "nothing",
            "options": [], "streamed": False,
        },
    ),
    "register_attribution.record": lambda t: (
        _registered, {"name": AttributionMethod("mine", lambda target: None, "nothing")},
    ),
    "Attribution.box": lambda t: (t.attribution.box, {"foreground": 0.9, "background": 0.3, "rounds": 1}),
    "Attribution.segment": lambda t: (t.attribution.segment, {"foreground": 0.9, "background": 0.3, "rounds": 1}),
    "Attribution.overlay": lambda t: (t.attribution.overlay, {"opacity": 0.5}),
    "Attribution.save": lambda t: (t.attribution.save, {"path": "a.png"}),
    "activation_maps": lambda t: (cx.activation_maps, {"net": t.net, "image": IMAGE, "layer": "conv2"}),
    "discrepancy_maps": lambda t: (
        cx.discrepancy_maps,
        {"net": t.net, "image": IMAGE, "layer": "conv2", "unit": [1], "patch": 6, "stride": 6,
         "positions": [(1, 2)], "start": 0, "seed": 0, "batch": 4, "progress": False},
    ),
    "DiscrepancyMaps.map": lambda t: (t.discrepancy.map, {"unit": 1}),
    "DiscrepancyMaps.plot": lambda t: (t.discrepancy.plot, {"most": 2}),
    "filters": lambda t: (cx.filters, {"net": t.net, "layer": "conv2", "unit": [0, 1]}),
    "Filters.tiles": lambda t: (t.filters.tiles, {"unit": 1}),
    "Filters.mosaic": lambda t: (t.filters.mosaic, {"columns": 4, "units": 2, "channels": 2}),
    "minimal_image": lambda t: (
        cx.minimal_image, {"net": t.net, "image": IMAGE, "segments": 4, "progress": False},
    ),
    "neighbours": lambda t: (
        cx.neighbours,
        {"net": t.net, "image": IMAGE, "layer": "fc4", "images": OTHERS, "k": 2, "batch": 3, "progress": False},
    ),
    "receptive_field": lambda t: (
        cx.receptive_field,
        {"net": t.net, "layer": "conv2", "unit": 1, "images": OTHERS, "k": 2, "patch": 4, "stride": 4, "seed": 0,
         "progress": False},
    ),
    "top_patches": lambda t: (
        cx.top_patches,
        {"net": t.net, "layer": "conv2", "unit": [0, 1], "images": OTHERS, "k": 2, "batch": 3, "progress": False},
    ),
    "dissect": lambda t: (
        cx.dissect,
        {"net": t.net, "layer": "conv2", "dataset": CONCEPTS, "quantile": 0.01, "threshold": 0.04, "null": "rotation",
         "power": 0.5, "reduce": 1, "k": 2, "seed": 0, "name": "scenes", "cache": False, "batch": 3,
         "executor": t.threads, "progress": False},
    ),
    "gallery": lambda t: (
        cx.gallery,
        {"net": t.net, "layer": ["conv2", "fc4"], "unit": [0, 2], "preset": "paper2016", "steps": 1, "seed": 0,
         "solver": "spectral", "cache": False, "batch": 1, "executor": t.threads, "progress": False},
    ),
    "Gallery.of": lambda t: (t.gallery.of, {"layer": "conv2"}),
    "Gallery.plot": lambda t: (t.gallery.plot, {"most": 2}),
    "dissect_stream": lambda t: (
        units.dissect_stream,
        {"net": t.net, "layer": ["conv2", "relu2"], "dataset": CONCEPTS, "quantile": 0.01, "null": "masks", "k": 2,
         "cache": False, "batch": 3, "executor": None},
    ),
    "intervene": lambda t: (
        cx.intervene,
        {"net": t.net, "image": OTHERS, "layer": "conv2", "unit": [0, 1], "value": 0.5, "how": "add", "batch": 3,
         "progress": False},
    ),
    "Interventions": lambda t: (units.Interventions, {"net": t.net, "layer": "conv2"}),
    "Intervention.effect": lambda t: (
        cx.intervene(t.net, IMAGE, "conv2", unit=1, progress=False).effect, {"target": "bee"},
    ),
    "Intervention.plot": lambda t: (
        cx.intervene(t.net, IMAGE, "conv2", unit=1, progress=False).plot, {"most": 3},
    ),
    "concept_images": lambda t: (
        cx.concept_images, {"folder": "annotated", "category": "object", "categories": None},
    ),
    "compare_dissections": lambda t: (
        cx.compare_dissections, {"dissections": {"a": t.dissection, "b": t.dissection}, "by": "word"},
    ),
    "count_detectors": lambda t: (
        units.count_detectors, {"rows": t.dissection.table, "threshold": 0.04, "by": "word"},
    ),
    "random_rotation": lambda t: (units.random_rotation, {"units": 4, "power": 0.5, "seed": 0}),
    "Dissection.word": lambda t: (t.dissection.word, {"unit": 1}),
    "Dissection.best": lambda t: (t.dissection.best, {"category": "object"}),
    "Dissection.units_of": lambda t: (t.dissection.units_of, {"concept": t.dissection.concepts[0]}),
    "Dissection.counts": lambda t: (t.dissection.counts, {"by": "word"}),
    "Dissection.images": lambda t: (
        t.dissection.images, {"unit": 1, "k": 1, "concept": t.dissection.concepts[0]},
    ),
    "Dissection.plot": lambda t: (t.dissection.plot, {"unit": [0], "most": 2}),
    "Dissection.with_threshold": lambda t: (t.dissection.with_threshold, {"threshold": 0.1}),
    "Dissection.to_csv": lambda t: (t.dissection.to_csv, {"path": "a.csv"}),
    "top_stream": lambda t: (
        units.top_stream, {"net": t.net, "layer": "conv2", "unit": 1, "images": OTHERS, "k": 2, "batch": 3},
    ),
    "TopPatches.only": lambda t: (t.top.only, {"unit": 1, "k": 1}),
    "TopPatches.patches": lambda t: (t.top.patches, {"unit": 1}),
    "TopPatches.projections": lambda t: (t.top.projections, {"unit": 1, "rule": "deconvnet"}),
    "TopPatches.plot": lambda t: (t.top.plot, {"rule": "deconvnet", "most": 1}),
    "evolution": lambda t: (
        cx.evolution,
        {"net": [t.net, t.net], "layer": "conv2", "unit": [1], "images": OTHERS, "same_image": True,
         "rule": "deconvnet", "filters": True, "concepts": None, "batch": 3, "progress": False},
    ),
    "evolution_stream": lambda t: (
        units.evolution_stream,
        {"net": {"a": t.net}, "layer": "conv2", "unit": 1, "images": OTHERS, "same_image": False, "rule": "gradient",
         "filters": False, "concepts": None, "batch": 3},
    ),
    "finetune": lambda t: (
        cx.finetune,
        {"net": t.net, "dataset": [(image, k % 2) for k, image in enumerate(OTHERS)], "layers": ["fc4", "fc5"],
         "epochs": 1, "rate": 0.01, "decay": 1e-4, "batch": 2, "test": [(IMAGE, 1)], "folder": None, "seed": 0,
         "progress": False},
    ),
    "unit_changes": lambda t: (
        cx.unit_changes,
        {"before": t.net, "after": t.net, "layer": "conv2", "images": OTHERS, "concepts": None, "most": 2, "k": 2,
         "batch": 3, "progress": False},
    ),
    "UnitChanges.plot": lambda t: (
        cx.unit_changes(t.net, t.net, "conv2", OTHERS, most=2, k=1, progress=False).plot, {"most": 1},
    ),
    "Evolution.plot": lambda t: (t.evolution.plot, {"most": 1}),
    "Evolution.describe": lambda t: (t.evolution.describe, {"checkpoint": 0, "unit": 0}),
    "Evolution.class_of": lambda t: (t.evolution.class_of, {"checkpoint": 0, "unit": 0}),
    "Evolution.save": lambda t: (t.evolution.save, {"path": "a.csv"}),
    "facets": lambda t: (
        cx.facets,
        {"net": t.net, "layer": "conv2", "unit": 1, "images": OTHERS, "k": 2, "count": 6, "nearest": 2, "by": "relu1",
         "method": "multifaceted2016", "schedule": "mean", "steps": 4, "perplexity": 2.0, "seed": 0, "batch": 3,
         "progress": False},
    ),
    "facets.preimage": lambda t: (
        cx.facets,
        {"net": t.net, "layer": "conv2", "unit": [1], "images": OTHERS, "k": None, "method": "preimage2016",
         "steps": 2, "progress": False},
    ),
    "facet_stream": lambda t: (
        units.facet_stream,
        {"net": t.net, "layer": "conv2", "unit": 1, "images": OTHERS, "k": 1, "count": 6, "nearest": 2, "by": "relu1",
         "method": "none", "schedule": "mean", "steps": 4, "perplexity": 2.0, "seed": 0, "batch": 3},
    ),
    "Facets.images": lambda t: (t.facets.images, {"facet": 0, "k": 2}),
    "Facets.plot": lambda t: (t.facets.plot, {"k": 2}),
    "Phase": lambda t: (
        Phase,
        {"steps": 2, "rate": (1, 2), "weight": (0.1, 0.2), "zoom": 1.2, "margin": 5, "width": 0.2, "softmax": True,
         "ramp": 3},
    ),
    "unit_segments": lambda t: (
        cx.unit_segments,
        {"net": t.net, "layer": "conv2", "unit": 1, "images": OTHERS, "k": 2, "share": 0.5, "field": t.field,
         "progress": False},
    ),
    "decode": lambda t: (
        cx.decode, {"net": t.net, "layer": "conv2", "unit": 1, "unpool": "bilinear", "progress": False},
    ),
    "decode_activation": lambda t: (
        cx.decode_activation,
        {"net": t.net, "layer": "conv2", "activation": t.net.activations(IMAGE, "conv2"), "unpool": "bilinear"},
    ),
    "Decoding.threshold": lambda t: (t.decoding.threshold, {"share": 0.3, "part": "both"}),
    "features": lambda t: (
        cx.features,
        {"net": t.net, "images": OTHERS, "layer": "fc4", "name": None, "cache": False, "dtype": "float16", "batch": 4,
         "executor": t.threads, "progress": False},
    ),
    "Features.image": lambda t: (t.features.image, {"k": 1}),
    "Features.of": lambda t: (t.features.of, {"name": int(t.features.predicted[0]), "by": "predicted"}),
    "Features.only": lambda t: (t.features.only, {"which": [0, 1]}),
    "Features.pictures": lambda t: (t.features.pictures, {"which": [0, 1], "side": 8}),
    "embed": lambda t: (
        cx.embed,
        {"features": t.features, "method": "tsne", "perplexity": 2.0, "steps": 3, "seed": 0, "progress": False},
    ),
    "Embedding.plot": lambda t: (
        cx.embed(t.features, method="pca", progress=False).plot, {"colours": np.arange(6.0)},
    ),
    "topics": lambda t: (cx.topics, {"features": t.features, "k": 2, "seed": 0}),
    "topic_curve": lambda t: (
        cx.topic_curve, {"features": t.features, "ks": [1, 2], "splits": 2, "seed": 0},
    ),
    "Topics.images": lambda t: (t.topics.images, {"topic": 0, "k": 2}),
    "Topics.mask": lambda t: (t.topics.mask, {"topic": 0, "threshold": 0.0, "distinct": 0.0}),
    "Topics.distinctive_mask": lambda t: (
        t.topics.distinctive_mask, {"topic": 0, "threshold": 0.1, "distinct": 1.2},
    ),
    "Topics.similar": lambda t: (t.topics.similar, {"topic": 0}),
    "Topics.strongest_other": lambda t: (t.topics.strongest_other, {"topic": 0}),
    "Topics.transform": lambda t: (t.topics.transform, {"activations": np.ones((2, 8))}),
    "Topics.plot": lambda t: (t.topics.plot, {"k": 2}),
    "Topics[]": lambda t: (lambda topic: t.topics[topic], {"topic": 0}),
    "Topic.images": lambda t: (t.topics[0].images, {"k": 2}),
    "retrieve": lambda t: (
        cx.retrieve, {"topics": t.topics, "query": IMAGE, "k": 2, "features": t.features},
    ),
    "Retrieved.pictures": lambda t: (cx.retrieve(t.topics, IMAGE, k=2).pictures, {"side": 8}),
    "visualize_topic": lambda t: (
        cx.visualize_topic,
        {"topics": t.topics, "topic": 0, "threshold": 0.0, "distinct": 0.0, "seed": 0, "progress": False, "steps": 1,
         "M": 1.0},
    ),
    "cone": lambda t: (
        cx.cone, {"features": t.features, "pairs": [(0, 1)], "scales": (0.5, 1.0), "steps": 3, "seed": 0},
    ),
    "complete": lambda t: (
        cx.complete,
        {"net": t.net, "image": IMAGE, "mask": (4, 4, 12, 12), "topic": None, "target": 1, **RUN,
         "init": "surroundings", "M": 1.0, "progress": False},
    ),
    "complete.topic": lambda t: (
        cx.complete,
        {"net": t.net, "image": IMAGE, "mask": np.eye(16, dtype=bool), "topic": t.topics[0], "target": "bee",
         "M": 1.0, "steps": 1, "refine": 0, "progress": False},
    ),
    "Completion": lambda t: (
        cx.Completion, {"net": t.net, "image": IMAGE, "mask": (4, 4, 12, 12), "target": 1, "M": 1.0, **RUN},
    ),
    "Completion.probability": lambda t: (
        cx.Completion(t.net, IMAGE, (4, 4, 12, 12), target=1, M=1.0).probability, {"image": IMAGE},
    ),
    "salient_part": lambda t: (cx.salient_part, {"net": t.net, "image": IMAGE, "target": 1, "area": 0.2}),
    "Pathway": lambda t: (cx.Pathway, {"m5": None, "m6": np.ones(12), "m7": np.ones(8), "relu": False}),
    "Pathway.ensemble": lambda t: (
        lambda **k: cx.Pathway.ensemble(**k).masks(t.net), {"seed": 0, "keep": 0.5, "relu": False},
    ),
    "Pathway.location": lambda t: (
        lambda **k: cx.Pathway.location(**k).masks(t.net), {"row": 1, "column": 2, "k": 3},
    ),
    "Pathway.of": lambda t: (
        lambda **k: cx.Pathway.of(**k).masks(t.net), {"image": IMAGE, "depth": 3, "relu": False},
    ),
    "Pathway.topic": lambda t: (lambda topic: cx.Pathway.topic(topic).masks(t.net), {"topic": t.topics[0]}),
    "Pathway.masks": lambda t: (cx.Pathway(m7=np.ones(8)).masks, {"net": t.net}),
    "PatchDatabase": lambda t: (
        cx.PatchDatabase,
        {"net": t.net, "images": OTHERS, "layer": "conv2", "metric": "activation", "exclude": (IMAGE,),
         "cache": False, "progress": False, "k": 2, "size": 5, "stride": 8, "count": 3, "every": 5},
    ),
    "PatchDatabase.average": lambda t: (t.patches.average, {"image": IMAGE, "k": 1}),
    "PatchDatabase.index": lambda t: (t.patches.index, {"image": IMAGE, "side": 5}),
    "PatchDatabase.neighbours": lambda t: (t.patches.neighbours, {"image": IMAGE, "k": 1}),
    "PatchDatabase.not_duplicates": lambda t: (t.patches.not_duplicates, {"image": IMAGE}),
    "PatchDatabase.prior": lambda t: (
        t.patches.prior, {"size": (16, 16), "image": t.net.pixels_of(IMAGE)},
    ),
    "PatchDatabase.with_matching": lambda t: (
        t.patches.with_matching, {"k": 2, "size": 5, "stride": 4, "count": 2, "every": 3},
    ),
    "PatchIndex": lambda t: (
        cx.PatchIndex,
        {"pictures": OTHERS, "positions": 4, "size": 5, "norms": None, "origins": np.zeros((6, 2), int),
         "position_cost": 1.0, "components": 4, "rerank": 2},
    ),
    "PatchIndex.match": lambda t: (
        t.index.match, {"picture": IMAGE, "stride": 4, "count": 1, "original_colours": False, "norm": None},
    ),
    "PatchIndex.nearest": lambda t: (
        t.index.nearest,
        {"picture": IMAGE.astype(np.float32), "positions": np.array([[0, 0], [1, 2]]), "count": 1},
    ),
    "PatchIndex.patches": lambda t: (t.index.patches, {"indices": np.array([0, 1]), "original_colours": False}),
    "scene": lambda t: (
        cx.scene,
        {"seed": 7, "name": "church", "style": None, "size": 32, "scale": None, "angle": None, "colour": None},
    ),
    "world.dataset": lambda t: (
        cx.world.dataset, {"n": 3, "seed": 0, "size": 32, "names": ["church", "boat"]},
    ),
    "world.dataset.scene": lambda t: (cx.world.dataset(3, size=32).scene, {"index": 1}),
    "world.dataset.concepts": lambda t: (cx.world.dataset(3, size=32).concepts, {"index": 1}),
    "photograph": lambda t: (cx.photograph, {"name": "cat"}),
    "digit": lambda t: (cx.digit, {"value": 3, "which": 0}),
    "digits": lambda t: (cx.digits, {"folder": None, "train": False}),
    "annotated": lambda t: (cx.annotated, {"folder": "annotated"}),
    "Images": lambda t: (lambda source: t.net.pixels_of(Images(source)[0]), {"source": OTHERS}),
    "figure": lambda t: (
        cx.figure,
        {"name": "preimage2016.1", "net": t.net, "image": IMAGE, "layer": "fc4", "steps": 1, "progress": False},
    ),
    "score": lambda t: (
        cx.score,
        {"net": t.world, "attributions": {"gradient": lambda *a: np.zeros((96, 96))}, "topics": None,
         "dissections": None, "fields": None, "randomized": None, "removed": None, "truth": None, "n": 2, "seed": 3,
         "progress": False},
    ),
    "ask": lambda t: (
        cx.ask,
        {"net": t.net, "layer": "conv2", "unit": 1, "concepts": None, "checkpoints": None,
         "parts": ["filter", "top patches"], "k": 2, "steps": 1, "seed": 0, "progress": False},
    ),
    "deletion": lambda t: (
        evaluation.deletion, {"net": t.net, "image": IMAGE, "target": 1, "attribution": NOISE, "steps": 3, "seed": 0},
    ),
    "insertion": lambda t: (
        evaluation.insertion, {"net": t.net, "image": IMAGE, "target": 1, "attribution": NOISE, "steps": 3, "seed": 0},
    ),
    "road": lambda t: (
        evaluation.road,
        {"net": t.net, "image": IMAGE, "target": 1, "attribution": NOISE, "shares": [0.3, 0.5], "seed": 0},
    ),
    "average_precision": lambda t: (evaluation.average_precision, {"attribution": NOISE, "mask": SQUARE}),
    "mass_in_mask": lambda t: (evaluation.mass_in_mask, {"attribution": NOISE, "mask": SQUARE}),
    "pointing": lambda t: (evaluation.pointing, {"attribution": NOISE, "mask": SQUARE}),
    "iou": lambda t: (evaluation.iou, {"predicted": SQUARE, "truth": SQUARE}),
    "rand_index": lambda t: (evaluation.rand_index, {"found": [0, 1, 1], "truth": [0, 1, 0]}),
    "purity": lambda t: (evaluation.purity, {"found": [0, 1, 1], "truth": [0, 1, 0]}),
    "rank_correlation": lambda t: (evaluation.rank_correlation, {"one": NOISE, "other": NOISE}),
    "structural_similarity": lambda t: (evaluation.structural_similarity, {"one": NOISE, "other": NOISE}),
    "recognition": lambda t: (
        evaluation.recognition,
        {"net": t.net, "judge": t.net, "methods": {"same": lambda *a: IMAGE}, "labels": ["bee"], "seeds": [0]},
    ),
    "GeneratorMaximization": lambda t: (
        preimage.GeneratorMaximization,
        {"net": t.world, "layer": "fc8", "unit": 1, "direction": None, "position": None, "generator": "worldnet",
         "steps": 1, "seed": 0, "M": None, "images": OTHERS[:1], "schedule": {0: {"decay": 0.9}},
         "settings": {"code_rate": 0.5}},
    ),
    "ask_stream": lambda t: (
        reports.ask_stream,
        {"net": t.net, "layer": "conv2", "unit": 1, "concepts": None, "checkpoints": None,
         "parts": ["top patches"], "k": 2, "steps": 1, "seed": 0},
    ),
    "read_image": lambda t: (read_image, {"image": IMAGE}),
    "from_picture": lambda t: (cx.from_picture, {"path": png(IMAGE, "cx.digit(3)")}),
    "SavedPicture.make": lambda t: (cx.SavedPicture(IMAGE, "cx.digit(3)").make, {"progress": False}),
    "read_inverter": lambda t: (read_inverter, {"path": cx.inverters()[0].file}),
    "sanity_check": lambda t: (
        cx.sanity_check,
        {"net": t.net, "images": OTHERS[:2], "methods": ["gradient"], "seed": 1, "progress": False},
    ),
    "UnitGrid": lambda t: (cx.UnitGrid, {"count": 2, "side": 8, "captions": ("a", "b")}),
}  # fmt: skip


def _closed_at_once(panel: Callable[..., Any]) -> Callable[..., None]:
    """A call that makes a panel and closes it."""
    return lambda **arguments: panel(**arguments).close()


STEERED: dict[str, Any] = {
    "C": 2.0, "alpha": 6, "beta": 2.0, "jitter": 1, "steps": 2, "seed": 0, "seeds": 2, "start": False,
}  # fmt: skip
PANELS: dict[str, Callable[[Things], tuple[Callable[..., None], dict[str, Any]]]] = {
    "Exercise": lambda t: (
        cx.Exercise,
        {"text": "Which?", "check": lambda s: True, "hint": "None.", "ask": "inversion", "locked": ["C"]},
    ),
    "explore": lambda t: (
        _closed_at_once(cx.explore),
        {"net": t.net, "images": [IMAGE], "exercise": cx.Exercise("Which?"), "state": None},
    ),
    "InversionPanel": lambda t: (
        _closed_at_once(cx.InversionPanel),
        {"net": t.net, "image": IMAGE, "layer": "conv2", **STEERED, "mask": cx.masks.central(2), "patches": OTHERS,
         "gamma": 5.0, "priors": (_prior(),), "selection": SharedSelection()},
    ),
    "MaximizePanel": lambda t: (
        _closed_at_once(cx.MaximizePanel),
        {"net": t.net, "layer": "conv2", "unit": 1, "position": (3, 4), **STEERED, "patches": t.patches, "gamma": 5.0,
         "thumbnails": False, "priors": (_prior(),), "selection": SharedSelection()},
    ),
    "CaricaturePanel": lambda t: (
        _closed_at_once(cx.CaricaturePanel),
        {"net": t.net, "image": IMAGE, "layer": "conv2", **STEERED, "selection": SharedSelection()},
    ),
    "AttributionPanel": lambda t: (
        _closed_at_once(cx.AttributionPanel),
        {"net": t.net, "image": IMAGE, "target": 1, "method": "gradient", "layer": "conv2", "opacity": 0.5,
         "selection": SharedSelection()},
    ),
    "UnitPanel": lambda t: (
        _closed_at_once(cx.UnitPanel),
        {"net": t.net, "layer": "conv2", "unit": 1, "images": OTHERS, "k": 2, "concepts": None,
         "checkpoints": None, "parts": [],
         "selection": SharedSelection()},
    ),
    "DecodingPanel": lambda t: (
        _closed_at_once(cx.DecodingPanel),
        {"net": t.net, "image": IMAGE, "layer": "conv2", "unit": 1, "unpool": "bilinear",
         "selection": SharedSelection()},
    ),
    "StylePanel": lambda t: (
        _closed_at_once(cx.StylePanel),
        {"net": t.net, "images": OTHERS, "style_of": None, "k": 2, "threshold": 0.1, "distinct": 1.2, **STEERED,
         "selection": SharedSelection()},
    ),
    "PathwayPanel": lambda t: (
        _closed_at_once(cx.PathwayPanel),
        {"net": t.net, "unit": 1, "styles": [np.ones(8)], "places": np.ones((6, 6), bool), "ensembles": 1,
         "relu": False, **STEERED, "selection": SharedSelection()},
    ),
    "CompletionPanel": lambda t: (
        _closed_at_once(cx.CompletionPanel),
        {"net": t.net, "image": IMAGE, "mask": (4, 4, 12, 12), "target": 1, "styles": [np.ones(8)],
         "fill": "surroundings", **STEERED, "selection": SharedSelection()},
    ),
}  # fmt: skip
CALLS |= PANELS
