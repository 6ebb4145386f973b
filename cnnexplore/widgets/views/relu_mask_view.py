"""ReluMaskView: which units of the fully-connected layers pathways let pass, as small pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import ipywidgets as w
import numpy as np

from ...network import Network
from ...styles import Pathway
from .frame_view import FrameView
from .location_map import CLOSED, OPEN

_SIDE = 64  # screen pixels of a mask, about
_MOST = 4  # pathways that are shown


class ReluMaskView:
    """The masks m6 and m7 of pathways beside each other, one above the next; hidden where all pass of themselves."""

    def __init__(self):
        self.views = {"m6": FrameView((16, 16), columns=1), "m7": FrameView((16, 16), columns=1)}
        self.widget = w.HBox(list(self.views.values()), layout=w.Layout(margin="6px 14px 0 0", grid_gap="12px"))
        self.widget.layout.display = "none"

    def show(self, net: Network, ways: Sequence[Pathway | None]) -> None:
        """The masks of pathways."""
        masks = [way.masks(net) for way in ways[:_MOST] if way is not None]
        for name, view in self.views.items():
            found = [getattr(one, name) for one in masks]
            found = [one.numpy() for one in found if one is not None]
            view.layout.display = "" if found else "none"
            if found:
                side = math.ceil(math.sqrt(len(found[0])))
                scale = max(1, _SIDE // side)
                if (view.height, view.width, view.scale) != (side, side, scale):
                    view.resize((side, side), scale)
                view.draw(np.stack([_picture(one, side) for one in found]))
                fc, counts = {"m6": "fc6", "m7": "fc7"}[name], ", ".join(dict.fromkeys(str(one.sum()) for one in found))
                view.caption = f"{fc}: {counts} of {len(found[0])} pass"
        self.widget.layout.display = "" if any(not view.layout.display for view in self.views.values()) else "none"


def _picture(mask: np.ndarray, side: int) -> np.ndarray:
    """A mask in a square, (side, side, 3) uint8, bright where it is open; what lies beyond its end is grey."""
    flat = np.full((side * side, 3), 128, np.uint8)
    flat[: len(mask)] = np.where(mask[:, None], OPEN[0], CLOSED[0])
    return flat.reshape(side, side, 3)
