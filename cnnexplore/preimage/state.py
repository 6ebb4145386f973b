"""The state of a run: what continues it in another one, in another process, to the bit."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import torch

from ..errors import SettingError
from .settings import Values
from .solvers import solver_of

if TYPE_CHECKING:
    from .run import Run


def saved(run: Run) -> dict:
    """All that continues this run elsewhere: tensors and plain values, fit for torch.save."""
    return {
        "layer": run.layer.name,
        "solver": run.solver_name,
        "step": run.step,
        "canvas": run.canvas.clone(),
        "memory": {name: t.clone() for name, t in run.solver.state().items()},
        "random": [g.get_state() for g in run._generators],
        "rows": torch.stack(run._rows) if run._rows else torch.zeros(0, len(run.term_names), len(run.seeds)),
        "priors": [prior.state() for prior in run._more_priors],
        "seeds": list(run.seeds),
        "values": asdict(run.settings.snapshot()),
        "applied": asdict(run._applied),
        "first": asdict(run.first),
        "changes": {step: dict(c) for step, c in run.changes.items()},
    }


def restore(run: Run, state: dict) -> None:
    """Continues from `state`. Raises SettingError if it belongs to another layer, solver or size."""
    mine = {"layer": run.layer.name, "solver": run.solver_name}
    for name, expected in mine.items():
        if state.get(name) != expected:
            raise SettingError(f"the saved state has {name} {state.get(name)!r}; expected {expected!r}.")
    canvas = state["canvas"]
    shifts = canvas.shape[-1] - run.size[1]
    if canvas.shape[:2] != run.canvas.shape[:2] or canvas.shape[-2] - run.size[0] != shifts or shifts < 0:
        raise SettingError(
            f"the saved state has a canvas of {tuple(canvas.shape)}; it belongs to another network or batch."
        )
    if len(state["priors"]) != len(run._more_priors):
        raise SettingError(
            f"the saved state has {len(state['priors'])} more priors than its variant's own; this run has "
            f"{len(run._more_priors)}: give both the same patches."
        )
    device = run.net.device
    run.canvas = run._good = canvas.clone().to(device)
    run._fit_update_mask()
    run.solver = solver_of(run.solver_name)(run.canvas)
    memory = {name: t.clone() for name, t in state["memory"].items()}
    run.solver.restore({name: t.to(device) if t.dim() == canvas.dim() else t for name, t in memory.items()})
    for generator, known in zip(run._generators, state["random"], strict=True):
        generator.set_state(known.cpu())
    for prior, known in zip(run._more_priors, state["priors"], strict=True):
        prior.restore(known)
    run._rows = list(state["rows"].to(device).unbind())
    run.step = int(state["step"])
    run.settings.update(**state["values"])
    run.seeds = list(state["seeds"])
    run._applied = Values(**state["applied"])  # a change that still waits is noted when it acts
    run.first = Values(**state["first"])
    run.changes = {int(step): dict(c) for step, c in state["changes"].items()}
