"""Probe: a module run up to the deepest layer wanted, on a copy that shares its weights; the module is unchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ..errors import ExploreError, LayerError, NetworkError
from .batch_norm_gradient import order_gradients_of_batch_norms
from .checkpointing import run_without_checkpoints
from .copying import followed_tensors, weight_sharing_copy
from .fast_strided import use_fast_strided_backward
from .guard import WritesWeights, unguard
from .kept_weights import keep_weights_of_convolutions
from .layers import Layer
from .outputs import named_tensors
from .precision import full_precision, without_autocast
from .rebinding import vars_of
from .refusal import why_it_does_not_run

Replacement = Callable[[torch.Tensor], torch.Tensor]

# Functions that the field counts as layers when a module calls them directly.
FUNCTIONS = {
    "relu", "relu_", "leaky_relu", "gelu", "silu", "elu", "hardtanh", "tanh", "sigmoid", "clamp", "clamp_min",
    "threshold", "max_pool2d", "max_pool2d_with_indices", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d",
    "local_response_norm", "conv2d", "linear", "batch_norm", "softmax", "log_softmax",
}  # fmt: skip
_ATEN = {  # the names that operations have in an exported graph whose functions were decomposed
    "convolution": "conv2d", "_convolution": "conv2d", "addmm": "linear", "_softmax": "softmax",
    "_log_softmax": "log_softmax", "_adaptive_avg_pool2d": "adaptive_avg_pool2d", "native_batch_norm": "batch_norm",
    "_native_batch_norm_legit": "batch_norm", "_native_batch_norm_legit_no_training": "batch_norm",
}  # fmt: skip


def function_name(func: Any) -> str:
    """The name by which the field knows a function that a module calls: "conv2d" also for aten.convolution.default.

    Parameters
    ----------
    func : callable
        What a `TorchFunctionMode` is given.

    Returns
    -------
    str
        The name, with the trailing underscore of what works in place; "" if it has none.
    """
    name = getattr(func, "__name__", "")
    if isinstance(func, (torch._ops.OpOverload, torch._ops.OpOverloadPacket)):
        name = name.split(".")[0]
        return _ATEN.get(name, name)
    return name


def runs_library_code(part: nn.Module) -> bool:
    """Whether a module's forward is torch's or cnnexplore's own: the functions that it calls are no layers.

    Parameters
    ----------
    part : nn.Module
        The module.

    Returns
    -------
    bool
        False for a graph module and a scripted one.
    """
    forward = vars_of(type(part), "forward")
    return (getattr(forward, "__module__", None) or "").startswith(("torch.nn.", "cnnexplore."))


class _Reached(BaseException):
    """Raised inside the forward pass at the deepest layer; no Exception, so that no module catches it."""


class FunctionTap(TorchFunctionMode):
    """Counts the calls of layer-like functions and passes their outputs to a function.

    Parameters
    ----------
    take : callable
        Given ("function", name, number of the call) and the output; what it returns is the output from then on.
    """

    def __init__(self, take: Callable[[tuple[str, str, int], Any], Any]):
        super().__init__()
        self.take = take
        self.counts: dict[str, int] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        name = function_name(func)
        if name in FUNCTIONS:
            call = self.counts[name] = self.counts.get(name, -1) + 1
            return self.take(("function", name, call), out)
        return out


class Probe:
    """A network truncated at the deepest of some layers, which maps its input to their activations.

    It holds its own copy of the module, so that several probes can run at once, in several threads.

    Parameters
    ----------
    module : nn.Module
        The module; it is unchanged.
    layers : sequence of Layer
        The layers wanted.
    deepest : Layer
        The one of them that is computed last.
    clone_input : bool
        Whether the module works in place on its input.
    batches : bool
        Whether the module takes several images at once; else it is given one at a time.
    """

    def __init__(
        self,
        module: nn.Module,
        layers: Sequence[Layer],
        deepest: Layer,
        clone_input: bool = False,
        batches: bool = True,
    ):
        self._original = module
        self._wanted = {layer.site: layer for layer in layers}
        self._deepest = deepest.site
        self._batches = batches
        self._images = 0
        self._clone_input = clone_input
        self._moves = 0  # how often its weights or buffers were replaced
        self._activations: dict[str, torch.Tensor] = {}
        self._replace: Mapping[str, Replacement] = {}
        self._calls: dict[str, int] = {}
        self._ours: Exception | None = None  # what a replacement raised: no fault of the module
        self._functional = any(site[0] == "function" for site in self._wanted)
        self._copy()

    def _copy(self) -> None:
        self._moves += 1
        self._module = weight_sharing_copy(self._original)
        self._followed = followed_tensors(self._original, self._module)
        keep_weights_of_convolutions(self._module)
        use_fast_strided_backward(self._module)
        order_gradients_of_batch_norms(self._module)
        for path in {site[1] for site in self._wanted if site[0] == "module"}:
            self._module.get_submodule(path).register_forward_hook(self._hook(path))

    def follow(self) -> int:
        """Take over weights and buffers that were put in the place of the module's.

        Returns
        -------
        int
            How often any were; weights that are changed in place are the probe's own.
        """
        for followed in self._followed:
            self._moves += followed.update()
        return self._moves

    def tensors(self) -> set[int]:
        """The ids of the weights and buffers of the copy."""
        return {id(one) for one in [*self._module.parameters(), *self._module.buffers()]}

    def _hook(self, path: str) -> Callable[[nn.Module, Any, Any], Any]:
        def hook(module: nn.Module, args: Any, output: Any) -> Any:
            call = self._calls[path] = self._calls.get(path, -1) + 1
            return self._take(("module", path, call), output)

        return hook

    def _take(self, site: tuple[str, str, int], output: Any) -> Any:
        layer = self._wanted.get(site)
        if layer is None:
            return output
        name, found = layer.name, self._image_first(layer, output)
        replaced = name in self._replace
        if replaced:
            try:
                found = self._replace[name](found)
            except Exception as error:
                self._ours = error
                raise
            output = layer.layout.image.back(found) if layer.layout.image else found
        if site == self._deepest:
            self._activations[name] = found
            raise _Reached
        self._activations[name] = found if replaced else found.clone()  # what follows may work in place on it
        return output

    def _image_first(self, layer: Layer, output: torch.Tensor) -> torch.Tensor:
        image = layer.layout.image
        if image is None:
            raise LayerError(
                f"{layer.name} has no activations of its own for each image: the module mixes images there, or their "
                "number does not tell the number of rows; choose another layer."
            )
        rows = output.shape[image.axis] if image.per_image > 1 else 0
        if rows and rows != image.per_image * self._images:
            raise LayerError(
                f"{layer.name} has {rows} rows of activations for {self._images} images, and had {image.per_image} for "
                "the image with which layers were listed: their number depends on the image; choose another layer."
            )
        found = image.first(output, self._images)
        if len(found) != self._images:
            raise LayerError(
                f"{layer.name} has {len(found)} rows of activations for {self._images} images; choose another layer."
            )
        return found

    def __call__(self, x: torch.Tensor, replace: Mapping[str, Replacement] | None = None) -> dict[str, torch.Tensor]:
        """The activations of the probe's layers.

        Parameters
        ----------
        x : torch.Tensor
            (N, C, H, W), what the module itself takes.
        replace : mapping, optional
            By layer name, a function of the layer's activations, whose result the pass goes on with.

        Returns
        -------
        dict of str to torch.Tensor
            By layer name.

        Raises
        ------
        NetworkError
            If the module does not run on x, or does not compute one of the layers.
        """
        if len(x) > 1 and not self._batches:
            rows = [self(x[k : k + 1], replace) for k in range(len(x))]
            return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}
        try:
            return self._run(x, replace or {})
        except WritesWeights:
            self._copy()
            return self._run(x, replace or {})

    def _run(self, x: torch.Tensor, replace: Mapping[str, Replacement]) -> dict[str, torch.Tensor]:
        self._activations, self._calls, self._replace, self._ours = {}, {}, replace, None
        self._images = len(x)
        self.follow()
        given = x.clone() if self._clone_input else x
        try:
            # a pass without a gradient is looked at or compared; the steps of a run may use TF32
            exactly = without_autocast() if torch.is_grad_enabled() else full_precision()
            tap = FunctionTap(self._take) if self._functional else nullcontext()
            with exactly, run_without_checkpoints(), tap:
                returned = self._module(given)
            for name, tensor in named_tensors(returned):
                self._take(("output", name, 0), tensor)
        except _Reached:
            unguard(self._module)
        except Exception as error:
            if isinstance(error, ExploreError) or error is self._ours:
                raise
            sentence = why_it_does_not_run(self._original, tuple(x.shape), error, search=False)
            raise NetworkError(sentence) from error
        finally:
            self._replace = {}
        found, self._activations = self._activations, {}
        if not torch.is_grad_enabled():  # a module that takes gradients of its own gives tensors that have one
            found = {name: tensor.detach() for name, tensor in found.items()}
        missing = [layer.name for layer in self._wanted.values() if layer.name not in found]
        if missing:
            raise NetworkError(
                f"layer {missing[0]!r} was not computed for this input; the module takes another path than when its "
                "layers were listed, so it chooses by the image, by its size or by how many there are."
            )
        return found
