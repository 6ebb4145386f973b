"""EvolutionView: a unit at the checkpoints of a training, side by side, and one of them large by a slider."""

from __future__ import annotations

import ipywidgets as w
import numpy as np

from ...reports import Part
from ..elements import sentence
from ..views.frame_view import FrameView
from .part_view import PartView, draw


class EvolutionView(PartView):
    """The part "evolution" of a unit's page, with a slider over the checkpoints.

    Parameters
    ----------
    title : str
        What the part shows.

    Attributes
    ----------
    slider : ipywidgets.IntSlider
        The number of the checkpoint that is shown large.
    """

    def __init__(self, title: str):
        super().__init__(title, side=90)
        self.slider = w.IntSlider(
            0, min=0, max=0, description="checkpoint", tooltip="the checkpoint of the training that is shown large",
            style={"description_width": "initial"}, layout=w.Layout(width="340px", max_width="100%"),
        )  # fmt: skip
        self.slider.observe(lambda change: self._show_moment(), "value")
        self.moment, self._words = FrameView((8, 8), ""), w.HTML()
        self.large = w.VBox([self.slider, self.moment, self._words], layout=w.Layout(display="none"))
        self.widget.children = [*self.widget.children, self.large]

    def wait(self, text: str) -> None:
        super().wait(text)
        self.large.layout.display = "none"

    def show(self, part: Part) -> None:
        super().show(part)
        count = 0 if part.value is None else len(part.value)
        self.large.layout.display = "" if count else "none"
        if count:
            at_end = self.slider.value >= self.slider.max  # a slider that nobody moved follows the training
            self.slider.max = count - 1
            if at_end and self.slider.value != count - 1:
                self.slider.value = count - 1  # draws
            else:
                self._show_moment()

    def _show_moment(self) -> None:
        found = None if self.part is None else self.part.value
        t = int(self.slider.value)
        if found is None or t >= len(found):
            return
        pictures = [found.patches[t][0], found.projections[t][0]]
        if found.filters is not None and found.filters[t][0].shape == pictures[0].shape:
            pictures.append(found.filters[t][0])
        draw(self.moment, np.stack(pictures), 200)
        what = " · ".join(("patch", found.rule.replace("_", " "), "decoded filter")[: len(pictures)])
        self.moment.caption = f"{found.checkpoints[t]}: {what}"
        self._words.value = sentence(found.describe(t, 0))
