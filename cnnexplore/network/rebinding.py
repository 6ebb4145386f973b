"""Rebinding: what a copied module reaches through functions, methods and weak references is turned to the copy."""

from __future__ import annotations

import collections
import copy
import dis
import functools
import gc
import os
import sys
import sysconfig
import types
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import fx, nn

_ATOMIC = (
    type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented), range, slice, property,
    types.ModuleType, types.CodeType, types.FrameType, types.TracebackType, types.GeneratorType, types.CoroutineType,
    torch.dtype, torch.device, torch.layout, torch.memory_format, torch.Size, fx.Graph, fx.Node,
)  # fmt: skip
_PLAIN = frozenset(_ATOMIC)
_METHOD_OF_C = types.BuiltinMethodType  # list.append of one list, also len
_LRU_CACHE = type(functools.lru_cache(lambda: None))
_CONTAINERS = (
    list, dict, set, frozenset, tuple, collections.deque, bytearray, functools.partial, types.MethodType, weakref.ref,
    torch.Tensor, nn.Module,
)  # fmt: skip
_LIBRARIES = tuple(
    os.path.join(folder, "")
    for folder in {sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    | {os.path.dirname(torch.__file__), os.path.dirname(os.path.dirname(__file__))}
)


def is_library_code(function: types.FunctionType) -> bool:
    """Whether a function belongs to Python or to an installed package: its file's names hold no module of the user."""
    return function.__code__.co_filename.startswith((*_LIBRARIES, "<frozen"))


@functools.lru_cache(maxsize=1000)
def global_names(code: types.CodeType) -> frozenset[str]:
    """The names that a function's code, and functions inside it, look up in the file that holds it."""
    found = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for value in code.co_consts:
        if isinstance(value, types.CodeType):
            found |= global_names(value)
    return frozenset(found)


def referred(function: types.FunctionType) -> list[Any]:
    """What a function reaches without its arguments: closure, defaults, attributes, and names of the user's file."""
    found = [cell.cell_contents for cell in function.__closure__ or () if not _is_empty(cell)]
    found += [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values(), *vars(function).values()]
    if not is_library_code(function):
        names = global_names(function.__code__)
        found += [function.__globals__[name] for name in names if name in function.__globals__]
    return found


def _is_empty(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return True
    return False


def _references(value: Any, through_functions: bool) -> list[Any]:
    """What a copy of a value would have to copy too."""
    if type(value) in (dict, list, tuple):
        return [*value, *value.values()] if type(value) is dict else list(value)
    if isinstance(value, nn.Module):
        return list(vars(value).values())
    if isinstance(value, (_ATOMIC, type, torch.Tensor)):
        return []
    if isinstance(value, types.FunctionType):
        return referred(value) if through_functions else []
    if isinstance(value, dict):
        return [*value.keys(), *value.values(), *getattr(value, "__dict__", {}).values()]
    if isinstance(value, types.MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, weakref.ref):
        return [value()]
    if isinstance(value, _METHOD_OF_C):
        return [value.__self__]
    if isinstance(value, _LRU_CACHE):
        return [value.__wrapped__]
    if isinstance(value, np.ndarray):
        return list(value.flat) if value.dtype == object else []
    return gc.get_referents(value)


def reachable(
    roots: list[Any],
    known: Mapping[int, object],
    through_functions: bool = False,
    seen: dict[int, Any] | None = None,
) -> Iterator[Any]:
    """Every object that is reached from some roots, each once.

    Parameters
    ----------
    roots : list
        Where to begin.
    known : mapping
        By id, objects that are neither given nor entered. One that is added when it has been given is not entered.
    through_functions : bool
        Whether to follow what functions refer to. A deep copy does not.
    seen : dict, optional
        By id, objects given before; those given now are added.

    Yields
    ------
    object
        In no particular order.
    """
    seen = {} if seen is None else seen  # the objects too, so that an id stays that of one object
    waiting = list(roots)
    while waiting:
        value = waiting.pop()
        if isinstance(value, (_ATOMIC, type)) or id(value) in seen or id(value) in known:
            continue
        seen[id(value)] = value
        yield value
        if id(value) not in known:
            waiting += [v for v in _references(value, through_functions) if type(v) not in _PLAIN]


class _Names(dict):
    """The names of a file, some with another value; the others are those of the file, also when they change."""

    def __init__(self, file: dict[str, Any]):
        super().__init__({key: file[key] for key in ("__builtins__", "__name__", "__file__") if key in file})
        self.file = file

    def __missing__(self, name: str) -> Any:
        return self.file[name]


class Rebinding:
    """Replaces in a copied module what still belongs to the original: a deep copy shares functions and weak references.

    A function whose closure, defaults or file's names reach the module, or something that it could write into, is built
    anew on copies of them.

    Parameters
    ----------
    memo : dict
        By the id of an original, its copy: that of `copy.deepcopy`, which must have seen the module.
    prepare : callable
        Called with the roots of each further deep copy before it is made: adds to the memo what would make it fail.
    originals : mapping
        By id, the module's parts.
    walked : mapping
        By id, what a deep copy of the module enters: where the copy holds it itself, nothing is written into it.
    shared : mapping
        By id, what the methods of the module's classes use of their files: functions must use the same.
    """

    def __init__(
        self,
        memo: dict[int, Any],
        prepare: Callable[[list[Any]], None],
        originals: Mapping[int, nn.Module],
        walked: Mapping[int, Any],
        shared: Mapping[int, Any],
    ):
        self.memo, self.prepare, self.originals, self.walked, self.shared = memo, prepare, originals, walked, shared
        self._done: dict[int, Any] = {}
        self._alive: list[Any] = []
        self._cells: dict[int, types.CellType] = {}
        self._names: dict[int, _Names] = {}

    def concerns(self, value: Any) -> bool:
        """Whether a function, method or weak reference that a deep copy shares has to be turned to the copy."""
        return self._weak(value) is not value if isinstance(value, weakref.ref) else self._is_own(value, set())

    # what a function needs

    def _reaches(self, value: Any) -> bool:
        return any(id(v) in self.originals for v in reachable([value], {}, True))

    def _is_own(self, value: Any, visited: set[int]) -> bool:
        """Whether a function must not use this value itself: it could write into it, or it is part of the module."""
        if isinstance(value, (_ATOMIC, type)):
            return False
        if isinstance(value, types.FunctionType):
            return self._needs(value, visited)
        if isinstance(value, _METHOD_OF_C):
            return self._is_own(value.__self__, visited)
        if isinstance(value, _LRU_CACHE):
            return self._is_own(value.__wrapped__, visited)
        if isinstance(value, _CONTAINERS):
            return True
        return not is_of_library(value.__class__) or self._reaches(value)

    def _needs(self, function: types.FunctionType, visited: set[int]) -> bool:
        if hasattr(function, "_torchdynamo_orig_callable"):
            return True
        if id(function) in visited:
            return False
        visited.add(id(function))
        if not is_library_code(function) and _writes_names(function.__code__):
            return True
        return any(self._is_own(value, visited) for value in referred(function))

    # values of the user

    def isolated(self, value: Any) -> Any:
        """The copy of a value of the user that a function of the copy uses; the value itself if it can be shared."""
        if id(value) in self.memo and not isinstance(value, types.FunctionType):
            return self.memo[id(value)]
        if not self._is_own(value, set()) or (id(value) in self.shared and not self._reaches(value)):
            return value
        if isinstance(value, types.FunctionType):
            return self.function(value)
        self.prepare([value])
        trial = dict(self.memo)  # a copy that fails leaves halves behind
        try:
            copied = copy.deepcopy(value, trial)
        except Exception:
            if self._reaches(value):
                raise
            return value  # such as a lock: it holds nothing of the module
        self._alive += [value, trial.pop(id(trial), None)]
        self.memo.update(trial)
        copied = self.replaced(copied)
        self.memo[id(value)] = copied
        return copied

    def function(self, function: types.FunctionType) -> types.FunctionType:
        """The function built anew on copies, or itself where it refers to nothing that has to be copied."""
        if id(function) in self._done:
            return self._done[id(function)]
        eager = getattr(function, "_torchdynamo_orig_callable", None)
        if eager is not None:  # compiled: what it was compiled from gives the same values, and can be copied
            self._keep(function, eager)
            new = self.replaced(eager) if not isinstance(eager, types.FunctionType) else self.function(eager)
            self._keep(function, new)
            return new
        if not self._needs(function, set()):
            self._keep(function, function)
            return function
        cells = tuple(self._cells.setdefault(id(cell), types.CellType()) for cell in function.__closure__ or ())
        names: dict[str, Any] = function.__globals__
        if not is_library_code(function):
            names = self._names.setdefault(id(names), _Names(names))
        new = types.FunctionType(function.__code__, names, function.__name__, None, cells)
        self._keep(function, new)
        new.__qualname__, new.__module__, new.__doc__ = function.__qualname__, function.__module__, function.__doc__
        new.__defaults__ = tuple(map(self.isolated, function.__defaults__)) if function.__defaults__ else None
        if function.__kwdefaults__:
            new.__kwdefaults__ = {key: self.isolated(value) for key, value in function.__kwdefaults__.items()}
        for cell, own in zip(function.__closure__ or (), cells, strict=True):
            if _is_empty(own) and not _is_empty(cell):
                own.cell_contents = self.isolated(cell.cell_contents)
        if isinstance(names, _Names):
            for name in sorted(global_names(function.__code__)):
                if name not in names and name in names.file:
                    value = names.file[name]
                    copied = self.isolated(value)
                    if copied is not value:
                        names[name] = copied
        vars(new).update({key: self.isolated(value) for key, value in vars(function).items()})
        return new

    # values of the copy

    def _keep(self, value: Any, new: Any) -> None:
        self._done[id(value)] = new
        self._alive.append(value)

    def replaced(self, value: Any) -> Any:
        """A value of the copy in which functions, methods and weak references are turned to the copy.

        Containers and objects are changed in place where they can be.

        Parameters
        ----------
        value : object
            Part of the copy.

        Returns
        -------
        object
            The value itself, or what has to take its place.
        """
        if isinstance(value, (_ATOMIC, type, torch.Tensor)):
            return value
        if id(value) in self._done:
            return self._done[id(value)]
        if isinstance(value, types.FunctionType):
            return self.function(value)
        if id(value) in self.originals:
            return self.memo.get(id(value), value)
        if isinstance(value, weakref.ref):
            new = self._weak(value)
        elif isinstance(value, types.MethodType):
            function, owner = self.replaced(value.__func__), self.replaced(value.__self__)
            same = function is value.__func__ and owner is value.__self__
            new = value if same else types.MethodType(function, owner)
        elif isinstance(value, _METHOD_OF_C):
            owner = self.isolated(value.__self__)
            new = value if owner is value.__self__ else getattr(owner, value.__name__)
        elif isinstance(value, _LRU_CACHE):
            inner = self.replaced(value.__wrapped__)
            new = value if inner is value.__wrapped__ else functools.lru_cache(**value.cache_parameters())(inner)
        elif isinstance(value, functools.partial):
            new = self._partial(value)
        elif isinstance(value, (tuple, frozenset)):
            items = [self.replaced(item) for item in value]
            same = all(a is b for a, b in zip(items, value, strict=True))
            new = value if same else type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
        else:
            new = value
        self._keep(value, new)
        if new is value:
            self._inside(value)
        return new

    def _weak(self, value: weakref.ref) -> Any:
        if isinstance(value, weakref.WeakMethod):
            method: Any = value()
            owner = None if method is None else self.memo.get(id(method.__self__))
            return value if owner is None else weakref.WeakMethod(types.MethodType(method.__func__, owner))
        copied = self.memo.get(id(value()))
        return value if copied is None else type(value)(copied)

    def _partial(self, value: functools.partial) -> Any:
        function, args = self.replaced(value.func), [self.replaced(v) for v in value.args]
        keywords = {key: self.replaced(v) for key, v in value.keywords.items()}
        same = function is value.func and all(a is b for a, b in zip(args, value.args, strict=True))
        if same and all(keywords[key] is v for key, v in value.keywords.items()):
            return value
        new = type(value)(function, *args, **keywords)
        vars(new).update({key: self.replaced(v) for key, v in vars(value).items()})
        return new

    def _inside(self, value: Any) -> None:
        """Changes what a container or object of the copy holds."""
        if id(value) in self.walked or id(value) in self.shared:
            return
        if isinstance(value, weakref.WeakValueDictionary):
            for key, item in list(value.items()):
                value[key] = self.memo.get(id(item), item)
            return
        if isinstance(value, (weakref.WeakSet, set)):
            items = list(value)
            news = [self.memo.get(id(v), v) if isinstance(value, weakref.WeakSet) else self.replaced(v) for v in items]
            for item, new in zip(items, news, strict=True):
                if new is not item:
                    value.discard(item)
                    value.add(new)
            return
        if isinstance(value, dict):
            for key, item in list(value.items()):
                new = self.replaced(item)
                if new is not item:
                    dict.__setitem__(value, key, new)
        elif isinstance(value, (list, collections.deque)):
            for k, item in enumerate(value):
                new = self.replaced(item)
                if new is not item:
                    value[k] = new
        held = getattr(value, "__dict__", None)
        if isinstance(held, dict):
            for key, item in list(held.items()):
                new = self.replaced(item)
                if new is not item:
                    held[key] = new
        for slot in slots(type(value)):
            item = getattr(value, slot, None)
            new = self.replaced(item)
            if new is not item:
                object.__setattr__(value, slot, new)


def slots(kind: type) -> list[str]:
    """The names of the attributes of a class that are not in the dictionary of its objects."""
    found: list[str] = []
    for base in kind.__mro__:
        names = vars(base).get("__slots__", ())
        found += [names] if isinstance(names, str) else list(names)
    return [name for name in found if isinstance(vars_of(kind, name), types.MemberDescriptorType)]


def vars_of(kind: type, name: str) -> Any:
    """What the first class that defines a name says it is."""
    return next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)


@functools.lru_cache(maxsize=1000)
def is_of_library(kind: type) -> bool:
    """Whether a class belongs to Python or to an installed package."""
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return kind.__module__ == "builtins" or (kind.__module__ != "__main__" and (file or "").startswith(_LIBRARIES))


@functools.lru_cache(maxsize=1000)
def _writes_names(code: types.CodeType) -> bool:
    """Whether a function assigns to names of its file or of the function around it."""
    if any(i.opname in ("STORE_GLOBAL", "DELETE_GLOBAL") for i in dis.get_instructions(code)):
        return True
    if any(i.opname == "STORE_DEREF" and i.argval in code.co_freevars for i in dis.get_instructions(code)):
        return True
    return any(_writes_names(value) for value in code.co_consts if isinstance(value, types.CodeType))
