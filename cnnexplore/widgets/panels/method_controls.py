"""MethodControls: the sliders of what an attribution method leaves to choose."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as w

# By method: least, most, step, and where it stands at first: soon done, and good enough; 0: by the input's side.
_SLIDERS = {
    "smoothgrad": {"samples": (2, 60, 1, 12), "noise": (0.0, 0.5, 0.01, 0.15)},
    "integrated_gradients": {"steps": (4, 100, 1, 16)},
    "occlusion": {"window": (2, 64, 1, 0), "stride": (1, 32, 1, 0)},
}


class MethodControls:
    """The sliders of one method at a time; what was moved stays while another method's are shown.

    side: the shorter side of the network's input, in pixels. on_move(method): called when a person moves one.
    """

    def __init__(self, side: int, on_move: Callable[[str], None]):
        self.on_move = on_move
        self.widget = w.VBox()
        self.reset(side)

    def reset(self, side: int) -> None:
        """For another network: all sliders where they stand at first."""
        self._usual = {"window": max(4, side // 8), "stride": max(2, side // 16)}
        self._made: dict[str, dict[str, w.Widget]] = {}

    def show(self, method: str) -> None:
        """The sliders of a method, or nothing if it has none."""
        if method not in self._made:
            rows = _SLIDERS.get(method, {}).items()
            self._made[method] = {name: self._slider(method, name, *row) for name, row in rows}
        self.widget.children = tuple(self._made[method].values())

    def values(self, method: str) -> dict[str, float]:
        """What the method is called with, by name; only what its own defaults would not do."""
        if method in self._made:
            found = {name: slider.value for name, slider in self._made[method].items()}
        else:
            found = {name: first for name, (*_, first) in _SLIDERS.get(method, {}).items() if first}
        if "stride" in found:
            found["stride"] = min(found["stride"], found["window"])
        return found

    def _slider(self, method: str, name: str, least: float, most: float, step: float, first: float) -> w.Widget:
        kind = w.IntSlider if isinstance(step, int) else w.FloatSlider
        slider = kind(
            first or self._usual[name], min=least, max=most, step=step, description=name, continuous_update=False,
            layout=w.Layout(width="212px"), style={"description_width": "58px"},
        )  # fmt: skip
        slider.observe(lambda _: self.on_move(method), "value")
        return slider
