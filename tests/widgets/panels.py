"""One panel of each kind, small ones."""

from __future__ import annotations

import numpy as np

import cnnexplore as cx

PARTS = ["word", "generator", "evolution", "facets"]
MASKS = [np.arange(256) % 2 == 0, np.arange(256) % 3 == 0]


def units_with_all_parts() -> cx.UnitPanel:
    """A unit's page whose every part is computed."""
    net, digits = cx.load("lenet"), [cx.digit(k) for k in range(8)]
    scenes = cx.world.dataset(6, 1, 28)
    return cx.UnitPanel(net, "conv1", 3, digits, k=3, concepts=scenes, checkpoints=[net, net], parts=PARTS)


def learned_inversion() -> cx.InversionPanel:
    """An inversion that begins with the picture of a learned inverter."""
    panel = cx.InversionPanel("worldnet", cx.scene(3).image, "relu6", steps=3)
    panel.start_from.value = "learned"
    return panel


PANELS = {
    "inversion": lambda: cx.InversionPanel("lenet", layer="conv2", steps=5),
    "maximization": lambda: cx.MaximizePanel("lenet", "conv1", steps=5),
    "caricature": lambda: cx.CaricaturePanel("lenet", layer="conv2", steps=5),
    "attribution": lambda: cx.AttributionPanel("lenet"),
    "units": lambda: cx.UnitPanel("lenet", "conv1"),
    "units with all parts": units_with_all_parts,
    "learned inversion": learned_inversion,
    "generator": lambda: cx.MaximizePanel("worldnet", "fc8", "boat", steps=3, prior="generator", thumbnails=False),
    "decoding": lambda: cx.DecodingPanel("lenet", layer="conv1"),
    "pathways": lambda: cx.PathwayPanel("worldnet", 3, styles={"church": MASKS}, steps=3),
    "completion": lambda: cx.CompletionPanel("worldnet", cx.scene(3).image, (20, 20, 60, 60), steps=3),
    "styles": lambda: cx.StylePanel("worldnet-styles", cx.world.dataset(30, 5, names=["boat"]), k=2, steps=3),
}
