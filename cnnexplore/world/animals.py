"""Fish and bird, facing right. Coordinates run from -1 to 1, y down."""

from __future__ import annotations

from .brush import Brush, Look


def _eye(b: Brush, x: float, y: float, size: float = 0.1) -> None:
    b.oval(b.pen("eye", "glass", "white", tone=1.2), x, y, size)
    b.oval(b.pen("eye", "glass", "black", tone=0.6), x + 0.25 * size, y, 0.58 * size)
    b.oval(b.pen("eye", "glass", "white", tone=1.5), x + 0.45 * size, y - 0.25 * size, 0.2 * size)


def fish(b: Brush, look: Look) -> None:
    """Styles slim, round, angel; status: mouth and fins open or closed; content: how many bands."""
    d, wide = look.draws, look.status == "open"
    body, belly = b.pen("body", "scales", look.colour), b.pen("body", "scales", look.colour, tone=1.45)
    head = b.pen("head", "skin", look.colour, tone=0.85)
    trim = ("yellow", "orange", "blue", "white", "red")[int(d[0] * 5)]
    trim = "white" if trim == look.colour else trim
    fin = b.pen("fin", "skin", trim, "veined", 0.95)
    tail = b.pen("tail", "skin", trim, "veined", 0.85)
    high = {"slim": 0.36, "round": 0.6, "angel": 0.52}[look.style]
    nose = {"slim": 0.92, "round": 0.72, "angel": 0.68}[look.style]
    spread = 1.0 if wide else 0.45
    b.poly(tail, (-0.5, 0, -1, -0.5 * spread - 0.1, -0.82, 0, -1, 0.5 * spread + 0.1))
    if look.style == "angel":
        b.poly(fin, (0.3, -0.3, -0.1, -0.4 - 0.6 * spread, -0.45, -0.95 * spread - 0.05, -0.45, -0.15))
        b.poly(fin, (0.3, 0.3, -0.1, 0.4 + 0.6 * spread, -0.45, 0.95 * spread + 0.05, -0.45, 0.15))
    else:
        b.poly(fin, (0.3, -high * 0.8, 0.1, -high - 0.4 * spread, -0.3, -high - 0.3 * spread, -0.45, -high * 0.5))
        b.poly(fin, (0.1, high * 0.7, -0.12, high + 0.34 * spread, -0.35, high * 0.6))
    outline = [(nose, 0), (0.45, -0.8 * high), (0.02, -high), (-0.42, -0.55 * high), (-0.68, -0.08), (-0.68, 0.08),
               (-0.42, 0.55 * high), (0.02, high), (0.45, 0.8 * high)]  # fmt: skip
    b.blob(body, outline)
    b.blob(belly, ((0.5, 0.5 * high), (0, 0.42 * high), (-0.45, 0.3 * high), (0, 0.95 * high)))
    band = b.pen("body", "scales", "white" if look.colour not in ("white", "grey") else "black")
    for i in range(look.content):
        x = 0.2 - 0.26 * i
        h = high * (0.98, 0.96, 0.72)[i]
        b.blob(band, ((x - 0.06, -h), (x + 0.07, -h), (x + 0.13, 0), (x + 0.07, h), (x - 0.06, h), (x + 0.01, 0)))
    b.blob(
        head, ((nose, 0), (0.5, -0.72 * high), (0.36, -0.5 * high), (0.42, 0), (0.36, 0.5 * high), (0.5, 0.72 * high))
    )
    b.arc(b.pen("head", "skin", look.colour, tone=0.55), 0.3, 0, 0.14, 0.55 * high, -70, 70, 0.05)
    mouth = b.pen("mouth", "skin", "black" if look.colour != "black" else "red")
    lip = b.pen("mouth", "skin", "pink" if look.colour != "pink" else "red")
    if wide:
        b.poly(mouth, (nose + 0.06, -0.14, nose - 0.28, 0.06, nose + 0.04, 0.22))
        b.line(lip, (nose + 0.06, -0.16, nose - 0.26, 0.06, nose + 0.04, 0.24), 0.06)
    else:
        b.line(mouth, (nose + 0.01, 0.04, nose - 0.22, 0.12), 0.045)
    b.blob(fin, ((0.2, 0.1 * high), (-0.1, 0.1 * high), (-0.3, 0.25 + 0.3 * spread), (0.02, 0.4)))
    _eye(b, nose - 0.26, -0.24 * high - 0.02, 0.115)


def _wing(b: Brush, look: Look, x: float, y: float, up: bool) -> None:
    """A raised or resting wing whose shoulder is at (x, y)."""
    main, tip = b.pen("wing", "feathers", look.colour, tone=0.72), b.pen("wing", "feathers", look.colour, tone=0.5)
    if up:
        b.blob(
            tip,
            (
                (x + 0.1, y),
                (x - 0.05, y - 0.55),
                (x - 0.45, y - 0.98),
                (x - 0.62, y - 0.62),
                (x - 0.5, y - 0.15),
                (x - 0.3, y + 0.15),
            ),
        )
        b.blob(
            main, ((x + 0.1, y), (x - 0.02, y - 0.45), (x - 0.3, y - 0.72), (x - 0.42, y - 0.35), (x - 0.28, y + 0.12))
        )
    else:
        b.blob(
            tip,
            ((x + 0.12, y - 0.12), (x - 0.3, y - 0.12), (x - 0.78, y + 0.28), (x - 0.25, y + 0.3), (x + 0.1, y + 0.16)),
        )
        b.blob(
            main,
            ((x + 0.12, y - 0.1), (x - 0.22, y - 0.1), (x - 0.5, y + 0.12), (x - 0.2, y + 0.22), (x + 0.1, y + 0.12)),
        )


def _catch(b: Brush, look: Look, x: float, y: float) -> None:
    """A worm or twig in the beak."""
    if look.content == "worm":
        b.line(
            b.pen("catch", "skin", "pink"),
            ((x - 0.13, y + 0.24), (x - 0.06, y + 0.08), (x + 0.04, y), (x + 0.1, y + 0.14), (x + 0.18, y + 0.2)),
            0.07,
        )
    elif look.content == "twig":
        b.line(b.pen("catch", "wood", "brown", tone=0.7), ((x - 0.16, y + 0.18), (x + 0.2, y - 0.14)), 0.055)
        b.oval(b.pen("catch", "leaves", "green"), x + 0.2, y - 0.1, 0.12, 0.06, -30)


def bird(b: Brush, look: Look) -> None:
    """Styles songbird, owl, heron; status: wings spread or folded; content: what is in the beak."""
    d, up = look.draws, look.status == "spread"
    body = b.pen("body", "feathers", look.colour)
    breast = b.pen("breast", "feathers", ("white", "orange", "yellow", "grey")[int(d[0] * 4)], tone=1.1)
    head = b.pen("head", "feathers", look.colour, tone=0.9 if d[1] < 0.5 else 1.15)
    tail = b.pen("tail", "feathers", look.colour, tone=0.6)
    beak, dusk = (
        b.pen("beak", "horn", "orange" if look.colour != "orange" else "black"),
        b.pen("beak", "horn", "orange", tone=0.7),
    )
    leg = b.pen("leg", "horn", "orange" if d[2] < 0.5 else "brown", tone=0.8)
    if look.style == "songbird":
        if up:
            _wing(b, look, 0.3, 0.05, True)
        b.poly(tail, (-0.45, 0.1, -1, 0.2, -0.98, 0.42, -0.4, 0.36))
        for x in (-0.02, 0.16):
            b.line(leg, (x, 0.55, x + 0.05, 0.8, x - 0.01, 0.98, x + 0.14, 0.98), 0.05)
        b.blob(body, (0.5, -0.15, 0.1, -0.25, -0.4, 0.05, -0.62, 0.25, -0.2, 0.6, 0.25, 0.58, 0.55, 0.25))
        b.blob(breast, (0.52, 0.08, 0.3, 0.12, 0.05, 0.45, 0.15, 0.6, 0.35, 0.5))
        b.oval(head, 0.42, -0.26, 0.33, 0.31)
        b.poly(beak, (0.7, -0.38, 0.98, -0.24, 0.7, -0.18))
        b.poly(dusk, (0.7, -0.24, 0.98, -0.24, 0.7, -0.15))
        _wing(b, look, -0.02 if up else 0.12, 0.12, up)
        _eye(b, 0.53, -0.33, 0.095)
        _catch(b, look, 0.92, -0.24)
    elif look.style == "owl":
        wing, edge = b.pen("wing", "feathers", look.colour, tone=0.72), b.pen("wing", "feathers", look.colour, tone=0.5)
        for s in (-1, 1):
            if up:
                b.blob(
                    edge, (s * 0.3, -0.1, s * 0.75, -0.6, s * 1.02, -0.7, s * 0.98, -0.15, s * 0.75, 0.25, s * 0.4, 0.4)
                )
                b.blob(
                    wing, (s * 0.3, -0.1, s * 0.7, -0.45, s * 0.85, -0.45, s * 0.8, -0.1, s * 0.6, 0.15, s * 0.4, 0.3)
                )
        b.poly(tail, (-0.2, 0.6, 0.2, 0.6, 0.14, 1, -0.14, 1))
        b.blob(body, (0, -0.5, 0.48, -0.2, 0.52, 0.35, 0.25, 0.85, -0.25, 0.85, -0.52, 0.35, -0.48, -0.2))
        b.blob(breast, (0, -0.1, 0.3, 0.2, 0.2, 0.7, -0.2, 0.7, -0.3, 0.2))
        if not up:
            for s in (-1, 1):
                b.blob(wing, (s * 0.42, -0.2, s * 0.62, 0.25, s * 0.36, 0.78, s * 0.3, 0.25))
        for s in (-1, 1):
            b.poly(head, (s * 0.12, -0.72, s * 0.5, -0.99, s * 0.46, -0.4))
        b.oval(head, 0, -0.44, 0.5, 0.4)
        disc = b.pen("head", "feathers", "white" if look.colour != "white" else "brown")
        for s in (-1, 1):
            b.oval(disc, s * 0.21, -0.45, 0.23, 0.25)
            b.oval(b.pen("eye", "glass", "yellow"), s * 0.2, -0.45, 0.15)
            b.oval(b.pen("eye", "glass", "black", tone=0.6), s * 0.18, -0.45, 0.085)
            b.line(leg, (s * 0.14, 0.82, s * 0.14, 0.97), 0.12)
        b.poly(beak, (-0.08, -0.36, 0.08, -0.36, 0, -0.16))
        _catch(b, look, 0.02, -0.2)
    else:
        for x, bend in ((-0.16, 0.06), (0.02, -0.04)):
            b.line(leg, (x, 0.3, x + bend, 0.66, x, 0.97, x + 0.15, 0.98), 0.05)
        if up:
            _wing(b, look, 0.14, -0.05, True)
        b.poly(tail, (-0.5, 0.05, -0.95, 0.26, -0.85, 0.36, -0.42, 0.3))
        b.blob(body, (0.35, 0, 0, -0.14, -0.5, 0.02, -0.66, 0.2, -0.2, 0.42, 0.22, 0.32))
        b.line(
            b.pen("neck", "feathers", look.colour, tone=1.1),
            (0.2, 0.18, 0.42, 0.02, 0.36, -0.3, 0.34, -0.55, 0.5, -0.76),
            0.24,
            0.15,
        )
        b.oval(head, 0.52, -0.78, 0.2, 0.16)
        b.poly(beak, (0.64, -0.86, 0.97, -0.66, 0.64, -0.7))
        b.poly(tail, (0.5, -0.92, 0.1, -0.94, 0.42, -0.82))
        _wing(b, look, 0.02 if not up else -0.12, 0.1, up)
        _eye(b, 0.56, -0.82, 0.06)
        _catch(b, look, 0.84, -0.7)
