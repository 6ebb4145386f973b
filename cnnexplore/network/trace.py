"""Tracing: the layers of a module, their layouts and receptive fields, and what the module returns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from ..errors import ExploreError, NetworkError
from .checkpointing import run_without_checkpoints
from .copying import Unwrapped, weight_sharing_copy
from .dispatch_mode import DispatchMode
from .geometry import operation_name, propagate
from .graph import Operation, Tape
from .guard import again_with_own_weights
from .layers import Layer, Layers
from .layout import ImageAxis, find_geometry
from .naming import Named, Step, name_layers
from .origins import Origins, compress
from .outputs import are_probabilities, carried, ending, named_tensors
from .precision import without_autocast
from .probe import FUNCTIONS, function_name, runs_library_code
from .refusal import why_it_does_not_run
from .storage import storage_of

_SAMPLES = 256  # values of each layer that tell the images of a batch apart
Site = tuple[str, str, int]


@dataclass(frozen=True)
class Output:
    """One tensor that a module returns.

    Attributes
    ----------
    name : str
        Its key, field or index; "" for a module that returns one tensor.
    layer : str
        The layer that it is.
    shape : tuple of int
        Its shape for one image.
    ending : str
        The function that makes it from scores: "softmax", "log_softmax", "sigmoid", "log_sigmoid", "probabilities" for
        another one that gives probabilities, or "none".
    scores : str
        The layer that this function is given; `layer` where there is none.
    """

    name: str
    layer: str
    shape: tuple[int, ...]
    ending: str
    scores: str


@dataclass(frozen=True)
class Trace:
    """What one pass tells of a module.

    Attributes
    ----------
    layers : Layers
        In the order of computation.
    outputs : tuple of Output
        What the module returns, as far as it depends on the image.
    in_place : bool
        Whether the module works in place on its input.
    batches : bool
        Whether it takes several images at once.
    channels_last : bool
        Whether it takes an input with channels last in memory.
    varies : bool
        Whether it gives another answer each time for the same image, as with dropout that stays on.
    """

    layers: Layers
    outputs: tuple[Output, ...]
    in_place: bool
    batches: bool
    channels_last: bool
    varies: bool


@dataclass
class _Recorder:
    """What is known of the pass so far."""

    origins: Origins
    tape: Tape = field(default_factory=Tape)
    alive: list[Any] = field(default_factory=list)  # ids stay unique while tensors live
    stack: list[str] = field(default_factory=list)
    library: list[bool] = field(default_factory=list)
    branching: set[str] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)
    samples: dict[Site, _Sample] = field(default_factory=dict)
    calls: dict[tuple[str, str], int] = field(default_factory=dict)
    replay: dict[Site, _Sample] | None = None

    def depends(self, tensor: Any) -> bool:
        """Whether a value is a tensor of numbers that depend on the image."""
        return isinstance(tensor, torch.Tensor) and tensor.dim() > 0 and self.origins.depends(tensor)

    def merge(self, name: str, args: tuple, out: Any) -> None:
        """Record what was computed in several steps as one operation."""
        if isinstance(out, torch.Tensor) and self.tape.of(out) is not None:
            self.tape.record(name, [out], args)

    def count(self, what: str, name: str) -> int:
        call = self.calls[what, name] = self.calls.get((what, name), -1) + 1
        return call

    def take(self, site: Site, path: str, kind: str, out: Any, leaf: bool) -> None:
        """Record a layer; in a replay, find the images in it."""
        if self.replay is not None:
            if site in self.replay and isinstance(out, torch.Tensor):
                self.replay[site].find(out)
            return
        operation = self.tape.of(out) if self.depends(out) else None
        if operation is None or storage_of(out) is None:  # inside of torch.vmap there are no numbers to look at
            return
        entries = compress(self.origins.of(out)).clone().expand(out.shape)
        key = (id(out), 0 if out.is_inference() else out._version)
        self.steps.append(Step(site, path, kind, entries, "", key, leaf, operation))
        self.samples[site] = _Sample.of(out)
        self.alive.append(out)


@dataclass
class _Sample:
    """Some values of a tensor of one image, by which the image is found in a batch.

    Attributes
    ----------
    shape : torch.Size
        The shape of the tensor.
    places : tuple of torch.Tensor
        An index per axis.
    values : torch.Tensor
        The values there.
    axis : ImageAxis or None
        Where the images of a batch lie, once it is found.
    known : bool
        Whether a batch was seen.
    agrees : bool
        Whether the first image of the batch has the values that it has alone.
    """

    shape: torch.Size
    places: tuple[torch.Tensor, ...]
    values: torch.Tensor
    axis: ImageAxis | None = None
    known: bool = False
    agrees: bool = True

    @classmethod
    def of(cls, out: torch.Tensor) -> _Sample:
        generator = torch.Generator().manual_seed(0)
        places = tuple(torch.randint(n, (_SAMPLES,), generator=generator).to(out.device) for n in out.shape)
        return cls(out.shape, places, out.detach()[places].double().nan_to_num())  # NaN equals nothing

    def find(self, batch: torch.Tensor) -> None:
        """Find the images of a batch of two in a tensor, the first of which has these values."""
        self.known = True
        best, batch = math.inf, batch.detach()
        for axis, places in self._candidates(batch.shape):
            error = float((batch[places].double().nan_to_num() - self.values).abs().max())
            if error < best:
                best, self.axis = error, axis
        scale = float(self.values.abs().max())
        self.agrees = best <= (0.05 if batch.element_size() < 4 else 0.01) * scale + 1e-12
        leading = self.axis is not None and self.axis.axis == 0 and self.axis.per_image == 1
        if (
            not self.agrees and not leading
        ):  # a first axis of one that doubles is the image's, also where values are random
            self.axis = None

    def _candidates(self, shape: torch.Size) -> Iterator[tuple[ImageAxis, tuple[torch.Tensor, ...]]]:
        own = tuple(self.shape)
        if tuple(shape) == (2, *own):
            yield ImageAxis(dropped=True), (torch.zeros_like(self.places[0]), *self.places)
        if len(shape) != len(own):
            return
        for axis, (n, m) in enumerate(zip(own, shape, strict=True)):
            if m == 2 * n and all(a == b for d, (a, b) in enumerate(zip(own, shape, strict=True)) if d != axis):
                yield ImageAxis(axis, n), self.places
                if n > 1:
                    alternate = tuple(p * 2 if d == axis else p for d, p in enumerate(self.places))
                    yield ImageAxis(axis, n, minor=True), alternate


class _Propagation(DispatchMode):
    """Finds which part of the image each tensor depends on, through every ATen operation."""

    def __init__(self, recorder: _Recorder):
        super().__init__()
        self.r = recorder

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        r = self.r
        tracked = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor) and r.origins.knows(t)]
        if tracked:
            if len({id(t) for t in tracked}) > 1 and r.stack:
                r.branching.add(r.stack[-1])
            outputs = [t for t in tree_leaves(out) if isinstance(t, torch.Tensor)]
            propagate(r.origins, func, args, kwargs, outputs)
            r.tape.record(operation_name(func), outputs, args, kwargs, writes=func._schema.is_mutable)
            r.alive.extend(outputs)
        return out


class _Calls(TorchFunctionMode):
    """Records the layer-like functions that the module's own code calls."""

    def __init__(self, recorder: _Recorder):
        super().__init__()
        self.r = recorder

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch._C._set_grad_enabled:  # it would be taken back at the end of the block
            return func(*args, **kwargs)
        wanted = torch.is_grad_enabled()  # by a module that takes gradients of its own
        # in a module's own inference mode functions are not ATen's
        with torch.inference_mode(False), torch.set_grad_enabled(wanted):
            out = func(*args, **kwargs)
        name = function_name(func)
        if name in FUNCTIONS:
            r = self.r
            call = r.count("function", name)
            if not (r.library and r.library[-1]) and _is_layer(name, args, kwargs):
                where = f"{r.stack[-1]}." if r.stack and r.stack[-1] else ""
                again = r.count("path", where + name)
                path = f"{where}{name}()" + (f":{again + 1}" if again else "")
                if name == "local_response_norm":
                    r.merge(name, args or tuple(kwargs.values()), out)
                r.take(("function", name, call), path, name.rstrip("_"), out, True)
        return out


def _is_layer(name: str, args: tuple, kwargs: dict) -> bool:
    if not name.startswith("clamp"):
        return True
    low = kwargs.get("min", args[1] if len(args) > 1 else None)
    return isinstance(low, (int, float)) and low == 0 and kwargs.get("max", args[2] if len(args) > 2 else None) is None


@again_with_own_weights
@torch.inference_mode(False)
def trace(module: nn.Module, images: torch.Tensor, name: str) -> tuple[Trace, dict[str, Operation]]:
    """The layers of a module, from a pass of a copy on one image and another on two.

    Parameters
    ----------
    module : nn.Module
        The module; it is unchanged.
    images : torch.Tensor
        (2, C, H, W) two images, as the module takes them.
    name : str
        What messages call the network.

    Returns
    -------
    trace : Trace
        What was found.
    operations : dict of str to Operation
        By layer name, the operation that computes it.

    Raises
    ------
    NetworkError
        If the module does not run on such an input, or has no layers.
    """
    model = weight_sharing_copy(module)
    x = images[:1].clone()
    r = _Recorder(Origins(x))
    for path, part in model.named_modules():
        part.register_forward_pre_hook(_enter(r, path, part))
        part.register_forward_hook(_leave(r, path, part))
    r.tape.record("input", [x], ())
    device = [images.device] if images.is_cuda else []
    with torch.random.fork_rng(device), torch.no_grad(), without_autocast():
        with _Propagation(r), _Calls(r):
            returned = _run(model, module, x)
            found = [(key, t) for key, t in named_tensors(returned) if r.depends(t)]
            for key, tensor in found:
                if _step_of(r, tensor) is None:
                    r.take(("output", key, 0), f"output.{key}" if key else "output", "output", tensor, False)
        if not r.steps:
            raise NetworkError(
                f"{type(module).__name__} has no layers that turn the input into a map or vector; expected an "
                "nn.Module that takes (N, C, H, W)."
            )
        kept = [(key, t, t.detach().clone()) for key, t in found]
        batches, channels_last, second = _second_pass(model, r, images)
        varies = False
        if any(one.known and one.axis is not None and not one.agrees for one in r.samples.values()):
            r.replay = {}  # the layers are known
            varies = _varies(model, images, kept)
            batches = batches and varies  # else the module mixes the images of a batch: it is given one at a time
    for step in r.steps:
        step.block = next((b for b in _parents(step.path) if b in r.branching), "")
    outputs = {key: r.tape.of(t) for key, t in found}
    last = [ending(operation) for operation in outputs.values() if operation is not None]
    endings = [operation for _, operation in last if operation is not None]
    wrapped = [f"{path}.{one.inside}".lstrip(".") for path, one in model.named_modules() if isinstance(one, Unwrapped)]
    own = getattr(module, "keeps_names", False)
    named = name_layers(r.steps, type(module).__name__, own, endings, wrapped)
    layers = Layers([_layer(one, r) for one in named], name)
    described = tuple(_output(key, t, value, second.get(key), named, r) for key, t, value in kept)
    operations = {one.name: one.step.operation for one in named}
    return Trace(layers, described, x._version > 0, batches, channels_last, varies), operations


def _run(model: nn.Module, module: nn.Module, x: torch.Tensor) -> Any:
    try:
        with run_without_checkpoints():
            return model(x)
    except ExploreError:
        raise
    except Exception as error:
        raise NetworkError(why_it_does_not_run(module, tuple(x.shape), error)) from error


def _second_pass(model: nn.Module, r: _Recorder, images: torch.Tensor) -> tuple[bool, bool, dict[str, torch.Tensor]]:
    """Finds the images of a batch in each layer; whether the module takes batches, and channels last in memory."""
    first, calls = r.samples, r.calls
    layouts = [torch.channels_last, torch.contiguous_format]
    tries: list[tuple[int, bool, dict[str, torch.Tensor], dict[Site, _Sample]]] = []
    for count in (2, 1):
        for layout in layouts:
            r.replay, r.calls = {site: replace(sample) for site, sample in first.items()}, {}
            r.stack, r.library = [], []
            try:
                with run_without_checkpoints(), _Calls(r):
                    returned = model(images[-count:].clone(memory_format=layout))
            except Exception:
                continue  # what the module does not take, it is not given
            values = {key: t.detach().clone() for key, t in named_tensors(returned)}
            for key, t in values.items():
                r.take(("output", key, 0), "", "", t, False)
            lost = [site[:2] for site, one in r.replay.items() if _is_lost(one)]
            if any(r.calls.get(what, 0) > calls.get(what, 0) for what in lost):
                break  # it takes the images of a batch in turn: its layers would be those of one image only
            tries.append((count, layout == torch.channels_last, values, r.replay))
            if count == 1 or not _lost(r.replay):
                break
        if tries:
            break
    if not tries:
        return False, False, {}
    count, channels_last, values, samples = min(tries, key=lambda one: _lost(one[3]) if one[0] == 2 else 0)
    if count == 2:
        r.samples = samples
    return count == 2, channels_last, values


def _varies(model: nn.Module, images: torch.Tensor, first: list[tuple[str, torch.Tensor, torch.Tensor]]) -> bool:
    """Whether another pass of the first image gives other values than the first pass."""
    with run_without_checkpoints():
        again = dict(named_tensors(model(images[:1].clone())))
    for key, _, value in first:
        other = again.get(key)
        if other is None or other.shape != value.shape:
            return True
        if bool((other.double() - value.double()).abs().max() > 1e-3 * value.double().abs().max()):
            return True
    return False


def _lost(samples: dict[Site, _Sample]) -> int:
    return sum(map(_is_lost, samples.values()))


def _is_lost(sample: _Sample) -> bool:
    return sample.known and sample.axis is None


def _layer(named: Named, r: _Recorder) -> Layer:
    step, sample = named.step, r.samples[named.step.site]
    entries, axis = step.entries, sample.axis
    if not sample.known:  # one image at a time, or another path
        axis = ImageAxis() if sample.shape[0] == 1 else ImageAxis(dropped=True)
    one = entries if axis is None else axis.first(entries, 1)[0]
    geometry = find_geometry(r.origins, one, axis)
    spans = (geometry.rows, geometry.columns)
    sizes = [max(high - low + 1 for _, low, high in axis) for axis in spans]
    offset = (spans[0][0][0], spans[1][0][0])
    whole = all(
        low <= 0 and high >= count - 1
        for axis, count in zip(spans, r.origins.size, strict=True)
        for _, low, high in axis
    )
    return Layer(
        named.name, step.path, step.kind, geometry.channels, (len(spans[0]), len(spans[1])), (sizes[0], sizes[1]),
        geometry.stride, offset, named.aliases, step.site, geometry.layout, spans, whole,
    )  # fmt: skip


def _output(
    key: str, tensor: torch.Tensor, value: torch.Tensor, second: torch.Tensor | None, named: list[Named], r: _Recorder
) -> Output:
    operation, step = r.tape.of(tensor), _step_of(r, tensor)
    assert operation is not None  # it depends on the image
    assert step is not None
    layer = next(one for one in named if one.step is step or one.step.key == step.key)
    kind, last = ending(operation)
    scores = layer
    if last is not None and last.inputs:
        chain = list(_carrying(last.inputs[0]))
        scores = next((one for one in reversed(named) if any(one.step.operation is o for o in chain)), layer)
    elif all(are_probabilities(v) for v in (value, second) if v is not None and v.dim() == 2) and value.dim() == 2:
        kind = "probabilities"
    return Output(key, layer.name, tuple(value.shape), kind, scores.name)


def _step_of(r: _Recorder, tensor: torch.Tensor) -> Step | None:
    """The first layer whose values a tensor has, in another shape perhaps."""
    operation = r.tape.of(tensor)
    chain = list(_carrying(operation)) if operation is not None else []
    found = (s for s in r.steps if s.entries.numel() == tensor.numel() and any(s.operation is one for one in chain))
    vector = len(tensor.flatten()) == max(tensor.shape)  # a view of a map could have another order
    return next((s for s in found if vector or s.operation is operation), None)


def _carrying(operation: Operation) -> Iterator[Operation]:
    """An operation, and those whose values it hands on."""
    yield operation
    while carried(operation) is not operation:
        operation = operation.inputs[0]
        yield operation


def _parents(path: str) -> list[str]:
    """The modules around a path, outermost first, without the root."""
    parts = path.split(".")
    return [".".join(parts[:k]) for k in range(1, len(parts))]


def _enter(r: _Recorder, path: str, part: nn.Module) -> Callable[[nn.Module, Any], None]:
    library = runs_library_code(part) and not any(True for _ in part.children())

    def hook(module: nn.Module, args: Any) -> None:
        r.stack.append(path)
        r.library.append(library)

    return hook


def _leave(r: _Recorder, path: str, part: nn.Module) -> Callable[[nn.Module, Any, Any], None]:
    leaf = not any(True for _ in part.children())

    def hook(module: nn.Module, args: Any, output: Any) -> None:
        r.stack.pop()
        r.library.pop()
        if isinstance(module, nn.LocalResponseNorm):
            r.merge("local_response_norm", args, output)
        call = r.count("module", path)
        if path or leaf:  # the root is a layer only if it is all there is
            again = f":{call + 1}" if call else ""
            r.take(("module", path, call), path + again, type(part).__name__, output, leaf)

    return hook
