"""A handmade network that classifies eight characters.

Its first layer detects bars, the second parts made of bars, the third characters made of parts (decoding2015,
supplement, section 6). A character is drawn on a lattice of 3 x 3 nodes, four pixels apart, whose edges and diagonals
are bars of five pixels; a part is the content of one of the lattice's four squares.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from ...network import Pixels

SIZE = 14
PIXELS = Pixels("grey", (0.0,), (255.0,), 128.0)
BARS = ("falling", "rising", "horizontal", "vertical")

# A bar in a square: its direction, and the row and column of its middle (0, 2, 4: edge, middle, edge).
_LEFT, _RIGHT = ("vertical", 2, 0), ("vertical", 2, 4)
_TOP, _BOTTOM = ("horizontal", 0, 2), ("horizontal", 4, 2)
_FALLING, _RISING = ("falling", 2, 2), ("rising", 2, 2)

PARTS: dict[str, tuple[tuple[str, int, int], ...]] = {
    "corner bottom left": (_LEFT, _BOTTOM),
    "corner bottom right": (_RIGHT, _BOTTOM),
    "corner top right": (_RIGHT, _TOP),
    "corner top left": (_LEFT, _TOP),
    "left": (_LEFT,),
    "right": (_RIGHT,),
    "falling": (_FALLING,),
    "rising": (_RISING,),
    "top": (_TOP,),
    "top and rising": (_TOP, _RISING),
    "bottom": (_BOTTOM,),
    "bottom and rising": (_BOTTOM, _RISING),
    "left and falling": (_LEFT, _FALLING),
    "right and falling": (_RIGHT, _FALLING),
}

# The parts in the squares at the top left, top right, bottom left and bottom right.
CHARACTERS: dict[str, tuple[str | None, ...]] = {
    "C": ("corner top left", "top", "corner bottom left", "bottom"),
    "D": ("corner top left", "falling", "corner bottom left", "rising"),
    "L": ("left", None, "corner bottom left", "bottom"),
    "N": ("left and falling", "right", "left", "right and falling"),
    "O": ("corner top left", "corner top right", "corner bottom left", "corner bottom right"),
    "U": ("left", "right", "corner bottom left", "corner bottom right"),
    "X": ("falling", "rising", "rising", "falling"),
    "Z": ("top", "top and rising", "bottom and rising", "bottom"),
}
SQUARES = ((0, 0), (0, 2), (2, 0), (2, 2))  # their positions in a character's 3 x 3 filter

_AROUND = -0.3  # weight beside a bar, against bars that cross it
_ABSENT = -1 / 250  # weight where a character has no part, times its number of parts, against surplus parts


def _bars() -> torch.Tensor:
    """Filters of the bars, (4, 1, 5, 5)."""
    line = torch.zeros(5, 5)
    line[2] = 1
    drawn = {"falling": torch.eye(5), "rising": torch.eye(5).flip(1), "horizontal": line, "vertical": line.T}
    bars = torch.stack([drawn[name] for name in BARS])[:, None]
    return torch.where(bars > 0, 1.0, _AROUND)


def _parts() -> torch.Tensor:
    """Filters of the parts, (14, 4, 5, 5)."""
    parts = torch.zeros(len(PARTS), len(BARS), 5, 5)
    for k, bars in enumerate(PARTS.values()):
        for bar, row, column in bars:
            parts[k, BARS.index(bar), row, column] = 1
    return parts


def _characters() -> torch.Tensor:
    """Filters of the characters, (8, 14, 3, 3)."""
    characters = torch.zeros(len(CHARACTERS), len(PARTS), 3, 3)
    for k, squares in enumerate(CHARACTERS.values()):
        for part, (row, column) in zip(squares, SQUARES, strict=True):
            if part is not None:
                characters[k, list(PARTS).index(part), row, column] = 1
    count = characters.flatten(1).sum(1)[:, None, None, None]
    return torch.where(characters > 0, characters, _ABSENT * count)


def characters() -> nn.Sequential:
    """4 @ 5x5, 14 @ 5x5, pool, 8 @ 3x3 for 1 x 14 x 14: one score per character; filters have norm 1."""
    bars = nn.Conv2d(1, len(BARS), 5, bias=False)
    parts = nn.Conv2d(len(BARS), len(PARTS), 5, bias=False)
    whole = nn.Conv2d(len(PARTS), len(CHARACTERS), 3, bias=False)
    with torch.no_grad():
        for layer, filters in ((bars, _bars()), (parts, _parts()), (whole, _characters())):
            layer.weight.copy_(filters / filters.flatten(1).norm(dim=1)[:, None, None, None])
    return nn.Sequential(OrderedDict(conv1=bars, conv2=parts, pool2=nn.MaxPool2d(2), conv3=whole))
