"""ReluMaskView: the ReLU masks of pathways in the fully-connected layers, as small pictures."""

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
    """The masks m6 and m7 of pathways side by side, one pathway below the other.

    A mask that no pathway has is hidden: its layer keeps its own ReLU.

    Attributes
    ----------
    views : dict of FrameView
        The pictures of "m6" and "m7".
    widget : ipywidgets.Widget
        Both of them.
    """

    def __init__(self) -> None:
        self.views = {"m6": FrameView((16, 16), columns=1), "m7": FrameView((16, 16), columns=1)}
        self.widget = w.HBox(list(self.views.values()), layout=w.Layout(margin="6px 14px 0 0", grid_gap="12px"))
        self.widget.layout.display = "none"

    def show(self, net: Network, pathways: Sequence[Pathway | None]) -> None:
        """Show the masks of the first four pathways.

        Parameters
        ----------
        net : Network
        pathways : sequence of Pathway or None
            None is the network without masks.
        """
        masks = [pathway.masks(net) for pathway in pathways[:_MOST] if pathway is not None]
        for name, layer in {"m6": "fc6", "m7": "fc7"}.items():
            view, found = self.views[name], [getattr(one, name) for one in masks]
            found = [one.numpy() for one in found if one is not None]
            view.layout.display = "" if found else "none"
            if found:
                side = math.ceil(math.sqrt(len(found[0])))
                scale = max(1, _SIDE // side)
                if (view.height, view.width, view.scale) != (side, side, scale):
                    view.resize((side, side), scale)
                view.draw(np.stack([_picture(one, side) for one in found]))
                counts = ", ".join(dict.fromkeys(str(one.sum()) for one in found))
                view.caption = f"{layer}: {counts} of {len(found[0])} pass"
        self.widget.layout.display = "" if any(not view.layout.display for view in self.views.values()) else "none"


def _picture(mask: np.ndarray, side: int) -> np.ndarray:
    """A mask in a square, (side, side, 3) uint8: bright where it is open, grey beyond its end."""
    flat = np.full((side * side, 3), 128, np.uint8)
    flat[: len(mask)] = np.where(mask[:, None], OPEN[0], CLOSED[0])
    return flat.reshape(side, side, 3)
