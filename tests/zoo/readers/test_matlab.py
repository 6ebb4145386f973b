"""The reader of .mat files against scipy's writer; any wrong byte gives a WeightsError at most."""

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matfiles import cell, structs
from scipy.io import savemat

import cnnexplore as cx
from cnnexplore.zoo.readers import matlab

WANTED = ("a", "b", "c")
dtypes = st.sampled_from(["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])


@given(values=dtypes.flatmap(lambda t: hnp.arrays(t, hnp.array_shapes(min_dims=2, max_dims=4))), small=st.booleans())
def test_numbers(tmp_path_factory, values, small):
    path = tmp_path_factory.mktemp("m") / "a.mat"
    savemat(path, {"a": values}, do_compression=small)
    found = matlab.read(path, WANTED)["a"]
    assert found.dtype == values.dtype
    # MATLAB, and so scipy, drops ones at the end
    assert np.array_equal(found.reshape(values.shape, order="F"), values, equal_nan=values.dtype.kind == "f")


@pytest.mark.parametrize("small", [False, True])
def test_everything_else(tmp_path, small):
    inner = structs([{"x": "one", "y": np.eye(2)}, {"x": "", "y": cell()}])
    letters = np.array(["abc", "def"])
    content = {
        "a": {"text": "tench, Tinca tinca", "cells": cell("é", cell(np.float32([[1, 2]])), {"z": 1.0}), "many": inner,
              "rows": letters, "none": np.zeros((0, 3)), "yes": True},
        "b": np.array([[1 + 2j, 3]]),
        "other": "nobody wants this",
    }  # fmt: skip
    savemat(tmp_path / "a.mat", content, do_compression=small)
    found = matlab.read(tmp_path / "a.mat", WANTED)
    assert set(found) == {"a", "b"}
    a = found["a"]
    assert a["text"] == "tench, Tinca tinca"
    accent, (pair,), z = a["cells"]
    assert accent == "é"
    assert np.array_equal(pair, [[1, 2]])
    assert z["z"] == 1
    assert [one["x"] for one in a["many"]] == ["one", ""]
    assert np.array_equal(a["many"][0]["y"], np.eye(2))
    assert a["many"][1]["y"] == []
    assert a["rows"] == ["abc", "def"]
    assert a["none"].shape == (0, 3)
    assert a["yes"] == 1
    assert np.array_equal(found["b"], content["b"])


def element(kind, data, order="<"):
    return struct.pack(order + "II", kind, len(data)) + data + bytes(-len(data) % 8)


def array(flags, shape, name, *parts, order="<"):
    head = element(6, struct.pack(order + "II", flags, 0), order)
    head += element(5, struct.pack(f"{order}{len(shape)}i", *shape), order)
    return element(14, head + element(1, name, order) + b"".join(parts), order)


def header(order="<"):
    return b"MATLAB 5.0 MAT-file".ljust(124) + (b"\x00\x01IM" if order == "<" else b"\x01\x00MI")


def test_bytes_written_by_hand(tmp_path):
    """As MATLAB on another machine writes: big-endian, doubles kept as bytes, UTF-8, a handle in between."""
    for order in "<>":
        numbers = array(6, (2, 2), b"a", element(2, bytes([1, 2, 3, 4]), order), order=order)
        text = array(4, (1, 2), b"b", element(16, "né".encode(), order), order=order)
        handle = array(16, (1, 1), b"c", order=order)
        (tmp_path / "a.mat").write_bytes(header(order) + numbers + handle + text)
        found = matlab.read(tmp_path / "a.mat", WANTED)
        assert found["b"] == "né"
        assert found["a"].dtype == np.float64
        assert np.array_equal(found["a"], [[1, 3], [2, 4]])
        assert "c" not in found


def nested(levels):
    data = b""
    for _ in range(levels):
        data = array(1, (1, 1), b"", data)
    return array(1, (1, 1), b"a", data)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (array(6, (2, 2), b"a", element(9, bytes(24))), "3 numbers"),
        (array(6, (2**31 - 1, 2**31 - 1), b"a", element(9, bytes(8))), "1 numbers"),
        (array(6, (-1, 2), b"a", element(9, bytes(8))), "shape (-1, 2)"),
        (array(6, (2,), b"a", element(9, bytes(16))), "shape (2,)"),
        (array(6, (1, 1), b"a", element(99, bytes(8))), "type 99"),
        (array(1, (10**9, 1), b"a"), "1000000000 arrays"),
        (array(1, (1, 1), b"a", element(9, bytes(8))), "where an array"),
        (array(2, (1, 1), b"a", element(5, struct.pack("<i", 0)), element(1, b"xy")), "field names"),
        (nested(100), "deep"),
        (struct.pack("<II", 14, 5000) + bytes(8), "5000 bytes"),
        (struct.pack("<I", 6 | 9 << 16) + bytes(4), "short element"),
        (element(15, zlib.compress(struct.pack("<II", 14, 2**32 - 1))), "4294967295 bytes"),
        (element(15, b"not zlib"), "decompressing"),
    ],
)
def test_what_cannot_be(tmp_path, refused, content, words):
    (tmp_path / "bad.mat").write_bytes(header() + content)
    refused(cx.WeightsError, lambda: matlab.read(tmp_path / "bad.mat", WANTED), "'bad.mat'", "not a whole", words)


def test_a_compressed_flood_is_stopped_at_what_it_announces(tmp_path):
    flood = zlib.compress(struct.pack("<II", 14, 64) + bytes(200_000_000), 9)
    (tmp_path / "bad.mat").write_bytes(header() + element(15, flood))
    tracemalloc.start()
    with pytest.raises(cx.WeightsError):
        matlab.read(tmp_path / "bad.mat", WANTED)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


@given(where=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=5))
def test_wrong_bytes_get_a_sentence(tmp_path_factory, where):
    path = tmp_path_factory.mktemp("m") / "a.mat"
    savemat(path, {"a": {"text": "some", "cells": cell("x", np.eye(3)), "many": structs([{"x": 1.0}, {"x": "y"}])}})
    data = bytearray(path.read_bytes())
    for place, value in where:
        data[int(place * len(data))] = value
    path.write_bytes(data)
    sentence = ""
    try:
        matlab.read(path, WANTED)
    except cx.WeightsError as error:
        sentence = str(error)
    assert "\n" not in sentence
