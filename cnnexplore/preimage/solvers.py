"""Descent methods by name; each turns evaluations of the energy into steps of the canvas."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import torch

from ..arguments import choice
from .colours import mixed_by
from .priors import Scale
from .quasi_newton import QuasiNewton
from .scalars import Number, add_times, plus_quotient, plus_times
from .settings import Parameter, Values

RATE = Parameter("rate", 1e-6, 10, "log", 0.05, "rate: the length of a step, in the solver's unit", shown=(1e-3, 1))

Evaluate = Callable[[torch.Tensor], torch.Tensor]  # canvas -> gradient of the energy


class Solver(ABC):
    """A descent method with its memory.

    Parameters
    ----------
    x : torch.Tensor
        The first canvas, (N, C, H, W).

    Attributes
    ----------
    memory : float
        The part of a running mean that a step keeps.
    steps, refine : int
        The usual numbers of steps and refinement steps of an inversion.
    fine : float
        The rate of the refinement over the rate before.
    can_approach : bool
        Whether it has another method for the first steps, in which nothing is random.
    near : float
        The rate after these, over that of a start from noise.
    """

    memory = 0.9
    steps, refine = 300, 50
    fine = 0.1
    can_approach, near = False, 1.0

    @abstractmethod
    def __init__(self, x: torch.Tensor) -> None: ...

    def init(self, noise: torch.Tensor) -> torch.Tensor:
        """The first canvas, made from the published noise.

        Parameters
        ----------
        noise : torch.Tensor
            (N, C, H, W).
        """
        return noise

    @staticmethod
    @abstractmethod
    def unit(values: Values, scale: Scale) -> float:
        """The rate that `step` takes for a setting `rate` of 1.

        Parameters
        ----------
        values : Values
            The settings.
        scale : Scale
            What the energy is normalised by.
        """

    def step(self, x: torch.Tensor, evaluate: Evaluate, rate: float) -> torch.Tensor:
        """The next canvas, before projection to the hard bound.

        Parameters
        ----------
        x : torch.Tensor
            (N, C, H, W) the canvas.
        evaluate : callable
            The gradient of the energy at a canvas.
        rate : float
            The rate, in units of `unit`.
        """
        moved = self.move(x, evaluate, self.numbers(rate))
        self.count()
        return moved

    @abstractmethod
    def numbers(self, rate: float) -> dict[str, float]:
        """What `move` computes the next step with: the rate, and what follows from how many steps were taken.

        Parameters
        ----------
        rate : float
            The rate, in units of `unit`.
        """

    @abstractmethod
    def move(self, x: torch.Tensor, evaluate: Evaluate, numbers: Mapping[str, Number]) -> torch.Tensor:
        """The next canvas: the part of a step that works on tensors alone, so that a graph of a GPU can hold it.

        The memory is changed in place.

        Parameters
        ----------
        x : torch.Tensor
            (N, C, H, W) the canvas.
        evaluate : callable
            The gradient of the energy at a canvas.
        numbers : mapping of str to float or torch.Tensor
            What `numbers` gave, or the same as tensors of one element.
        """

    def count(self) -> None:  # noqa: B027  # most solvers do not count
        """Count a step that was taken."""

    def on_settings_changed(self) -> None:  # noqa: B027  # most solvers need not know
        """React to a change of a setting before the next step."""

    def approach(self, on: bool) -> None:  # noqa: B027  # most solvers have one method
        """Be told before a step whether it is one of the first, in which nothing is random.

        Parameters
        ----------
        on : bool
            Whether the energy is the function that it was in the last step.
        """

    def computed_by_python(self) -> str | None:
        """What Python computes anew in each step, as `Energy.computed_by_python`; or None."""
        return None

    @abstractmethod
    def reset(self) -> None:
        """Clear the memory."""

    def on_refinement(self) -> None:
        """Prepare for the refinement, which goes on at a smaller rate and without jitter."""
        self.reset()

    @abstractmethod
    def state(self) -> dict[str, torch.Tensor]:
        """The tensors that continue this solver; those of the canvas's shape are resized with the canvas."""

    @abstractmethod
    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Take over what `state` gave.

        Parameters
        ----------
        state : dict of torch.Tensor
            The state of a solver of this kind.
        """


class Adagrad(Solver):
    """Algorithm 1 of preimage2016: momentum and a per-pixel rate from a short memory of squared gradients.

    A rate of 1 is N B^2 / alpha per unit of gradient, on the first step.
    """

    def __init__(self, x: torch.Tensor) -> None:
        self.G = torch.zeros_like(x)
        self.mu = torch.zeros_like(x)

    @staticmethod
    def unit(values: Values, scale: Scale) -> float:
        return scale.N * scale.B**2 / values.alpha

    def numbers(self, rate: float) -> dict[str, float]:
        return {"floor": 1 / rate}

    def move(self, x: torch.Tensor, evaluate: Evaluate, numbers: Mapping[str, Number]) -> torch.Tensor:
        g = evaluate(x)
        self.G.mul_(self.memory).addcmul_(g, g)
        self.mu.mul_(self.memory).addcdiv_(g, self.G.sqrt().add_(numbers["floor"]), value=-1)
        return x + self.mu

    def reset(self) -> None:
        self.G.zero_()
        self.mu.zero_()

    def state(self) -> dict[str, torch.Tensor]:
        return {"G": self.G, "mu": self.mu}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        self.G, self.mu = state["G"], state["mu"]


class Momentum(Solver):
    """Gradient descent with momentum: the method of inverting2015, section 3.

    A rate of 1 is 0.08 s^2 per unit of gradient, with s the norm of a natural image: 0.05 is the published rate.
    """

    steps, refine = 400, 0

    def __init__(self, x: torch.Tensor) -> None:
        self.mu = torch.zeros_like(x)

    @staticmethod
    def unit(values: Values, scale: Scale) -> float:
        return 0.08 * scale.s2

    def numbers(self, rate: float) -> dict[str, float]:
        return {"factor": -rate}

    def move(self, x: torch.Tensor, evaluate: Evaluate, numbers: Mapping[str, Number]) -> torch.Tensor:
        add_times(self.mu.mul_(self.memory), evaluate(x), numbers["factor"])
        return x + self.mu

    def reset(self) -> None:
        self.mu.zero_()

    def state(self) -> dict[str, torch.Tensor]:
        return {"mu": self.mu}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        self.mu = state["mu"]


class Spectral(Solver):
    """Adam with Nesterov momentum on whitened pixels; of this package, not of a paper.

    A natural image is white noise under a blur W whose amplitude falls as 1 / sqrt(frequency). The descent is in that
    noise, so that large structures move first. Where `mixtures` is set, W also makes colours of uncorrelated mixtures,
    so that colours that photographs seldom have move last. The momentum grows: 1 - 8 / (k + 80), with k the number of
    steps since a setting changed. A rate of 1 is a step of B / 2.

    In the first steps, in which nothing is random, quasi-Newton moves of the noise take the place of Adam's: they need
    a third of the steps.
    """

    steps, refine = 200, 50
    fine = 0.4
    can_approach, near = True, 0.7
    weight: float  # of the gradients in the mean
    mixtures: torch.Tensor | None = None  # of colours, as columns (C, C); None for the channels themselves

    def __init__(self, x: torch.Tensor) -> None:
        self.mean, self.square = torch.zeros_like(x), torch.zeros_like(x)
        self._clear_counts()
        self._spectrum = torch.zeros(0, 0, dtype=torch.float32)
        self._newton: QuasiNewton | None = None

    @staticmethod
    def unit(values: Values, scale: Scale) -> float:
        return scale.B / 2

    def init(self, noise: torch.Tensor) -> torch.Tensor:
        return self._blur(noise) / 6  # faint, so that what the activation leaves open stays grey

    def numbers(self, rate: float) -> dict[str, float]:
        momentum = self._momentum
        unbiased = math.sqrt(1 - self.memory ** (self.taken + 1)) / self._next_weight  # both means start at zero
        return {"kept": momentum, "fresh": 1 - momentum, "factor": -rate * unbiased, "rate": rate}

    @property
    def _momentum(self) -> float:
        return 1 - 8 / (self.age + 80)

    @property
    def _next_weight(self) -> float:
        return self._momentum * self.weight + 1 - self._momentum

    def count(self) -> None:
        self.weight = self._next_weight
        self.taken += 1
        self.age += 1

    def move(self, x: torch.Tensor, evaluate: Evaluate, numbers: Mapping[str, Number]) -> torch.Tensor:
        g = self._blur(evaluate(x))
        if self.mixtures is not None:
            g = mixed_by(self.mixtures.T, g)
        self.mean.lerp_(g, numbers["fresh"])
        self.square.mul_(self.memory).addcmul_(g, g, value=1 - self.memory)
        if self._newton is not None:  # the moments are those of the first step that is not a quasi-Newton move
            start, move = self._newton.move(x, g, float(numbers["rate"]))
            return start + self._whole(move)
        ahead = g.lerp_(self.mean, numbers["kept"])
        return plus_times(x, self._whole(ahead.div_(self.square.sqrt().add_(1e-30))), numbers["factor"])

    def _whole(self, move: torch.Tensor) -> torch.Tensor:
        """A move of the white noise as one of the pixels."""
        blurred = self._blur(move)
        return blurred if self.mixtures is None else mixed_by(self.mixtures, blurred)

    def _blur(self, x: torch.Tensor) -> torch.Tensor:
        """W x: symmetric, zero beyond the border; white noise keeps its strength on average."""
        h, w = (_fast_length(side) for side in x.shape[-2:])
        if self._spectrum.shape[:2] != (h, w // 2 + 1) or self._spectrum.device != x.device:
            rows, columns = (f(n, dtype=torch.float32) for f, n in ((torch.fft.fftfreq, h), (torch.fft.rfftfreq, w)))
            frequency = (rows[:, None] ** 2 + columns**2).sqrt().clamp_min(1 / max(h, w))
            spectrum = frequency.rsqrt() / frequency.reciprocal().mean().sqrt()
            # real times real is three times as fast as complex times real
            self._spectrum = torch.stack([spectrum, spectrum], -1).to(x.device)
        transformed = torch.fft.rfft2(x, s=(h, w))
        torch.view_as_real(transformed).mul_(self._spectrum)
        blurred = torch.fft.irfft2(transformed, s=(h, w))
        return blurred[..., : x.shape[-2], : x.shape[-1]].contiguous()

    def on_settings_changed(self) -> None:
        self.age = 0
        if self._newton is not None:
            self._newton.clear()

    def approach(self, on: bool) -> None:
        if on and self._newton is None:
            self._newton = QuasiNewton()
        elif not on and self._newton is not None:
            self._newton, self.age = None, 0

    def computed_by_python(self) -> str | None:
        return None if self._newton is None else "Python computes its quasi-Newton steps."

    def on_refinement(self) -> None:
        self.age = 0  # without the second moments the first steps would be as long as those of a start from noise

    def reset(self) -> None:
        self.mean.zero_()
        self.square.zero_()
        self._clear_counts()
        if self._newton is not None:
            self._newton.clear()

    def _clear_counts(self) -> None:
        self.taken = self.age = 0  # steps since the reset, and since a setting changed
        self.weight = 0.0

    def state(self) -> dict[str, torch.Tensor]:
        clock = torch.tensor([self.taken, self.age, self.weight], dtype=torch.float64)
        moves = {} if self._newton is None else self._newton.state()
        return {"mean": self.mean, "square": self.square, "clock": clock, **moves}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        self.mean, self.square = state["mean"], state["square"]
        if "newton last" in state:
            self._newton = QuasiNewton()
            self._newton.restore({name: tensor.to(self.mean.device) for name, tensor in state.items()})
        taken, age, weight = state["clock"].tolist()
        self.taken, self.age, self.weight = int(taken), int(age), float(weight)


class Nadam(Solver):
    """Adam with Nesterov momentum (Dozat 2016), as torch.optim.NAdam has it: of a code in place of pixels.

    A rate of 1 is a step of 1 in each number of a code; of B / 2 in pixels.
    """

    first, second = 0.9, 0.999

    def __init__(self, x: torch.Tensor) -> None:
        self.mean, self.square = torch.zeros_like(x), torch.zeros_like(x)
        self.taken, self.product = 0, 1.0

    @staticmethod
    def unit(values: Values, scale: Scale) -> float:
        return scale.B / 2

    def numbers(self, rate: float) -> dict[str, float]:
        now, ahead = (self._momentum(self.taken + k) for k in (1, 2))
        product = self.product * now
        return {
            "share": 1 - self.second ** (self.taken + 1),
            "now": -rate * (1 - now) / (1 - product),
            "ahead": -rate * ahead / (1 - product * ahead),
        }

    def _momentum(self, step: int) -> float:
        return self.first * (1 - 0.5 * 0.96 ** (step * 0.004))

    def count(self) -> None:
        self.taken += 1
        self.product *= self._momentum(self.taken)

    def move(self, x: torch.Tensor, evaluate: Evaluate, numbers: Mapping[str, Number]) -> torch.Tensor:
        g = evaluate(x)
        self.mean.mul_(self.first).add_(g, alpha=1 - self.first)
        self.square.mul_(self.second).addcmul_(g, g, value=1 - self.second)
        length = self.square.div(numbers["share"]).sqrt_().add_(1e-30)  # energies may be of any scale
        moved = plus_quotient(x, g, length, numbers["now"])
        return plus_quotient(moved, self.mean, length, numbers["ahead"])

    def reset(self) -> None:
        self.mean.zero_()
        self.square.zero_()
        self.taken, self.product = 0, 1.0

    def on_refinement(self) -> None:
        """Go on: without the second moments the first steps would be as long as those from noise."""

    def state(self) -> dict[str, torch.Tensor]:
        clock = torch.tensor([self.taken, self.product], dtype=torch.float64)
        return {"mean": self.mean, "square": self.square, "clock": clock}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        self.mean, self.square = state["mean"], state["square"]
        taken, product = state["clock"].tolist()
        self.taken, self.product = int(taken), float(product)


def _fast_length(side: int) -> int:
    """The next even length with a fast Fourier transform: no prime factor above 5."""
    side += side % 2
    rest = side
    for factor in (2, 3, 5):
        while rest % factor == 0:
            rest //= factor
    return side if rest == 1 else _fast_length(side + 2)


_SOLVERS = {"adagrad": Adagrad, "momentum": Momentum, "nadam": Nadam, "spectral": Spectral}


def solvers() -> list[str]:
    """The names of the solvers.

    Returns
    -------
    list of str
        What `solver=` takes.

    Examples
    --------
    >>> cx.solvers()
    ['adagrad', 'momentum', 'nadam', 'spectral']
    """
    return list(_SOLVERS)


def solver_of(name: str) -> type[Solver]:
    """The solver of a name. Raises SettingError for an unknown one."""
    return _SOLVERS[choice(_SOLVERS)("solver", name)]
