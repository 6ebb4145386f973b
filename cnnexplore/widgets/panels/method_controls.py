"""MethodControls: the sliders of an attribution method, as its record declares them."""

from __future__ import annotations

import math
from collections.abc import Callable

import ipywidgets as w

from ...attribution import Option, find_method


class MethodControls:
    """The sliders of one method at a time; values stay while the sliders of another method are shown.

    Parameters
    ----------
    side : int
        The shorter side of the network's input, in pixels.
    on_move : callable
        Called with the method when a person has moved one of its sliders.
    """

    def __init__(self, side: int, on_move: Callable[[str], None]):
        self.on_move = on_move
        self.widget = w.VBox()
        self._made: dict[str, dict[str, w.Widget]] = {}
        self.reset(side)

    def reset(self, side: int) -> None:
        """Return all sliders to their initial values, for a network with an input of another size."""
        self.widget.children = ()
        for slider in self.sliders:
            for part in (slider.layout, slider.style, slider):
                part.close()
        self.side = side
        self._made.clear()

    @property
    def sliders(self) -> list[w.Widget]:
        """The sliders of all methods that were shown."""
        return [slider for some in self._made.values() for slider in some.values()]

    def show(self, method: str) -> None:
        """Show the sliders of a method, or nothing if it has none."""
        if method not in self._made:
            options = [option for option in find_method(method).options if option.slider is not None]
            self._made[method] = {option.name: self._slider(method, option) for option in options}
        self.widget.children = tuple(self._made[method].values())

    def shown(self, method: str) -> dict[str, w.Widget]:
        """The sliders of a method that was shown, by name."""
        return dict(self._made.get(method, {}))

    def values(self, method: str) -> dict[str, float]:
        """The settings of a method that differ from its defaults, by name."""
        options = [option for option in find_method(method).options if option.slider is not None]
        if method in self._made:
            found = {name: slider.value for name, slider in self._made[method].items()}
        else:  # what depends on the size of the input is left to the method
            found = {option.name: option.first(self.side) for option in options if not callable(option.initial)}
        for option in options:
            if option.at_most in found and option.name in found:
                found[option.name] = min(found[option.name], found[option.at_most])
        return found

    def _slider(self, method: str, option: Option) -> w.Widget:
        assert option.slider is not None
        low, high = option.slider
        common = {
            "description": option.name, "tooltip": option.description, "continuous_update": False,
            "layout": w.Layout(width="212px"), "style": {"description_width": "58px"},
        }  # fmt: skip
        first = option.first(self.side)
        if option.scale == "log":
            ends = {"min": math.log10(low), "max": math.log10(high)}
            slider: w.Widget = w.FloatLogSlider(first, **ends, **common)
        elif option.whole:
            slider = w.IntSlider(first, min=int(low), max=int(high), **common)
        else:
            slider = w.FloatSlider(first, min=low, max=high, step=(high - low) / 50, **common)
        slider.observe(lambda _: self.on_move(method), "value")
        return slider
