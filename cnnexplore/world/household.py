"""Cup and clock. Coordinates run from -1 to 1, y down; the lowest point is at 1."""

from __future__ import annotations

import math

from .brush import Brush, Look

_DRINKS = {"coffee": ("brown", 0.6), "tea": ("orange", 0.85), "milk": ("white", 1.2), "juice": ("red", 1.0)}


def cup(b: Brush, look: Look) -> None:
    """Styles mug, teacup, goblet; status: steaming or still; content: the drink."""
    d = look.draws
    pattern = ("smooth", "striped", "dotted", "chequered", "smooth")[int(d[0] * 5)]
    stuff = "glass" if look.style == "goblet" else "ceramic"
    body = b.pen("body", stuff, look.colour, pattern if stuff == "ceramic" else "smooth")
    light, dark = (b.pen("body", stuff, look.colour, "smooth", t) for t in (1.5, 0.66))
    rim = b.pen("rim", stuff, look.colour, "smooth", 1.25)
    inside = b.pen("rim", stuff, look.colour, "smooth", 0.6)
    handle = b.pen("handle", "ceramic", look.colour, "smooth", 0.85)
    top, wide, deep = {"mug": (-0.35, 0.6, 0.16), "teacup": (-0.1, 0.74, 0.2), "goblet": (-0.45, 0.5, 0.13)}[look.style]
    if look.style == "mug":
        b.arc(handle, 0.6, 0.3, 0.36, 0.36, -110, 110, 0.15)
        b.poly(body, (-wide, top, wide, top, 0.56, 0.85, 0.4, 0.97, -0.4, 0.97, -0.56, 0.85))
        b.poly(light, (-0.5, top + 0.18, -0.38, top + 0.2, -0.34, 0.86, -0.47, 0.82))
        b.poly(dark, (0.45, top, wide, top, 0.56, 0.85, 0.4, 0.97, 0.34, 0.97))
    elif look.style == "teacup":
        plate = b.pen("saucer", "ceramic", look.colour, "smooth", 0.9)
        b.oval(b.pen("saucer", "ceramic", look.colour, "smooth", 0.6), 0, 0.87, 0.98, 0.13)
        b.oval(plate, 0, 0.83, 0.98, 0.13)
        b.oval(b.pen("saucer", "ceramic", look.colour, "smooth", 1.3), 0, 0.82, 0.6, 0.06)
        b.arc(handle, 0.66, 0.16, 0.3, 0.24, -120, 110, 0.11)
        b.rect(dark, -0.25, 0.6, 0.25, 0.84)
        b.oval(body, 0, top, wide, 0.86, start=0, stop=180)
        b.blob(light, (-0.6, top + 0.2, -0.46, top + 0.22, -0.3, 0.58, -0.42, 0.5))
        b.blob(dark, (0.62, top + 0.12, 0.7, top + 0.1, 0.45, 0.58, 0.22, 0.72, 0.4, 0.45))
    else:
        stem = b.pen("stem", "glass", look.colour, tone=1.15)
        b.oval(stem, 0, 0.92, 0.46, 0.09)
        b.poly(stem, (-0.07, 0.3, 0.07, 0.3, 0.06, 0.8, 0.2, 0.92, -0.2, 0.92, -0.06, 0.8))
        b.oval(body, 0, top, wide, 0.86, start=0, stop=180)
        b.blob(light, (-0.4, top + 0.15, -0.28, top + 0.16, -0.18, 0.2, -0.3, 0.1))
        b.blob(dark, (0.4, top + 0.1, 0.47, top + 0.1, 0.3, 0.22, 0.16, 0.32))
    b.oval(rim, 0, top, wide, deep)
    b.oval(inside, 0, top + 0.01, wide - 0.07, deep - 0.05)
    if look.content != "empty":
        colour, tone = _DRINKS[look.content]
        b.oval(b.pen("drink", "liquid", colour, tone=tone), 0, top + 0.03, wide - 0.09, deep - 0.06)
        b.oval(b.pen("drink", "liquid", colour, tone=min(1.6, tone + 0.4)), -0.16, top + 0.02, 0.14, 0.03)
    if look.status == "steaming":
        steam = b.pen("steam", "steam", "white", tone=0.97)
        for x, size in ((-0.26, 0.9), (0.02, 1.0), (0.3, 0.85)):
            high = (1 + top - 0.06) * size
            y = top - 0.04
            b.line(steam, [(x + 0.07 * math.sin(i), y - high * i / 9) for i in range(10)], 0.17, 0.07)


def clock(b: Brush, look: Look) -> None:
    """Styles wall, alarm, grandfather; status: the face lit or dark; content: the hour, 1 to 12."""
    d, lit = look.draws, look.status == "lit"
    wooden = look.style == "grandfather" or (look.style == "wall" and d[0] < 0.4)
    stuff = "wood" if wooden else "metal"
    case, edge = (b.pen("case", stuff, look.colour, tone=t) for t in (1.0, 0.62))
    brass = b.pen("bell", "metal", "yellow")
    x, y, r = {"wall": (0, 0, 0.96), "alarm": (0, 0.12, 0.74), "grandfather": (0, -0.5, 0.34)}[look.style]
    if look.style == "alarm":
        for side in (-1, 1):
            b.line(edge, (side * 0.4, 0.6, side * 0.62, 0.98), 0.14)
            b.oval(brass, side * 0.46, -0.66, 0.36, 0.28, side * 35, 180, 360)
            b.line(edge, (side * 0.36, -0.5, side * 0.46, -0.66), 0.07)
        b.rect(edge, -0.04, -0.9, 0.04, -0.5)
        b.oval(brass, 0, -0.88, 0.1)
    elif look.style == "grandfather":
        b.rect(edge, -0.48, 0.78, 0.48, 1)
        b.rect(case, -0.34, -0.2, 0.34, 0.82)
        b.poly(case, (-0.48, -0.08, -0.48, -0.84, -0.2, -0.86, 0, -1, 0.2, -0.86, 0.48, -0.84, 0.48, -0.08))
        b.rect(edge, -0.5, -0.1, 0.5, -0.02)
        b.rect(b.pen("window", "glass", "black", tone=0.8), -0.23, 0.06, 0.23, 0.72)
        swing = 0.3 * (d[1] - 0.5)
        b.line(brass, (0, 0.06, swing, 0.52), 0.035)
        b.oval(b.pen("pendulum", "metal", "yellow", tone=1.1), swing, 0.54, 0.12)
    if look.style == "wall" and d[2] < 0.4:
        b.poly(
            edge,
            [
                v
                for i in range(8)
                for v in (math.cos(i * math.pi / 4 + 0.393) * 1.04, math.sin(i * math.pi / 4 + 0.393) * 1.04)
            ],
        )
        b.poly(
            case,
            [
                v
                for i in range(8)
                for v in (math.cos(i * math.pi / 4 + 0.393) * 0.98, math.sin(i * math.pi / 4 + 0.393) * 0.98)
            ],
        )
        r *= 0.92
    else:
        b.oval(edge, x, y, r)
        b.oval(case, x, y, r * 0.96)
    b.oval(b.pen("face", "paper", "white" if lit else "blue", tone=1.3 if lit else 0.34), x, y, r * 0.8)
    mark = b.pen("mark", "paint", "black" if lit else "green", tone=1.0 if lit else 1.5)
    for hour in range(12):
        c, s = math.sin(hour * math.pi / 6) * r, -math.cos(hour * math.pi / 6) * r
        near = 0.6 if hour % 3 == 0 else 0.66
        b.line(mark, (x + near * c, y + near * s, x + 0.74 * c, y + 0.74 * s), r * (0.1 if hour % 3 == 0 else 0.05))
    hand = b.pen("hand", "metal", "black" if lit else "green", tone=1.0 if lit else 1.6)
    minute = int(d[3] * 4) * 15
    for turn, length, width in ((look.content / 12 + minute / 720, 0.42, 0.12), (minute / 60, 0.62, 0.08)):
        c, s = math.sin(turn * 2 * math.pi) * r, -math.cos(turn * 2 * math.pi) * r
        b.line(hand, (x - 0.1 * c, y - 0.1 * s, x + length * c, y + length * s), r * width)
    b.oval(b.pen("hand", "metal", "red"), x, y, r * 0.07)
