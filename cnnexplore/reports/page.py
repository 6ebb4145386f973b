"""The page of a unit's report: its parts in rows, each with a title, pictures or bars, and a sentence."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import drawing
from .parts import Part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 110
_WIDE, _MARGIN, _GAP = 1180, 24, 18  # pixels of the page, of its edge, and between parts
_TOP, _TITLE, _NOTE, _LINE = 48, 24, 8, 15
_PICTURE, _BAR = 150, 19  # pixels of a picture at most, of a bar
_CHARACTER = 5.9  # pixels of a character of the notes, about
ROWS = (
    ("filter", "decoded filter", "receptive field", "maximisation", "generator"),
    ("top patches",),
    ("projections",),
    ("facets",),
    ("word", "effect"),
    ("evolution",),
)
_ACCENT, _REFERENCE, _DIM = "#0072B2", "#D55E00", "0.35"


def draw_page(title: str, parts: Sequence[Part | None]) -> Figure:
    """A matplotlib figure of the parts that there are.

    Parameters
    ----------
    title : str
        Stands above.
    parts : sequence of Part or None
        In any order.

    Returns
    -------
    Figure
        As high as the parts need.
    """
    from matplotlib.figure import Figure

    known = {part.name: part for part in parts if part is not None}
    rows = [[known[name] for name in row if name in known] for row in ROWS]
    placed = [(row, _widths(row)) for row in rows if row]
    heights = [max(_height(part, wide) for part, wide in zip(row, widths, strict=True)) for row, widths in placed]
    total = _TOP + sum(heights) + _GAP * len(heights) + _MARGIN
    figure = Figure(figsize=(_WIDE / _DPI, total / _DPI), dpi=_DPI)
    page = _Page(figure, total)
    page.text(_MARGIN, 30, title, size=11, weight="bold")
    top = float(_TOP)
    for (row, widths), height in zip(placed, heights, strict=True):
        left = float(_MARGIN)
        for part, wide in zip(row, widths, strict=True):
            page.draw(part, left, top, wide)
            left += wide + _GAP
        top += height + _GAP
    return figure


def _widths(row: Sequence[Part]) -> list[float]:
    room = _WIDE - 2 * _MARGIN - _GAP * (len(row) - 1)
    return [room / len(row)] * len(row)


def _wrapped(text: str, wide: float) -> list[str]:
    return textwrap.wrap(drawing.printable(text), max(12, int(wide / _CHARACTER)))


def _side(part: Part, wide: float) -> float:
    """The pixels of a picture's longer side."""
    count = max(1, len(part.pictures))
    return min(_PICTURE, (wide - 6 * (count - 1)) / count)


def _height(part: Part, wide: float) -> float:
    body = 0.0
    if part.pictures:
        tallest = max(p.shape[0] / max(p.shape[:2]) for p in part.pictures)
        body = _side(part, wide) * tallest + (_LINE if part.captions else 0)
    body += _BAR * len(part.bars)
    return _TITLE + body + _NOTE + _LINE * len(_wrapped(part.why or part.note, wide))


class _Page:
    """A figure that is drawn on in pixels from its top left corner."""

    def __init__(self, figure: Figure, height: float):
        self.figure, self.height = figure, height

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        self.figure.text(x / _WIDE, 1 - y / self.height, drawing.printable(text), parse_math=False, **style)

    def axes(self, x: float, y: float, wide: float, high: float) -> Any:
        return self.figure.add_axes((x / _WIDE, 1 - (y + high) / self.height, wide / _WIDE, high / self.height))

    def draw(self, part: Part, left: float, top: float, wide: float) -> None:
        self.text(left, top + 14, part.title, size=9, weight="bold")
        y = top + _TITLE
        side = _side(part, wide)
        highest = 0.0
        for k, picture in enumerate(part.pictures):
            h, w = picture.shape[:2]
            scale = side / max(h, w)
            x = left + k * (side + 6)
            axes = self.axes(x, y, w * scale, h * scale)
            axes.imshow(picture, interpolation="nearest")
            axes.set_axis_off()
            highest = max(highest, h * scale)
            if k < len(part.captions):
                self.text(x, y + h * scale + 12, part.captions[k], size=7, color=_DIM)
        y += highest + (_LINE if part.captions and part.pictures else 0)
        if part.bars:
            self._bars(part, left, y, wide)
            y += _BAR * len(part.bars)
        for k, line in enumerate(_wrapped(part.why or part.note, wide)):
            style = "italic" if part.why else "normal"
            self.text(left, y + _NOTE + _LINE * (k + 0.6), line, size=7.5, color=_DIM, style=style)

    def _bars(self, part: Part, left: float, top: float, wide: float) -> None:
        bars = part.bars
        label = min(0.42 * wide, 8 + _CHARACTER * max(len(bar.label) for bar in bars))
        axes = self.axes(left + label, top, wide - label - 70, _BAR * len(bars))
        values = np.array([bar.value for bar in bars])
        known = np.array([[bar.value, bar.reference or 0.0] for bar in bars])
        low, high = min(0.0, float(known.min())), max(0.0, float(known.max()))
        places = np.arange(len(bars))
        axes.barh(places, values, 0.62, color=_ACCENT)
        for place, bar in enumerate(bars):
            if bar.reference is not None:
                axes.plot([bar.reference] * 2, [place - 0.4, place + 0.4], color=_REFERENCE, lw=2)
            self.text(left, top + _BAR * (place + 0.65), textwrap.shorten(bar.label, 30), size=8)
            number = f"{bar.value:+.3g}" if low < 0 else f"{bar.value:.3g}"
            self.text(left + wide - 62, top + _BAR * (place + 0.65), number, size=8, color=_DIM)
        axes.axvline(0, color="0.6", lw=0.8)
        axes.set_xlim(low, high if high > low else low + 1)
        axes.set_ylim(len(bars) - 0.5, -0.5)
        axes.set_axis_off()
