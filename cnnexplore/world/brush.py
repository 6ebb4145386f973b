"""Anti-aliased drawing: shapes are recorded as polygons in their own coordinates, then painted as ink numbers."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from .materials import COLOURS, MATERIALS, TEXTURES

# Ink numbers say the layer: what is behind, what is in front, and the object highest, so that the largest number
# among a pixel's samples tells whether the object touches it.
BEHIND, FRONT, OBJECT = 0, 96, 128
_ROOM = {BEHIND: FRONT, FRONT: OBJECT, OBJECT: 256}


class Ink(NamedTuple):
    """What one flat shape shows. rgb: 0..255; fade: grey levels gained from the picture's top to its bottom."""

    rgb: tuple
    part: str
    material: str
    texture: str
    colour: str
    fade: float


class Inks:
    """The inks of one scene: number -> Ink, at most 256."""

    def __init__(self):
        self.table: dict[int, Ink] = {}
        self._numbers: dict = {}
        self._next = {BEHIND: BEHIND, FRONT: FRONT, OBJECT: OBJECT}

    def number(self, layer: int, ink: Ink) -> int:
        key = layer, ink
        if key not in self._numbers:
            number = self._next[layer]
            if number == _ROOM[layer]:
                raise OverflowError("a scene has room for 96 inks behind, 32 in front and 128 in the object.")
            self._next[layer] += 1
            self._numbers[key] = number
            self.table[number] = ink
        return self._numbers[key]

    def column(self, field: str, default, dtype) -> np.ndarray:
        """One field of every ink as a look-up table, (256,) or (256, 3)."""
        out = np.full((256, *np.shape(default)), default, dtype)
        for number, ink in self.table.items():
            out[number] = getattr(ink, field)
        return out

    def textures(self) -> np.ndarray:
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
    turn = np.radians(np.linspace(start, stop, max(6, int(abs(stop - start) / 12))))
    return np.stack([np.cos(turn), np.sin(turn)], 1)


@functools.lru_cache(32)
def _spline(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Which four control points each piece of a closed Catmull-Rom curve takes, and their weights at five places."""
    t = np.linspace(0, 1, 5, endpoint=False)[:, None]
    rows = np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]]) / 2
    return (np.arange(n)[:, None] + np.arange(-1, 3)) % n, np.hstack([t**0, t, t**2, t**3]) @ rows


class Brush:
    """Records shapes, first drawn lowest; x to the right, y down.

    shift: (11, 3) how far each named colour is off in this scene, grey levels.
    """

    def __init__(self, inks: Inks, layer: int, shift: list):
        self.inks, self.layer, self.shift = inks, layer, shift
        self.shapes: list[np.ndarray] = []
        self.pens: list[int] = []

    def pen(self, part, material, colour=None, texture=None, tone=1.0, fade=0.0) -> int:
        """An ink of this layer; tone below 1 is darker, above 1 nearer to white."""
        usual_colour, usual_texture = MATERIALS[material]
        colour, texture = colour or usual_colour, texture or usual_texture
        rgb = [c + s for c, s in zip(COLOURS[colour], self.shift[_COLOUR_NUMBER[colour]], strict=True)]
        rgb = [c * tone if tone <= 1 else c + (255 - c) * (tone - 1) for c in rgb]
        rgb = tuple(min(255, max(0, int(c + 0.5))) for c in rgb)
        return self.inks.number(self.layer, Ink(rgb, part, material, texture, colour, fade))

    def poly(self, pen, points):
        self.shapes.append(np.asarray(points, float).reshape(-1, 2))
        self.pens.append(pen)

    def rect(self, pen, left, top, right, bottom):
        self.poly(pen, (left, top, right, top, right, bottom, left, bottom))

    def oval(self, pen, x, y, rx, ry=None, turn=0.0, start=None, stop=None):
        """An ellipse, turned by degrees; with start and stop, the piece between, degrees clockwise from the right."""
        points = (_CIRCLE if start is None else _arc(start, stop)) * (rx, rx if ry is None else ry)
        if turn:
            c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
            points = points @ ((c, s), (-s, c))
        self.poly(pen, points + np.array((x, y)))

    def blob(self, pen, points):
        """A smooth closed curve through the points."""
        points = np.asarray(points, float).reshape(-1, 2)
        which, weights = _spline(len(points))
        self.poly(pen, weights @ points[which])

    def line(self, pen, points, width, end=None):
        """A stroke along the points, growing from width to end."""
        points = np.asarray(points, float).reshape(-1, 2)
        along = np.empty_like(points)
        along[1:-1] = points[2:] - points[:-2]
        along[0], along[-1] = points[1] - points[0], points[-1] - points[-2]
        half = np.linspace(width, width if end is None else end, len(points)) / 2
        side = along[:, ::-1] * (-1, 1) * (half / np.sqrt((along**2).sum(1)))[:, None]
        self.poly(pen, np.concatenate([points + side, (points - side)[::-1]]))

    def bow(self, pen, x, y, rx, ry, start, stop, width):
        """A stroke along a piece of an ellipse."""
        self.line(pen, _arc(start, stop) * (rx, ry) + (x, y), width)

    def paint(self, canvas: Image.Image, matrix, offset) -> None:
        """Fill every shape with its ink's number; canvas = matrix @ point + offset, in samples."""
        if not self.shapes:
            return
        points = np.concatenate(self.shapes) @ np.asarray(matrix).T + offset
        # whole samples, cut off the ties, so that another machine's last digit cannot move an edge
        flat = np.floor(points + 0.5137).astype(int).ravel().tolist()
        draw, at = ImageDraw.Draw(canvas), 0
        for shape, pen in zip(self.shapes, self.pens, strict=True):
            draw.polygon(flat[at : at + shape.size], fill=pen)
            at += shape.size
