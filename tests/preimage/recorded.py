"""Stand-ins for CUDA graphs on a CPU: the operations of a step are recorded, and done again without its Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from cnnexplore.network.dispatch_mode import DispatchMode
from cnnexplore.preimage.captures import Captures, Graphs, Result
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
