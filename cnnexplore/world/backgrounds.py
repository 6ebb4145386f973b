"""Backgrounds, and clutter that is independent of the class. Coordinates run from 0 to 1, y down."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from .brush import Brush
from .random_stream import RandomStream


class Background(NamedTuple):
    """The geometry of a backbackground.

    horizon: the height at which the floor ends; open: nothing above the horizon takes a shadow; floor: whether objects
    can stand on it.
    """

    horizon: float
    open: bool = True
    floor: bool = True


def _fill(b: Brush, pen: int, top: float, bottom: float) -> None:
    """A band across the picture."""
    b.rect(pen, -0.1, top, 1.1, bottom)


def _hills(b: Brush, pen: int, r: RandomStream, base: float, high: float, n: int = 6) -> None:
    """A rolling skyline."""
    tops = [v for i in range(n + 1) for v in (-0.1 + 1.2 * i / n, base - high * r.between(0.2, 1))]
    b.blob(pen, (-0.4, base + 0.2, *tops, 1.4, base + 0.2, 0.5, base + 0.35))


def _sky(b: Brush, r: RandomStream, bottom: float, colour: str = "blue", tone: float = 1.45, clouds: int = 3) -> None:
    """Sky down to a height, lighter towards the horizon, with clouds."""
    _fill(b, b.pen("", "air", colour, tone=tone, fade=70), -0.1, bottom + 0.01)
    puff = b.pen("", "cloud", tone=1.2)
    for _ in range(r.integer(0, clouds)):
        x, y, size = r.uniform(), r.between(0, 0.75 * bottom), r.between(0.05, 0.11)
        for dx, dy, k in ((0, 0, 1), (1.2, 0.15, 0.8), (-1.2, 0.2, 0.7), (0.5, -0.5, 0.8)):
            b.oval(puff, x + dx * size, y + dy * size, 1.3 * k * size, 0.75 * k * size)


def meadow(b: Brush, r: RandomStream) -> Background:
    h = r.between(0.34, 0.52)
    _sky(b, r, h)
    if r.uniform() < 0.7:
        _hills(b, b.pen("", "leaves", "green", "leafy", r.between(0.65, 0.95)), r, h, 0.12)
    _fill(b, b.pen("", "grass", "green", tone=r.between(0.9, 1.2), fade=-20), h, 1.1)
    dots = [b.pen("", "petals", c) for c in ("yellow", "white", "pink")]
    for _ in range(r.integer(0, 14)):
        y = r.between(h + 0.05, 1)
        b.oval(r.choice(dots), r.uniform(), y, 0.006 + 0.012 * (y - h), 0.005 + 0.008 * (y - h))
    return Background(h)


def garden(b: Brush, r: RandomStream) -> Background:
    h = r.between(0.42, 0.58)
    _sky(b, r, h, clouds=2)
    if r.uniform() < 0.5:
        hedge = b.pen("", "leaves", "green", tone=r.between(0.5, 0.75))
        for i in range(7):
            b.oval(hedge, i / 6, h, 0.14, r.between(0.16, 0.26))
    else:
        plank = b.pen("", "boards", r.choice(("brown", "white", "grey")), "grained", r.between(0.85, 1.15))
        post = b.pen("", "wood", "brown", tone=0.7)
        _fill(b, post, h - 0.16, h - 0.13)
        _fill(b, post, h - 0.06, h - 0.03)
        for i in range(13):
            x = -0.02 + i * 0.085
            b.poly(plank, (x, h + 0.02, x, h - 0.19, x + 0.033, h - 0.23, x + 0.066, h - 0.19, x + 0.066, h + 0.02))
    _fill(b, b.pen("", "grass", "green", tone=r.between(0.85, 1.15), fade=-15), h, 1.1)
    return Background(h)


def street(b: Brush, r: RandomStream) -> Background:
    h = r.between(0.45, 0.6)
    wall = r.choice(
        (("brick", "red"), ("brick", "brown"), ("plaster", "yellow"), ("stone", "grey"), ("plaster", "grey"))
    )
    _fill(b, b.pen("", *wall, tone=r.between(0.8, 1.25)), -0.1, h)
    if r.uniform() < 0.6:
        _sky(b, r, h - r.between(0.22, 0.35), clouds=2)
    _fill(b, b.pen("", "stone", "grey", "tiled", 1.25), h, h + 0.1)
    _fill(b, b.pen("", "stone", "grey", "smooth", 0.9), h + 0.1, h + 0.125)
    _fill(b, b.pen("", "gravel", "grey", "pebbled", r.between(0.55, 0.8)), h + 0.125, 1.1)
    if r.uniform() < 0.6:
        stripe, start = b.pen("", "paint", "white", tone=0.95), r.between(-0.3, 0)
        for i in range(5):
            x = start + 0.34 * i
            b.poly(stripe, (x, 0.8, x + 0.18, 0.8, x + 0.17, 0.83, x - 0.02, 0.83))
    return Background(h, open=False)


def sea(b: Brush, r: RandomStream) -> Background:
    h = r.between(0.3, 0.5)
    _sky(b, r, h, r.choice(("blue", "blue", "orange", "grey")), 1.5)
    if r.uniform() < 0.35:
        _hills(b, b.pen("", "rock", "purple", tone=0.8), r, h, 0.1, 5)
    _fill(b, b.pen("", "water", r.choice(("blue", "blue", "grey")), tone=r.between(0.75, 1.15), fade=-25), h, 1.1)
    foam = b.pen("", "water", "white", "smooth")
    for _ in range(r.integer(2, 8)):
        x, y = r.uniform(), r.between(h + 0.04, 1)
        w = 0.05 + 0.12 * (y - h)
        b.line(foam, (x - w, y + 0.008, x - 0.4 * w, y - 0.006, x + 0.2 * w, y + 0.004, x + w, y), 0.011, 0.004)
    return Background(h)


def beach(b: Brush, r: RandomStream) -> Background:
    h = r.between(0.28, 0.4)
    shore = h + r.between(0.1, 0.2)
    _sky(b, r, h)
    _fill(b, b.pen("", "water", "blue", tone=r.between(0.9, 1.25)), h, shore + 0.03)
    edge = [v for i in range(7) for v in (-0.1 + 0.2 * i, shore + 0.012 * (-1) ** i + r.between(-0.01, 0.01))]
    b.poly(b.pen("", "water", "white", "smooth"), (-0.1, 1.1, *edge, 1.1, 1.1))
    sand = b.pen("", "sand", "yellow", tone=r.between(0.88, 1.2), fade=-15)
    b.poly(sand, (-0.1, 1.1, *(v + 0.014 * (i % 2) for i, v in enumerate(edge)), 1.1, 1.1))
    return Background(h)


def desert(b: Brush, r: RandomStream) -> Background:
    h = r.between(0.36, 0.52)
    _sky(b, r, h, r.choice(("blue", "orange", "yellow")), 1.5, clouds=1)
    if r.uniform() < 0.6:
        b.oval(b.pen("", "light", "yellow", tone=1.5), r.uniform(), r.between(0.05, 0.2), 0.06)
    _hills(b, b.pen("", "rock", r.choice(("brown", "red", "orange")), tone=1.1), r, h, 0.13, 5)
    _fill(b, b.pen("", "sand", "orange", tone=r.between(0.95, 1.3)), h, 1.1)
    _hills(b, b.pen("", "sand", "yellow", tone=r.between(0.8, 1)), r, h + 0.24, 0.12, 4)
    _fill(b, b.pen("", "sand", "yellow", tone=r.between(0.9, 1.1)), h + 0.28, 1.1)
    return Background(h)


def snow(b: Brush, r: RandomStream) -> Background:
    h = r.between(0.36, 0.52)
    _sky(b, r, h, r.choice(("blue", "grey", "purple")), 1.55)
    peak = b.pen("", "rock", "grey", tone=0.8)
    cap = b.pen("", "snow", "white", tone=1.3)
    for _ in range(r.integer(0, 3)):
        x, high, w = r.uniform(), r.between(0.12, 0.26), r.between(0.15, 0.3)
        b.poly(peak, (x - w, h + 0.01, x, h - high, x + w, h + 0.01))
        b.poly(cap, (x - 0.4 * w, h - 0.6 * high, x, h - high, x + 0.4 * w, h - 0.6 * high, x, h - 0.45 * high))
    _fill(b, b.pen("", "snow", "white", fade=-12), h, 1.1)
    _hills(b, b.pen("", "snow", "white", tone=0.9), r, h + 0.2, 0.1, 4)
    _fill(b, b.pen("", "snow", "white", fade=-12), h + 0.24, 1.1)
    flake = b.pen("", "snow", "white", "smooth", 1.5)
    for _ in range(r.integer(0, 18)):
        b.oval(flake, r.uniform(), r.uniform(), r.between(0.006, 0.012))
    return Background(h)


def sky(b: Brush, r: RandomStream) -> Background:
    _sky(b, r, 1.1, r.choice(("blue", "blue", "purple", "orange", "grey")), r.between(1.1, 1.5), clouds=7)
    if r.uniform() < 0.6:
        _hills(b, b.pen("", "leaves", r.choice(("green", "blue")), tone=0.8), r, 0.96, 0.12)
    return Background(1.0, floor=False)


def underwater(b: Brush, r: RandomStream) -> Background:
    h = r.between(0.6, 0.75)
    tone = r.between(0.75, 1.15)
    _fill(b, b.pen("", "water", "blue", "cloudy", tone, -60), -0.1, 1.1)
    beam = b.pen("", "water", "blue", "cloudy", tone + 0.15, -60)
    for _ in range(r.integer(0, 3)):
        x, w = r.uniform(), r.between(0.04, 0.1)
        b.poly(beam, (x, -0.1, x + w, -0.1, x + 2.4 * w - 0.2, 1.1, x - 0.3, 1.1))
    _hills(b, b.pen("", "sand", "yellow", tone=0.8, fade=-25), r, h + 0.1, 0.08)
    _fill(b, b.pen("", "sand", "yellow", tone=0.8, fade=-25), h + 0.12, 1.1)
    weed = b.pen("", "leaves", "green", "smooth", 0.7)
    for _ in range(r.integer(0, 5)):
        x, y = r.uniform(), r.between(h, 1)
        b.line(weed, (x, y, x + 0.03, y - 0.08, x - 0.02, y - 0.17, x + 0.03, y - 0.28), 0.035, 0.008)
    bubble = b.pen("", "glass", "blue", tone=1.6)
    for _ in range(r.integer(0, 8)):
        b.oval(bubble, r.uniform(), r.uniform(), r.between(0.006, 0.02))
    return Background(h, open=False)


def room(b: Brush, r: RandomStream) -> Background:
    h = r.between(0.55, 0.72)
    paper = r.choice((("fabric", "striped"), ("fabric", "dotted"), ("plaster", "speckled"), ("plaster", "smooth")))
    colour = r.choice(("yellow", "green", "blue", "pink", "white", "grey"))
    _fill(b, b.pen("", paper[0], colour, paper[1], r.between(0.85, 1.4)), -0.1, h)
    _fill(
        b,
        b.pen("", *r.choice((("boards", "brown"), ("tiles", "grey"), ("carpet", "red"), ("boards", "yellow")))),
        h,
        1.1,
    )
    _fill(b, b.pen("", "wood", "white", tone=0.92), h - 0.045, h + 0.005)
    if r.uniform() < 0.6:  # a picture on the wall
        x, y, w, t = r.uniform(), r.between(0.12, 0.3), r.between(0.08, 0.16), r.between(0.07, 0.12)
        b.rect(b.pen("", "wood", r.choice(("brown", "yellow")), tone=0.8), x - w, y - t, x + w, y + t)
        b.rect(
            b.pen("", "paper", r.choice(("white", "blue", "green"))),
            x - w + 0.025,
            y - t + 0.025,
            x + w - 0.025,
            y + t - 0.025,
        )
    return Background(h, open=False)


def kitchen(b: Brush, r: RandomStream) -> Background:
    h = r.between(0.5, 0.66)
    _fill(b, b.pen("", "tiles", r.choice(("white", "blue", "green", "yellow")), tone=r.between(0.95, 1.35)), -0.1, h)
    if r.uniform() < 0.5:
        shelf = r.between(0.12, 0.22)
        _fill(b, b.pen("", "wood", "brown", tone=0.8), shelf, shelf + 0.03)
    cloth = r.choice((("wood", "brown", "grained"), ("boards", "yellow", "planked"), ("fabric", "red", "chequered"),
                    ("stone", "grey", "speckled"), ("fabric", "blue", "striped")))  # fmt: skip
    _fill(b, b.pen("", *cloth, tone=r.between(0.9, 1.2)), h, 1.1)
    return Background(h, open=False)


BACKGROUNDS: dict[str, Callable[[Brush, RandomStream], Background]] = {
    f.__name__: f for f in (meadow, garden, street, sea, beach, desert, snow, sky, underwater, room, kitchen)
}


def _clutter_item(b: Brush, r: RandomStream, x: float, y: float, size: float) -> None:
    """One object of clutter that stands at (x, y)."""
    kind = r.integer(0, 7)
    colour = r.choice(("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "grey", "white", "black"))
    pen = b.pen("", r.choice(("paint", "wood", "metal", "fabric")), colour,
                r.choice(("smooth", "striped", "dotted", "chequered", "woven")))  # fmt: skip
    dark = b.pen("", "paint", colour, tone=0.65)
    if kind == 0:  # ball
        b.oval(pen, x, y - size, size)
        b.oval(b.pen("", "paint", colour, tone=1.5), x - 0.35 * size, y - 1.4 * size, 0.22 * size)
    elif kind == 1:  # box
        b.rect(pen, x - size, y - 1.4 * size, x + size, y)
        b.poly(
            dark,
            (x + size, y - 1.4 * size, x + 1.5 * size, y - 1.7 * size, x + 1.5 * size, y - 0.3 * size, x + size, y),
        )
        lid = (x - size, y - 1.4 * size, x - 0.5 * size, y - 1.7 * size, x + 1.5 * size, y - 1.7 * size)
        b.poly(b.pen("", "paint", colour, tone=1.3), (*lid, x + size, y - 1.4 * size))
    elif kind == 2:  # post
        b.rect(pen, x - 0.25 * size, y - 3.2 * size, x + 0.25 * size, y)
        b.oval(dark, x, y - 3.2 * size, 0.42 * size)
    elif kind == 3:  # bush
        for dx, k in ((-0.8, 0.8), (0.8, 0.75), (0, 1.1)):
            b.oval(
                b.pen("", "leaves", "green", tone=0.8),
                x + dx * size,
                y - 0.6 * k * size,
                0.95 * k * size,
                0.8 * k * size,
            )
    elif kind == 4:  # stone
        stone = b.pen("", "rock", "grey", tone=r.between(0.7, 1.1))
        b.blob(
            stone,
            (
                x - 1.2 * size,
                y,
                x - 0.8 * size,
                y - 0.8 * size,
                x + 0.3 * size,
                y - size,
                x + 1.2 * size,
                y - 0.2 * size,
            ),
        )
    elif kind == 5:  # star
        turn = r.uniform()
        points = [(math.cos(k) * s, math.sin(k) * s) for i in range(10)
                  for k, s in [((i / 5 + turn) * math.pi, size * (1.2 if i % 2 else 0.5))]]  # fmt: skip
        b.poly(pen, [(x + u, y - size + v) for u, v in points])
    elif kind == 6:  # cone
        b.poly(pen, (x - size, y, x, y - 2.4 * size, x + size, y))
        b.poly(dark, (x + 0.3 * size, y, x, y - 2.4 * size, x + size, y))
    else:  # arch
        b.arc(pen, x, y, size, 1.6 * size, 180, 360, 0.5 * size)


def clutter(behind: Brush, front: Brush, r: RandomStream, background: Background) -> None:
    """Draw clutter on the floor or in the air; sometimes one or two items in front of the object."""
    top = background.horizon if background.floor else 0.1
    spots = sorted(r.between(top + 0.04, 0.97) for _ in range(r.integer(0, 5)))
    for y in spots:
        near = 0.35 + 0.65 * (y - top) / (1 - top) if background.floor else 1
        _clutter_item(behind, r, r.uniform(), y, r.between(0.035, 0.09) * near)
    for _ in range(r.integer(1, 2) if r.uniform() < 0.4 else 0):
        low = 0.88 if background.floor and r.uniform() < 0.7 else 0.35
        _clutter_item(front, r, r.between(0.15, 0.85), r.between(low, 1.03), r.between(0.045, 0.1))
