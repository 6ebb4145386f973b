"""Pictures of numbers: maps in colours, overlays, grids of pictures. The colours suit colour-blind people."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .errors import SettingError, brief_value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SEQUENTIAL, _DIVERGING = "viridis", "PuOr_r"


def channel_grid(channels: int) -> tuple[int, int]:
    """The rows and columns of grey pictures, side by side, as which an image is drawn; (1, 1) for grey and for RGB."""
    if channels in (1, 3):
        return 1, 1
    columns = math.ceil(math.sqrt(channels))
    return math.ceil(channels / columns), columns


def side_by_side(values: np.ndarray) -> np.ndarray:
    """An image (..., C, H, W) as it is drawn, (..., 1 or 3, H', W'); NaN where no channel is left."""
    channels, h, w = values.shape[-3:]
    rows, columns = channel_grid(channels)
    if rows * columns == 1:
        return values
    whole = np.full((*values.shape[:-3], rows * columns, h, w), np.nan)
    whole[..., :channels, :, :] = values
    whole = np.moveaxis(whole.reshape(*values.shape[:-3], rows, columns, h, w), -3, -2)
    return whole.reshape(*values.shape[:-3], 1, rows * h, columns * w)


def repeated(values: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """A map (H, W, ...) of an image, repeated for each channel that the picture (H', W', 3) shows side by side."""
    times = (picture.shape[0] // values.shape[0], picture.shape[1] // values.shape[1])
    return values if times == (1, 1) else np.tile(values, times + (1,) * (values.ndim - 2))


def limits(values: np.ndarray, signed: bool) -> tuple[float, float]:
    """The value range of a picture, from 0 or symmetric about 0; one value in 200 may exceed it."""
    values = np.asarray(values, np.float64)
    size = np.abs(values)
    most = float(np.quantile(size, 0.995)) or float(size.max()) or 1.0
    return (-most if signed else min(float(values.min()), 0.0)), most


def colour_map(signed: bool) -> str:
    """The name of matplotlib's colour map for maps with or without a sign."""
    return _DIVERGING if signed else _SEQUENTIAL


def heat(values: np.ndarray, signed: bool = False, span: tuple[float, float] | None = None) -> np.ndarray:
    """A map (..., H, W) in colours, (..., H, W, 3) uint8: viridis, or orange to purple about 0. span: value range."""
    from matplotlib import colormaps

    low, high = span or limits(values, signed)
    scaled = (np.asarray(values, np.float64) - low) / (high - low)
    return colormaps[colour_map(signed)](scaled.clip(0, 1), bytes=True)[..., :3]


def overlay(picture: np.ndarray, values: np.ndarray, opacity: float = 0.6, signed: bool = False) -> np.ndarray:
    """A map (H, W) in colours over a grey version of its picture (H, W, 3); opacity: 0 to 1.

    A picture that shows several channels side by side has the map over each of them.
    """
    if not 0 <= opacity <= 1:
        raise SettingError(f"opacity is {brief_value(opacity)}; expected 0 to 1.")
    grey = np.repeat(picture.astype(np.float64).mean(-1, keepdims=True), 3, -1)
    most = max(map(abs, limits(values, signed)))
    weight = opacity * (0.3 + 0.7 * (np.abs(values) / most).clip(0, 1))[..., None]  # near 0: transparent
    weight, colours = repeated(weight, picture), repeated(heat(values, signed), picture)
    return np.round((1 - weight) * grey + weight * colours).astype(np.uint8)


def signed_picture(values: np.ndarray, quantile: float = 1.0) -> np.ndarray:
    """Signed patterns (..., C, H, W), such as filters, as pictures (..., H, W, 3) uint8 about middle grey.

    Each pattern has its own range, up to this quantile of its magnitudes: 1.0 is the largest. Unless C is 3 or 1, the
    channels are drawn side by side.
    """
    values = np.asarray(values, np.float64)
    size = np.abs(values)
    most = size.max((-3, -2, -1), keepdims=True)
    if quantile < 1:
        inner = np.quantile(size, quantile, (-3, -2, -1), keepdims=True)
        most = np.where(inner > 0, inner, most)
    scaled = side_by_side((values / np.where(most > 0, most, 1)).clip(-1, 1))
    picture = np.moveaxis(np.round(127.5 + 127.5 * np.nan_to_num(scaled, nan=1.0)).astype(np.uint8), -3, -1)
    return np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:-1], 3)))


def shown(figure: Figure) -> bytes:
    """A matplotlib figure as PNG bytes."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def printable(text: str) -> str:
    """Text for a figure: characters that cannot be drawn are visible as Python writes them, line breaks stay."""
    return "".join(c if c == "\n" or c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def picture_grid(
    pictures: Sequence[np.ndarray], titles: Sequence[str], columns: int, inches: float = 1.5, title: str = ""
) -> Figure:
    """A matplotlib figure of pictures in rows, each `inches` wide, with a title above each."""
    from matplotlib.figure import Figure

    columns = max(1, min(columns, len(pictures)))
    rows = -(-len(pictures) // columns)
    lines = max([text.count("\n") + 1 for text in titles if text], default=0)
    size = (inches * columns, (0.95 * inches + 0.13 * lines) * rows + (0.28 if title else 0))
    figure = Figure(figsize=size, layout="constrained", dpi=110)
    if title:
        figure.suptitle(printable(title), fontsize=9, parse_math=False)
    for k, axis in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axis.set_axis_off()
        if k < len(pictures):
            axis.imshow(pictures[k], interpolation="nearest")
            axis.set_title(printable(titles[k]), fontsize=7, parse_math=False, pad=2)
    return figure


def tiles(pictures: np.ndarray, columns: int, gap: int = 1, background: int = 255) -> np.ndarray:
    """Pictures (N, H, W, 3) of one size in the rows of one picture, `gap` pixels apart; background: its grey level."""
    n, h, w, _ = pictures.shape
    rows = -(-n // columns)
    out = np.full((rows * (h + gap) - gap, columns * (w + gap) - gap, 3), background, np.uint8)
    for k, picture in enumerate(pictures):
        top, left = (k // columns) * (h + gap), (k % columns) * (w + gap)
        out[top : top + h, left : left + w] = picture
    return out


def thumbnail(picture: np.ndarray, side: int) -> np.ndarray:
    """A picture (H, W, 3) uint8, made smaller if it does not fit a square of `side` pixels."""
    from PIL import Image

    h, w = picture.shape[:2]
    if max(h, w) <= side:
        return picture
    size = [max(1, round(n * side / max(h, w))) for n in (w, h)]
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
