"""The line of Python that remakes what a run has made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..results import value_to_python
from .solvers import solver_of

if TYPE_CHECKING:
    from .run import Run


def call_of(run: Run, verb: str, subject: str, step: int | None = None, item: int | None = None, **more) -> str:
    """The line of Python that remakes the estimate as it was after `step` steps (default: as it is now).

    subject: what stands between the network and the settings; more: settings of the verb's own, as Python.
    """
    step = run.step if step is None else step
    v = run.first
    said = {"C": v.C, "alpha": v.alpha, "beta": v.beta, "jitter": v.jitter, "steps": min(step, run.steps)}
    said = {name: value_to_python(value) for name, value in said.items()} | more
    if pathway := run.pathways.to_python(item):
        said["pathway"] = pathway
    one = item is not None or len(run.seeds) == 1
    said["seed"] = value_to_python(run.seeds[item or 0] if one else run.seeds)
    usual = {"variant": (run.variant.name, "preimage2016")}
    usual |= {"solver": (run.solver_name, run.variant.solver), "rate": (v.rate, 0.05), "gamma": (v.gamma, 0)}
    refine = solver_of(run.solver_name).refine if run._usual_refine is None else run._usual_refine
    usual["refine"] = (max(step - run.steps, 0), refine)
    said.update({name: value_to_python(value) for name, (value, default) in usual.items() if value != default})
    changes = {k: c for k, c in run.changes.items() if k < step}
    if changes:
        said["schedule"] = repr(changes)
    words = ", ".join(f"{name}={value}" for name, value in said.items())
    return f"cx.{verb}({run.net.to_python()}, {subject}, {words})"
