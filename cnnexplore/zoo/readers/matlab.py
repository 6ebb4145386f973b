"""MATLAB's .mat files (versions 5 to 7) as plain dicts, lists, strings and arrays.

scipy.io.loadmat is not used: a single wrong byte can make it end the process, and weights are never trusted. Here every
length is checked against the rest of the file, and nothing is executed. The format is MathWorks' "MAT-File Format",
level 5: nested elements of a tag (type, bytes) and data.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import WeightsError, brief

_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _OBJECT, _CHAR = 1, 2, 3, 4
_COMPLEX = 0x800
_DEEPEST = 32
_LARGEST = 2**32  # bytes of a file
# What the arrays of a file may take: trained weights can hardly be compressed, unlike the zeros kept beside them.
_ARRAY = 128  # bytes of an array without numbers
_SPARE, _TIMES = 64_000_000, 8  # bytes, and times the size of the file


def read(path: Path, variables: Sequence[str]) -> dict[str, Any]:
    """The named variables that the file holds. Raises WeightsError unless it is a complete file of version 5 to 7.

    A struct is a dict (an array of them a list), a cell array a list, text a str, numbers an array of at least two
    dimensions. Objects, function handles and sparse matrices are None.
    """
    if not path.is_file():
        raise WeightsError(f"there is no weights file {str(path)!r}; check the path.")
    size = path.stat().st_size
    if size > _LARGEST:
        raise WeightsError(f"{path.name!r} has {size} bytes; a .mat file of version 5 to 7 has at most {_LARGEST}.")
    data = memoryview(path.read_bytes())
    order = {b"IM": "<", b"MI": ">"}.get(bytes(data[126:128]))
    if order and int.from_bytes(data[124:126], "little" if order == "<" else "big") == 0x0200:
        raise WeightsError(
            f"{path.name!r} is a MATLAB 7.3 (HDF5) file; expected version 7: save it again in MATLAB with "
            "save(..., '-v7')."
        )
    try:
        if order is None:
            raise ValueError("it does not start like one")
        return _variables(_Elements(data[128:], order, _Memory(_SPARE + _TIMES * size)), set(variables))
    except Exception as error:
        raise WeightsError(
            f"{path.name!r} is not a whole .mat file ({brief(error)}); fetch or save it again."
        ) from error


@dataclass
class _Memory:
    """How many bytes the arrays of a file may still take."""

    left: int

    def take(self, size: int) -> None:
        """Raise ValueError if there are not so many."""
        self.left -= size
        if self.left < 0:
            raise ValueError(f"{size} bytes of arrays, far more than the file holds")


@dataclass
class _Elements:
    """A stream of elements. order: "<" or ">"."""

    data: memoryview
    order: str
    memory: _Memory

    def next(self) -> tuple[int, memoryview]:
        """Type and data of the next element. Raises ValueError if the data end too early."""
        kind, size = (int(v) for v in np.frombuffer(self.data[:8], self.order + "u4", 2))
        if kind >> 16:  # a short element: up to four bytes of data are in the tag
            kind, size, start, after = kind & 0xFFFF, kind >> 16, 4, 8
            if size > 4:
                raise ValueError(f"a short element of {size} bytes")
        else:
            start, after = 8, 8 + size + (-size % 8 if kind != _COMPRESSED else 0)
        if start + size > len(self.data):
            raise ValueError(f"{size} bytes are announced but {len(self.data) - start} are left")
        data, self.data = self.data[start : start + size], self.data[after:]
        return kind, data

    def numbers(self) -> np.ndarray:
        """The next element, an array of numbers."""
        kind, data = self.next()
        if kind not in _NUMBERS:
            raise ValueError(f"type {kind} where numbers are expected")
        return np.frombuffer(data, self.order + _NUMBERS[kind])

    def text(self) -> str:
        """The next element, a text."""
        kind, data = self.next()
        if kind not in _TEXTS:
            raise ValueError(f"type {kind} where text is expected")
        wide = _TEXTS[kind] in ("utf-16", "utf-32")
        return str(data, _TEXTS[kind] + ({"<": "-le", ">": "-be"}[self.order] if wide else ""), "replace")


def _variables(elements: _Elements, wanted: set[str]) -> dict[str, Any]:
    """The wanted variables by name."""
    found = {}
    while len(elements.data):
        kind, data = elements.next()
        if kind == _COMPRESSED:
            kind, data = _Elements(_inflated(data, elements), elements.order, elements.memory).next()
        if kind == _MATRIX and len(data):
            name, value = _matrix(_Elements(data, elements.order, elements.memory), wanted)
            if name in wanted:
                found[name] = value
    return found


def _inflated(data: memoryview, elements: _Elements) -> memoryview:
    """A compressed element; no more than the size in its tag is inflated."""
    inflate = zlib.decompressobj()
    tag = inflate.decompress(data, 8)
    size = int(np.frombuffer(tag, elements.order + "u4", 2)[1])
    elements.memory.take(size)
    rest = inflate.decompress(inflate.unconsumed_tail, size) if size else b""
    return memoryview(tag + rest)


def _matrix(elements: _Elements, wanted: set[str] | None = None, depth: int = 0) -> tuple[str, Any]:
    """Name and value of an array; the value is None for a variable that is not wanted."""
    if depth > _DEEPEST:
        raise ValueError(f"arrays in arrays, {depth} deep")
    flags = int(elements.numbers()[0])
    kind = flags & 0xFF
    if kind not in _CLASSES and kind not in (_CELL, _STRUCT, _OBJECT, _CHAR):
        return "", None
    shape = tuple(int(n) for n in elements.numbers())
    count = math.prod(shape)
    if len(shape) < 2 or min(shape) < 0:
        raise ValueError(f"an array of shape {shape}")
    name = elements.text()
    if wanted is not None and name not in wanted:
        return name, None
    if kind == _CHAR:
        return name, _rows(elements.text(), shape)
    if kind == _CELL:
        return name, _children(elements, count, depth)
    if kind in (_STRUCT, _OBJECT):
        if kind == _OBJECT:
            elements.text()  # the name of its class
        return name, _structs(elements, count, depth)
    values = elements.numbers()
    if values.size != count:
        raise ValueError(f"{values.size} numbers for an array of shape {shape}")
    if values.dtype != np.dtype(_CLASSES[kind]):  # MATLAB keeps whole numbers in fewer bytes
        elements.memory.take(count * np.dtype(_CLASSES[kind]).itemsize)
        values = values.astype(_CLASSES[kind])
    if flags & _COMPLEX:
        elements.memory.take(16 * count)
        values = values + 1j * elements.numbers()
    return name, values.reshape(shape, order="F")


def _children(elements: _Elements, count: int, depth: int) -> list[Any]:
    """The arrays in a cell array or struct."""
    if count * 8 > len(elements.data):
        raise ValueError(f"{count} arrays are announced but {len(elements.data)} bytes are left")
    elements.memory.take(_ARRAY * count)
    values = []
    for _ in range(count):
        kind, data = elements.next()
        if kind != _MATRIX:
            raise ValueError(f"type {kind} where an array is expected")
        child = _Elements(data, elements.order, elements.memory)
        values.append(_matrix(child, depth=depth + 1)[1] if len(data) else np.zeros((0, 0)))
    return values


def _structs(elements: _Elements, count: int, depth: int) -> dict[str, Any] | list[dict[str, Any]]:
    """A struct as a dict, an array of structs as a list."""
    length = int(elements.numbers()[0])
    text = elements.text()
    if length < 1:
        raise ValueError(f"field names of {length} letters")
    names = [text[k : k + length].split("\0")[0] for k in range(0, len(text), length)]
    values = _children(elements, count * len(names), depth)
    if not names or count == 1:
        return dict(zip(names, values, strict=True))
    return [dict(zip(names, values[k : k + len(names)], strict=True)) for k in range(0, len(values), len(names))]


def _rows(text: str, shape: tuple[int, ...]) -> str | list[str]:
    """One row of characters as a text, several (stored by columns) as a list."""
    if shape[0] <= 1 or len(text) != math.prod(shape):
        return text
    return [text[k :: shape[0]] for k in range(shape[0])]
