"""Captures: the steps of a run on a GPU as CUDA graphs, which are launched whole, with the settings of now."""

from __future__ import annotations

import copy
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from operator import is_
from typing import Any

import torch

from ..errors import ExploreError, brief
from ..network.dispatch_mode import DispatchMode
from .inputs import Change, Inputs, sent
from .scalars import TensorValues
from .step import Step, Tensors

FIRST = 6  # steps of a kind before it is captured: a slider that moves on its way would cost a capture each
LEAST = 40  # steps that must follow: a capture costs the time of about ten
MOST = 2  # graphs that are kept
_TOLERANCE = 1e-3  # of the largest number, for algorithms that add in another order

SWITCH = "CNNEXPLORE_GRAPHS"  # the environment variable that is 0 where nothing is to be captured
_EARLY = f"no: steps are captured after {FIRST} of the same sizes and terms, if at least {LEAST} follow."
Result = tuple[Tensors, torch.Tensor]
_capturing = threading.Lock()


class Graphs(ABC):
    """What captures functions of tensors."""

    @abstractmethod
    def aside(self, function: Callable[[], Result]) -> Result:
        """The result of a function that is called as it will be in a capture, but computed at once."""

    @abstractmethod
    def capture(self, function: Callable[[], Result]) -> tuple[Callable[[], None], Result]:
        """What computes the function again, and the tensors in which the result then is."""


class CudaGraphs(Graphs):
    """CUDA graphs on a stream of their own.

    Parameters
    ----------
    device : torch.device
        The GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_device": self._device, "_stream": None}

    def aside(self, function: Callable[[], Result]) -> Result:
        with torch.cuda.device(self._device):
            if self._stream is None:
                self._stream = torch.cuda.Stream()
            here = torch.cuda.current_stream()
            self._stream.wait_stream(here)
            with torch.cuda.stream(self._stream):
                found = function()
            here.wait_stream(self._stream)
        return found

    def capture(self, function: Callable[[], Result]) -> tuple[Callable[[], None], Result]:
        graph = torch.cuda.CUDAGraph()
        # only this thread must not do what a capture forbids: other runs go on meanwhile
        with (
            torch.cuda.device(self._device),
            torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"),
        ):
            found = function()
        return graph.replay, found


def graphs_on(device: torch.device) -> Graphs | str:
    """What captures on a device, or why nothing does."""
    if device.type != "cuda" or torch.version.cuda is None:
        return "the network is not on a CUDA device."
    if os.environ.get(SWITCH) == "0":
        return f"{SWITCH} is 0."
    return CudaGraphs(device)


class Captures:
    """The graphs of a run's steps; called, takes a step, from a graph where there is one.

    The first steps of a kind are computed as usual. Then the step is computed aside, captured, replayed and compared.
    A kind is what a graph cannot change: sizes, which terms and branches there are, and whether silent units are
    followed. If a capture fails, or gives other numbers, all steps are computed as usual.

    Parameters
    ----------
    graphs : Graphs or str
        What captures, or why nothing does.

    Attributes
    ----------
    why : str
        "yes" if the last step was replayed, or "no: " and the reason.
    """

    def __init__(self, graphs: Graphs | str) -> None:
        self._graphs = graphs
        self._given_up = isinstance(graphs, str)
        self.why = f"no: {graphs if isinstance(graphs, str) else 'no step was taken yet.'}"
        self._made: dict[Hashable, _Captured] = {}
        self._kind: Hashable = None
        self._steps = 0  # of that kind
        self._terms: torch.Tensor | None = None  # of the last step

    def __reduce__(self) -> tuple[Any, ...]:
        return Captures, (self._graphs,)  # a copy captures anew

    @property
    def possible(self) -> bool:
        """Whether a step may come to be captured."""
        return not self._given_up

    def __call__(self, step: Step, inputs: Inputs, remaining: int) -> Result:
        """Take a step, of which `remaining` are left with this one."""
        if isinstance(self._graphs, str) or self._given_up:
            return step(inputs)
        found = self._from_graph(self._graphs, step, inputs, remaining)
        if found is None:
            found = step(inputs)
        else:
            self.why = "yes"
        self._terms = found[1]
        return found

    def release(self) -> None:
        """Free the graphs and their memory."""
        self._made.clear()
        self._terms, self._kind, self._steps = None, None, 0

    def _from_graph(self, graphs: Graphs, step: Step, inputs: Inputs, remaining: int) -> Result | None:
        """The result of a graph; None to compute the step as usual."""
        reason = step.energy.computed_by_python(inputs.values) or step.solver.computed_by_python()
        if reason is not None:
            self.why, self._kind = f"no: {reason}", None
            return None
        kind = (step.energy.branch(inputs.values), _sizes(step, inputs))
        self._steps = self._steps + 1 if kind == self._kind else 1
        self._kind = kind
        ready = self._steps > FIRST and remaining >= LEAST
        if not ready and not any(made.kind == kind for made in self._made.values()):
            self.why = _EARLY
            return None
        inputs = self._decided(step, inputs)
        key = (kind, inputs.watching)
        known = self._made.pop(key, None)
        if known is not None and known.holds(step):
            self._made[key] = known  # the last one used is the last one that is dropped
            return known.replayed(step, inputs)
        if not ready:
            self.why = _EARLY
            return None
        return self._capture(graphs, key, step, inputs)

    def _decided(self, step: Step, inputs: Inputs) -> Inputs:
        """The inputs, with what is known of the last step in place of a question that would wait in this one."""
        if inputs.watching != "asks":
            return inputs
        asks = step.energy.watches and step.energy.loss.metric_name == "response" and self._terms is not None
        silent = asks and self._terms is not None and bool((self._terms[1] == 0).any())
        return replace(inputs, watching="always" if silent else "never")

    def _capture(self, graphs: Graphs, key: tuple[Hashable, str], step: Step, inputs: Inputs) -> Result | None:
        memory = step.memory()
        before = [t.clone() for t in memory]
        found: Result | None = None
        try:
            made = _Captured(key[0], step, inputs)
            with _capturing:  # one at a time: they would share the random numbers of the device
                made.fill(step, inputs)
                with _RefuseWaits():
                    following, terms = graphs.aside(made.compute)
                expected = [t.clone() for t in (*following, terms, *memory)]
                graphs.aside(made.compute)  # libraries prepare themselves in the first calls
                _put_back(memory, before)
                made.capture(graphs)
            following, terms = made.replayed(step, inputs)
            if _alike([*following, terms, *memory], expected):
                found = following, terms
            else:
                self._give_up("its graph gives other numbers; what the module computes depends on more than the image")
        except torch.OutOfMemoryError:
            self._give_up("there is not enough memory for its graph")
        except Exception as error:  # of the module, or of CUDA
            self._give_up(brief(error).rstrip("."))
        finally:
            if found is None:
                _put_back(memory, before)
        if found is None:
            return None
        self._made[key] = made
        while len(self._made) > MOST:
            del self._made[next(iter(self._made))]
        return found

    def _give_up(self, reason: str) -> None:
        self.release()
        self._given_up, self.why = True, f"no: {reason}."


class _Captured:
    """A step on tensors that stay in their places, and its graph."""

    def __init__(self, kind: Hashable, step: Step, inputs: Inputs) -> None:
        self.kind = kind
        self._made_for = step
        self._memory = step.memory()
        self._variables = step.canvas.variables.clone()
        canvas = copy.copy(step.canvas)
        canvas.replace_variables(self._variables)
        self._step = replace(step, canvas=canvas)
        self._numbers = torch.empty(
            len(inputs.values) + len(inputs.numbers), device=canvas.x.device, dtype=torch.float32
        )
        each = self._numbers.unbind()
        settings = dict(zip(inputs.values, each, strict=False))
        self._inputs = Inputs(
            TensorValues(inputs.values, settings),
            inputs.offsets.clone() if isinstance(inputs.offsets, torch.Tensor) else None,
            tuple(
                Change(one.places.clone(), None if one.noise is None else one.noise.clone()) for one in inputs.changes
            ),
            dict(zip(inputs.numbers, each[len(settings) :], strict=True)),
            inputs.watching,
        )
        self._replay: Callable[[], None] = lambda: None
        self._result: Result = ((), self._variables)

    def holds(self, step: Step) -> bool:
        """Whether the graph works on the memory of a step."""
        mine, its = self._made_for, step
        same = mine.solver is its.solver and mine.energy is its.energy and mine.canvas is its.canvas
        memory = step.memory()
        return same and len(memory) == len(self._memory) and all(map(is_, memory, self._memory))

    def fill(self, step: Step, inputs: Inputs) -> None:
        """Put the numbers of now in their places."""
        self._variables.copy_(step.canvas.variables)
        numbers = torch.tensor([*inputs.values.values(), *inputs.numbers.values()], dtype=torch.float32)
        self._numbers.copy_(sent(numbers, self._numbers.device))
        for place, tensor in zip(_tensors(self._inputs), _tensors(inputs), strict=True):
            place.copy_(tensor)

    def compute(self) -> Result:
        """Compute the step as usual."""
        return self._step(self._inputs)

    def capture(self, graphs: Graphs) -> None:
        """Make the graph."""
        self._replay, self._result = graphs.capture(self.compute)

    def replayed(self, step: Step, inputs: Inputs) -> Result:
        """The result of the graph, in tensors that the next replay does not change."""
        self.fill(step, inputs)
        self._replay()
        following, terms = self._result
        return tuple(t.clone() for t in following), terms.clone()


class _RefuseWaits(DispatchMode):
    """Raises where a step would wait for the device, or take numbers of the CPU, which a graph cannot do again."""

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        name = func._schema.name.removeprefix("aten::")
        if name in _WAITS or (name in _INDEXES and _has_mask(args[1])):
            raise NotCapturedError(f"the step calls {name}, which waits for the device.")
        out = func(*args, **(kwargs or {}))
        if name in _COPIES and _is_of_cpu(name, args, out):
            raise NotCapturedError(f"the step copies numbers of the CPU to the device, with {name}.")
        return out


class NotCapturedError(ExploreError, RuntimeError):
    """A step does what a graph cannot hold."""


_WAITS = {"_local_scalar_dense", "item", "is_nonzero", "nonzero", "equal", "masked_select", "_unique2", "unique_dim"}
_INDEXES = {"index", "index_put", "index_put_"}
_COPIES = {"copy_", "_to_copy", "lift_fresh"}


def _has_mask(indices: Sequence[torch.Tensor | None]) -> bool:
    """Whether an index is one of truth values, whose number is not known before they are read."""
    return any(one is not None and one.dtype in (torch.bool, torch.uint8) for one in indices)


def _is_of_cpu(name: str, args: Sequence[Any], out: torch.Tensor) -> bool:
    """Whether a copy is one between the CPU and the device, or a list of Python's as a tensor."""
    if name == "lift_fresh":
        return out.dim() > 0  # a single number is given to a kernel by value
    given = args[1] if name == "copy_" else args[0]
    return isinstance(given, torch.Tensor) and given.device != out.device


def _sizes(step: Step, inputs: Inputs) -> Hashable:
    changes = tuple(tuple(None if t is None else t.shape for t in one) for one in inputs.changes)
    size = inputs.offsets.shape if isinstance(inputs.offsets, torch.Tensor) else None
    return step.canvas.variables.shape, step.canvas.x.shape, size, changes, tuple(inputs.numbers)


def _tensors(inputs: Inputs) -> list[torch.Tensor]:
    held = [inputs.offsets, *(t for one in inputs.changes for t in one)]
    return [t for t in held if isinstance(t, torch.Tensor)]


def _put_back(tensors: Sequence[torch.Tensor], before: Sequence[torch.Tensor]) -> None:
    for tensor, known in zip(tensors, before, strict=True):
        tensor.copy_(known)


def _alike(found: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> bool:
    pairs = zip(found, expected, strict=True)
    return all(torch.allclose(a, b, rtol=0, atol=_TOLERANCE * float(b.abs().max()), equal_nan=True) for a, b in pairs)
