"""GeneratorControls: the generator as the prior of a maximisation, switched on and set while a run goes on."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import ipywidgets as w

from ...generators import inverters, layers_with_inverter
from ...network import Network
from ...preimage import GeneratorMaximization, Parameter, Settings
from .settings_controls import slider_of

OWN = "its own"


class GeneratorControls:
    """A switch for the generator prior, whose generator is used, and sliders for its settings.

    Parameters
    ----------
    settings : Settings
        What the sliders write into.
    on : bool
        Whether it is switched on at first.
    given : object
        A generator of the user's, as `maximize` takes it; None for the network's own.

    Attributes
    ----------
    on_switch : callable
        Called when the prior was switched or another generator was chosen.
    on_change : callable
        Called when a slider was moved.
    """

    def __init__(self, settings: Settings, on: bool, given: Any = None):
        self.settings, self.given = settings, given
        self.on_switch: Callable[[], None] = lambda: None
        self.on_change: Callable[[], None] = lambda: None
        tip = "optimise the code of a generator in place of pixels: the picture stays close to images"
        self.switch = w.ToggleButton(on, description="generator", icon="magic", tooltip=tip)
        self.switch.layout.width = "112px"
        names = sorted({row.network for row in inverters() if row.loss == "adversarial"})
        options = [("given" if given is not None else OWN, given), *((f"of {name}", name) for name in names)]
        self.source = w.Dropdown(options=options, layout=w.Layout(width="184px"))
        self.source.tooltip = "whose generator: another network's images are shown to this one"
        now = settings.snapshot()
        self.sliders = {p.name: slider_of(p, now[p.name]) for p in GeneratorMaximization.parameters}
        self.sliders["decay"].step, self.sliders["decay"].readout_format = 0.001, ".3f"  # the usual one is 0.99
        for p in GeneratorMaximization.parameters:
            self.sliders[p.name].observe(partial(self._moved, p), "value")
        self.row = w.VBox([w.HBox([self.switch, self.source]), *self.sliders.values()])
        self._update()
        self.switch.observe(self._switched, "value")
        self.source.observe(self._switched, "value")

    @property
    def on(self) -> bool:
        """Whether the generator is the prior."""
        return self.switch.value

    @property
    def generator(self) -> Any:
        """The generator as `maximize` takes it."""
        return self.source.value

    def fit(self, net: Network) -> None:
        """Choose a generator that exists, for a network without one of its own."""
        if self.generator is None and not layers_with_inverter(net) and len(self.source.options) > 1:
            self.source.unobserve(self._switched, "value")
            self.source.index = 1
            self.source.observe(self._switched, "value")

    def _switched(self, change: dict) -> None:
        self._update()
        self.on_switch()

    def _update(self) -> None:
        self.source.layout.visibility = "visible" if self.on else "hidden"
        for slider in self.sliders.values():
            slider.layout.display = "" if self.on else "none"

    def _moved(self, parameter: Parameter, change: dict) -> None:
        value, now = change["new"], self.settings.snapshot()[parameter.name]
        if parameter.scale == "log":
            if now > 0 and abs(math.log10(value / now)) < 0.008:
                return  # the slider only went to its nearest tick
            value = float(f"{value:.2g}")
        value = round(value, 4)
        if value != now:
            self.settings.update(**{parameter.name: value})
            self.on_change()
