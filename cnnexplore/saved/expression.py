"""Expression: the Python of a picture, read by a parser that knows the grammar of `cx.*` calls, and never by `eval`."""

from __future__ import annotations

import ast
import inspect
import operator
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from ..arguments import text as text_check
from ..errors import SettingError, brief_list, brief_value
from .grammar import FIELDS, INSIDE, MAKERS, METHODS, MOST_CHARACTERS, MOST_LEVELS, MOST_PARTS, REFUSED_ARGUMENTS

_PACKAGE = "cx"


class Expression:
    """A line of Python that makes a picture, or several lines of which all but the last give names to values.

    Parameters
    ----------
    text : str
        What `to_python()` gave.

    Raises
    ------
    SettingError
        If the text is anything but calls of functions that make pictures, of plain values and of names.

    Attributes
    ----------
    text : str
        The text that was read.
    names : tuple of str
        The names that it does not define: variables of the notebook in which the picture was made.

    Examples
    --------
    >>> from cnnexplore.saved import read_python
    >>> made = read_python("cx.invert(cx.load('lenet'), image, 'conv2', C=100)")
    >>> made.function, made.settings, made.names
    ('invert', {'C': 100}, ('image',))
    """

    def __init__(self, text: str):
        self.text = text
        self._steps, self._last = _statements(_parsed(text))
        self._free: dict[str, None] = {}
        known: set[str] = set()
        for name, value in self._steps:
            self._check(value, known)
            known.add(name)
        self._check(self._last, known)
        self.names = tuple(self._free)

    # what it says

    @property
    def function(self) -> str:
        """The name of the function that makes the picture; empty where it is a name alone."""
        call = self._call
        return "" if call is None else _dotted(call.func).removeprefix(f"{_PACKAGE}.")

    @property
    def settings(self) -> dict[str, Any]:
        """The keyword arguments of that function by name; of one that is no plain value, its Python."""
        call = self._call
        return {} if call is None else {word.arg: _plain_or_text(word.value) for word in call.keywords if word.arg}

    @property
    def _call(self) -> ast.Call | None:
        """The outermost call of a function of the package."""
        node = self._last
        while True:
            if isinstance(node, ast.Call) and _dotted(node.func).startswith(f"{_PACKAGE}."):
                return node
            if isinstance(node, ast.Call):
                node = node.func
            elif isinstance(node, (ast.Attribute, ast.Subscript)):
                node = node.value
            elif isinstance(node, ast.Name) and node.id in dict(self._steps):
                node = dict(self._steps)[node.id]
            else:
                return None

    # whether it is allowed

    def _check(self, node: ast.expr, known: set[str]) -> None:
        """Check an expression and note the names that it does not know. Raises SettingError."""
        if isinstance(node, ast.Constant):
            if not isinstance(node.value, (str, int, float, type(None))):
                _refuse(f"the value {brief_value(node.value)}")
        elif isinstance(node, ast.Name):
            if node.id == _PACKAGE or node.id.startswith("_"):
                _refuse(f"the name {brief_value(node.id)}")
            if node.id not in known:
                self._free[node.id] = None
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and _is_number(node.operand):
            pass
        elif isinstance(node, (ast.Tuple, ast.List)):
            for item in node.elts:
                self._check(item, known)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if key is None or not _is_plain(key):
                    _refuse("a dict with a key that is no plain value")
                self._check(value, known)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd):
            self._check(node.left, known)
            self._check(node.right, known)
        elif isinstance(node, ast.Subscript):
            if not _is_plain(node.slice):
                _refuse("an index that is no plain value")
            self._check(node.value, known)
        elif isinstance(node, ast.Call):
            self._check_call(node, known)
        elif isinstance(node, ast.Attribute):
            if node.attr not in FIELDS:
                _refuse(f"the attribute {brief_value(node.attr)}")
            self._check(node.value, known)
        else:
            _refuse(_PARTS.get(type(node), "an expression of another kind"))

    def _check_call(self, node: ast.Call, known: set[str]) -> None:
        name = _dotted(node.func)
        if name.startswith(f"{_PACKAGE}."):
            if name.removeprefix(f"{_PACKAGE}.") not in MAKERS | INSIDE:
                _refuse(f"the call of {brief_value(name)}")
        elif isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
            self._check(node.func.value, known)
        else:
            _refuse(f"the call of {brief_value(name or 'something that is no name')}")
        given = [word.arg for word in node.keywords]
        for word in node.keywords:
            if word.arg is None:
                _refuse("arguments that are unpacked")
            if word.arg in REFUSED_ARGUMENTS or given.count(word.arg) > 1:
                _refuse(f"the argument {brief_value(word.arg)}")
            self._check(word.value, known)
        for argument in node.args:
            self._check(argument, known)

    # its value

    def evaluate(self, given: Mapping[str, Any], progress: bool = False) -> Any:
        """Make what the Python makes.

        Parameters
        ----------
        given : mapping
            Values of `names`.
        progress : bool
            Passed to each function that shows its progress.

        Returns
        -------
        object
            What the last line makes.

        Raises
        ------
        SettingError
            If a name has no value, or a value has no name; what the called functions raise is passed on.
        """
        if missing := [name for name in self.names if name not in given]:
            raise SettingError(
                f"the Python of the picture uses {brief_list(missing)}, of the notebook that it was made in; give "
                f"{'it' if len(missing) == 1 else 'them'}: make({', '.join(f'{name}=...' for name in missing[:3])})."
            )
        if unknown := [name for name in given if name not in self.names]:
            expected = f"it uses {brief_list(self.names)}" if self.names else "it uses no variables"
            raise SettingError(f"the Python of the picture does not use {brief_list(unknown)}; {expected}.")
        values = dict(given)
        for name, node in self._steps:
            values[name] = _evaluated(node, values, progress)
        return _evaluated(self._last, values, progress)


def read_python(text: str) -> Expression:
    """Read the Python of a picture without running any of it.

    Parameters
    ----------
    text : str
        What `to_python()` gave.

    Returns
    -------
    Expression

    Raises
    ------
    SettingError
        If the text is anything but calls of functions that make pictures, of plain values and of names.
    """
    return Expression(text_check("the Python of a picture")("text", text))


_PARTS: dict[type, str] = {
    ast.Lambda: "a function of its own", ast.ListComp: "a loop", ast.GeneratorExp: "a loop", ast.SetComp: "a loop",
    ast.DictComp: "a loop", ast.IfExp: "a condition", ast.JoinedStr: "a formatted text", ast.BinOp: "arithmetic",
    ast.UnaryOp: "arithmetic", ast.BoolOp: "a condition", ast.Compare: "a comparison", ast.NamedExpr: "an assignment",
    ast.Starred: "arguments that are unpacked", ast.Slice: "a slice", ast.Set: "a set", ast.Await: "a coroutine",
}  # fmt: skip


def _refuse(what: str) -> NoReturn:
    raise SettingError(
        f"the Python of the picture has {what}; only calls of functions of cnnexplore that make pictures are taken."
    )


def _parsed(text: str) -> ast.Module:
    if len(text) > MOST_CHARACTERS:
        raise SettingError(f"the Python of the picture has {len(text)} characters; at most {MOST_CHARACTERS} are read.")
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise SettingError(
            "the text of the picture is no Python; only what cnnexplore saved can be made again."
        ) from error
    level: list[ast.AST] = [tree]
    parts = 0
    for _ in range(MOST_LEVELS):  # level by level, as a deep tree would exhaust the stack
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        parts += len(level)
        if not level and parts <= MOST_PARTS:
            return tree
    raise SettingError("the Python of the picture is longer or deeper than any that cnnexplore writes.")


def _statements(tree: ast.Module) -> tuple[list[tuple[str, ast.expr]], ast.expr]:
    """The (name, value) of each assignment, and the last line; other expressions have no effect and are left out."""
    if not tree.body or not isinstance(tree.body[-1], ast.Expr):
        _refuse("no line that makes a picture at its end")
    steps = []
    for line in tree.body[:-1]:
        if isinstance(line, ast.Expr):  # of several pictures beside each other, the last one is made again
            continue
        if not isinstance(line, ast.Assign) or len(line.targets) != 1 or not isinstance(line.targets[0], ast.Name):
            _refuse("a statement")
        name = line.targets[0].id
        if name == _PACKAGE or name.startswith("_"):
            _refuse(f"the name {brief_value(name)}")
        steps.append((name, line.value))
    return steps, tree.body[-1].value


def _dotted(node: ast.expr) -> str:
    """A name with dots in it; empty for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (int, float))


def _is_plain(node: ast.expr) -> bool:
    """Whether a node is a text, a number or a tuple or list of them."""
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub) and _is_number(node.operand)
    if isinstance(node, (ast.Tuple, ast.List)):
        return all(map(_is_plain, node.elts))
    if isinstance(node, ast.Dict):
        return all(key is not None and _is_plain(key) for key in node.keys) and all(map(_is_plain, node.values))
    return isinstance(node, ast.Constant) and isinstance(node.value, (str, int, float, type(None)))


def _plain_or_text(node: ast.expr) -> Any:
    return _evaluated(node, {}, False) if _is_plain(node) else ast.unparse(node)


def _evaluated(node: ast.expr, values: Mapping[str, Any], progress: bool) -> Any:
    """The value of an expression that was checked."""

    def of(one: ast.expr) -> Any:
        return _evaluated(one, values, progress)

    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return values[node.id]
    if isinstance(node, ast.UnaryOp):
        return -of(node.operand)
    if isinstance(node, ast.Tuple):
        return tuple(of(item) for item in node.elts)
    if isinstance(node, ast.List):
        return [of(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        return {of(key): of(value) for key, value in zip(node.keys, node.values, strict=True) if key is not None}
    if isinstance(node, ast.BinOp):
        return operator.and_(of(node.left), of(node.right))
    if isinstance(node, ast.Subscript):
        return of(node.value)[of(node.slice)]
    if isinstance(node, ast.Attribute):
        return getattr(of(node.value), node.attr)
    assert isinstance(node, ast.Call)
    function = _function(node.func, of)
    words = {word.arg: of(word.value) for word in node.keywords if word.arg}
    if "progress" in inspect.signature(function).parameters:
        words["progress"] = progress
    return function(*(of(argument) for argument in node.args), **words)


def _function(node: ast.expr, of: Callable[[ast.expr], Any]) -> Callable[..., Any]:
    """The function that a checked call names: of the package by its public name, or the method of a value."""
    name = _dotted(node)
    if not name.startswith(f"{_PACKAGE}."):
        assert isinstance(node, ast.Attribute)
        return getattr(of(node.value), node.attr)
    import cnnexplore  # the public names, which are imported when they are used

    found: Any = cnnexplore
    for part in name.split(".")[1:]:
        found = getattr(found, part)
    return found
