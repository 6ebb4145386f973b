"""Car and boat, facing right. Coordinates run from -1 to 1, y down; the ground, or the water line, is at 1."""

from __future__ import annotations

from .brush import Brush, Look


def _head(b: Brush, x: float, y: float, size: float, i: int) -> None:
    """A passenger's head and shoulders."""
    b.oval(b.pen("passenger", "fabric", ("red", "blue", "green")[i % 3]), x, y + 1.9 * size, 1.35 * size, 1.2 * size)
    b.oval(b.pen("passenger", "skin", ("pink", "brown", "orange")[i % 3], tone=1.25), x, y, size)
    hair = b.pen("passenger", "fabric", ("brown", "black", "yellow")[i % 3])
    b.oval(hair, x - 0.1 * size, y - 0.35 * size, size, 0.75 * size, start=180, stop=360)


def _wheel(b: Brush, x: float, y: float, size: float) -> None:
    """A tyre with its rim and hub."""
    b.oval(b.pen("wheel", "rubber", "black"), x, y, size)
    b.oval(b.pen("wheel", "metal", "grey", tone=1.4), x, y, 0.56 * size)
    b.oval(b.pen("wheel", "metal", "grey", tone=0.7), x, y, 0.2 * size)


# style: outlines of the body, of the cabin and of its panes, places of heads, the door's left and right
_CARS = {
    "sedan": (
        (-1, 0.7, -0.98, 0.3, -0.62, 0.18, 0.6, 0.2, 0.95, 0.35, 1, 0.7),
        (-0.66, 0.22, -0.42, -0.22, 0.24, -0.22, 0.62, 0.22),
        [(-0.56, 0.2, -0.38, -0.14, -0.1, -0.14, -0.1, 0.2), (-0.02, 0.2, -0.02, -0.14, 0.2, -0.14, 0.5, 0.2)],
        [(0.14, 0.02), (-0.24, 0.02)],
        (-0.06, 0.42),
    ),
    "van": (
        (-0.98, 0.7, -0.98, -0.38, -0.86, -0.5, 0.5, -0.5, 0.82, 0.1, 0.98, 0.24, 1, 0.7),
        (-0.9, -0.5, -0.86, -0.55, 0.45, -0.55, 0.5, -0.5),
        [(-0.84, 0.06, -0.84, -0.36, -0.38, -0.36, -0.38, 0.06), (-0.28, 0.06, -0.28, -0.36, 0.1, -0.36, 0.1, 0.06),
         (0.2, 0.06, 0.2, -0.36, 0.44, -0.36, 0.68, 0.06)],
        [(0.38, -0.12), (-0.1, -0.12), (-0.6, -0.12)],
        (0.14, 0.66),
    ),
    "pickup": (
        (-1, 0.7, -1, 0.1, -0.1, 0.1, -0.1, 0.16, 0.62, 0.16, 0.96, 0.26, 1, 0.7),
        (-0.14, 0.2, -0.12, -0.38, 0.34, -0.38, 0.62, 0.2),
        [(-0.03, 0.14, -0.03, -0.28, 0.3, -0.28, 0.5, 0.14)],
        [(0.16, -0.06), (-0.45, -0.12)],
        (-0.06, 0.46),
    ),
    "beetle": (
        (-0.98, 0.7, -0.95, 0.35, -0.7, 0.05, 0.55, 0.08, 0.9, 0.3, 0.98, 0.7),
        None,
        [(-0.5, 0.14, -0.42, -0.16, -0.1, -0.3, -0.04, 0.14), (0.06, 0.14, 0.04, -0.3, 0.3, -0.18, 0.46, 0.14)],
        [(0.18, -0.04), (-0.24, -0.04)],
        (-0.04, 0.46),
    ),
}  # fmt: skip


def car(b: Brush, look: Look) -> None:
    """Styles sedan, van, pickup, beetle; status: the door open or closed; content: how many passengers."""
    d = look.draws
    outline, cabin, panes, seats, (left, right) = _CARS[look.style]
    body, low = b.pen("body", "metal", look.colour), b.pen("body", "metal", look.colour, tone=0.68)
    roof, shine = b.pen("roof", "metal", look.colour, tone=0.9), b.pen("body", "metal", look.colour, tone=1.4)
    glass, gleam = b.pen("window", "glass", "blue", tone=1.35), b.pen("window", "glass", "blue", tone=1.75)
    seam = b.pen("door", "metal", look.colour, tone=0.5)
    chrome = b.pen("bumper", "metal", "grey", tone=1.3)
    up = 0.14
    if look.style == "pickup":  # the load
        if look.content == 2:
            _head(b, seats[1][0], seats[1][1] + up, 0.15, 1)
        elif d[0] < 0.6:
            b.oval(b.pen("load", "leaves", "yellow", "bladed"), -0.55, 0.14 + up, 0.36, 0.3)
    if cabin:
        b.poly(roof, [v + up * (i % 2) for i, v in enumerate(cabin)])
    else:
        b.oval(roof, -0.02, 0.14 + up, 0.68, 0.56, start=180, stop=360)
    if look.style == "beetle":
        b.blob(body, [v + up * (i % 2) for i, v in enumerate(outline)])
    else:
        b.poly(body, [v + up * (i % 2) for i, v in enumerate(outline)])
    for pane in panes:
        b.poly(glass, [v + up * (i % 2) for i, v in enumerate(pane)])
    for i, (x, y) in enumerate(seats[: look.content]):
        if not (look.style == "pickup" and i == 1):
            _head(b, x, y + up, 0.12, i)
    for pane in panes:
        x, y = pane[0] + 0.05, pane[1] + up
        b.line(gleam, (x + 0.02, y - 0.03, x + 0.13, y - 0.22), 0.045)
    top, bottom = min(panes[-1][1], panes[-1][7]) + up + 0.04, 0.78
    b.rect(low, -0.98, 0.72, 0.98, 0.86)
    b.line(shine, (-0.9, 0.3 + up, 0.88, 0.34 + up), 0.035)
    if look.status == "open":
        b.rect(b.pen("door", "fabric", "black"), left, panes[-1][3] + up + 0.02, right, bottom)
        b.rect(b.pen("door", "fabric", "brown", "woven"), left + 0.05, 0.52, left + 0.3, bottom - 0.04)
        wing = b.pen("door", "metal", look.colour, tone=0.8)
        b.poly(wing, (right, top, right + 0.34, top + 0.1, right + 0.34, bottom + 0.14, right, bottom))
        b.poly(glass, (right + 0.02, top, right + 0.32, top + 0.09, right + 0.2, top - 0.26, right, top - 0.34))
    else:
        b.line(seam, (left, top, left, bottom, right, bottom, right, top), 0.028)
        b.rect(chrome, left + 0.06, top + 0.1, left + 0.19, top + 0.14)
    b.rect(chrome, 0.86, 0.76, 1.02, 0.84)
    b.rect(chrome, -1.02, 0.76, -0.86, 0.84)
    b.oval(b.pen("lamp", "glass", "yellow", tone=1.2), 0.9, 0.6, 0.085, 0.1)
    b.oval(b.pen("lamp", "glass", "red"), -0.94, 0.58, 0.06, 0.09)
    arch = b.pen("wheel", "rubber", "black", tone=0.6)
    for x in (-0.56, 0.58):
        b.oval(arch, x, 0.76, 0.28, 0.27)
        _wheel(b, x, 0.78, 0.22)


def boat(b: Brush, look: Look) -> None:
    """Styles sail, steamer, rowing; status: under way or at rest; content: how many passengers."""
    d, going = look.draws, look.status == "under way"
    hull = b.pen("hull", "boards" if look.style != "steamer" else "metal", look.colour)
    keel = b.pen("hull", "paint", ("red", "black", "white", "green")[int(d[0] * 4)], tone=0.8)
    rail = b.pen("hull", "wood", "brown" if look.colour != "brown" else "white", tone=1.1)
    wood = b.pen("mast", "wood", "brown", tone=0.8)
    cloth = ("white", "red", "yellow", "orange")[int(d[1] * 4)]
    low = 0.5 if look.style != "rowing" else 0.4
    seats = {"sail": (-0.55, 0.5, -0.28), "steamer": (0.62, -0.72, 0.78), "rowing": (-0.2, 0.32, -0.6)}[look.style]
    if look.style != "steamer":
        for i, x in enumerate(seats[: look.content]):
            _head(b, x, low - 0.24, 0.13 if look.style == "sail" else 0.17, i)
    if look.style == "sail":
        b.rect(wood, -0.03, -0.98, 0.04, 0.55)
        if going:
            sail = b.pen("sail", "fabric", cloth, "striped" if d[2] < 0.35 else "woven")
            jib = b.pen("sail", "fabric", "white", tone=0.92)
            b.blob(jib, (0.07, -0.85, 0.35, -0.3, 0.82, 0.32, 0.4, 0.36, 0.08, 0.34))
            b.poly(sail, (-0.05, -0.92, -0.3, -0.55, -0.6, -0.1, -0.82, 0.34, -0.05, 0.34))
            b.poly(b.pen("flag", "fabric", "red"), (0.04, -1, 0.3, -0.93, 0.04, -0.86))
        else:
            b.line(wood, (-0.8, 0.26, 0, 0.22), 0.05)
            b.blob(b.pen("sail", "fabric", cloth), (-0.8, 0.2, -0.4, 0.12, -0.04, 0.14, -0.4, 0.26))
            b.line(b.pen("mast", "fabric", "black"), (0.0, -0.95, 0.9, 0.5), 0.02)
    elif look.style == "steamer":
        cabin = b.pen("cabin", "paint", "white")
        funnel = b.pen("funnel", "metal", ("red", "black", "yellow")[int(d[1] * 3)])
        b.rect(funnel, -0.28, -0.58, 0.02, -0.02)
        b.rect(b.pen("funnel", "metal", "white"), -0.28, -0.42, 0.02, -0.32)
        b.rect(wood, 0.5, -0.7, 0.55, 0.4)
        if going:
            for x, y, r, tone in ((-0.2, -0.7, 0.13, 0.8), (-0.4, -0.8, 0.18, 0.9), (-0.7, -0.84, 0.2, 1)):
                b.oval(b.pen("smoke", "steam", "white", tone=tone), x, y, r, r * 0.8)
            b.poly(b.pen("flag", "fabric", "blue", "striped"), (0.55, -0.7, 0.9, -0.62, 0.55, -0.45))
        for i, x in enumerate(seats[: look.content]):
            _head(b, x, low - 0.26, 0.12, i)
        b.rect(cabin, -0.55, 0.0, 0.4, low + 0.05)
        b.rect(b.pen("cabin", "paint", "white", tone=0.75), -0.62, -0.05, 0.47, 0.04)
        port = b.pen("window", "light" if going else "glass", "yellow" if going else "blue", tone=1.2 if going else 0.5)
        for x in (-0.38, -0.08, 0.22):
            b.oval(port, x, 0.25, 0.1)
    bow = 0.98
    b.poly(hull, (-0.92, low, bow, low - 0.06, 0.78, 1, -0.7, 1))
    b.poly(keel, (-0.76, 0.88, 0.84, 0.88, 0.78, 1, -0.7, 1))
    b.poly(rail, (-0.98, low - 0.06, 1, low - 0.12, 0.99, low + 0.01, -0.95, low + 0.06))
    if look.style == "rowing":
        oar = b.pen("oar", "wood", "yellow", "grained", 0.85)
        ends = (
            ((0.1, low - 0.05, -0.4, 0.95), (-0.35, low - 0.05, -0.92, 0.93))
            if going
            else ((-0.8, low - 0.1, 0.8, low - 0.2),)
        )
        for x, y, u, v in ends:
            b.line(oar, (x + 0.25 * (x - u) * going, y + 0.25 * (y - v) * going, u, v), 0.06)
            b.oval(oar, u, v, 0.2, 0.09, 118 if going else -4)
    elif look.style == "steamer":
        for x in (-0.5, -0.15, 0.2, 0.55):
            b.oval(b.pen("hull", "glass", "black"), x, 0.7, 0.055)
