"""The patch prior: dense patches pulled to the nearest patches of photographs (intraclass2015, equation 3)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol

import numpy as np
import torch

from ..errors import SettingError, brief_value
from ..network import Pixels
from ..results import value_to_python
from .priors import Prior, Scale, inner
from .scalars import host
from .settings import Parameter, Values, plain

DEVIATION = 60.0  # about that of photographs
GAMMA = Parameter(
    "gamma", 0, 1e9, "log", 0, "γ: the weight of the patch prior; higher is closer to patches of photographs",
    label="γ", shown=(1e-2, 1e4),
)  # fmt: skip


class PatchMatch(Protocol):
    """The patches that match a picture: their sum and count per pixel, and the sum of their squares."""

    @property
    def sum(self) -> np.ndarray:
        """(H, W, C)."""

    @property
    def count(self) -> np.ndarray:
        """(H, W)."""

    @property
    def square(self) -> float:
        """Over all patches."""


Matcher = Callable[[np.ndarray], PatchMatch]  # of an (H, W, C) picture, 0..255


class PatchSource(Protocol):
    """A collection of patches that a run can use, such as `cx.PatchDatabase`."""

    def prior(self, size: tuple[int, int], image: torch.Tensor | None = None) -> PatchPrior:
        """The prior for estimates of a size, optionally with patches that suit images (N, C, H, W)."""

    def init(self, x: torch.Tensor) -> torch.Tensor:
        """A start for the inversion of an image (1, C, H, W)."""

    def to_python(self) -> str:
        """The Python that makes this collection again."""


class PatchPrior(Prior):
    """gamma times the mean squared distance between dense patches and their matches, in squared deviations.

    Parameters
    ----------
    matchers : callable or sequence of callables
        One per image of the batch, or one for all. Called with an (H, W, C) picture in 0..255, each gives
        the sum, count and square of the patches that match it, as `MatchedPatches`.
    size : tuple of int
        (H, W) of the estimate, which is the centre of the canvas.
    pixels : Pixels
        Of the network.
    every : int
        After how many steps new matches are looked for.
    coloured : bool
        Whether the matches have colours, 0..255. If not, estimate and matches are normalised: the estimate by its own
        mean and deviation per channel, whose part in the gradient is exact, so that its colours as a whole stay free.
        With colours, the distances are divided by `deviation` in all channels.
    deviation : float
        Of photographs.

    Raises
    ------
    SettingError
        If `every` is no whole number above 0.
    """

    name = "patches"
    label = "patch prior"
    parameters = (GAMMA,)

    def __init__(
        self,
        matchers: Matcher | Sequence[Matcher],
        size: tuple[int, int],
        pixels: Pixels,
        every: int = 20,
        coloured: bool = False,
        deviation: float = DEVIATION,
    ) -> None:
        every = plain(every)
        if not isinstance(every, int) or every < 1:
            raise SettingError(
                f"every is {brief_value(every)}; expected after how many steps matches are looked for, 1 or more."
            )
        self.matchers, self.size, self.pixels = matchers, size, pixels
        self.every, self.coloured, self.deviation = every, coloured, deviation
        self.matched = 0  # how many times new matches were looked for
        self._age = 0
        self._sum: torch.Tensor | None = None  # (N, C, H, W) of the matched patches' values

    def __call__(self, canvas: torch.Tensor, values: Values, scale: Scale, gradient: torch.Tensor) -> torch.Tensor:
        if self.branch(values) == "off":
            return canvas.new_zeros(len(canvas))
        x, slope = self._centre(canvas), self._centre(gradient)
        if self._sum is None or self._age >= self.every or len(self._sum) != len(x):
            self.match(x)
        self._age += 1
        mean, deviation = self._norm(x)
        seen = (x - mean) / deviation
        value, pull = self.distance(seen)
        if not self.coloured:  # the mean and deviation follow the estimate
            pull = pull - pull.mean((2, 3), keepdim=True) - seen * (pull * seen).mean((2, 3), keepdim=True)
        slope.add_(pull / deviation, alpha=values.gamma)
        return value * values.gamma

    def branch(self, values: Values) -> Hashable | None:
        return None if host(values).gamma else "off"  # the matches are looked for on the CPU

    def distance(self, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean squared distance (N,) of a normalised estimate to its matches, and its gradient, (N, C, H, W)."""
        assert self._sum is not None  # `match` comes first
        numbers = (self._count.flatten(1).sum(1) * seen.shape[1]).view(-1, 1, 1, 1)
        weighted = self._count * seen
        value = inner(weighted, seen) - 2 * inner(self._sum, seen) + self._square
        return value / numbers.flatten(), 2 * (weighted - self._sum) / numbers

    def match(self, x: torch.Tensor) -> None:
        """Look for the nearest patches of x, (N, C, H, W) in the network's units; they stay until the next call."""
        pictures = self._picture(x)
        given = self.matchers
        matchers = [given] * len(pictures) if callable(given) else list(given)
        warps = [matcher(picture) for matcher, picture in zip(matchers, pictures, strict=True)]
        sums = torch.from_numpy(np.stack([np.moveaxis(w.sum, -1, 0) for w in warps])).to(x)
        if self.pixels.order == "BGR":
            sums = sums.flip(1)
        count = torch.from_numpy(np.stack([w.count for w in warps])).to(x)[:, None]
        square = torch.tensor([w.square for w in warps]).to(x)
        if self.coloured:  # in the network's units: mean subtracted
            mean, deviation = self._norm(x)
            zero = mean.new_tensor(self.pixels.mean).view(1, -1, 1, 1)
            total = sums.sum((2, 3)).double(), count.sum((1, 2, 3)).double()
            shift = zero.double().flatten()
            square = square.double() - 2 * (total[0] * shift).sum(1) + total[1] * shift.square().sum()
            square = (square / self.deviation**2).to(x)
            sums = (sums - count * zero) / deviation
        self._sum, self._count, self._square = sums.contiguous(), count.contiguous(), square
        self._age, self.matched = 0, self.matched + 1

    def _norm(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean and deviation that x is normalised by, broadcast to it."""
        if self.coloured:
            return x.new_zeros(1, 1, 1, 1), x.new_full((1, 1, 1, 1), self.deviation)
        deviation = x.std((2, 3), keepdim=True, correction=0)
        return x.mean((2, 3), keepdim=True), deviation.clamp_min(1e-3)

    def _picture(self, x: torch.Tensor) -> np.ndarray:
        """(N, H, W, C) in 0..255, not cut to that range, red first."""
        y = x.detach() + x.new_tensor(self.pixels.mean).view(1, -1, 1, 1)
        y = y.flip(1) if self.pixels.order == "BGR" else y
        return y.permute(0, 2, 3, 1).cpu().numpy()

    def _centre(self, canvas: torch.Tensor) -> torch.Tensor:
        (h, w), border = self.size, [(c - s) // 2 for c, s in zip(canvas.shape[-2:], self.size, strict=True)]
        return canvas[..., border[0] : border[0] + h, border[1] : border[1] + w]

    def warped(self) -> np.ndarray | None:
        """The matched patches averaged where they overlap, (N, H, W, 3) uint8; None before the first match.

        Normalised ones are shown with a deviation of 60 about mid-grey.
        """
        if self._sum is None:
            return None
        mean = self._sum / self._count.clamp_min(1) * self.deviation
        x = mean if self.coloured else mean + 127.5 - mean.new_tensor(self.pixels.mean).view(1, -1, 1, 1)
        return self.pixels.decode(x).cpu().numpy()

    def state(self) -> dict[str, Any]:
        """The matches and their age in steps."""
        if self._sum is None:
            return {}
        return {"sum": self._sum, "count": self._count, "square": self._square, "age": self._age}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave.

        Parameters
        ----------
        state : dict
            The matches of such a prior.
        """
        self._sum = None
        if state:
            self._sum, self._count, self._square = (state[name].clone() for name in ("sum", "count", "square"))
            self._age = int(state["age"])


def uses_patches(patches: PatchSource | None, gamma: float | None) -> bool:
    """Whether there are patches with a weight. Raises SettingError for a weight without patches."""
    if gamma and patches is None:
        raise SettingError("gamma is the weight of patches; give patches= too, a cx.PatchDatabase.")
    return patches is not None and gamma != 0


def terms_to_python(init: Any, patches: PatchSource | None, priors: Sequence[Prior]) -> dict[str, str]:
    """The Python of the arguments `patches`, `init` and `priors`, those that were given."""
    words = {} if patches is None else {"patches": patches.to_python()}
    if init is not None:
        words["init"] = value_to_python(init) if isinstance(init, str) and init in ("patches", "learned") else "init"
    if priors:
        words["priors"] = f"[{', '.join(prior.to_python() for prior in priors)}]"
    return words
