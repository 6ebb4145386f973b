"""Tree and flower. Coordinates run from -1 to 1, y down; the lowest point is at 1."""

from __future__ import annotations

import math

from .brush import Brush, Look

_FRUIT = {"apples": "red", "lemons": "yellow", "plums": "purple"}


def _fruit(b: Brush, look: Look, places: list[tuple[float, float]], size: float = 0.085) -> None:
    """Fruit of the kind that the look names, at the places."""
    if look.content == "none":
        return
    colour = _FRUIT[look.content]
    pen, gleam = b.pen("fruit", "skin", colour), b.pen("fruit", "skin", colour, tone=1.6)
    for x, y in places:
        b.oval(pen, x, y, size)
        b.oval(gleam, x - 0.3 * size, y - 0.3 * size, 0.3 * size)


def tree(b: Brush, look: Look) -> None:
    """Styles round, conifer, palm; status leafy or bare; content: which fruit."""
    d, bare = look.draws, look.status == "bare"
    bark = b.pen("trunk", "bark", "brown" if d[0] < 0.75 else "grey", tone=0.85)
    twig = b.pen("branch", "bark", "brown", tone=0.75)
    dark, leaf, light = (b.pen("crown", "leaves", look.colour, tone=t) for t in (0.66, 0.95, 1.22))
    if look.style == "round":
        b.poly(bark, (-0.2, 1, -0.09, 0.6, -0.1, 0.1, 0.1, 0.1, 0.09, 0.6, 0.22, 1))
        places = [(-0.45, -0.3), (0.1, -0.62), (0.5, -0.2), (-0.1, -0.05), (0.25, 0.1), (-0.5, 0.08), (0.2, -0.28)]
        if bare:
            for x, y in ((-0.75, -0.3), (-0.4, -0.75), (0.05, -0.95), (0.5, -0.65), (0.8, -0.25)):
                b.line(twig, (0, 0.3, x * 0.4, y * 0.4 + 0.05, x, y), 0.13, 0.03)
                b.line(twig, (x * 0.55, y * 0.55, x * 0.8 + 0.15, y * 0.85), 0.05, 0.02)
                b.oval(leaf, x, y, 0.06)
            places = [
                (x, y + 0.02) for x, y in ((-0.75, -0.25), (-0.4, -0.68), (0.07, -0.85), (0.5, -0.58), (0.7, -0.2))
            ]
        else:
            puffs = [
                (0, -0.25, 0.62),
                (-0.48, -0.1, 0.4),
                (0.48, -0.08, 0.42),
                (-0.25, -0.55, 0.4),
                (0.28, -0.52, 0.42),
            ]
            for pen, dx, dy, shrink in ((dark, 0.03, 0.06, 1), (leaf, 0, -0.02, 0.93), (light, -0.09, -0.13, 0.5)):
                for x, y, r in puffs:
                    b.oval(pen, x + dx + 0.1 * (d[1] - 0.5), y + dy, r * shrink)
        _fruit(b, look, places)
    elif look.style == "conifer":
        top = -0.95 if bare else 0.4
        b.poly(bark, (-0.12, 1, -0.03, top, 0.03, top, 0.12, 1))
        for i in (3, 2, 1, 0):
            top, low, wide = -1 + 0.36 * i, -0.42 + 0.4 * i, 0.36 + 0.14 * i
            if bare:
                for w in (-wide, wide):
                    b.line(twig, (0, low - 0.2, 0.9 * w, low), 0.09, 0.02)
                    b.line(twig, (0.4 * w, low - 0.12, 0.7 * w, low - 0.2), 0.05, 0.02)
                    b.oval(leaf, 0.9 * w, low, 0.07, 0.05)
            else:
                hem = (wide, low, 0.5 * wide, low - 0.03, 0, low + 0.07, -0.5 * wide, low - 0.03, -wide, low)
                lit = (0.45 * wide, low - 0.09, 0, low, -0.5 * wide, low - 0.09, -0.95 * wide, low - 0.05)
                b.poly(dark, (0, top, *hem))
                b.poly(leaf, (0, top, *lit))
                b.poly(light, (0, top + 0.05, -0.2 * wide, low - 0.2, -0.65 * wide, low - 0.1))
        _fruit(b, look, [(-0.2, -0.45), (0.2, -0.2), (-0.35, 0.05), (0.4, 0.25), (-0.5, 0.5), (0.1, 0.45)], 0.075)
    else:
        bend = 0.25 * (d[1] - 0.5)
        b.line(bark, (0.1 - bend, 1, bend, 0.4, -0.05, -0.35), 0.26, 0.14)
        fronds = [
            (-0.95, -0.15),
            (-0.85, -0.65),
            (-0.35, -0.98),
            (0.3, -0.98),
            (0.8, -0.68),
            (0.95, -0.15),
            (-0.6, 0.2),
            (0.6, 0.2),
        ]
        for i, (x, y) in enumerate(fronds):
            y -= 0.02
            mx, my = 0.5 * x, min(-0.42, 0.55 * y - 0.42)
            if bare:
                b.line(twig, (-0.05, -0.38, x * 0.5, y * 0.6 - 0.3, x * 0.85, y * 0.5 - 0.05), 0.07, 0.025)
                b.line(leaf, (x * 0.5, y * 0.6 - 0.3, x * 0.6, y * 0.5 - 0.1), 0.05, 0.02)
            else:
                width = 0.15
                b.blob((dark, leaf, light)[(i * 2) % 3], (-0.05, -0.4, mx, my - width, x, y, mx * 0.95, my + width))
        _fruit(b, look, [(-0.16, -0.28), (0.08, -0.24), (-0.04, -0.14), (0.17, -0.33)], 0.1)


def _bud(b: Brush, style: str, x: float, y: float, size: float, dark: int, petal: int, green: int) -> None:
    """A closed blossom, size its radius."""
    if style == "daisy":  # a fan of folded petals
        for i, turn in enumerate((-130, -50, -110, -70, -90)):
            c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
            b.oval(
                (dark, petal)[i % 2],
                x + 0.45 * size * c,
                y + 0.3 * size + 0.6 * size * s,
                0.6 * size,
                0.17 * size,
                turn,
            )
        b.oval(green, x, y + 0.4 * size, 0.4 * size, 0.34 * size)
    elif style == "tulip":  # an egg
        egg = ((0, -1), (0.42, -0.1), (0, 0.65), (-0.42, -0.1))
        b.blob(dark, [(x + u * size, y + v * size) for u, v in egg])
        b.blob(petal, [(x + (0.7 * u - 0.07) * size, y + 0.92 * v * size) for u, v in egg])
        for side in (-0.4, 0.4):
            b.poly(green, (x + side * size, y + 0.05 * size, x, y + 0.75 * size, x, y + 0.3 * size))
    else:  # a green ball with a crown of tips
        for turn in range(-165, 0, 30):
            c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
            b.oval(petal, x + 0.6 * size * c, y + 0.1 * size + 0.6 * size * s, 0.32 * size, 0.13 * size, turn)
        b.oval(green, x, y + 0.1 * size, 0.62 * size, 0.56 * size)
        for side in (-0.3, 0, 0.3):
            b.oval(dark, x + side * size, y - 0.1 * size, 0.1 * size, 0.26 * size, 60 * side)


def _bloom(b: Brush, look: Look, x: float, y: float, size: float, lean: float) -> None:
    """One blossom, size its radius."""
    tones = (0.8, 1.0, 1.18)
    dark, petal, light = (b.pen("petal", "petals", look.colour, tone=t) for t in tones)
    green = b.pen("calyx", "leaves", "green", "smooth", 0.8)
    if look.status == "closed":
        _bud(b, look.style, x, y, size, dark, petal, green)
    elif look.style == "tulip":
        b.blob(dark, (x - 0.3 * size, y - 0.9 * size, x + 0.1 * size, y, x, y + 0.7 * size, x - 0.6 * size, y))
        b.blob(dark, (x + 0.3 * size, y - 0.9 * size, x + 0.6 * size, y, x, y + 0.7 * size, x - 0.1 * size, y))
        for side in (-1, 1):
            b.blob(petal, (x + side * 0.85 * size, y - 0.85 * size, x + side * 0.85 * size, y + 0.1 * size,
                           x, y + 0.75 * size, x + side * 0.2 * size, y))  # fmt: skip
        b.blob(
            light,
            (x, y - 0.75 * size, x + 0.4 * size, y + 0.1 * size, x, y + 0.72 * size, x - 0.4 * size, y + 0.1 * size),
        )
    else:
        n, wide = (8, 0.27) if look.style == "daisy" else (13, 0.17)
        for i in range(n):
            turn = 360 * i / n + lean
            c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
            b.oval(
                (petal, light, dark)[i % 3], x + 0.62 * size * c, y + 0.62 * size * s, 0.42 * size, wide * size, turn
            )
        if look.style == "daisy":
            b.oval(
                b.pen("centre", "seeds", "yellow" if look.colour != "yellow" else "orange", "speckled"),
                x,
                y,
                0.3 * size,
            )
        else:
            b.oval(b.pen("centre", "seeds", "brown", "smooth", 0.75), x, y, 0.46 * size)
            b.oval(b.pen("centre", "seeds", "brown", "dotted", 0.5), x, y, 0.36 * size)


def flower(b: Brush, look: Look) -> None:
    """Styles daisy, tulip, sunflower; status: open or closed; content: how many blossoms."""
    d = look.draws
    stem = b.pen("stem", "leaves", "green", "smooth", 0.8)
    leaf, vein = b.pen("leaf", "leaves", "green", "veined", 0.95), b.pen("leaf", "leaves", "green", "veined", 0.7)
    layouts: dict[int, list[tuple[float, float, float]]]
    layouts = {1: [(0, -0.42, 0.56)], 2: [(-0.42, -0.5, 0.44), (0.45, -0.15, 0.42)],
             3: [(-0.56, -0.2, 0.38), (0.58, -0.12, 0.38), (0.02, -0.58, 0.4)]}  # fmt: skip
    heads = layouts[look.content]
    for x, y, _ in heads:
        b.line(stem, (0.05, 1, 0.04 + 0.1 * x, 0.5, x, y + 0.1), 0.1, 0.075)
    for side, low in ((-1, 0.9), (1, 0.75)):
        reach = 0.62 if look.style != "tulip" else 0.4
        tip = low - (0.42 if look.style != "tulip" else 0.75)
        b.blob(leaf, (0.04, low, side * reach * 0.5, low - 0.02 - 0.1 * (tip < 0.1), side * reach, tip,
                      side * reach * 0.35, low - 0.32))  # fmt: skip
        b.line(vein, (0.04, low, side * reach * 0.45, low - 0.17, side * reach * 0.9, tip + 0.04), 0.035, 0.015)
    for x, y, size in heads:
        _bloom(b, look, x, y, size, 40 * d[0])
