"""House and church. Coordinates run from -1 to 1, y down; the lowest point is at 1."""

from __future__ import annotations

from .brush import Brush, Look


def _pane(b: Brush, glass: int, frame: int, x: float, y: float, w: float, h: float) -> None:
    """A window with its frame and bar."""
    b.rect(frame, x - w - 0.04, y - h - 0.04, x + w + 0.04, y + h + 0.05)
    b.rect(glass, x - w, y - h, x + w, y + h)
    b.rect(frame, x - 0.018, y - h, x + 0.018, y + h)


def _lancet(b: Brush, glass: int, frame: int, x: float, y: float, w: float, h: float) -> None:
    """A tall window with a round top."""
    for pen, more in ((frame, 0.045), (glass, 0)):
        b.rect(pen, x - w - more, y - h, x + w + more, y + h + more)
        b.oval(pen, x, y - h, w + more, w * 1.3 + more, start=180, stop=360)


def house(b: Brush, look: Look) -> None:
    """Styles gable, flat, barn; status lit or dark; content: how many windows."""
    d, lit = look.draws, look.status == "lit"
    stuff = ("brick", "plaster", "boards")[int(d[0] * 3)]
    wall = b.pen("wall", stuff, look.colour)
    shade = b.pen("wall", stuff, look.colour, tone=0.78)
    roof_colour = ("red", "grey", "brown", "black")[int(d[1] * 4)]
    if roof_colour == look.colour:
        roof_colour = "black" if look.colour != "black" else "red"
    roof = b.pen("roof", "shingles", roof_colour)
    eave = b.pen("roof", "wood", "white" if d[2] < 0.5 else "brown", tone=0.9)
    frame = b.pen("window", "wood", "white")
    glass = b.pen("window", "light" if lit else "glass", "yellow" if lit else "blue", tone=1.1 if lit else 0.36)
    door = b.pen("door", "wood", ("green", "blue", "brown", "red")[int(d[3] * 4)], tone=0.8)
    slots = [(-0.45, 0.18), (0.45, 0.18), (-0.45, 0.7), (0.45, 0.7), (0, 0.05)]
    chimney = b.pen("chimney", "brick", "red" if d[4] < 0.7 else "grey")
    pot = -0.42 if d[5] < 0.5 else 0.42
    if look.style == "gable":
        b.rect(chimney, pot - 0.1, -0.95, pot + 0.1, -0.4)
        b.poly(wall, (-0.78, 1, -0.78, -0.1, 0, -0.75, 0.78, -0.1, 0.78, 1))
        b.poly(shade, (0.6, 1, 0.6, 0.05, 0.78, -0.1, 0.78, 1))
        b.poly(roof, (-1, 0.02, 0, -0.96, 1, 0.02, 0.78, 0.06, 0, -0.6, -0.78, 0.06))
        b.line(eave, (-0.98, 0.05, 0, -0.62, 0.98, 0.05), 0.06)
    elif look.style == "flat":
        b.rect(wall, -0.85, -0.35, 0.85, 1)
        b.rect(shade, 0.62, -0.35, 0.85, 1)
        upper = b.pen("wall", "plaster", "white", tone=0.95)
        b.rect(upper, -0.5, -0.78, 0.6, -0.35)
        b.rect(glass, -0.4, -0.68, 0.48, -0.46)
        slab = b.pen("roof", "stone", "grey", "smooth", 0.75)
        b.rect(slab, -0.6, -0.86, 0.7, -0.76)
        b.rect(slab, -0.95, -0.42, 0.95, -0.3)
        slots = [(x, y - 0.06) for x, y in slots]
    else:
        b.poly(wall, (-0.72, 1, -0.72, -0.1, -0.45, -0.62, 0, -0.85, 0.45, -0.62, 0.72, -0.1, 0.72, 1))
        b.poly(shade, (0.56, 1, 0.56, -0.3, 0.72, -0.1, 0.72, 1))
        b.line(roof, (-0.82, 0.08, -0.5, -0.6, 0, -0.88, 0.5, -0.6, 0.82, 0.08), 0.24)
        b.line(eave, (-0.76, 0.12, -0.44, -0.54, 0, -0.78, 0.44, -0.54, 0.76, 0.12), 0.05)
        b.oval(frame, 0, -0.5, 0.14)
        b.oval(glass, 0, -0.5, 0.1)
    b.rect(frame, -0.22, 0.38, 0.22, 1)
    b.rect(door, -0.18, 0.42, 0.18, 1)
    b.rect(glass, -0.13, 0.46, 0.13, 0.62)
    if look.style == "barn":
        cross = b.pen("door", "wood", "white", tone=0.9)
        b.line(cross, (-0.17, 0.44, 0.17, 0.98), 0.05)
        b.line(cross, (0.17, 0.44, -0.17, 0.98), 0.05)
    else:
        b.oval(b.pen("door", "metal", "yellow"), 0.12, 0.72, 0.03)
    for x, y in slots[: look.content]:
        _pane(b, glass, frame, x, y, 0.13, 0.15)


def church(b: Brush, look: Look) -> None:
    """Styles dome, spire, two towers; status: the door open or closed; content: how many windows in a row."""
    d = look.draws
    stuff = ("stone", "plaster", "brick")[int(d[0] * 3)]
    wall = b.pen("nave", stuff, look.colour)
    tower = b.pen("tower", stuff, look.colour, tone=0.92)
    shade = b.pen("tower", stuff, look.colour, tone=0.74)
    roof_colour = ("red", "grey", "green", "brown")[int(d[1] * 4)]
    roof = b.pen("roof", "shingles", roof_colour, tone=0.85)
    gold = b.pen("cross", "metal", "yellow")
    frame = b.pen("window", "stone", "white", "smooth", 0.85)
    glass = b.pen("window", "glass", ("blue", "purple", "black")[int(d[2] * 3)], tone=0.6)

    def cross(x: float, y: float, size: float = 0.1) -> None:
        b.rect(gold, x - 0.025, y - 2 * size, x + 0.025, y + 0.03)
        b.rect(gold, x - 0.65 * size, y - 1.5 * size, x + 0.65 * size, y - 1.5 * size + 0.045)

    def row(left: float, right: float, y: float, w: float, h: float) -> None:
        step = (right - left) / look.content
        for i in range(look.content):
            _lancet(b, glass, frame, left + (i + 0.5) * step, y, min(w, 0.3 * step), h)

    if look.style == "dome":
        copper = ("green", "blue", "yellow", "grey")[int(d[3] * 4)]
        dome = b.pen("dome", "metal", copper)
        b.rect(wall, -0.85, 0.2, 0.85, 1)
        b.rect(roof, -0.93, 0.12, 0.93, 0.24)
        b.rect(tower, -0.5, -0.18, 0.5, 0.14)
        b.rect(shade, 0.3, -0.18, 0.5, 0.14)
        b.oval(dome, 0, -0.16, 0.55, 0.56, start=180, stop=360)
        b.oval(b.pen("dome", "metal", copper, tone=1.35), -0.2, -0.4, 0.09, 0.2, 25)
        for x in (-0.25, 0.0, 0.25):
            b.line(b.pen("dome", "metal", copper, tone=0.72), (x * 1.7, -0.16, x * 1.2, -0.5, 0, -0.72), 0.03)
        b.rect(frame, -0.56, -0.2, 0.56, -0.14)
        b.rect(tower, -0.07, -0.8, 0.07, -0.68)
        cross(0, -0.78)
        row(-0.48, 0.48, 0.02, 0.07, 0.05)
        for x in (-0.58, 0.58):
            _lancet(b, glass, frame, x, 0.6, 0.09, 0.13)
    elif look.style == "spire":
        spire = b.pen("spire", "shingles", roof_colour, tone=0.75)
        b.rect(wall, -0.4, 0.3, 0.92, 1)
        b.poly(roof, (-0.45, 0.34, -0.3, -0.1, 0.78, -0.1, 1, 0.34))
        b.rect(tower, -0.9, -0.15, -0.28, 1)
        b.rect(shade, -0.42, -0.15, -0.28, 1)
        b.poly(spire, (-1, -0.12, -0.59, -0.85, -0.18, -0.12))
        b.poly(b.pen("spire", "shingles", roof_colour, tone=1.1), (-1, -0.12, -0.59, -0.85, -0.68, -0.12))
        cross(-0.59, -0.8)
        b.oval(frame, -0.62, 0.1, 0.13)
        b.oval(glass, -0.62, 0.1, 0.09)
        row(-0.24, 0.9, 0.66, 0.09, 0.14)
    else:
        b.poly(wall, (-0.45, 1, -0.45, 0, 0, -0.4, 0.45, 0, 0.45, 1))
        b.line(roof, (-0.5, 0.05, 0, -0.4, 0.5, 0.05), 0.13)
        for x in (-0.65, 0.65):
            b.rect(tower, x - 0.24, -0.3, x + 0.24, 1)
            b.rect(shade, x + 0.12, -0.3, x + 0.24, 1)
            b.poly(b.pen("spire", "shingles", roof_colour, tone=0.75), (x - 0.3, -0.27, x, -0.85, x + 0.3, -0.27))
            b.rect(frame, x - 0.27, 0.22, x + 0.27, 0.27)
            _lancet(b, glass, frame, x, -0.02, 0.07, 0.08)
            _lancet(b, glass, frame, x, 0.6, 0.07, 0.12)
            cross(x, -0.82, 0.08)
        b.oval(frame, 0, -0.05, 0.15)
        b.oval(glass, 0, -0.05, 0.11)
        row(-0.42, 0.42, 0.26, 0.06, 0.04)
    x = -0.6 if look.style == "spire" else 0
    w = 0.17 if look.style == "spire" else 0.22
    _lancet(b, b.pen("door", "wood", "brown", tone=0.9), frame, x, 0.78, w, 0.22)
    if look.status == "open":
        _lancet(b, b.pen("door", "light", "yellow", tone=1.4), frame, x, 0.78, w, 0.22)
        for side in (-1, 1):  # the leaves, swung out
            leaf = b.pen("door", "wood", "brown", tone=0.7)
            b.poly(leaf, (x + side * w, 0.5, x + side * (w + 0.13), 0.56, x + side * (w + 0.13), 1, x + side * w, 0.98))
    else:
        b.rect(b.pen("door", "wood", "black"), x - 0.012, 0.4, x + 0.012, 1)
