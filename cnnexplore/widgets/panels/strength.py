"""StrengthControl: a slider that silences or raises a unit, and what that does to the class scores of an image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ipywidgets as w
import numpy as np
import torch

from ...network import Network, unit_name
from ...reports.parts import Bar, class_names
from ...units import Interventions
from ..elements import sentence
from ..live.runner import Runner
from ..live.task import Task
from .part_view import bars_html

_CLASSES = 6  # that are shown
_STRONGEST = 4.0


@dataclass(frozen=True, eq=False)
class Scores:
    """The class scores of an image, with a unit as it is and multiplied by a factor.

    Attributes
    ----------
    before, after : np.ndarray
        (K,), the scores.
    names : list of str
        The classes.
    factor : float
        What the unit is multiplied by.
    """

    before: np.ndarray
    after: np.ndarray
    names: list[str]
    factor: float


class StrengthControl:
    """The strength of a unit as a slider: 0 silences it, 1 is as it is; the class scores follow.

    Parameters
    ----------
    runner : Runner
        Computes the scores.

    Attributes
    ----------
    slider : ipywidgets.FloatSlider
        The factor.
    scores : Scores or None
        What is shown.
    """

    def __init__(self, runner: Runner):
        self.runner = runner
        self.scores: Scores | None = None
        runner.on_result, runner.on_error = self._show, self._fail
        self._asked: tuple[Network, str, int, torch.Tensor] | None = None
        self._made: tuple[tuple[Network, str], Interventions] | None = None
        self._title = w.HTML("<b>silence it or raise it</b>")
        style, layout = {"description_width": "initial"}, w.Layout(width="340px", max_width="100%")
        self.slider = w.FloatSlider(
            0.0, min=0, max=_STRONGEST, step=0.1, description="strength", readout_format=".1f", style=style,
            layout=layout, tooltip="what the unit's activations are multiplied by: 0 silences it, 1 leaves it as it is",
        )  # fmt: skip
        self.slider.observe(lambda change: self._begin(), "value")
        self._bars, self._note = w.HTML(), w.HTML()
        self.widget = w.VBox([self._title, self.slider, self._bars, self._note], layout=w.Layout(display="none"))
        self.widget.layout.margin, self.widget.layout.width, self.widget.layout.max_width = (
            "6px 8px 0 0",
            "430px",
            "100%",
        )

    def look(self, net: Network, layer: str, unit: int, image: Any) -> None:
        """Show the scores of another image or unit.

        Parameters
        ----------
        net : Network
        layer : str
        unit : int
        image : object
            What `Network.pixels_of` takes; one image.
        """
        self._asked = (net, layer, unit, net.pixels_of(image))
        self._begin()

    def _begin(self) -> None:
        if self._asked is not None:
            asked, factor = self._asked, float(self.slider.value)
            self.runner.begin(lambda: Task(self._compute(asked, factor), 1))

    def _compute(self, asked: tuple[Network, str, int, torch.Tensor], factor: float) -> Iterator[Scores]:
        net, layer, unit, x = asked
        if self._made is None or self._made[0] != (net, layer):
            self._made = (net, layer), Interventions(net, layer)
        change = self._made[1]
        before, after = change.scores(x)[0], change.scores(x, [unit], factor, "scale")[0]
        yield Scores(before, after, class_names(net, len(before)), factor)

    def _show(self, found: Scores) -> None:
        self.scores = found
        net, layer, unit, _ = self._asked  # type: ignore[misc]
        change = found.after - found.before
        likely = np.argsort(-found.before, kind="stable")[: _CLASSES // 2]
        moved = [k for k in np.argsort(-np.abs(change), kind="stable") if k not in likely][: _CLASSES - len(likely)]
        bars = [Bar(found.names[k], float(found.after[k]), float(found.before[k])) for k in [*likely, *moved]]
        self._bars.value = bars_html(bars, ".2f")
        first, now = (found.names[int(scores.argmax())] for scores in (found.before, found.after))
        name = unit_name(net, net.layers[layer], unit)
        how = "silenced" if found.factor == 0 else "as it is" if found.factor == 1 else f"times {found.factor:g}"
        what = f"{now} stays the likeliest class" if now == first else f"{first} becomes {now}"
        text = f"class scores of the image with {name} {how}; orange: as it is. {what}."
        self._note.value = sentence(text)
        self.widget.layout.display = ""

    def _fail(self, text: str, trace: str) -> None:
        self.scores, self._bars.value = None, ""
        self._note.value = sentence(text)
        self.widget.layout.display = ""
