"""Unpooling: up-sampling a map to the grid that was pooled, by nearest, bilinear or bicubic interpolation."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..errors import SettingError, brief_value

Kernel = Callable[[torch.Tensor], torch.Tensor]


def _nearest(distance: torch.Tensor) -> torch.Tensor:
    return (distance <= 0.5 + 1e-9).to(distance.dtype)  # half way between two cells: the mean of both


def _bilinear(distance: torch.Tensor) -> torch.Tensor:
    return (1 - distance).clamp(min=0)


def _bicubic(distance: torch.Tensor) -> torch.Tensor:
    """Keys' kernel with a = -0.5, that of MATLAB and Pillow."""
    d = distance
    near = 1.5 * d**3 - 2.5 * d**2 + 1
    far = -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    return torch.where(d <= 1, near, torch.where(d < 2, far, 0))


METHODS: dict[str, Kernel] = {
    "nearest": _nearest,
    "bilinear": _bilinear,
    "bicubic": _bicubic,
}


def check(method: str) -> str:
    """Return the method, or raise SettingError for an unknown one."""
    if method not in METHODS:
        raise SettingError(f"unpool is {brief_value(method)}; expected one of {', '.join(map(repr, METHODS))}.")
    return method


def interpolation(cells: int, kernel: float, stride: float, size: int, method: str) -> torch.Tensor:
    """The matrix (size, cells) that up-samples one axis of a map to the axis that was pooled.

    Pooled cell i has its centre at i stride + (kernel - 1) / 2, counted from where the first window begins; beyond the
    outer cells, the map is mirrored at its edge.
    """
    where = (torch.arange(size, dtype=torch.float64) - (kernel - 1) / 2) / stride
    where = where.clamp(-0.5, cells - 0.5)  # a window may reach further out than half a stride
    reach = torch.arange(-2, cells + 2)
    weights = METHODS[method]((where[:, None] - reach).abs())
    mirrored = reach % (2 * cells)
    mirrored = torch.where(mirrored < cells, mirrored, 2 * cells - 1 - mirrored)
    matrix = torch.zeros(size, cells, dtype=torch.float64).index_add_(1, mirrored, weights)
    return matrix / matrix.sum(1, keepdim=True)


def unpool(
    maps: torch.Tensor, kernel: tuple[float, float], stride: tuple[float, float], size: tuple[int, int], method: str
) -> torch.Tensor:
    """Maps (..., h, w) up-sampled to (..., *size), the pixels that their pooling windows cover."""
    rows, columns = (interpolation(maps.shape[a], kernel[a], stride[a], size[a], method).to(maps) for a in (-2, -1))
    return rows @ maps @ columns.T
