"""Observing hooks: whether a hook of the user's only looks at what it is given, as far as its source shows."""

from __future__ import annotations

import ast
import builtins
import collections
import functools
import inspect
import logging
import math
import types
from typing import Any

import numpy as np
import torch

from .rebinding import is_library_code, vars_of

_READERS = {
    print, len, isinstance, type, str, repr, float, int, bool, list, tuple, dict, set, id, zip, enumerate, sum, max,
    min, abs, getattr, hasattr, range, sorted, any, all, format, round,
}  # fmt: skip
_RECORDERS = {  # methods that return None and write only into what they belong to
    list: {"append", "extend", "insert", "clear"},
    dict: {"update", "clear", "__setitem__"},
    set: {"add", "update", "clear"},
    collections.deque: {"append", "appendleft", "extend", "extendleft", "clear"},
    logging.Logger: {"debug", "info", "warning", "error", "critical", "log", "exception"},
    logging.LoggerAdapter: {"debug", "info", "warning", "error", "critical", "log", "exception"},
}
_CHANGING = {  # methods of what a hook is given that change it, or its gradient, without a trailing underscore
    "register_hook", "register_post_accumulate_grad_hook", "backward", "retain_grad", "sort", "fill", "put", "resize",
    "partition", "update", "pop", "popitem", "clear", "setdefault", "setfield", "setflags", "byteswap", "__setitem__",
    "__iadd__", "__isub__", "__imul__", "__itruediv__",
}  # fmt: skip
_GIVEN = (torch.Tensor, np.ndarray, dict, tuple, str, float)  # kinds of what a hook is given
_METHODS = {name for kind in _GIVEN for name in dir(kind)} - _CHANGING
_DEPTH = 3  # of functions of the user that a hook calls


def only_observes(hook: Any) -> bool:
    """Whether a hook returns None and leaves what it is given as it is.

    Read from its source, without running it. Where the source is not there or does not tell, the answer is False.

    Parameters
    ----------
    hook : callable
        A hook of a module: a function, a method, a partial or an object that can be called.

    Returns
    -------
    bool
        True only if that is certain.

    Examples
    --------
    >>> from cnnexplore.network.observing import only_observes
    >>> only_observes(functools.partial(print, "seen"))
    True
    """
    return _returns_nothing(hook, 0)


def _returns_nothing(hook: Any, depth: int) -> bool:
    if isinstance(hook, functools.partial):
        return _returns_nothing(hook.func, depth)
    if hook is print:
        return True
    if isinstance(hook, types.BuiltinMethodType):
        return _is_recorder(hook.__self__, hook.__name__)
    if isinstance(hook, types.MethodType):
        return _function_observes(hook.__func__, hook.__self__, depth)
    if isinstance(hook, types.FunctionType):
        return _function_observes(hook, None, depth)
    call = vars_of(type(hook), "__call__")
    return isinstance(call, types.FunctionType) and _function_observes(call, hook, depth)


def _is_recorder(owner: Any, name: str) -> bool:
    return any(isinstance(owner, kind) and name in names for kind, names in _RECORDERS.items()) and not isinstance(
        owner, torch.nn.Module
    )


def _function_observes(function: Any, owner: Any, depth: int) -> bool:
    if not isinstance(function, types.FunctionType) or depth > _DEPTH:
        return False
    inner = getattr(function, "__wrapped__", None)
    if inner is not None:  # torch.no_grad() and the like as decorators give back what the function gives
        plain = function.__code__.co_filename.endswith("_contextlib.py") and is_library_code(function)
        return plain and _returns_nothing(inner if owner is None else types.MethodType(inner, owner), depth)
    if is_library_code(function) and function.__module__.startswith("torch."):
        return False  # weight norm, pruning: they return None and compute what the module needs
    trees = _sources(function)
    return bool(trees) and all(_Reader(function, owner, depth).observes(tree) for tree in trees)


def _sources(function: types.FunctionType) -> list[ast.FunctionDef | ast.Lambda]:
    """The definitions in the function's file that may be its own: of lambdas in one line all, before Python 3.11."""
    code = function.__code__
    try:
        tree = _parsed("".join(inspect.findsource(code)[0]))
    except (OSError, TypeError, SyntaxError, ValueError, IndexError):
        return []
    if function.__name__ != "<lambda>":
        defined = [node for node in tree if isinstance(node, ast.FunctionDef) and node.name == code.co_name]
        return [n for n in defined if min([n.lineno, *(d.lineno for d in n.decorator_list)]) == code.co_firstlineno]
    lambdas = [node for node in tree if isinstance(node, ast.Lambda) and node.lineno == code.co_firstlineno]
    places = set(code.co_positions()) if hasattr(code, "co_positions") else {_place(node.body) for node in lambdas}
    return [node for node in lambdas if _place(node.body) in places]


@functools.lru_cache(maxsize=8)
def _parsed(source: str) -> list[ast.FunctionDef | ast.Lambda]:
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, (ast.FunctionDef, ast.Lambda))]


def _place(node: ast.expr) -> tuple[int, int | None, int, int | None]:
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset


class _Unsure(Exception):
    """The source does not show that the hook only observes."""


class _Reader(ast.NodeVisitor):
    """Reads one definition: `given` are the names of what the hook is given, and of all that is computed from it."""

    def __init__(self, function: types.FunctionType, owner: Any, depth: int):
        self.depth = depth
        closure = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        self.names: dict[str, Any] = dict(vars(builtins)) | function.__globals__
        for name, cell in closure:
            try:
                self.names[name] = cell.cell_contents
            except ValueError:
                self.names.pop(name, None)
        for name in function.__code__.co_varnames:
            self.names.pop(name, None)
        self.owner = owner
        self.given: set[str] = set()

    def observes(self, tree: ast.FunctionDef | ast.Lambda) -> bool:
        parameters = [a.arg for a in (*tree.args.posonlyargs, *tree.args.args)]
        if self.owner is not None and parameters:
            self.names[parameters.pop(0)] = self.owner
        more = [a.arg for a in (*tree.args.kwonlyargs, tree.args.vararg, tree.args.kwarg) if a is not None]
        self.given = {*parameters, *more}
        body = [tree.body] if isinstance(tree, ast.Lambda) else tree.body
        before = -1
        while before != len(self.given):  # until no more names are found to hold what was given
            before = len(self.given)
            for node in (n for part in body for n in ast.walk(part)):
                self._spread(node)
        try:
            if isinstance(tree, ast.Lambda):
                self._returned(tree.body)
            for part in body:
                self.visit(part)
        except _Unsure:
            return False
        return True

    # which names hold what the hook is given

    def _spread(self, node: ast.AST) -> None:
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if self._touches(node.value):
                self._name(*targets)
        elif isinstance(node, (ast.For, ast.comprehension)):
            if self._touches(node.iter):
                self._name(node.target)
        elif isinstance(node, ast.withitem) and node.optional_vars is not None and self._touches(node.context_expr):
            self._name(node.optional_vars)

    def _name(self, *targets: ast.expr) -> None:
        for target in targets:
            if isinstance(target, (ast.Tuple, ast.List)):
                self._name(*target.elts)
            elif isinstance(target, ast.Starred):
                self._name(target.value)
            elif isinstance(target, ast.Name):
                self.given.add(target.id)

    def _touches(self, node: ast.AST) -> bool:
        return any(isinstance(n, ast.Name) and n.id in self.given for n in ast.walk(node))

    def _value(self, node: ast.expr) -> Any:
        """What an expression of names and attributes stands for; raises _Unsure if that is not known."""
        if isinstance(node, ast.Name) and node.id in self.names and node.id not in self.given:
            return self.names[node.id]
        if isinstance(node, ast.Attribute):
            owner = self._value(node.value)
            held = getattr(owner, "__dict__", {})
            if node.attr in held:
                return held[node.attr]
            found = vars_of(type(owner), node.attr)
            if isinstance(found, (types.FunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)):
                return getattr(owner, node.attr)
        raise _Unsure

    # what a hook must not do

    def _returned(self, node: ast.expr | None) -> None:
        if node is None or (isinstance(node, ast.Constant) and node.value is None):
            return
        if not isinstance(node, ast.Call) or not _returns_nothing(self._value(node.func), self.depth + 1):
            raise _Unsure

    def visit_Return(self, node: ast.Return) -> None:
        self._returned(node.value)
        self.generic_visit(node)

    def _unsure(self, node: ast.AST) -> None:
        raise _Unsure

    visit_Yield = visit_YieldFrom = visit_Await = visit_FunctionDef = visit_ClassDef = visit_AsyncFunctionDef = _unsure
    visit_Lambda = visit_Import = visit_ImportFrom = visit_Raise = visit_Delete = _unsure

    def _written(self, target: ast.expr) -> None:
        """A target of an assignment: a name, or a place in what is neither of the module nor an argument."""
        if isinstance(target, (ast.Tuple, ast.List)):
            for one in target.elts:
                self._written(one)
        elif isinstance(target, (ast.Subscript, ast.Attribute)):
            if isinstance(self._value(target.value), (torch.nn.Module, torch.Tensor, np.ndarray)):
                raise _Unsure
        elif not isinstance(target, ast.Name):
            raise _Unsure

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._written(target)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._written(node.target)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._written(node.target)
        if isinstance(node.target, ast.Name) and node.target.id in self.given:
            raise _Unsure
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if any(word.arg in (None, "out", "inplace") for word in node.keywords):
            raise _Unsure
        if isinstance(node.func, ast.Attribute) and self._touches(node.func.value):
            name = node.func.attr
            if name not in _METHODS or (name.endswith("_") and not name.endswith("__")):
                raise _Unsure
        else:
            self._function(self._value(node.func), node)
        self.generic_visit(node)

    def _function(self, function: Any, node: ast.Call) -> None:
        if isinstance(function, types.BuiltinMethodType) and _is_recorder(function.__self__, function.__name__):
            return
        try:
            if function in _READERS:
                return
        except TypeError as error:  # cannot be looked up in a set
            raise _Unsure from error
        name = getattr(function, "__name__", "")
        root = node.func
        while isinstance(root, ast.Attribute):
            root = root.value
        library = self.names.get(root.id) if isinstance(root, ast.Name) else None
        if library in (torch, np, math) and isinstance(node.func, ast.Attribute) and node.func.value is root:
            if name.endswith("_") or name in ("put", "copyto", "putmask", "place", "fill_diagonal"):
                raise _Unsure
            return
        if not _returns_nothing(function, self.depth + 1):
            raise _Unsure
