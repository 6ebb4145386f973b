"""A new panel in one file: the mean activation of the selected layer, over the image. The how-to page shows it."""

from __future__ import annotations

from collections.abc import Iterator

import ipywidgets as w
import numpy as np

import cnnexplore as cx
from cnnexplore.drawing import heat
from cnnexplore.errors import SettingError
from cnnexplore.widgets.panels.task_panel import TaskPanel
from cnnexplore.widgets.views.frame_view import FrameView


class MeanActivationPanel(TaskPanel):
    """The mean over the units of a layer, unit by unit, until all of them are in it."""

    def __init__(self, net=None, image=None, layer=None, *, units: int = 64, selection=None):
        self._most, self._mean = units, None
        super().__init__(net, image, layer, selection)

    def _build(self) -> list[w.Widget]:
        self.view = FrameView(self.layer.size, "mean activation")
        self.units = w.IntSlider(self._most, 1, 256, description="units", continuous_update=False)
        self.units.observe(lambda change: self._begin(), "value")
        return [w.HBox([self.view, self.units]), self.run_view]

    def _looked_at(self) -> tuple:
        return self.net, self.selection.value.image, self.layer.name, self.units.value

    def _stream(self, looked_at: tuple) -> tuple[Iterator[np.ndarray], int]:
        net, image, layer, most = looked_at
        maps = cx.activation_maps(net, image, layer).maps[:most]
        return (maps[:k].mean(0) for k in range(1, len(maps) + 1)), len(maps)

    def _show_result(self, mean: np.ndarray) -> None:
        self._mean = mean
        self.view.resize(mean.shape)
        self.view.draw(self.picture)

    def _finished(self) -> str:
        return f"{self.layer.name}: the mean of {min(self.units.value, self.layer.channels)} units"

    @property
    def picture(self) -> np.ndarray:
        if self._mean is None:
            raise SettingError("there is no picture yet; wait until the activations are computed.")
        return heat(self._mean)

    def to_python(self) -> str:
        image, layer = self.selection.value.image_python, self.layer.name
        return f"cx.activation_maps({self.net.to_python()}, {image}, {layer!r}).maps[:{self.units.value}].mean(0)"
