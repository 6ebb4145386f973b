"""Stand-ins for CUDA graphs on a CPU: the operations of a step are recorded, and done again without its Python."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from cnnexplore.network.dispatch_mode import DispatchMode
from cnnexplore.preimage.canvas import CodedCanvas
from cnnexplore.preimage.captures import Captures, Graphs, Result, _Captured
from cnnexplore.preimage.inputs import Change, Watching
from cnnexplore.preimage.run import Run


class Recorder(DispatchMode):
    """Keeps each tensor operation with what it was given and what came out."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, tuple, dict[str, Any], list[torch.Tensor]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, [t for t in tree_leaves(out) if isinstance(t, torch.Tensor)]))
        return out


class Recorded(Graphs):
    """Graphs as CUDA's are: a replay launches the same operations on the same tensors, and no Python of the step.

    Parameters
    ----------
    run : Run
        Whose memory a capture, which computes nothing, leaves as it was.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self.captures = self.replays = 0
        self.sizes: list[int] = []  # how many operations each graph has

    def aside(self, function: Callable[[], Result]) -> Result:
        return function()

    def capture(self, function: Callable[[], Result]) -> tuple[Callable[[], None], Result]:
        memory = self._run._step_of_now().memory()
        before = [t.clone() for t in memory]
        with Recorder() as recorder:
            found = function()
        for tensor, known in zip(memory, before, strict=True):
            tensor.copy_(known)
        for tensor in (*found[0], found[1]):
            tensor.fill_(torch.nan)  # the numbers come from a replay
        self.captures += 1
        self.sizes.append(len(recorder.operations))

        def replay() -> None:
            self.replays += 1
            with torch.no_grad():
                for func, args, kwargs, outs in recorder.operations:
                    made = [t for t in tree_leaves(func(*args, **kwargs)) if isinstance(t, torch.Tensor)]
                    for into, tensor in zip(outs, made, strict=True):
                        if into is not tensor:
                            into.data.copy_(tensor)

        return replay, found


def record(run: Run) -> Recorded:
    """Let the steps of a run on a CPU be captured."""
    graphs = Recorded(run)
    run._captures = Captures(graphs)
    return graphs


def without_numbers(run: Run, watching: Watching = "never") -> Callable[[], Result]:
    """The next step of a run as it is on another device than the CPU: on "meta", where tensors have shapes alone.

    An operation that mixes devices raises, as it does on a GPU, and so does all that reads a number. The run itself is
    spoiled.
    """
    record(run)
    step = run._step_of_now()
    inputs = run._inputs(run.settings.snapshot(), False, run.solver.numbers(0.1))
    meta = torch.device("meta")
    if isinstance(step.canvas, CodedCanvas):
        step.canvas.parameterization.to(meta)
    step.canvas.replace_variables(step.canvas.variables.to(meta))
    if step.canvas.update_mask is not None:
        step.canvas.update_mask = step.canvas.update_mask.to(meta)
    step.solver.restore({name: t.to(meta) if t.dim() > 1 else t for name, t in step.solver.state().items()})
    if getattr(step.solver, "mixtures", None) is not None:
        step.solver.mixtures = step.solver.mixtures.to(meta)
    energies = [step.energy, *(prior._energy for prior in step.energy.priors if hasattr(prior, "_energy"))]
    for energy in energies:
        energy.probe._module.to(meta)
        for term in (energy.loss, *energy.priors):
            for name, value in vars(term).items():
                if isinstance(value, torch.Tensor):
                    setattr(term, name, value.to(meta))
    importance = None if step.importance is None else step.importance.to(meta)
    inputs = replace(
        inputs,
        offsets=None if inputs.offsets is None else inputs.offsets.to(meta),
        changes=tuple(Change(*(None if t is None else t.to(meta) for t in one)) for one in inputs.changes),
        watching=watching,
    )
    made = _Captured(None, replace(step, importance=importance), inputs)
    made.fill(step, inputs)
    return made.compute
