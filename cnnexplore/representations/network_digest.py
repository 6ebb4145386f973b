"""A digest of all that decides a network's activations: weights, attributes, code, and what it computes for noise."""

from __future__ import annotations

import enum
import functools
import hashlib
import re
import sys
import types
from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np
import torch
from torch import nn

from ..network import Network
from .digests import DIGEST_BYTES, add_bytes

_MODULE_PARTS = frozenset(vars(nn.Module()))  # parameters, buffers, hooks and such, which are not a user's attributes
_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device, torch.memory_format, type(...))
_LIBRARIES = frozenset({*sys.stdlib_module_names, "torch", "numpy"})
_DEEPEST = 60  # objects within objects; what lies deeper is left out
_IMAGES = 2
_ANGLES = torch.tensor([1.0, 0.6180339887], dtype=torch.float32)  # of two projections, in each step
_STEP = {torch.float64: 1e-4, torch.float32: 1e-4}  # rounding steps of what is computed; other types:
_COARSE = 1e-2


def network_digest(net: Network, layers: Iterable[str]) -> str:
    """A digest that changes when a network's activations do.

    It covers the weights, buffers and further attributes of all modules, the code of their classes, and the activations
    of some layers for fixed images of noise, rounded, so that hooks and values in closures count too.

    Parameters
    ----------
    net : Network
        The network.
    layers : iterable of str
        Names of layers, of which activations are computed. None: the last one.

    Returns
    -------
    str
        The digest, hexadecimal.
    """
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    digest.update(repr((net.layers, net.pixels, net.size)).encode())
    _Walk(digest).add(net.module)
    named = list(dict.fromkeys(layers)) or list(net.layers)[-1:]
    digest.update(repr(_responses_to_noise(net, named)).encode())
    return digest.hexdigest()


def value_digest(value: object) -> str:
    """A digest of a value with all that it holds, such as settings: numbers, arrays, functions, dicts of these.

    Parameters
    ----------
    value : object
        The value.

    Returns
    -------
    str
        The digest, hexadecimal; the same in each process.
    """
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    _Walk(digest).add(value)
    return digest.hexdigest()


def _responses_to_noise(net: Network, layers: list[str]) -> list:
    """For each layer and image the length of the activation and two projections of it, in rounding steps.

    Empty for a network that draws at random: the first image is computed twice.
    """
    generator = torch.Generator().manual_seed(0)
    shape = (_IMAGES, net.pixels.channels, *net.size)
    noise = 255 * torch.rand(shape, generator=generator, dtype=torch.float32) - 127.5
    x = net.pixels.feed(torch.cat([noise, noise[:1]]).to(net.device)).to(net.dtype)
    with torch.no_grad():
        found = net.probe(*layers)(x)
    step = _STEP.get(net.dtype, _COARSE)
    responses = []
    for activations in found.values():
        rows = activations.flatten(1).double().cpu()
        angles = torch.arange(rows.shape[1], dtype=torch.float64)[:, None] * _ANGLES
        length = rows.norm(dim=1, keepdim=True).clamp_min(1e-300)
        numbers = torch.cat([length.log(), rows @ angles.cos() / length], 1)
        if not numbers.isfinite().all():
            numbers = numbers.nan_to_num(0, 0, 0)
        elif (numbers[0] - numbers[-1]).abs().max() > 10 * step:
            return []
        responses.append((numbers[:_IMAGES] / step).round().long().tolist())
    return responses


class _Walk:
    """Adds a value to a digest, with all that it holds. Memory addresses, and the order of sets, do not count."""

    def __init__(self, digest: Any):
        self.digest = digest
        self.seen: dict[int, int] = {}
        self.alive: list[object] = []  # ids stay unique while objects live
        self.depth = 0

    def add(self, value: Any) -> None:
        if isinstance(value, _PLAIN) or self.depth > _DEEPEST:
            return self._token(type(value).__name__, value if isinstance(value, _PLAIN) else "")
        if id(value) in self.seen:
            return self._token("seen", self.seen[id(value)])
        self.seen[id(value)] = len(self.seen)
        self.alive.append(value)
        self.depth += 1
        self._token("begin", type(value).__qualname__)
        self._add_parts(value)
        self._token("end", "")
        self.depth -= 1

    def _token(self, kind: str, value: object) -> None:
        self.digest.update(repr((kind, value)).encode(errors="replace"))

    def _add_all(self, values: Iterable[Any]) -> None:
        for value in values:
            self.add(value)

    def _add_parts(self, value: Any) -> None:
        if isinstance(value, (torch.Tensor, np.ndarray, np.generic)):
            self._add_array(value)
        elif isinstance(value, nn.Module):
            self._add_module(value)
        elif isinstance(value, Mapping):
            for key, item in list(value.items()):
                self.add(key)
                self.add(item)
        elif isinstance(value, Set):
            self._token("set", sorted(_without_addresses(repr(item)) for item in value))
        elif isinstance(value, types.CodeType):
            self._token("code", (value.co_code, value.co_names, value.co_freevars))
            self._add_all(value.co_consts)
        elif isinstance(value, types.FunctionType):
            self._add_function(value)
        elif isinstance(value, types.MethodType):
            self._add_all((value.__func__, value.__self__))
        elif isinstance(value, functools.partial):
            self._add_all((value.func, value.args, value.keywords))
        elif isinstance(value, (staticmethod, classmethod)):
            self.add(value.__func__)
        elif isinstance(value, property):
            self._add_all((value.fget, value.fset))
        elif isinstance(value, (list, tuple)):
            self._add_all(value)
        elif isinstance(value, type):
            self._add_class(value)
        elif isinstance(value, enum.Enum):
            self._token("enum", str(value))
        elif isinstance(value, types.ModuleType):
            self._token("module", value.__name__)
        else:
            self._add_object(value)

    def _add_array(self, value: Any) -> None:
        try:
            add_bytes(self.digest, "", value)
        except (RuntimeError, TypeError, ValueError):  # sparse, quantised, on the meta device, of objects
            self._token("array", _without_addresses(repr(value)))

    def _add_module(self, module: nn.Module) -> None:
        self._add_all((type(module), module._parameters, module._buffers))
        self.add({name: value for name, value in vars(module).items() if name not in _MODULE_PARTS})
        for name, part in module._modules.items():
            self.add(name)
            self.add(part)

    def _add_function(self, function: types.FunctionType) -> None:
        package = (function.__module__ or "").split(".")[0]
        if package in _LIBRARIES:
            return self._token("function", function.__qualname__)
        self._add_all((function.__code__, function.__defaults__, function.__kwdefaults__))
        for cell in function.__closure__ or ():
            try:
                self.add(cell.cell_contents)
            except ValueError:  # a cell that is not filled yet
                self._token("cell", "")
        for name in function.__code__.co_names:  # constants and helpers beside it
            used = function.__globals__.get(name)
            helper = isinstance(used, types.FunctionType) and (used.__module__ or "").split(".")[0] == package
            if helper or isinstance(used, (bool, int, float, str, tuple, list, torch.Tensor, np.ndarray)):
                self.add(used)

    def _add_class(self, kind: type) -> None:
        for one in kind.__mro__:
            if one.__module__.split(".")[0] not in _LIBRARIES:
                self._token("class", one.__qualname__)
                self._add_all(v for name, v in list(vars(one).items()) if not name.startswith("__") or callable(v))

    def _add_object(self, value: Any) -> None:
        if type(value).__module__.split(".")[0] in _LIBRARIES and not isinstance(value, types.SimpleNamespace):
            self._token("repr", _without_addresses(repr(value)))
            return self.add(getattr(value, "__wrapped__", None))  # of a cached function
        self.add(type(value))
        self.add(dict(getattr(value, "__dict__", {})))
        slots = (name for one in type(value).__mro__ for name in getattr(one, "__slots__", ()))
        self._add_all(getattr(value, name, None) for name in slots if name not in ("__dict__", "__weakref__"))


def _without_addresses(text: str) -> str:
    return re.sub(r"0x[0-9a-fA-F]+", "", text)
