"""Descent methods by name; each turns evaluations of the energy into steps of the canvas."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..errors import SettingError

Evaluate = Callable[[torch.Tensor], torch.Tensor]  # canvas -> gradient of the energy


class Adagrad:
    """Algorithm 1 of preimage2016: momentum and a per-pixel rate from a short memory of squared gradients."""

    memory = 0.9  # rho

    def __init__(self, x: torch.Tensor):
        self.G = torch.zeros_like(x)
        self.mu = torch.zeros_like(x)

    def step(self, x: torch.Tensor, evaluate: Evaluate, rate: float) -> torch.Tensor:
        """The next canvas, before projection. rate: eta_0, the first step per unit of gradient."""
        g = evaluate(x)
        self.G.mul_(self.memory).addcmul_(g, g)
        self.mu.mul_(self.memory).addcdiv_(g, self.G.sqrt().add_(1 / rate), value=-1)
        return x + self.mu

    def reset(self) -> None:
        """Forgets the past."""
        self.G.zero_()
        self.mu.zero_()

    def state(self) -> dict[str, torch.Tensor]:
        """The tensors that continue this solver, each of the canvas's shape."""
        return {"G": self.G, "mu": self.mu}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Takes over what `state` gave."""
        self.G, self.mu = state["G"], state["mu"]


class Momentum:
    """Gradient descent with momentum: the method of inverting2015, section 3."""

    memory = 0.9

    def __init__(self, x: torch.Tensor):
        self.mu = torch.zeros_like(x)

    def step(self, x: torch.Tensor, evaluate: Evaluate, rate: float) -> torch.Tensor:
        """The next canvas. rate: the step per unit of gradient."""
        self.mu.mul_(self.memory).add_(evaluate(x), alpha=-rate)
        return x + self.mu

    def reset(self) -> None:
        """Forgets the past."""
        self.mu.zero_()

    def state(self) -> dict[str, torch.Tensor]:
        """The tensors that continue this solver, each of the canvas's shape."""
        return {"mu": self.mu}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Takes over what `state` gave."""
        self.mu = state["mu"]


_SOLVERS = {"adagrad": Adagrad, "momentum": Momentum}


def solvers() -> list[str]:
    """The names that `solver=` takes."""
    return list(_SOLVERS)


def make(name: str, x: torch.Tensor) -> Adagrad | Momentum:
    """A fresh solver for a canvas. Raises SettingError for an unknown name."""
    if name not in _SOLVERS:
        raise SettingError(f"solver is {name!r}; expected one of {', '.join(map(repr, _SOLVERS))}.")
    return _SOLVERS[name](x)
