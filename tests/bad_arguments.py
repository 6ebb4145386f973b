"""Values that an argument may wrongly be given, by name; each is made anew, as some of them can be used once only."""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import io
import pathlib
import threading
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn


class _RaisesInRepr:
    def __repr__(self) -> str:
        raise RuntimeError("this object cannot be shown")


class _RaisesInLen:
    def __len__(self) -> int:
        raise RuntimeError("this object has no length today")

    def __getitem__(self, index: object) -> object:
        raise RuntimeError("this object has no items today")


class _LongRepr:
    def __repr__(self) -> str:
        return "first line\nsecond line " + 5000 * "x"


class _RaisesInFloat:
    def __float__(self) -> float:
        raise RuntimeError("no number today")

    def __index__(self) -> int:
        raise RuntimeError("no index today")


class _NegativeIndex:
    def __index__(self) -> int:
        return -1


class _RaisesInPath:
    def __fspath__(self) -> str:
        raise RuntimeError("no path today")


def _nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


def _itself() -> list:
    value: list = [1]
    value.append(value)
    return value


def _array_of_objects() -> np.ndarray:
    value = np.empty(3, object)
    value[:] = [None, "a", object()]
    return value


def _noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


NUMBERS: dict[str, Callable[[], Any]] = {
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "-inf": lambda: float("-inf"),
    "-1": lambda: -1,
    "0": lambda: 0,
    "-0.0": lambda: -0.0,
    "-1e-9": lambda: -1e-9,
    "0.5": lambda: 0.5,
    "1.7": lambda: 1.7,
    "-3.5": lambda: -3.5,
    "1e-300": lambda: 1e-300,
    "1e300": lambda: 1e300,
    "-1e300": lambda: -1e300,
    "1e9": lambda: 1e9,
    "1e9 as int": lambda: 10**9,
    "1e12 as int": lambda: 10**12,
    "-1e12 as int": lambda: -(10**12),
    "2**31": lambda: 2**31,
    "2**63": lambda: 2**63,
    "2**64": lambda: 2**64,
    "-2**63": lambda: -(2**63),
    "10**400": lambda: 10**400,
    "True": lambda: True,
    "False": lambda: False,
    "complex": lambda: 1 + 1j,
    "Decimal nan": lambda: decimal.Decimal("NaN"),
    "Decimal -1": lambda: decimal.Decimal(-1),
    "Fraction": lambda: fractions.Fraction(-1, 3),
    "np.bool_": lambda: np.bool_(True),
    "np.float16 nan": lambda: np.float16("nan"),
    "np.float32 inf": lambda: np.float32("inf"),
    "np.float64 -2.5": lambda: np.float64(-2.5),
    "np.float64 nan": lambda: np.float64("nan"),
    "np.int8 -1": lambda: np.int8(-1),
    "np.int64 -5": lambda: np.int64(-5),
    "np.uint64 max": lambda: np.uint64(2**64 - 1),
    "np.complex64": lambda: np.complex64(1j),
    "np.datetime64": lambda: np.datetime64("2020-01-01"),
    "np.timedelta64": lambda: np.timedelta64(1, "s"),
    "np.str_": lambda: np.str_("nonsense"),
    "np.bytes_": lambda: np.bytes_(b"x"),
    "0-d int -1": lambda: np.array(-1),
    "0-d nan": lambda: np.array(np.nan),
    "0-d bool": lambda: np.array(True),
    "0-d str": lambda: np.array("a"),
    "0-d object": lambda: np.array(None, object),
    "0-d complex": lambda: np.array(1j),
    "tensor -1": lambda: torch.tensor(-1),
    "tensor nan": lambda: torch.tensor(float("nan")),
    "tensor bool": lambda: torch.tensor(True),
    "tensor complex": lambda: torch.tensor(1j),
    "tensor meta": lambda: torch.tensor(1, device="meta"),
    "datetime": lambda: datetime.datetime(2020, 1, 1),
    "timedelta": lambda: datetime.timedelta(1),
}

TEXTS: dict[str, Callable[[], Any]] = {
    "''": lambda: "",
    "' '": lambda: " ",
    "nonsense": lambda: "nonsense",
    "'-1'": lambda: "-1",
    "'nan'": lambda: "nan",
    "'None'": lambda: "None",
    "'a/b'": lambda: "a/b",
    "nul": lambda: "a\0b",
    "two lines": lambda: "a\nb",
    "long text": lambda: 100_000 * "x",
    "braces": lambda: "{0} {name}",
    "percent": lambda: "%s %d",
    "markup": lambda: "<img src=x onerror=alert(1)>",
    "mathtext": lambda: "$x^{",
    "lone surrogate": lambda: "\ud800",
    "emoji": lambda: "🙂",
    "tilde": lambda: "~nobody_of_that_name",
    "url": lambda: "http://127.0.0.1:9/a.png",
    "b''": lambda: b"",
    "b'x'": lambda: b"x",
    "bytes nul": lambda: b"\0" * 100,
    "bytearray": lambda: bytearray(b"abc"),
    "memoryview": lambda: memoryview(b"abc"),
    "missing path": lambda: pathlib.Path("missing/a/b.png"),
    "missing path as text": lambda: "missing/a/b.png",
    "folder": lambda: pathlib.Path("a_folder"),
    "folder as text": lambda: "a_folder",
    "empty folder": lambda: pathlib.Path("an_empty_folder"),
    "text file": lambda: pathlib.Path("a_text.txt"),
    "below a file": lambda: pathlib.Path("a_text.txt/b.png"),
    "broken png": lambda: pathlib.Path("broken.png"),
    "empty png": lambda: pathlib.Path("empty.png"),
    "no suffix": lambda: "no_suffix",
    "unknown suffix": lambda: "name.xyz",
    "suffix only": lambda: ".png",
    "pure path": lambda: pathlib.PurePosixPath("missing"),
    "windows path": lambda: pathlib.PureWindowsPath("C:\\missing"),
    "path that raises": _RaisesInPath,
}

CONTAINERS: dict[str, Callable[[], Any]] = {
    "[]": list,
    "()": tuple,
    "{}": dict,
    "set()": set,
    "frozenset": lambda: frozenset({-1}),
    "[None]": lambda: [None],
    "[-1]": lambda: [-1],
    "[1.7]": lambda: [1.7],
    "[nan]": lambda: [float("nan")],
    "[inf]": lambda: [float("inf"), 1.0],
    "[True]": lambda: [True],
    "['a', 'b']": lambda: ["a", "b"],
    "['']": lambda: [""],
    "[object()]": lambda: [object()],
    "[[]]": lambda: [[]],
    "[[1, 2], [3]]": lambda: [[1, 2], [3]],
    "[(0, 99)]": lambda: [(0, 99)],
    "(-1, -1)": lambda: (-1, -1),
    "(nan, nan)": lambda: (float("nan"), float("nan")),
    "(1e300, 1)": lambda: (1e300, 1),
    "(0.5, 0.5)": lambda: (0.5, 0.5),
    "(2**64, 0)": lambda: (2**64, 0),
    "('0', '0')": lambda: ("0", "0"),
    "(1, 2, 3, 4, 5, 6)": lambda: (1, 2, 3, 4, 5, 6),
    "nested lists": lambda: _nested(100),
    "deeply nested lists": lambda: _nested(50_000),
    "a list in itself": _itself,
    "long list": lambda: [-1] * 100_000,
    "{1: 2}": lambda: {1: 2},
    "{'a': 1}": lambda: {"a": 1},
    "{None: None}": lambda: {None: None},
    "{'C': nan}": lambda: {"C": float("nan")},
    "{-1: {'C': 1}}": lambda: {-1: {"C": 1}},
    "{1.7: {'C': 1}}": lambda: {1.7: {"C": 1}},
    "{0: 1}": lambda: {0: 1},
    "{0: {'C': 'a'}}": lambda: {0: {"C": "a"}},
    "{'0': {'C': 1}}": lambda: {"0": {"C": 1}},
    "range(0)": lambda: range(0),
    "range(-3, 0)": lambda: range(-3, 0),
    "range(10**9)": lambda: range(10**9),
    "deque": lambda: collections.deque([-1]),
    "generator": lambda: (k for k in (-1, -2)),
    "empty iterator": lambda: iter(()),
    "map": lambda: map(int, "12"),
    "zip": lambda: zip((1,), (2,), strict=True),
    "dict keys": lambda: {"a": 1}.keys(),
    "namespace": lambda: types.SimpleNamespace(a=1),
    "userdict": lambda: collections.UserDict(a=1),
    "slice": lambda: slice(None),
}

ARRAYS: dict[str, Callable[[], Any]] = {
    "empty array": lambda: np.zeros(0),
    "empty 0 x 3 array": lambda: np.zeros((0, 3)),
    "empty image": lambda: np.zeros((0, 5, 3), np.uint8),
    "row of -1": lambda: np.full(3, -1),
    "row of floats": lambda: np.array([0.5, 1.5]),
    "row of nan": lambda: np.full(3, np.nan),
    "row of inf": lambda: np.full(3, np.inf),
    "row of bool": lambda: np.ones(3, bool),
    "row of 17": lambda: np.arange(17.0),
    "2 x 2 of -1": lambda: np.full((2, 2), -1),
    "nan image": lambda: np.full((16, 16, 3), np.nan),
    "inf image": lambda: np.full((16, 16, 3), np.inf, np.float32),
    "negative image": lambda: np.full((16, 16, 3), -5.0),
    "1e300 image": lambda: np.full((16, 16, 3), 1e300),
    "1e9 image": lambda: np.full((16, 16, 3), 10**9),
    "one nan": lambda: np.where(np.arange(768).reshape(16, 16, 3) == 5, np.nan, 0.5),
    "int64 below zero": lambda: np.full((16, 16, 3), -(2**40)),
    "5 channels": lambda: np.zeros((16, 16, 5), np.uint8),
    "5-d": lambda: np.zeros((1, 2, 3, 4, 5)),
    "33-d": lambda: np.zeros((1,) * 32),
    "complex array": lambda: np.ones((16, 16, 3), complex),
    "text array": lambda: np.array([["a", "b"], ["c", "d"]]),
    "object array": _array_of_objects,
    "bytes array": lambda: np.array([b"a", b"b"]),
    "structured array": lambda: np.zeros(3, [("a", int), ("b", float)]),
    "dates": lambda: np.array(["2020-01-01"], "datetime64[D]"),
    "huge view": lambda: np.broadcast_to(np.uint8(0), (1, 100_000, 100_000, 3)),
    "masked array": lambda: np.ma.masked_all((4, 4)),
    "matrix of noise": lambda: _noise(5, 7),
    "noise image": lambda: 1e3 * _noise(16, 16, 3),
    "tensor empty": lambda: torch.zeros(0),
    "tensor row of nan": lambda: torch.full((3,), float("nan")),
    "tensor image of nan": lambda: torch.full((3, 16, 16), float("nan")),
    "tensor batch of nan": lambda: torch.full((1, 3, 16, 16), float("nan")),
    "tensor row of -1": lambda: torch.full((3,), -1),
    "tensor row of bool": lambda: torch.ones(3, dtype=torch.bool),
    "tensor of complex": lambda: torch.ones(3, 16, 16, dtype=torch.complex64),
    "tensor on meta": lambda: torch.zeros(3, 16, 16, device="meta"),
    "tensor batch on meta": lambda: torch.zeros(1, 3, 16, 16, device="meta"),
    "tensor sparse": lambda: torch.zeros(3, 16, 16).to_sparse(),
    "tensor 5-d": lambda: torch.zeros(1, 2, 3, 4, 5),
    "tensor 17 x 17 x 17": lambda: torch.zeros(17, 17, 17),
    "tensor quantised": lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8),
    "tensor expanded": lambda: torch.zeros(1).expand(1, 100_000, 100_000),
    "parameter": lambda: nn.Parameter(-torch.ones(3)),
    "PIL of no pixel": lambda: Image.new("RGB", (0, 0)),
    "PIL closed": lambda: _closed(),
}

OBJECTS: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "object()": object,
    "the class int": lambda: int,
    "the class type": lambda: type,
    "lambda": lambda: lambda *a, **k: None,
    "lambda of one": lambda: lambda x: float("nan"),
    "lambda that raises": lambda: lambda *a, **k: 1 / 0,
    "print": lambda: print,
    "a python module": lambda: np,
    "Ellipsis": lambda: ...,
    "NotImplemented": lambda: NotImplemented,
    "an exception": lambda: ValueError("a\nb"),
    "raises in repr": _RaisesInRepr,
    "raises in len": _RaisesInLen,
    "long repr": _LongRepr,
    "raises in float": _RaisesInFloat,
    "negative index": _NegativeIndex,
    "nn.Identity": nn.Identity,
    "nn.Linear": lambda: nn.Linear(2, 2),
    "nn.ReLU class": lambda: nn.ReLU,
    "lazy module": lambda: nn.LazyLinear(2),
    "lock": threading.Lock,
    "StringIO": lambda: io.StringIO("a"),
    "BytesIO": lambda: io.BytesIO(b"a"),
    "torch.device": lambda: torch.device("cpu"),
    "torch.dtype": lambda: torch.float16,
    "np.dtype": lambda: np.dtype("float32"),
    "generator of torch": torch.Generator,
    "generator of numpy": lambda: np.random.default_rng(0),
}


def _closed() -> Image.Image:
    image = Image.new("RGB", (4, 4))
    image.close()
    return image


BAD: dict[str, Callable[[], Any]] = {**NUMBERS, **TEXTS, **CONTAINERS, **ARRAYS, **OBJECTS}


def write_files(folder: pathlib.Path) -> None:
    """The files and folders that the texts name, in the working directory of a test."""
    for name in ("a_folder", "an_empty_folder"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "a_folder" / "notes.txt").write_text("no image")
    (folder / "a_text.txt").write_text("no image")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 50)
    (folder / "empty.png").write_bytes(b"")
