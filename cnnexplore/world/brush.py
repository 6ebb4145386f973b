"""Drawing of polygons: shapes are recorded in their own coordinates, then rasterised as ink numbers."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from .materials import COLOURS, MATERIALS, TEXTURES

# An ink's number depends on its layer. The object's numbers are the largest, so that the largest number among a
# pixel's samples shows whether the object covers a part of the pixel.
BEHIND, FRONT, OBJECT = 0, 96, 128
_FIRST_AFTER = {BEHIND: FRONT, FRONT: OBJECT, OBJECT: 256}


class Look(NamedTuple):
    """The appearance of an object that a drawing function draws.

    draws: eight random numbers in 0..1, for the details that no axis names.
    """

    style: str
    colour: str
    status: str
    content: Any
    draws: tuple[float, ...]


class Ink(NamedTuple):
    """The surface of a shape. rgb: 0..255; fade: grey levels gained from the picture's top to its bottom."""

    rgb: tuple[int, ...]
    part: str
    material: str
    texture: str
    colour: str
    fade: float


class Inks:
    """The inks of one scene: number -> Ink, at most 256."""

    def __init__(self) -> None:
        self.table: dict[int, Ink] = {}
        self._numbers: dict[tuple[int, Ink], int] = {}
        self._next = {BEHIND: BEHIND, FRONT: FRONT, OBJECT: OBJECT}

    def number(self, layer: int, ink: Ink) -> int:
        """The number of an ink in a layer, a new one at its first use."""
        key = layer, ink
        if key not in self._numbers:
            number = self._next[layer]
            if number == _FIRST_AFTER[layer]:
                raise OverflowError("a scene has at most 96 inks behind, 32 in front and 128 in the object.")
            self._next[layer] += 1
            self._numbers[key] = number
            self.table[number] = ink
        return self._numbers[key]

    def column(self, field: str, default: Any, dtype: Any) -> np.ndarray:
        """One field of every ink as a look-up table, (256,) or (256, 3)."""
        out = np.full((256, *np.shape(default)), default, dtype)
        for number, ink in self.table.items():
            out[number] = getattr(ink, field)
        return out

    def textures(self) -> np.ndarray:
        """The index into TEXTURES of every ink, (256,)."""
        out = np.zeros(256, np.intp)
        for number, ink in self.table.items():
            out[number] = _TEXTURE_NUMBER[ink.texture]
        return out


_TEXTURE_NUMBER = {name: i for i, name in enumerate(TEXTURES)}
_COLOUR_NUMBER = {name: i for i, name in enumerate(COLOURS)}
_TURN = np.linspace(0, 2 * np.pi, 28, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], 1)


@functools.lru_cache(256)
def _arc(start: float, stop: float) -> np.ndarray:
    """Points of a circle from start to stop, degrees."""
    turn = np.radians(np.linspace(start, stop, max(6, int(abs(stop - start) / 12))))
    return np.stack([np.cos(turn), np.sin(turn)], 1)


@functools.lru_cache(32)
def _spline(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The four control points of each piece of a closed Catmull-Rom curve, and their weights at five places."""
    t = np.linspace(0, 1, 5, endpoint=False)[:, None]
    rows = np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]]) / 2
    return (np.arange(n)[:, None] + np.arange(-1, 3)) % n, np.hstack([t**0, t, t**2, t**3]) @ rows


class Brush:
    """Records shapes of one layer, the first one lowest; x to the right, y down.

    shift: (11, 3) what is added to each named colour in this scene, grey levels.
    """

    def __init__(self, inks: Inks, layer: int, shift: list[list[float]]):
        self.inks, self.layer, self.shift = inks, layer, shift
        self.shapes: list[np.ndarray] = []
        self.pens: list[int] = []

    def pen(
        self,
        part: str,
        material: str,
        colour: str | None = None,
        texture: str | None = None,
        tone: float = 1.0,
        fade: float = 0.0,
    ) -> int:
        """The number of an ink of this layer; a tone below 1 is darker, above 1 nearer to white."""
        usual_colour, usual_texture = MATERIALS[material]
        colour, texture = colour or usual_colour, texture or usual_texture
        shifted = [c + s for c, s in zip(COLOURS[colour], self.shift[_COLOUR_NUMBER[colour]], strict=True)]
        toned = [c * tone if tone <= 1 else c + (255 - c) * (tone - 1) for c in shifted]
        rgb = tuple(min(255, max(0, int(c + 0.5))) for c in toned)
        return self.inks.number(self.layer, Ink(rgb, part, material, texture, colour, fade))

    def poly(self, pen: int, points: Any) -> None:
        """A polygon through points: (x, y) pairs, or x, y, x, y, ..."""
        self.shapes.append(np.asarray(points, float).reshape(-1, 2))
        self.pens.append(pen)

    def rect(self, pen: int, left: float, top: float, right: float, bottom: float) -> None:
        """A rectangle."""
        self.poly(pen, (left, top, right, top, right, bottom, left, bottom))

    def oval(
        self,
        pen: int,
        x: float,
        y: float,
        rx: float,
        ry: float | None = None,
        turn: float = 0.0,
        start: float | None = None,
        stop: float = 360.0,
    ) -> None:
        """An ellipse, turned by degrees; with `start`, the piece to `stop`, degrees clockwise from the right."""
        points = (_CIRCLE if start is None else _arc(start, stop)) * (rx, rx if ry is None else ry)
        if turn:
            c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
            points = points @ ((c, s), (-s, c))
        self.poly(pen, points + np.array((x, y)))

    def blob(self, pen: int, points: Any) -> None:
        """A smooth closed curve through the points."""
        points = np.asarray(points, float).reshape(-1, 2)
        which, weights = _spline(len(points))
        self.poly(pen, weights @ points[which])

    def line(self, pen: int, points: Any, width: float, end: float | None = None) -> None:
        """A stroke along the points; its width changes from `width` to `end`."""
        points = np.asarray(points, float).reshape(-1, 2)
        along = np.empty_like(points)
        along[1:-1] = points[2:] - points[:-2]
        along[0], along[-1] = points[1] - points[0], points[-1] - points[-2]
        half = np.linspace(width, width if end is None else end, len(points)) / 2
        side = along[:, ::-1] * (-1, 1) * (half / np.sqrt((along**2).sum(1)))[:, None]
        self.poly(pen, np.concatenate([points + side, (points - side)[::-1]]))

    def arc(self, pen: int, x: float, y: float, rx: float, ry: float, start: float, stop: float, width: float) -> None:
        """A stroke along a piece of an ellipse."""
        self.line(pen, _arc(start, stop) * (rx, ry) + (x, y), width)

    def rasterise(self, canvas: Image.Image, matrix: np.ndarray, offset: np.ndarray | float) -> None:
        """Fill every shape with its ink's number; a point lies at matrix @ point + offset, in samples."""
        if not self.shapes:
            return
        points = np.concatenate(self.shapes) @ np.asarray(matrix).T + offset
        # rounded to samples; 0.5137 avoids ties, which the last digit on another machine could decide differently
        flat = np.floor(points + 0.5137).astype(int).ravel().tolist()
        draw, at = ImageDraw.Draw(canvas), 0
        for shape, pen in zip(self.shapes, self.pens, strict=True):
            draw.polygon(flat[at : at + shape.size], fill=pen)
            at += shape.size
