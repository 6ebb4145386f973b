"""The directive `api`: public names in a table with links, and below it the docstring of each; and the role `name`.

Its lines are either rooms, such as `cnnexplore.preimage`, which stand for all names of `cnnexplore.__all__` that live
there, or dotted names of anything else.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.domains.python import PyXRefRole
from sphinx.util.docutils import SphinxDirective

import cnnexplore

_ROLES = {"function": "func", "class": "class", "module": "mod", "exception": "exc"}  # in the order of the entries


def _kind(value: object) -> str:
    if inspect.isclass(value):
        return "exception" if issubclass(value, BaseException) else "class"
    return "module" if inspect.ismodule(value) else "function"


def _summary(value: object) -> str:
    return (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ").strip()


def _members(value: object) -> list[str]:
    """What a module defines, in its own order."""
    names = getattr(value, "__all__", None) or [name for name in vars(value) if not name.startswith("_")]
    defined = [
        name for name in names if inspect.isclass(getattr(value, name)) or inspect.isfunction(getattr(value, name))
    ]
    return [name for name in defined if getattr(value, name).__module__.startswith(value.__name__)]


def _named(line: str) -> list[tuple[str, object]]:
    """(dotted name, value) of a room's public names, or of one name; "module x" stands for the module itself."""
    if line.startswith("module "):
        return [(line.split()[1], importlib.import_module(line.split()[1]))]
    if line in cnnexplore._ROOMS:
        found = [(f"cnnexplore.{name}", getattr(cnnexplore, name)) for name in cnnexplore._ROOMS[line]]
        return sorted(found, key=lambda pair: list(_ROLES).index(_kind(pair[1])))
    module, _, name = line.rpartition(".")
    return [(line, getattr(importlib.import_module(module), name))]


class Api(SphinxDirective):
    """A table of names and their entries, made of reStructuredText for autodoc."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Parse the entries in place."""
        named = [pair for line in self.content if line.strip() for pair in _named(line.strip())]
        lines = [".. list-table::", "   :class: api-table", "   :widths: 32 68", ""]
        for name, value in named:
            short = name.removeprefix("cnnexplore.")
            lines += [f"   * - :py:{_ROLES[_kind(value)]}:`{short} <{name}>`", f"     - {_summary(value)}"]
        for name, value in named:
            lines += self._entry(name, value)
        node = nodes.Element()
        self.state.nested_parse(StringList(lines, source=f"api of {self.env.docname}"), 0, node, match_titles=1)
        return node.children

    @staticmethod
    def _entry(name: str, value: object) -> list[str]:
        kind = _kind(value)
        if kind != "module":
            return ["", f".. auto{kind}:: {name}", ""]
        lines = [
            "",
            f".. py:module:: {name}",
            "",
            f".. rubric:: {name.removeprefix('cnnexplore.')}",
            "",
            _summary(value),
            "",
        ]
        for member in _members(value):
            if getattr(cnnexplore, member, None) is getattr(value, member):
                continue  # it has an entry of its own
            lines += [f".. auto{_kind(getattr(value, member))}:: {name}.{member}", ""]
        return lines


def name(role: str, raw: str, text: str, line: int, inliner: Any, *rest: Any) -> tuple[list[nodes.Node], list]:
    """What stands in single backticks: a link for `Network.predict`, `Prior` or `solvers()`; plain for an argument."""
    if "." in text or text.endswith("()") or text[:1].isupper():
        return PyXRefRole()("py:obj", raw, text, line, inliner)
    return [nodes.literal(raw, text)], []


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive and the role."""
    app.add_directive("api", Api)
    app.add_role("name", name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
