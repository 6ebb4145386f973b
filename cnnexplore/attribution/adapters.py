"""Adapters: methods of captum, zennit and pytorch-grad-cam, and plain functions, as attribution methods.

None of these packages is imported: what is given is recognised by its attributes and methods.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from ..errors import ExploreError, NetworkError, SettingError, brief, brief_value
from ..network import Layer, as_maps
from .cam import at_image_size
from .explained_module import Explained, explained_module, module_of_layer
from .method import AttributionMethod, Maps, Option
from .target import Target

Call = Callable[[Explained, "tuple[Layer, torch.nn.Module] | None", dict[str, Any]], Any]
_LAYER = Option("at", None, "the layer that the method looks at; None: the last one with a map")
# Arguments of captum's `attribute` that the adapter gives, or that change what it returns.
_GIVEN = {"self", "inputs", "target", "additional_forward_args", "return_convergence_delta", "kwargs"}


def adapted(
    name: str, function: Any, summary: str, signed: bool, options: Sequence[Option], streamed: bool
) -> AttributionMethod:
    """The record of a method of others. Raises SettingError if it is of no kind that is known.

    name, summary, signed, options, streamed : as for `register_attribution`.
    function : what it takes.
    """
    call, found = _call(name, function)
    declared, known = {option.name: option for option in options}, [one.name for one in found]
    for one in declared:
        if one not in known and not _takes_any_keyword(function):
            raise SettingError(
                f"the option {one!r} is none of {named(function)}, which takes {', '.join(known) or 'no settings'}."
            )
    required = [one for one in found if one.default is inspect.Parameter.empty and one.name not in declared]
    if required:
        raise SettingError(
            f"{named(function)} needs {required[0].name}; declare it with the value it is to have: "
            f"options=[Option({required[0].name!r}, ..., 'what it is')]."
        )
    every = [
        *declared.values(),
        *(Option(one.name, one.default, f"{one.name} of {name}") for one in found if one.name not in declared),
    ]

    def explain(target: Target, **settings: Any) -> Maps:
        parts = [next(_maps(name, call, signed, False, one, settings))[0] for one in target.split()]
        return Maps(torch.cat([m.raw for m in parts]), torch.cat([m.maps for m in parts]))

    def stream(target: Target, **settings: Any) -> Iterator[tuple[Maps, float]]:
        yield from _maps(name, call, signed, True, target, settings)

    words = [repr(name), named(function), f"signed={signed}"]
    words += [f"options=[{', '.join(f'Option({o.name!r}, ...)' for o in options)}]"] if options else []
    words += ["streamed=True"] if streamed else []
    return AttributionMethod(
        name,
        stream if streamed else explain,
        summary or f"By {named(function)}",
        signed=signed,
        options=tuple(every),
        streamed=streamed,
        registration=f"cx.register_attribution({', '.join(words)})",
    )


def _maps(
    name: str, call: Call, signed: bool, streamed: bool, target: Target, settings: dict[str, Any]
) -> Iterator[tuple[Maps, float]]:
    """What a method returns for one image, checked, with the share done."""
    explained = explained_module(target)
    settings, place = dict(settings), None
    if "at" in settings:
        place = module_of_layer(explained, target, settings.pop("at"))
    layer = place[0] if place else None
    answers: Iterator[Any] | None = None
    while True:
        try:
            with torch.enable_grad():
                answer = call(explained, place, settings) if answers is None else next(answers)
                if streamed and answers is None:
                    answers = iter(answer)
                    continue
        except StopIteration:
            return
        except ExploreError:
            raise
        except Exception as error:
            kind = type(error).__name__
            raise NetworkError(
                f"the attribution method {name!r} failed on {target.net.name} ({kind}: {brief(error)}); take another "
                "network or another method, or mend the function."
            ) from error
        share = 1.0
        if streamed:
            answer, share = _pair(name, answer)
        yield _checked(name, answer, signed, target, layer), share
        if not streamed:
            return


def _pair(name: str, answer: Any) -> tuple[Any, float]:
    if isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], (int, float)) and 0 < answer[1] <= 1:
        return answer[0], float(answer[1])
    raise SettingError(
        f"the attribution method {name!r} yielded {brief_value(answer)}; expected (map, share done), the last share 1."
    )


def _checked(name: str, answer: Any, signed: bool, target: Target, layer: Layer | None) -> Maps:
    """A method's answer as maps: a map (H, W), or values by input channel, with or without an axis for the image."""
    channels, size = target.x.shape[1], tuple(target.x.shape[2:])
    grid = None if layer is None else tuple(layer.size)
    expected = f"a map of {size[0]} x {size[1]}, or values by channel, {channels} x {size[0]} x {size[1]}"
    if isinstance(answer, tuple) and len(answer) == 1:
        answer = answer[0]
    try:
        values = answer.detach() if isinstance(answer, torch.Tensor) else torch.from_numpy(np.asarray(answer))
        if values.is_complex():
            raise TypeError("complex numbers are no map")
        values = values.to(target.x) if values.dtype != torch.float64 else values.to(target.x.device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise SettingError(
            f"the attribution method {name!r} returned {brief_value(answer)}; expected {expected}."
        ) from error
    if values.ndim == 4 and len(values) == 1:
        values = values[0]
    by_channel = values.ndim == 3 and (len(values) == channels or tuple(values.shape[1:]) == grid)
    if values.ndim == 3 and len(values) == 1 and not by_channel:
        values = values[0]
    if tuple(values.shape[-2:]) not in (size, grid) or not (values.ndim == 2 or by_channel):
        shape = " x ".join(map(str, tuple(values.shape))) or "a single number"
        raise SettingError(f"the attribution method {name!r} returned an array of {shape}; expected {expected}.")
    if not bool(torch.isfinite(values).all()):
        raise SettingError(f"the attribution method {name!r} returned values that are not finite (NaN or infinity).")
    raw = values if by_channel else values[None]
    one = values
    if by_channel:
        one = raw.sum(0) if signed or tuple(values.shape[1:]) != size else raw.abs().amax(0)
    if not signed and float(one.min()) < 0:
        raise SettingError(
            f"the attribution method {name!r} returned negative values, down to {float(one.min()):.3g}, and was "
            "registered as unsigned; register it with signed=True, or let it return its positive part."
        )
    if tuple(one.shape) != size:
        assert layer is not None  # of whose size it is
        one = at_image_size(one[None], layer, target)[0]
    return Maps(raw[None], one[None])


def _call(name: str, function: Any) -> tuple[Call, list[inspect.Parameter | Option]]:
    """How a method is called, and its settings."""
    kind = function.func if isinstance(function, partial) else function
    if inspect.isclass(kind):
        takes = _parameters(kind)
        if callable(attribute := getattr(kind, "attribute", None)):
            return _captum(function, "layer" in takes), _settings(attribute, _GIVEN, "layer" in takes)
        if "target_layers" in takes:
            return _cam(function), _settings(kind.__call__, {"self", "input_tensor", "targets"}, True)
        if "composite" in takes and hasattr(kind, "__enter__"):
            return _attributor(function), []
        if not _is_composite(kind):
            raise SettingError(
                f"{named(kind)} is a class of no kind that is known; expected one of captum, zennit or "
                "pytorch-grad-cam, or a function (module, input, target) that returns a map."
            )
        try:
            function = function()
        except Exception as error:
            raise SettingError(
                f"{named(kind)} cannot be made without arguments ({brief(error)}); give an instance."
            ) from error
    if _is_composite(function):
        return _composite(function), []
    if any(hasattr(function, one) for one in ("attribute", "attr_output_fn", "activations_and_grads")):
        raise SettingError(
            f"a {type(function).__name__} was given that holds a module of its own; give the class, "
            f"{named(type(function))}, because cnnexplore gives it the module."
        )
    if not callable(function):
        raise SettingError(
            f"{brief_value(function)} is no attribution method; expected a function (module, input, target) that "
            "returns a map, or a method of captum, zennit or pytorch-grad-cam."
        )
    return _plain(name, function)


def _parameters(function: Any) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # a builtin without a signature
        return {}


def _takes_any_keyword(function: Any) -> bool:
    """Whether a plain function, or the `attribute` of a class, has ``**keywords``."""
    takes = _parameters(getattr(function, "attribute", function))
    return not _is_composite(function) and any(one.kind is one.VAR_KEYWORD for one in takes.values())


def _settings(function: Any, given: set[str], layer: bool) -> list[Any]:
    """The keywords of a method that are its settings, and the layer where it takes one."""
    settings = [p for p in _parameters(function).values() if p.name not in given and p.kind is not p.VAR_KEYWORD]
    return [*([_LAYER] if layer else []), *(p for p in settings if p.kind is not p.VAR_POSITIONAL)]


def _captum(make: Callable[..., Any], layer: bool) -> Call:
    """captum: a class that is made of the module, and of a layer's module where it takes one."""

    def call(explained: Explained, place: Any, settings: dict[str, Any]) -> Any:
        method = make(explained.module, place[1]) if layer else make(explained.module)
        return method.attribute(explained.input, target=explained.unit, **settings)

    return call


def _cam(make: Callable[..., Any]) -> Call:
    """pytorch-grad-cam: a class that is made of the module and a list of modules, called with functions of the scores.

    Values by token are brought to maps as the layer's layout says.
    """

    def call(explained: Explained, place: Any, settings: dict[str, Any]) -> Any:
        layer, module = place
        reshape = {} if layer.layout.axes == (1, 2) else {"reshape_transform": partial(as_maps, layer=layer)}
        method = make(model=explained.module, target_layers=[module], **reshape)
        return method(input_tensor=explained.input, targets=[lambda scores: scores[..., explained.unit]], **settings)

    return call


def _is_composite(value: Any) -> bool:
    return all(callable(getattr(value, one, None)) for one in ("context", "register", "remove"))


def _composite(composite: Any) -> Call:
    """zennit: a composite, under whose hooks the gradient of the module is the relevance; 1 at the unit."""

    def call(explained: Explained, place: Any, settings: dict[str, Any]) -> Any:
        with composite.context(explained.module) as module:
            scores = module(explained.input)
            return torch.autograd.grad(scores, explained.input, _one_hot(scores, explained.unit))

    return call


def _attributor(make: Callable[..., Any]) -> Call:
    """zennit: an attributor, made of the module."""

    def call(explained: Explained, place: Any, settings: dict[str, Any]) -> Any:
        with make(explained.module) as attributor:
            return attributor(explained.input, partial(_one_hot, unit=explained.unit))[1]

    return call


def _one_hot(scores: torch.Tensor, unit: int) -> torch.Tensor:
    start = torch.zeros_like(scores)
    start[..., unit] = 1
    return start


def _plain(name: str, function: Callable[..., Any]) -> tuple[Call, list[Any]]:
    parameters = _parameters(function)
    placed = [p for p in parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = any(p.kind is p.VAR_POSITIONAL for p in parameters.values())
    if parameters and len(placed) < 3 and not rest:
        raise SettingError(
            f"the function of {name!r} takes {', '.join(parameters)}; expected (module, input, target), and settings "
            "after these."
        )
    settings = _settings(function, {p.name for p in placed[:3]}, False)

    def call(explained: Explained, place: Any, settings: dict[str, Any]) -> Any:
        layer = {"at": place[1]} if place else {}
        return function(explained.module, explained.input, explained.unit, **layer, **settings)

    return call, settings


def named(function: Any) -> str:
    """The name of a class, function or composite as Python would write it: "captum.attr.DeepLift".

    Parameters
    ----------
    function : object
        Any.

    Returns
    -------
    str
        The shortest public path; "..." stands for arguments that are not known.
    """
    if isinstance(function, partial):
        given = [*(", ..." for _ in function.args[:1]), *(f", {key}=..." for key in function.keywords)]
        return f"partial({named(function.func)}{''.join(given)})"
    name, module = getattr(function, "__qualname__", None), getattr(function, "__module__", None)
    if not isinstance(name, str):
        return f"{named(type(function))}(...)"
    if "<lambda>" in name or not isinstance(module, str) or module in ("__main__", "builtins"):
        return "function" if "<" in name else name
    if "<locals>" in name:
        return name.rpartition(".")[2]
    parts = module.split(".")
    for k in range(1, len(parts) + 1):
        parent = ".".join(parts[:k])
        if getattr(sys.modules.get(parent), name, None) is function:
            return f"{parent}.{name}"
    return f"{module}.{name}"
