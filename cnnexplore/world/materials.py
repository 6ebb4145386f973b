"""Colours, materials and textures of surfaces."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from PIL import Image

COLOURS = {
    "red": (196, 50, 44), "orange": (232, 126, 44), "yellow": (240, 204, 72), "green": (84, 144, 66),
    "blue": (58, 110, 190), "purple": (128, 78, 164), "pink": (236, 146, 176), "brown": (132, 88, 56),
    "black": (44, 44, 52), "grey": (146, 148, 152), "white": (240, 238, 230),
}  # fmt: skip

# material: its usual colour and texture
MATERIALS = {
    "air": ("blue", "cloudy"), "cloud": ("white", "cloudy"), "water": ("blue", "waved"), "grass": ("green", "bladed"),
    "leaves": ("green", "leafy"), "sand": ("yellow", "rippled"), "snow": ("white", "powdery"),
    "gravel": ("grey", "pebbled"), "stone": ("grey", "blocked"), "rock": ("grey", "cloudy"),
    "brick": ("red", "bricked"), "plaster": ("white", "speckled"), "wood": ("brown", "grained"),
    "boards": ("brown", "planked"), "bark": ("brown", "furrowed"), "shingles": ("red", "shingled"),
    "metal": ("grey", "brushed"), "paint": ("red", "smooth"), "glass": ("blue", "smooth"),
    "rubber": ("black", "smooth"), "fabric": ("white", "woven"), "paper": ("white", "smooth"),
    "ceramic": ("white", "smooth"), "tiles": ("white", "tiled"), "carpet": ("brown", "woven"),
    "scales": ("orange", "scaly"), "feathers": ("brown", "feathered"), "petals": ("pink", "veined"),
    "skin": ("pink", "smooth"), "seeds": ("brown", "dotted"), "liquid": ("brown", "smooth"),
    "horn": ("orange", "smooth"), "steam": ("white", "cloudy"), "light": ("yellow", "smooth"),
}  # fmt: skip

_SIDE = 384  # texels of a master tile, which spans the picture and is periodic


def _noise(state: np.random.RandomState, rows: int, columns: int | None = None) -> np.ndarray:
    """Smooth periodic noise with rows x columns cells, about -1..1."""
    columns = columns or rows
    cells = np.pad(state.random_sample((rows, columns)), ((2, 2), (2, 2)), "wrap").astype(np.float32)
    high, wide = -(-_SIDE // rows), -(-_SIDE // columns)
    big = Image.fromarray(cells).resize((wide * (columns + 4), high * (rows + 4)), Image.Resampling.BICUBIC)
    grown = np.asarray(big)[2 * high : -2 * high, 2 * wide : -2 * wide]
    # where the cells do not divide the side: resize, so that the tile stays periodic
    return 2 * np.asarray(Image.fromarray(grown).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)) - 1


def _wall(
    state: np.random.RandomState,
    rows: int,
    columns: int,
    joint: float,
    mortar: float,
    spread: float,
    shift: float = 0.5,
) -> np.ndarray:
    """Courses of bricks. joint: its width as a share of a brick's height; spread: of the bricks' shades."""
    y, x = np.mgrid[0:_SIDE, 0:_SIDE] / _SIDE
    row = np.floor(y * rows).astype(int)
    along = (x * columns + shift * (row % 2)) % columns
    shade = state.uniform(-spread, spread, (rows, columns))[row, along.astype(int)]
    seam = ((y * rows) % 1 < joint) | (along % 1 < joint * columns / rows)
    return np.where(seam, mortar, shade)


def _scallops(rows: int, depth: float) -> np.ndarray:
    """Overlapping round scales or feathers."""
    y, x = np.mgrid[0:_SIDE, 0:_SIDE] / _SIDE
    best = np.full((_SIDE, _SIDE), -1.0)
    for odd in (0, 1):
        u = (x * rows / 2 + 0.5 * odd) % 1 - 0.5
        v = ((y * rows / 2 + 0.5 * odd) % 1) - 0.5
        reach = np.hypot(u, v * 0.9)
        best = np.maximum(best, 1 - 8 * np.abs(reach - 0.42) - 2 * (v < 0))
    return depth * np.clip(-best, -1, 0.5)


def _bladed(s: np.random.RandomState) -> np.ndarray:
    return 16 * _noise(s, 24, 96) + 14 * _noise(s, 48, 128) + 12 * _noise(s, 4)


def _leafy(s: np.random.RandomState) -> np.ndarray:
    return 55 * np.clip(_noise(s, 32) + 0.5 * _noise(s, 64), -0.7, 0.7) + 10 * _noise(s, 6)


def _waved(s: np.random.RandomState) -> np.ndarray:
    y = np.arange(_SIDE)[:, None] / _SIDE
    return 16 * np.sin(2 * np.pi * (20 * y + 1.1 * _noise(s, 6, 8))) + 12 * _noise(s, 48, 12) + 6 * _noise(s, 3)


def _rippled(s: np.random.RandomState) -> np.ndarray:
    y = np.arange(_SIDE)[:, None] / _SIDE
    return 7 * np.sin(2 * np.pi * (12 * y + 1.2 * _noise(s, 4))) + 8 * _noise(s, 128)


def _pebbled(s: np.random.RandomState) -> np.ndarray:
    return 34 * np.clip(1.8 * np.abs(_noise(s, 40)) - 0.55, -0.8, 0.6) + 9 * _noise(s, 96)


def _grained(s: np.random.RandomState) -> np.ndarray:
    y = np.arange(_SIDE)[:, None] / _SIDE
    return 13 * np.sin(2 * np.pi * (14 * y + 1.3 * _noise(s, 4, 3))) + 9 * _noise(s, 96, 8)


def _planked(s: np.random.RandomState) -> np.ndarray:
    return _wall(s, 10, 2, 0.1, -48, 16) + 9 * _noise(s, 96, 8)


def _shingled(s: np.random.RandomState) -> np.ndarray:
    y = np.arange(_SIDE)[:, None] / _SIDE
    return _wall(s, 18, 18, 0.14, -36, 13) + 16 * (1 - 2 * ((18 * y) % 1))


def _stripes(s: np.random.RandomState) -> np.ndarray:
    return np.tile(np.where(np.arange(_SIDE) * 12 // _SIDE % 2, 34, -34), (_SIDE, 1))


def _dots(s: np.random.RandomState) -> np.ndarray:
    y, x = np.mgrid[0:_SIDE, 0:_SIDE] * 10 / _SIDE
    x = x + 0.5 * (np.floor(y) % 2)
    return np.where(np.hypot(x % 1 - 0.5, y % 1 - 0.5) < 0.3, 52, -12)


def _chequers(s: np.random.RandomState) -> np.ndarray:
    y, x = np.mgrid[0:_SIDE, 0:_SIDE] * 14 // _SIDE
    return np.where((x + y) % 2, 32, -32)


# texture: what is added to each texel, in grey levels
_TEXTURES: dict[str, Callable[[np.random.RandomState], np.ndarray]] = {
    "smooth": lambda s: 2 * _noise(s, 8),
    "cloudy": lambda s: 12 * _noise(s, 5, 3) + 9 * _noise(s, 11, 7) + 5 * _noise(s, 24, 16),
    "waved": _waved,
    "bladed": _bladed,
    "leafy": _leafy,
    "rippled": _rippled,
    "powdery": lambda s: 6 * _noise(s, 5) + 6 * _noise(s, 64),
    "pebbled": _pebbled,
    "blocked": lambda s: _wall(s, 12, 6, 0.12, -34, 15) + 6 * _noise(s, 64),
    "bricked": lambda s: _wall(s, 20, 9, 0.2, 46, 17),
    "speckled": lambda s: 10 * _noise(s, 96) + 5 * _noise(s, 7),
    "grained": _grained,
    "planked": _planked,
    "furrowed": lambda s: 30 * _noise(s, 10, 64) + 12 * _noise(s, 48),
    "shingled": _shingled,
    "brushed": lambda s: 9 * _noise(s, 128, 6) + 12 * _noise(s, 4),
    "woven": lambda s: 9 * np.sign(np.sin(np.arange(_SIDE) * 0.7854)[:, None] * np.sin(np.arange(_SIDE) * 0.7854)),
    "tiled": lambda s: _wall(s, 10, 10, 0.1, -42, 7, 0),
    "scaly": lambda s: _scallops(44, 22),
    "feathered": lambda s: _scallops(24, 16) + 10 * _noise(s, 64, 24),
    "veined": lambda s: 12 * _noise(s, 6, 72),
    "striped": _stripes,
    "dotted": _dots,
    "chequered": _chequers,
}
TEXTURES = tuple(_TEXTURES)


@functools.lru_cache(1)
def _masters() -> list[Image.Image]:
    """The master tile of every texture."""
    return [
        Image.fromarray(np.asarray(draw(np.random.RandomState(1000 + i)), np.float32))
        for i, draw in enumerate(_TEXTURES.values())
    ]


@functools.lru_cache(4)
def tiles(size: int) -> np.ndarray:
    """Every texture at the picture's size, (textures, size, size) int8, grey levels to add; periodic."""
    kind = Image.Resampling.BOX if size < _SIDE else Image.Resampling.BICUBIC
    levels = (np.asarray(master.resize((size, size), kind)) for master in _masters())
    return np.stack([np.clip(np.floor(level + 0.5137), -127, 127).astype(np.int8) for level in levels])


@functools.lru_cache(4)
def grain(size: int) -> np.ndarray:
    """Sensor noise of standard deviation 1, (size + 64, size + 64, 3) float32; a scene takes a random crop of it."""
    return np.random.RandomState(7).standard_normal((size + 64, size + 64, 3)).astype(np.float32)
