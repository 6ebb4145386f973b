"""Flags of full precision: set inside, as they were outside, with threads and with torch's two ways to set them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.network.precision import full_precision, repeatable, without_cudnn

BACKENDS = torch.backends
NEWER = hasattr(BACKENDS.cuda.matmul, "fp32_precision")
PARTS = [BACKENDS, BACKENDS.cudnn, BACKENDS.cudnn.conv, BACKENDS.cudnn.rnn, BACKENDS.cuda.matmul] if NEWER else []


def read(function) -> object:
    try:
        return function()
    except RuntimeError as error:  # of mixed ways
        return type(error)


def flags() -> list:
    older = [lambda: BACKENDS.cudnn.allow_tf32, lambda: BACKENDS.cuda.matmul.allow_tf32]
    older.append(torch.get_float32_matmul_precision)
    found = [read(one) for one in older] + [part.fp32_precision for part in PARTS]
    return [*found, BACKENDS.cudnn.deterministic, BACKENDS.cudnn.benchmark]


def assert_full() -> None:
    if NEWER:
        for part in (BACKENDS.cudnn.conv, BACKENDS.cuda.matmul):
            usual = part.fp32_precision == "none" and BACKENDS.fp32_precision != "tf32"
            assert part.fp32_precision == "ieee" or usual
    else:
        assert not BACKENDS.cudnn.allow_tf32
        assert not BACKENDS.cuda.matmul.allow_tf32
    assert BACKENDS.cudnn.deterministic
    assert not BACKENDS.cudnn.benchmark


def new(part: str, value: str):
    def change():
        if not NEWER:
            pytest.skip("this torch has one way only.")
        place = BACKENDS
        for name in filter(None, part.split(".")):
            place = getattr(place, name)
        place.fp32_precision = value

    return change


WAYS = {
    "torch's own": lambda: None,
    "older, off": lambda: setattr(BACKENDS.cudnn, "allow_tf32", False),
    "older, products": lambda: setattr(BACKENDS.cuda.matmul, "allow_tf32", True),
    "high": lambda: torch.set_float32_matmul_precision("high"),
    "medium": lambda: torch.set_float32_matmul_precision("medium"),
    "benchmark": lambda: setattr(BACKENDS.cudnn, "benchmark", True),
    "newer, convolutions off": new("cudnn.conv", "ieee"),
    "newer, products": new("cuda.matmul", "tf32"),
    "newer, all": new("", "tf32"),
    "newer, none": new("", "ieee"),
    "newer, cuDNN": new("cudnn", "tf32"),
}


def in_a_process(call: str) -> subprocess.CompletedProcess:
    """A call of a function of this file."""
    here = Path(__file__)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parent), str(here.parents[2])])}
    code = f"import test_precision; test_precision.{call}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_what_was_set_comes_back(way):
    """In a process of its own, because some ways cannot be taken back."""
    done = in_a_process(f"check({way!r})")
    if "this torch has one way only" in done.stderr:
        pytest.skip("this torch has one way only.")
    assert done.returncode == 0, done.stderr


def check(way: str) -> None:
    WAYS[way]()
    before = flags()
    with full_precision():
        assert_full()
        with full_precision(), repeatable():
            assert_full()
        assert_full()
    assert flags() == before, (before, flags())


def test_after_an_error():
    before = flags()

    @full_precision()
    def fail():
        assert_full()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert flags() == before


def test_torch_s_own_warnings_reach_no_user():
    """torch 2.9 warns where the older way is used."""
    code = "from cnnexplore.network.precision import full_precision\nwith full_precision(): pass"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, env=env)
    assert done.returncode == 0
    assert "TF32" not in done.stderr


def test_two_threads():
    """The flags stay until the last thread has left, whichever entered first."""
    before, inside, leave = flags(), threading.Event(), threading.Event()

    def other():
        with full_precision():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with full_precision():
        thread.start()
        assert inside.wait(10)
    assert_full()
    leave.set()
    thread.join()
    assert flags() == before


def test_a_decorator_keeps_what_the_function_is():
    @full_precision()
    def some(x: int) -> int:
        """Some words."""
        assert_full()
        return x + 1

    assert (some(1), some(2), some.__name__, some.__doc__) == (2, 3, "some", "Some words.")


def test_repeatable_leaves_tf32_alone():
    before = flags()
    with repeatable():
        assert flags()[:-2] == before[:-2]
        assert BACKENDS.cudnn.deterministic
    assert flags() == before


@pytest.mark.slow
def test_what_is_compared_is_computed_in_full():
    """In a process of its own, where no thread of another test holds the flags."""
    done = in_a_process("compare()")
    assert done.returncode == 0, done.stderr


def compare() -> None:
    """What a module sees of the flags: in passes and gradients that are looked at, and in the steps of a run."""
    seen = []

    class Watching(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

        def forward(self, x):
            cudnn = BACKENDS.cudnn
            seen.append((cudnn.allow_tf32, cudnn.deterministic) if cudnn.enabled else (False, True))
            return self.fc(self.conv(x).mean((2, 3)))

    before = flags()
    net, image = cx.Network(Watching(), size=12), np.zeros((12, 12, 3), np.uint8)
    compared = {
        "activations": lambda: net.activations(image, "conv1"),
        "predict": lambda: net.predict(image),
        "attribute": lambda: [
            cx.attribute(net, image, 0, method=method, progress=False)
            for method in ("gradient", "gradcam", "occlusion", "smoothgrad")
        ],
        "top_patches": lambda: cx.top_patches(net, "conv1", 0, [image], progress=False).projections(0),
        "receptive_field": lambda: cx.receptive_field(net, "conv1", 0, [image], progress=False),
        "features": lambda: cx.features(net, [image], "conv1", cache=False, progress=False),
        "the error": lambda: cx.Inversion(net, image, "conv1", steps=1).result(),
    }
    assert net.layers  # the trace may run as it likes
    for name, call in compared.items():
        seen.clear()
        call()
        assert seen, name
        assert set(seen) == {(False, True)}, name
    run = cx.Inversion(net, image, "conv1", steps=1)
    seen.clear()
    run.advance()
    assert set(seen) == {(True, True)}
    assert flags() == before


def test_two_threads_one_of_which_runs_without_cudnn():
    """The other one keeps its full precision, and the flags are as before, whichever leaves first."""
    before, enabled = flags(), BACKENDS.cudnn.enabled
    entered, leave, seen = threading.Event(), threading.Event(), []

    def other():
        with without_cudnn():
            seen.append(BACKENDS.cudnn.enabled)
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with full_precision():
        thread.start()
        assert entered.wait(10)
        assert_full()
    leave.set()
    thread.join()
    assert seen == [False]
    assert (flags(), BACKENDS.cudnn.enabled) == (before, enabled)
