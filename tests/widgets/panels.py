"""One panel of each kind, small ones."""

from __future__ import annotations

import numpy as np

import cnnexplore as cx

MASKS = [np.arange(256) % 2 == 0, np.arange(256) % 3 == 0]
PANELS = {
    "inversion": lambda: cx.InversionPanel("lenet", layer="conv2", steps=5),
    "maximization": lambda: cx.MaximizePanel("lenet", "conv1", steps=5),
    "caricature": lambda: cx.CaricaturePanel("lenet", layer="conv2", steps=5),
    "attribution": lambda: cx.AttributionPanel("lenet"),
    "units": lambda: cx.UnitPanel("lenet", "conv1"),
    "decoding": lambda: cx.DecodingPanel("lenet", layer="conv1"),
    "pathways": lambda: cx.PathwayPanel("worldnet", 3, styles={"church": MASKS}, steps=3),
    "completion": lambda: cx.CompletionPanel("worldnet", cx.scene(3).image, (20, 20, 60, 60), steps=3),
    "styles": lambda: cx.StylePanel("worldnet-styles", cx.world.dataset(30, 5, names=["boat"]), k=2, steps=3),
}
