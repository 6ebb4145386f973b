"""Quasi-Newton moves (L-BFGS): the curvature of an energy, learnt from its last gradients, for each image alone."""

from __future__ import annotations

from typing import NamedTuple

import torch

from .priors import inner

PAIRS = 4  # moves that are remembered; 10 come no further in 60 steps
_LONGEST = 8  # of a move, over the length of the first one
_SURE = 1e-10  # the least cosine between a move and the change of the gradient
_PASSED = 0.9  # a slope behind the lowest point, over the one before it, from which a move is taken back
_TAKEN_BACK = 3  # times in a row


class _Pair(NamedTuple):
    """A move, and what it changed; the numbers (N, 1, 1, 1) are 0 for an image that learns nothing from it."""

    move: torch.Tensor
    change: torch.Tensor  # of the gradient
    weight: torch.Tensor  # 1 / <move, change>
    scale: torch.Tensor  # <move, change> / <change, change>


class _Last(NamedTuple):
    """The last move: where it started, the move, and the gradient at its start."""

    x: torch.Tensor
    move: torch.Tensor
    gradient: torch.Tensor


class QuasiNewton:
    """L-BFGS (Nocedal 1980) with a memory of `PAIRS` moves, for an energy in which nothing is random.

    A move has the length that the curvature tells. One that goes so far beyond the lowest point on its line that the
    energy rises as steeply as it fell is taken back to where the slope is zero between both ends.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all moves, as the energy has changed."""
        self._pairs: list[_Pair] = []
        self._last: _Last | None = None
        self._back: torch.Tensor | None = None  # how often in a row the images were taken back, (N,)

    def move(self, x: torch.Tensor, gradient: torch.Tensor, length: float) -> tuple[torch.Tensor, torch.Tensor]:
        """The next move.

        Parameters
        ----------
        x : torch.Tensor
            (N, ...) where the gradient was taken.
        gradient : torch.Tensor
            (N, C, H, W), kept.
        length : float
            Of the first move, in each number.

        Returns
        -------
        start, move : torch.Tensor
            Where the move starts, which is x, or for an image that is taken back the x before; and the move.
        """
        if self._back is None:
            self._back = x.new_zeros(len(x))
        passed, part = self._learn(gradient)
        move = self._direction(gradient, length)
        size = (inner(move, move) / move[0].numel()).sqrt()
        if bool((size > _LONGEST * length).any()):
            move.mul_(_column((_LONGEST * length / size).clamp_max(1)))
        start = x
        if self._last is not None and passed is not None and bool(passed.any()):
            back = _column(passed)
            move = torch.where(back, self._last.move * _column(part), move)
            start, gradient = torch.where(back, self._last.x, x), torch.where(back, self._last.gradient, gradient)
            self._back = torch.where(passed, self._back + 1, 0.0)
        else:
            self._back.zero_()
        self._last = _Last(start, move, gradient)
        return start, move

    def _learn(self, gradient: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor]:
        """Remember the last move; which images went too far (N,), and the part of the move to the lowest point."""
        assert self._back is not None
        if self._last is None:
            return None, self._back
        move, change = self._last.move, gradient - self._last.gradient
        before, now = inner(self._last.gradient, move), inner(gradient, move)
        curved, square = now - before, inner(change, change)
        sure = curved > _SURE * (square * inner(move, move)).sqrt()
        weight, scale = torch.where(sure, 1 / curved, 0.0), torch.where(sure, curved / square, 0.0)
        self._pairs = [*self._pairs[1 - PAIRS :], _Pair(move, change, _column(weight), _column(scale))]
        passed = (now > _PASSED * before.abs()) & (self._back < _TAKEN_BACK)
        return passed, (before.abs() / (before.abs() + now)).clamp(0.1, 0.7)

    def _direction(self, gradient: torch.Tensor, length: float) -> torch.Tensor:
        """The move downhill: of Newton's length where the curvature is known, else `length` in each number."""
        if not self._pairs:
            return gradient.sign().mul_(-length)
        ahead = gradient.neg()
        parts: list[torch.Tensor] = []
        scale = torch.zeros_like(self._pairs[0].scale)
        for pair in reversed(self._pairs):
            part = pair.weight * _column(inner(pair.move, ahead))
            parts.append(part)
            ahead.addcmul_(pair.change, part, value=-1)
            scale = torch.where(scale > 0, scale, pair.scale)
        ahead.mul_(scale)
        for pair, part in zip(self._pairs, reversed(parts), strict=True):
            ahead.addcmul_(pair.move, part - pair.weight * _column(inner(pair.change, ahead)))
        down = (_column(inner(ahead, gradient)) < 0) & (scale > 0)
        return ahead if bool(down.all()) else torch.where(down, ahead, gradient.sign().mul_(-length))

    def state(self) -> dict[str, torch.Tensor]:
        """The tensors that continue these moves; none at the start."""
        if self._last is None or self._back is None:
            return {}
        found = {"newton last": torch.stack(self._last), "newton back": self._back.clone()}
        if self._pairs:
            found["newton moves"] = torch.stack([torch.stack([p.move, p.change]) for p in self._pairs])
            found["newton numbers"] = torch.stack([torch.stack([p.weight, p.scale]) for p in self._pairs])
        return found

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Take over what `state` gave."""
        self.clear()
        if "newton last" in state:
            self._last, self._back = _Last(*state["newton last"]), state["newton back"]
        if "newton moves" in state:
            self._pairs = [
                _Pair(*tensors, *numbers)
                for tensors, numbers in zip(state["newton moves"], state["newton numbers"], strict=True)
            ]


def _column(numbers: torch.Tensor) -> torch.Tensor:
    return numbers.view(-1, 1, 1, 1)
