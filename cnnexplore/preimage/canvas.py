"""The canvas of a run: the estimate with a border for jitter, and the mask of the pixels that may change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from ..errors import SettingError
from .parameterizations import Parameterization
from .scalars import Number
from .settings import Parameter

JITTER = Parameter(
    "jitter", 0, 64, "linear", 0,
    "jitter: by how many pixels the image is shifted at random; sharper pictures of deep layers", shown=(0, 16),
    whole=True,
)  # fmt: skip

Offsets = torch.Tensor | Sequence[Sequence[int]]  # (N, 2) a row and a column for each image
Evaluation = tuple[torch.Tensor, torch.Tensor]  # terms of the energy, and its gradient


class Canvas:
    """A batch of images, each with a border of the same width, of which the network sees a crop.

    Parameters
    ----------
    x : torch.Tensor
        (N, C, H + border, W + border) in the network's units.
    size : tuple of int
        (H, W) of a crop.
    update_mask : array, optional
        (H, W) or (N, H, W), the part of the loss's gradient that each pixel follows, 0 to 1; pixels with 0 do not
        change at all. Beyond the image the mask repeats its edge.

    Raises
    ------
    SettingError
        If the mask does not fit.
    """

    def __init__(self, x: torch.Tensor, size: tuple[int, int], update_mask: Any = None) -> None:
        self.x, self.size = x, size
        self.update_mask: torch.Tensor | None = None  # of the image, (N or 1, 1, H, W)
        if update_mask is not None:
            self.update_mask = read_update_mask(update_mask, x.shape, x.device)
        self._fit_mask()

    @property
    def variables(self) -> torch.Tensor:
        """What the solver moves: the pixels."""
        return self.x

    def evaluate(self, variables: torch.Tensor, energy: Callable[[torch.Tensor], Evaluation]) -> Evaluation:
        """The terms of the energy of images, and its gradient with respect to the variables."""
        return energy(variables)

    @property
    def border(self) -> int:
        """How many pixels the canvas is wider than a crop."""
        return self.x.shape[-1] - self.size[1]

    @property
    def centre(self) -> torch.Tensor:
        """The crops in the middle, (N, C, H, W)."""
        (h, w), before = self.size, self.border // 2
        return self.x[..., before : before + h, before : before + w].contiguous()

    def crop(self, x: torch.Tensor, offsets: Offsets | None) -> torch.Tensor:
        """One crop per image, (N, C, H, W), at offsets from the corner; the tensor itself where there is no border."""
        if offsets is None or x.shape[-2:] == self.size:
            return x
        if isinstance(offsets, torch.Tensor):
            return self._windows(x)[self._corners(offsets)]
        crops = [x[box] for box in self._boxes(offsets)]
        return crops[0] if len(crops) == 1 else torch.cat(crops)

    def spread(self, gradient: torch.Tensor, offsets: Offsets | None, factor: Number) -> torch.Tensor:
        """A factor times a gradient with respect to the crops, as one with respect to the canvas; zero outside them.

        The gradient may have any layout, also that of an expanded tensor.
        """
        if offsets is None or self.border == 0:
            return torch.mul(gradient, factor, out=gradient.new_empty(gradient.shape))
        out = torch.zeros_like(self.x)
        if isinstance(offsets, torch.Tensor):
            self._windows(out)[self._corners(offsets)] = gradient * factor
            return out
        for k, box in enumerate(self._boxes(offsets)):
            torch.mul(gradient[k : k + 1], factor, out=out[box])
        return out

    def _boxes(self, offsets: Sequence[Sequence[int]]) -> list[tuple[slice, ...]]:
        """The index of the crop of each image; on a CPU a copy takes a third of the time of an index of tensors."""
        (h, w), every = self.size, slice(None)
        return [
            (slice(k, k + 1), every, slice(top, top + h), slice(left, left + w))
            for k, (top, left) in enumerate(offsets)
        ]

    def _windows(self, x: torch.Tensor) -> torch.Tensor:
        """All crops of images as a view, (N, C, border + 1, border + 1, H, W)."""
        return x.unfold(2, self.size[0], 1).unfold(3, self.size[1], 1)

    def _corners(self, offsets: torch.Tensor) -> tuple[torch.Tensor | slice, ...]:
        """The index of one crop per image; a tensor, so that other corners need no other kernels."""
        return torch.arange(len(offsets), device=offsets.device), slice(None), offsets[:, 0], offsets[:, 1]

    def weight(self, gradient: torch.Tensor) -> torch.Tensor:
        """The loss's gradient times the update mask, in place."""
        return gradient if self._mask is None else gradient.mul_(self._mask)

    def hold(self, gradient: torch.Tensor) -> torch.Tensor:
        """A gradient that is zero at the pixels that do not change, in place."""
        return gradient if self._mask is None else gradient.mul_(self._mask > 0)

    def following(self, moved: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What `take` takes, from moved variables; pixels that must not change stay as they are."""
        return (moved if self._mask is None else torch.where(self._mask > 0, moved, self.x),)

    def take(self, following: tuple[torch.Tensor, ...]) -> None:
        """Take what `following` gave."""
        (self.x,) = following

    def replace(self, x: torch.Tensor) -> None:
        """Take other images as they are, also with another border."""
        self.x = x
        self._fit_mask()

    def set_border(self, border: int, memory: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Change the width of the border; the centre stays.

        Parameters
        ----------
        border : int
            The new width; the border grows by repeating the edge, or is cut.
        memory : dict of torch.Tensor
            The state of a solver, whose tensors of the canvas's shape are fitted in the same way.

        Returns
        -------
        dict of torch.Tensor
            The fitted state.
        """
        old = self.border
        before = border // 2 - old // 2
        after = border - old - before
        dimensions = self.x.dim()
        self.replace(resize_border(self.x, before, after))
        return {k: resize_border(t, before, after) if t.dim() == dimensions else t for k, t in memory.items()}

    def replace_variables(self, variables: torch.Tensor) -> None:
        """Take other variables as they are."""
        self.replace(variables)

    def _fit_mask(self) -> None:
        before = self.border // 2
        self._mask = self.update_mask
        if self.update_mask is not None:
            self._mask = resize_border(self.update_mask, before, self.border - before)


class CodedCanvas(Canvas):
    """Images that are made of a code, which the solver moves in place of pixels; without a border.

    Parameters
    ----------
    code : torch.Tensor
        (N, ...).
    size : tuple of int
        (H, W) of the images.
    parameterization : Parameterization
        Makes the images.
    """

    def __init__(self, code: torch.Tensor, size: tuple[int, int], parameterization: Parameterization) -> None:
        self.code, self.parameterization = code, parameterization
        super().__init__(self.following(code)[1], size)

    @property
    def variables(self) -> torch.Tensor:
        return self.code

    def evaluate(self, variables: torch.Tensor, energy: Callable[[torch.Tensor], Evaluation]) -> Evaluation:
        with torch.enable_grad():
            code = variables.detach().requires_grad_()
            image = self.parameterization.image(code)
        terms, slope = energy(image.detach())
        (gradient,) = torch.autograd.grad(image, code, slope)
        return terms, gradient

    @torch.no_grad()
    def following(self, moved: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return moved, self.parameterization.image(moved)

    def take(self, following: tuple[torch.Tensor, ...]) -> None:
        self.code, self.x = following

    def replace_variables(self, variables: torch.Tensor) -> None:
        self.take(self.following(variables))

    def set_border(self, border: int, memory: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return memory  # a shift is a transformation of the image


def resize_border(t: torch.Tensor, before: int, after: int) -> torch.Tensor:
    """A tensor (..., H, W) with its border grown by repetition, or cut where the numbers are negative, on both axes."""
    cut = [max(-before, 0), max(-after, 0)]
    t = t[..., cut[0] : t.shape[-2] - cut[1], cut[0] : t.shape[-1] - cut[1]]
    return F.pad(t, [max(before, 0), max(after, 0)] * 2, mode="replicate").contiguous()


def read_update_mask(update_mask: Any, shape: torch.Size, device: torch.device) -> torch.Tensor:
    """An update mask as a tensor, (N or 1, 1, H, W), checked against the shape (N, C, H, W) of the images."""
    try:
        mask = torch.as_tensor(update_mask, device=device).float()
    except (TypeError, ValueError, RuntimeError) as error:
        raise SettingError("update_mask is no mask; expected an array of numbers, 0 for a pixel that stays.") from error
    size = tuple(shape[-2:])
    if mask.dim() == 2:
        mask = mask[None]
    if mask.dim() != 3 or tuple(mask.shape[1:]) != size or len(mask) not in (1, shape[0]):
        raise SettingError(
            f"update_mask has shape {tuple(mask.shape)}; expected {size[0]} x {size[1]}, one for all images or one "
            "for each."
        )
    if not bool(((mask >= 0) & (mask <= 1)).all()):
        raise SettingError(
            "update_mask has numbers that are not from 0 to 1; expected 0 for a pixel that stays, 1 for one that may "
            "change."
        )
    if not bool((mask > 0).flatten(1).any(1).all()):
        raise SettingError("update_mask leaves no pixel to change; expected a mask above 0 where pixels may change.")
    return mask[:, None]
