"""What continues a run in another process: saving and restoring of its tensors, random numbers and settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..errors import SettingError, brief_value
from .canvas import Canvas, CodedCanvas
from .priors import Prior
from .settings import Values
from .solvers import Solver, Spectral, solver_of
from .steered import SteeredRun


class SavedRun(SteeredRun):
    """A run that can be saved and continued."""

    solver: Solver
    solver_name: str
    more_priors: tuple[Prior, ...]
    importance: torch.Tensor | None
    _canvas: Canvas
    _mixtures: torch.Tensor | None
    _good: torch.Tensor

    def _new_solver(self, variables: torch.Tensor) -> Solver:
        made = solver_of(self.solver_name)(variables)
        if isinstance(made, Spectral):
            made.mixtures = self._mixtures
        return made

    def state(self) -> dict[str, Any]:
        """What continues this run in another process, to the bit: tensors and plain values, fit for torch.save."""
        return {
            "layer": self.layer.name,
            "solver": self.solver_name,
            "step": self.step,
            "canvas": self._canvas.x.clone(),
            "memory": {name: t.clone() for name, t in self.solver.state().items()},
            "random": [g.get_state() for g in self._generators],
            "rows": torch.stack(self._rows)
            if self._rows
            else self.x.new_zeros(0, len(self.term_names), len(self.seeds)),
            "priors": [prior.state() for prior in self.more_priors],
            **({"code": self._canvas.variables.clone()} if isinstance(self._canvas, CodedCanvas) else {}),
            **({} if self.importance is None else {"importance": self.importance.clone()}),
            "seeds": list(self.seeds),
            "values": dict(self._snapshot()),
            "applied": dict(self._applied),
            "first": dict(self.first),
            "changes": {step: dict(c) for step, c in self.changes.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state.

        Parameters
        ----------
        state : dict
            What `state` gave, in this process or another.

        Raises
        ------
        SettingError
            If it belongs to another layer, solver, size or energy.
        """
        missing = [name for name in self.state() if not isinstance(state, Mapping) or name not in state]
        if missing:
            raise SettingError(
                f"state is {brief_value(state)}, without {missing[0]!r}; expected what run.state() gave."
            )
        for name, expected in {"layer": self.layer.name, "solver": self.solver_name}.items():
            if state[name] != expected:
                raise SettingError(
                    f"the saved state has {name} {brief_value(state[name])}; expected {brief_value(expected)}."
                )
        canvas = state["canvas"]
        border = canvas.shape[-1] - self.size[1]
        if canvas.shape[:2] != self._canvas.x.shape[:2] or canvas.shape[-2] - self.size[0] != border or border < 0:
            raise SettingError(
                f"the saved state has a canvas of {tuple(canvas.shape)}; it belongs to another network or batch."
            )
        if len(state["priors"]) != len(self.more_priors):
            raise SettingError(
                f"the saved state has {len(state['priors'])} more priors than its variant's own; this run has "
                f"{len(self.more_priors)}: give both the same priors and patches."
            )
        device = self.net.device
        variables = state["code"] if isinstance(self._canvas, CodedCanvas) else canvas
        self._canvas.replace_variables(variables.clone().to(device))
        if self.importance is not None:
            self.importance = state["importance"].clone().to(device)
        self._good = self._canvas.variables
        self.solver = self._new_solver(self._good)
        memory = {name: t.clone() for name, t in state["memory"].items()}
        self.solver.restore({name: t.to(device) if t.dim() == variables.dim() else t for name, t in memory.items()})
        for generator, known in zip(self._generators, state["random"], strict=True):
            generator.set_state(known.cpu())
        for prior, known in zip(self.more_priors, state["priors"], strict=True):
            prior.restore(known)
        self._rows = list(state["rows"].to(device).unbind())
        self.step = int(state["step"])
        self.settings.update(**state["values"])
        self.seeds = list(state["seeds"])
        self._applied = Values(self.parameters, **state["applied"])  # a pending change is recorded when it acts
        self.first = Values(self.parameters, **state["first"])
        self.changes = {int(step): dict(c) for step, c in state["changes"].items()}
