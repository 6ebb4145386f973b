"""PartView: one part of a unit's page on the screen: a title, its pictures or bars, and a sentence."""

from __future__ import annotations

from collections.abc import Sequence

import ipywidgets as w
import numpy as np

from ...reports import Bar, Part
from ..elements import MUTED, escaped, sentence
from ..views.frame_view import FrameView

_BAR = 260  # screen pixels of the room of bars
_POSITIVE, _NEGATIVE, _REFERENCE = "#0072B2", "#56B4E9", "#D55E00"


class PartView:
    """Shows a part of a report; as tall as it needs, and hidden until there is something to show.

    Parameters
    ----------
    title : str
        What the part shows.
    side : int
        Screen pixels of a picture's longer side, about.
    wide : int, optional
        Screen pixels of all of it, in which its sentences are wrapped; None: as wide as the panel.

    Attributes
    ----------
    part : Part or None
        What is shown.
    widget : ipywidgets.Widget
        All of it.
    """

    def __init__(self, title: str, side: int = 200, wide: int | None = None):
        self.part: Part | None = None
        self._side = side
        self._title = w.HTML(f'<b style="display:block;line-height:1.3">{escaped(title)}</b>')
        self.view = FrameView((8, 8), "")
        self._bars, self._note = w.HTML(), w.HTML()
        for one in (self.view, self._bars):
            one.layout.display = "none"
        layout = w.Layout(display="none", max_width="100%", margin="6px 8px 0 0")
        layout.width = None if wide is None else f"{wide}px"
        self.widget = w.VBox([self._title, self.view, self._bars, self._note], layout=layout)

    def clear(self) -> None:
        """Hide it."""
        self.part, self.widget.layout.display = None, "none"

    def wait(self, text: str) -> None:
        """Show that it is not there yet; the pictures of the unit before are hidden."""
        self.part = None
        self.view.layout.display = self._bars.layout.display = "none"
        self._note.value, self.widget.layout.display = sentence(text), ""

    def show(self, part: Part) -> None:
        """Show a part.

        Parameters
        ----------
        part : Part
            A part that is complete or on its way.
        """
        self.part = part
        self.view.layout.display = "" if part.pictures else "none"
        self._bars.layout.display = "" if part.bars else "none"
        if part.pictures:
            draw(self.view, np.stack(part.pictures), self._side)
            self.view.caption = " · ".join(part.captions)
        if part.bars:
            self._bars.value = bars_html(part.bars)
        self._note.value = sentence(part.why or part.note, MUTED)
        self.widget.layout.display = ""


def draw(view: FrameView, pictures: np.ndarray, wide: int) -> None:
    """Show pictures of any size, each at most `wide` screen pixels wide where a whole factor allows it."""
    size = pictures.shape[-3:-1]
    scale = max(1, min(wide // max(size), 16))
    if (view.height, view.width, view.scale) != (*size, scale):
        view.resize(size, scale)
    view.draw(pictures)


def bars_html(bars: Sequence[Bar], digits: str = "", width: int = _BAR) -> str:
    """HTML of bars about zero, each with its label, a tick at its reference, and its value.

    Parameters
    ----------
    bars : sequence of Bar
        The numbers.
    digits : str
        The format of a value; by default three digits, with a sign where there are both.
    width : int
        Screen pixels of the longest bar's room.

    Returns
    -------
    str
        A table; labels are escaped.
    """
    known = [0.0, *(bar.value for bar in bars), *(bar.reference for bar in bars if bar.reference is not None)]
    low, high = min(known), max(known)
    span = (high - low) or 1.0
    digits = digits or ("+.3g" if low < 0 else ".3g")

    def place(value: float) -> float:
        return round(100 * (value - low) / span, 2)

    rows = []
    for bar in bars:
        left, right = sorted((place(0), place(bar.value)))
        colour = _POSITIVE if bar.value >= 0 else _NEGATIVE
        parts = [f'<div style="position:absolute;top:3px;bottom:3px;left:{left}%;width:{right - left:.2f}%;'
                 f'background:{colour}"></div>']  # fmt: skip
        parts.append(f'<div style="position:absolute;top:0;bottom:0;left:{place(0)}%;width:1px;'
                     'background:var(--jp-ui-font-color3)"></div>')  # fmt: skip
        if bar.reference is not None:
            parts.append(f'<div style="position:absolute;top:0;bottom:0;left:calc({place(bar.reference)}% - 1px);'
                         f'width:3px;background:{_REFERENCE}"></div>')  # fmt: skip
        rows.append(
            '<tr style="background:none"><td style="text-align:left;padding:0 8px 0 0;white-space:nowrap">'
            f"{escaped(bar.label)}</td>"
            f'<td style="padding:0"><div style="position:relative;height:17px;width:{width}px">{"".join(parts)}</div>'
            f'</td><td style="text-align:right;padding:0 0 0 8px">{bar.value:{digits}}</td></tr>'
        )
    style = "border-collapse:collapse;line-height:17px;font-size:12px;color:var(--jp-ui-font-color1)"
    return f'<table style="{style}">{"".join(rows)}</table>'
