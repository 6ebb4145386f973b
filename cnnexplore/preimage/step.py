"""One step of a descent as a function of tensors: what it is given from outside, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from .canvas import Canvas
from .energy import Energy
from .inputs import Inputs
from .solvers import Solver

Tensors = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Step:
    """What a step works on; called, computes the step.

    The solver's memory and the importance are changed in place. All else that a step changes it returns, and all that
    varies from step to step it is given, so that a graph of a GPU can hold it: nothing in it waits for the device.

    Attributes
    ----------
    canvas : Canvas
        The estimate before the step; it is not changed.
    energy : Energy
        What is minimised.
    solver : Solver
        How.
    bounded : callable
        The projection to the hard bound.
    importance : torch.Tensor or None
        (N, H, W), to which the size of the pixels' gradients is added.
    """

    canvas: Canvas
    energy: Energy
    solver: Solver
    bounded: Callable[[torch.Tensor], torch.Tensor]
    importance: torch.Tensor | None

    def __call__(self, inputs: Inputs) -> tuple[Tensors, torch.Tensor]:
        """What `Canvas.take` takes, and the terms (K, N) of the energy before the step."""
        seen: list[torch.Tensor] = []

        def energy(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            terms, gradient = self.energy(x, self.canvas, inputs)  # not checked: what is not finite has diverged
            seen.append(terms)
            if self.importance is not None:
                self.importance.add_(gradient.abs().sum(1))
            return terms, gradient

        moved = self.solver.move(
            self.canvas.variables, lambda variables: self.canvas.evaluate(variables, energy)[1], inputs.numbers
        )
        return self.canvas.following(self.bounded(moved)), seen[0]

    def memory(self) -> list[torch.Tensor]:
        """The tensors that a step changes in place; the solver's counts, which `Solver.count` changes, are not."""
        held = [t for t in self.solver.state().values() if t.device == self.canvas.x.device and t.dim() > 1]
        return held if self.importance is None else [*held, self.importance]
