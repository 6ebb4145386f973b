"""PatchControls: the patch prior, switched on and weighed while a run goes on, and the patches that match."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ipywidgets as w
import numpy as np

from ...network import Network
from ...preimage import Settings, SteeredRun
from ...styles import PatchDatabase
from ..views.frame_view import FrameView
from .arguments import MOST_GAMMA


class PatchControls:
    """A switch for the patch prior, a slider for its weight gamma, and a view of the matched patches.

    Parameters
    ----------
    settings : Settings
        What the slider writes into.
    given : PatchDatabase or images, optional
        A database, or a folder, a list or a data set to make one of; None: the bundled images, switched off at first.
    gamma : float
        The weight at first.
    size : tuple of int
        (H, W) of the network's input.

    Attributes
    ----------
    on_switch : callable
        Called when the prior was switched.
    on_change : callable
        Called when the weight was moved.

    Raises
    ------
    SettingError
    """

    def __init__(self, settings: Settings, given: Any, gamma: float, size: tuple[int, int]):
        self.settings, self.given = settings, given
        self.on_switch: Callable[[], None] = lambda: None
        self.on_change: Callable[[], None] = lambda: None
        self._known: tuple | None = None  # a database and what it was made for
        self._shown = 0
        tip = "a prior that favours patches of photographs: natural colours and textures"
        self.switch = w.ToggleButton(given is not None, description="patches", icon="th", tooltip=tip)
        self.switch.layout.width = "96px"
        self.weight = w.FloatLogSlider(gamma, base=10, min=-2, max=math.log10(MOST_GAMMA), step=0.01, description="γ")
        self.weight.tooltip = "γ: the weight of the patches against the activation"
        self.weight.readout_format, self.weight.style.description_width = ".2r", "16px"
        self.weight.layout.width = "200px"
        self.row = w.HBox([self.switch, self.weight])
        self.view = FrameView(size, "the patches that match")
        self._update()
        self.switch.observe(self._switched, "value")
        self.weight.observe(self._moved, "value")

    @property
    def on(self) -> bool:
        """Whether the prior is switched on."""
        return self.switch.value

    def options(self, net: Network, layer: str | None) -> dict[str, Any]:
        """What a run is given: nothing, or a database of the layer's codes, or of all patches alike, made if need be.

        Raises LayerError, SettingError, ImageError.
        """
        if not self.on:
            return {}
        if isinstance(self.given, PatchDatabase) and self.given.net is net:
            database = self.given
        elif self._known is not None and self._known[0] == (net, layer):
            database = self._known[1]
        else:
            source = self.given.images if isinstance(self.given, PatchDatabase) else self.given
            database = PatchDatabase(net, source, layer, progress=False)
            self._known = (net, layer), database
        return {"patches": database} if layer is None else {"patches": database, "init": "patches"}

    def update(self, run: SteeredRun, last: bool = False) -> None:
        """Show the newest matches, if there are any since the last time; in the thread of the loop."""
        prior: Any = next((one for one in run.priors if one.name == "patches"), None)
        if prior is None or prior.matched in (0, self._shown):
            return
        if last or self.view.stream.views == 0:
            self.view.draw(_one(prior.warped()))
            self._shown = prior.matched
        elif self.view.offer(lambda: _one(prior.warped())):
            self._shown = prior.matched

    def begin(self) -> None:
        """Another run: show its first matches."""
        self._shown = 0

    def _switched(self, change: dict) -> None:
        self._update()
        self.on_switch()

    def _update(self) -> None:
        self.weight.disabled = not self.on
        self.settings.update(gamma=float(f"{self.weight.value:.2g}") if self.on else 0.0)

    def _moved(self, change: dict) -> None:
        gamma = float(f"{change['new']:.2g}")
        if self.on and gamma != self.settings.gamma:
            self.settings.update(gamma=gamma)
            self.on_change()


def _one(pictures: np.ndarray) -> np.ndarray:
    """A batch of one as a picture."""
    return pictures[0] if len(pictures) == 1 else pictures
