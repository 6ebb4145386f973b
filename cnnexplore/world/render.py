"""Rendering of a plan: layers of polygons, then texture, relief, shadow, light and noise."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from .backgrounds import BACKGROUNDS, Background, clutter
from .brush import BEHIND, FRONT, OBJECT, Brush, Inks
from .classes import SPECS
from .materials import COLOURS, grain, tiles
from .plan import Plan
from .random_stream import RandomStream

_IS_OBJECT = [255 * (i >= OBJECT) for i in range(256)]
# a palette: red where something is in front of the background, green where it is the object
_LAYER_PALETTE = bytes(v for i in range(256) for v in (255 * (i >= FRONT), 255 * (i >= OBJECT), 0))


class Rendering(NamedTuple):
    """A rendered scene.

    picture: (H, W, 3) uint8. canvas: ink numbers, (s H, s W) uint8, s samples per pixel and side. shadow: (H, W) uint8,
    255 the darkest. centre: (row, column) of the object's frame, 0..1.
    """

    picture: np.ndarray
    canvas: np.ndarray
    shadow: np.ndarray
    inks: Inks
    centre: tuple[float, float]


def samples_per_side(size: int) -> int:
    """Samples per pixel and side, of anti-aliasing."""
    return 4 if size <= 128 else 3 if size <= 320 else 2


def _support(plan: Plan) -> str:
    """Where the object stands or hangs: "floor", "wall", "water", "air" or "any"."""
    support = SPECS[plan.name].support
    return support.get(plan.look.style, support[""])


def _centre(plan: Plan, background: Background) -> tuple[float, float]:
    """The centre (x, y) of the object's frame, in units of the picture."""
    half, support = plan.scale / 2, _support(plan)
    turn = math.radians(abs(plan.angle))
    room = max(0.5 - half * (math.cos(turn) + 0.5 * math.sin(turn)), 0)
    x = 0.5 + room * (2 * plan.u - 1)
    if support == "any":
        return x, 0.5 + room * (1.6 * plan.v - 0.7)
    if support in ("air", "wall") or not background.floor:
        return x, 0.9 * half + plan.v * max(0.5 - 0.9 * half, 0.05)
    first = max(background.horizon + 0.08, plan.scale * 0.97, 0.8 if support == "water" else 0)
    foot = first + plan.v * max(0, 0.97 - first)
    return x, foot - half


def _placement(plan: Plan, background: Background, side: int) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """The map from the object's frame to samples: matrix, offset, and the centre (x, y) in units of the picture."""
    x, y = _centre(plan, background)
    turn = math.radians(plan.angle)
    half, c, s = plan.scale / 2 * side, math.cos(turn), math.sin(turn)
    matrix = np.array([[c * plan.mirror, -s], [s * plan.mirror, c]]) * half
    sink = 0.8 * half * (1 - c)  # keeps the foot of a leaning object on the floor
    return matrix, np.array([x * side, y * side + sink]), (x, y)


def _shadow(cover: Image.Image, plan: Plan, background: Background, foot: float, across: float) -> Image.Image:
    """The object's outline cast on the floor or the wall, blurred.

    across: the horizontal direction of the light.
    """
    size = plan.size
    if not background.floor:
        return Image.new("L", cover.size)
    support = _support(plan)
    data: tuple[float, ...]
    if support in ("floor", "water"):
        high = 0.32
        data = (1, across / high, -foot * across / high, 0, 1 / high, foot * (1 - 1 / high))
    elif support == "wall" or not background.open:
        data = (1, 0, -0.05 * size * across, 0, 1, -0.04 * size)
    else:  # from the air to the floor
        y, low, flat = foot - plan.scale * size / 2, (0.5 * background.horizon + 0.5) * size, 0.3
        data = (1, 0, -0.12 * size * across, 0, 1 / flat, y - low / flat)
    cast = cover.transform(cover.size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    if background.open:
        cast.paste(0, (0, 0, size, int(background.horizon * size)))
    return cast.filter(ImageFilter.BoxBlur(size / 64))


def _texture(
    inks: Inks,
    at: np.ndarray,
    tile: np.ndarray,
    strength: float,
    corner: tuple[float, float],
    horizon: float,
    matrix: np.ndarray,
    offset: np.ndarray,
) -> np.ndarray:
    """The texture of every pixel, (H, W), grey levels.

    at: the ink at every pixel's centre, (H, W). tile: all textures. corner: the origin of the textures. matrix, offset:
    the map from the object's frame to pixels.
    """
    size, which = len(at), inks.textures()
    x = np.arange(size, dtype=np.float32)
    # perspective of the floor: the texture is finer towards the horizon
    below = np.maximum(x / size - horizon, 0)
    near = 1 - horizon + 0.15
    depth = np.where(x / size > horizon, near / (below + 0.15), 1).astype(np.float32)
    v = np.where(x / size > horizon, size * near * (1 - depth), x) + corner[1] * size
    u = (x[None] - size / 2) * depth[:, None] + (corner[0] + 4) * size
    layer = which[at]
    out = tile[layer, v.astype(np.intp)[:, None] % size, u.astype(np.intp) % size]
    rows, columns = np.nonzero(at >= OBJECT)
    if len(rows):  # the object's texture is rotated and scaled with it
        (a, b), (c, d) = matrix
        back = np.array([[d, -b], [-c, a]]) * (size * 0.34 / (a * d - b * c))
        dx, dy = columns - np.float32(offset[0]), rows - np.float32(offset[1])
        u = (back[0, 0] * dx + back[0, 1] * dy + (corner[0] + 4) * size).astype(np.intp) % size
        v = (back[1, 0] * dx + back[1, 1] * dy + (corner[1] + 4) * size).astype(np.intp) % size
        out[rows, columns] = tile[layer[rows, columns], v, u]
    return out * np.float32(strength)


def render(plan: Plan, without: frozenset[str] = frozenset()) -> Rendering:
    """Render a scene; without: any of "object", "shadow", "clutter", which are left out."""
    size, step = plan.size, samples_per_side(plan.size)
    side = size * step
    scenery, litter, light = (RandomStream(plan.bits, k) for k in (2, 3, 4))
    shift = [[light.between(-14, 14) for _ in range(3)] for _ in COLOURS]
    inks = Inks()
    back, front = Brush(inks, BEHIND, shift), Brush(inks, FRONT, shift)
    body = Brush(inks, OBJECT, [[light.between(-14, 14) for _ in range(3)] for _ in COLOURS])

    background = BACKGROUNDS[plan.background](back, scenery)
    if "clutter" not in without:
        clutter(back, front, litter, background)
    SPECS[plan.name].draw(body, plan.look)
    matrix, offset, (x, y) = _placement(plan, background, side)
    flat = np.eye(2) * side

    canvas, solo = Image.new("L", (side, side)), Image.new("L", (side, side))
    back.rasterise(canvas, flat, 0)
    body.rasterise(solo, matrix, offset)
    solid = solo.point(_IS_OBJECT)
    cover = solid.reduce(step)
    across = light.sign() * light.between(0.25, 0.8)
    if "object" not in without:
        canvas.paste(solo, None, solid)
    front.rasterise(canvas, flat, 0)
    ink = np.asarray(canvas)
    at = ink[step // 2 :: step, step // 2 :: step]

    canvas.putpalette(_LAYER_PALETTE)
    covered, visible, _ = np.moveaxis(np.asarray(canvas.convert("RGB").reduce(step)), 2, 0)
    shadow = np.zeros((size, size), np.uint8)
    if "shadow" not in without:
        foot = (y + plan.scale / 2) * size
        shadow = np.asarray(_shadow(cover, plan, background, foot, across)) * (covered < 255)
        shadow[shadow < 8] = 0

    canvas.putpalette(inks.column("rgb", (0, 0, 0), np.uint8).tobytes())
    picture = np.asarray(canvas.convert("RGB").reduce(step)).astype(np.float32)
    corner = light.uniform(), light.uniform()
    grey = _texture(inks, at, tiles(size), light.between(0.75, 1.3), corner, background.horizon,
                    matrix / step, offset / step)  # fmt: skip
    rise = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    grey += inks.column("fade", 0, np.float32)[at] * rise[:, None]
    if "object" not in without:
        relief = np.asarray(cover.filter(ImageFilter.BoxBlur(size / 28))).astype(np.float32)
        slope = np.zeros_like(relief)
        slope[:, 1:-1] = (relief[:, 2:] - relief[:, :-2]) * (0.6 if across > 0 else -0.6)
        slope[1:-1] += (relief[2:] - relief[:-2]) * 0.5
        grey += np.clip(slope * (size / 96), -42, 36) * (visible / np.float32(255))
    picture += grey[:, :, None]
    dim = 1 - (light.between(0.28, 0.5) / 65025) * (shadow * (255.0 - covered))
    gain = 1 + light.between(-0.14, 0.14) * rise[None] * 2 + light.between(-0.14, 0.14) * rise[:, None] * 2
    tint = np.array([light.between(0.9, 1.08) for _ in range(3)], np.float32) * light.between(0.82, 1.08)
    picture *= (dim * gain).astype(np.float32)[:, :, None] * tint
    r, c = light.integer(0, 63), light.integer(0, 63)
    picture += grain(size)[r : r + size, c : c + size] * np.float32(light.between(1, 6))
    np.clip(picture, 0, 255, out=picture)
    return Rendering((picture + 0.5).astype(np.uint8), ink, shadow, inks, (y, x))
