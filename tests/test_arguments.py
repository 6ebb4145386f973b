"""Every argument of every public callable with about 200 kinds of wrong values: one sentence, or taken if right.

Nothing else may happen: no raw exception, no message of several lines, no result that is not finite, nothing endless.
"""

from __future__ import annotations

import collections
import contextlib
import copy
import dataclasses
import inspect
import itertools
import math
import pickle
import random
import resource
import signal
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from bad_arguments import BAD, write_files
from good_arguments import CALLS, PANELS, Things
from PIL import Image

import cnnexplore as cx
from cnnexplore.arguments import place, plain_number, seeds, whole
from cnnexplore.errors import brief_value
from cnnexplore.representations.network_digest import network_digest

MEMORY = 5 * 2**30  # bytes that a call may take
MOST = 20  # seconds of the processor in a call; only what does not end takes so long
WAITS = 10 * MOST  # seconds of the clock: of a call that waits
LONGEST = 400  # characters of a message
SOME = 4  # values of each argument in daily work
# No argument takes these.
NEVER = {
    "nan", "inf", "-inf", "complex", "np.float16 nan", "np.float32 inf", "np.float64 nan", "np.complex64",
    "np.datetime64", "np.timedelta64", "0-d nan", "0-d complex", "0-d object", "tensor nan", "tensor complex",
    "tensor meta", "Decimal nan", "10**400", "object()", "the class int", "the class type", "Ellipsis",
    "NotImplemented", "an exception", "raises in repr", "long repr", "raises in float", "lock", "slice", "[nan]",
    "complex array", "text array", "object array", "structured array", "dates", "tensor of complex",
    "deeply nested lists",
    "PIL of no pixel", "PIL closed", "path that raises", "row of nan", "nan image", "inf image", "one nan",
}  # fmt: skip
# Numbers: no bool is one of them.
NUMBERS = {
    "C", "alpha", "beta", "jitter", "steps", "seed", "rate", "refine", "gamma", "M", "k", "batch", "patch", "stride",
    "start", "segments", "share", "area", "perplexity", "splits", "samples", "noise", "count", "size", "every", "side",
    "row", "column", "depth", "keep", "threshold", "distinct", "opacity", "rounds", "components", "rerank", "n",
    "which", "value", "index", "unit", "target", "topic", "foreground", "background",
    "columns", "most", "position_cost", "seeds", "ensembles",
}  # fmt: skip
BOOLS = {"True", "False", "np.bool_", "0-d bool", "tensor bool"}


UNREAD = {("maximize", "images"), ("maximize.generator", "images")}  # with M no image is read, and none refused
TRANSFORMS = {"feed", "encode"}  # of tensors, value by value; what is no number stays none


class TooLong(BaseException):
    """Not an Exception, so that nothing on the way catches it."""


def ring(*_):
    raise TooLong


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    return Things()


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    for folder in ("images", "labels"):
        (tmp_path / "annotated" / folder).mkdir(parents=True)
    (tmp_path / "annotated" / "classes.txt").write_text("cat\n")
    Image.new("RGB", (16, 16)).save(tmp_path / "annotated" / "images" / "a.png")
    (tmp_path / "annotated" / "labels" / "a.txt").write_text("0 0 0 1 0 1 1\n")
    before = [(one, signal.signal(one, ring)) for one in (signal.SIGALRM, signal.SIGPROF)]
    yield
    set_alarm(0)
    for one, handler in before:
        signal.signal(one, handler)


def set_alarm(on):
    signal.setitimer(signal.ITIMER_REAL, on * WAITS)
    signal.setitimer(signal.ITIMER_PROF, on * MOST)


@contextlib.contextmanager
def little_memory():
    """A call that asks for gigabytes gets MemoryError, and does not end the machine."""
    if sys.platform != "linux":
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def finite(value, depth=0):
    """Whether all numbers of a result are finite, but for those that say that there is none."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind not in "fc" or bool(np.isfinite(value).all())
    if isinstance(value, torch.Tensor):
        return not value.is_floating_point() or bool(torch.isfinite(value).all())
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, (list, tuple)) and depth < 4:
        return all(finite(one, depth + 1) for one in value[:20])
    if dataclasses.is_dataclass(value) and not isinstance(value, type) and depth < 4:
        absent = ("error", "response", "before", "after", "net", "topics", "features", "most", "selectivity", "scores")
        return all(
            finite(getattr(value, f.name, None), depth + 1) for f in dataclasses.fields(value) if f.name not in absent
        )
    return True


def outcome(function, arguments):
    """None if the call is answered with finite numbers, else what is wrong; "" for one sentence of an ExploreError."""
    set_alarm(1)
    try:
        found = function(**arguments)
        if isinstance(found, types.GeneratorType):
            found = list(itertools.islice(found, 3))
        if getattr(function, "__name__", "") in TRANSFORMS:
            return None
        return None if finite(found) else "a result that is not finite"
    except cx.ExploreError as error:
        text = str(error)
        right = "\n" not in text and len(text) <= LONGEST and text.endswith((".", "?"))
        return "" if right else f"no sentence: {text[:300]!r}"
    except TooLong:
        return "no end"
    except Exception as error:
        return f"{type(error).__name__}: {error!s:.200}"
    finally:
        set_alarm(0)


def try_values(name, things, choose):
    assert outcome(*CALLS[name](things)) is None
    wrong, counts = [], collections.Counter()
    for argument in CALLS[name](things)[1]:
        for bad in choose(argument):
            function, arguments = CALLS[name](things)
            is_switch = isinstance(arguments[argument], bool)
            arguments[argument] = BAD[bad]()
            with little_memory(), warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always", RuntimeWarning)
                found = outcome(function, arguments)
            if strange := [one for one in warned if issubclass(one.category, RuntimeWarning)]:
                found = found or f"a warning: {strange[0].message} ({strange[0].filename}:{strange[0].lineno})"
            refused = (bad in NEVER and (name, argument) not in UNREAD) or (
                bad in BOOLS and argument in NUMBERS and not is_switch
            )
            if found or (found is None and refused):
                wrong.append(f"{argument}={bad}: {found or 'accepted'}")
            counts["values"] += 1
            counts["one sentence" if found == "" else "taken" if found is None else "wrong"] += 1
            counts["not read"] += bad in NEVER and found is None and not refused
    print(f"{name}: {dict(counts)}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_some_wrong_values(name, things):
    try_values(name, things, lambda argument: random.Random(f"{name}.{argument}").sample(sorted(BAD), SOME))


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(CALLS))
def test_all_wrong_values(name, things):
    try_values(name, things, lambda argument: BAD)


ELSEWHERE = {  # results, which the package makes; lists without arguments
    "Attribution", "Completed", "ConceptImages", "Cone", "Decoding", "DissectionComparison", "Embedding",
    "Evolution", "FacetCurve", "Facets", "Features", "Finetuning", "Layer", "PreImage", "Retrieved", "SanityCheck",
    "SavedPicture",
    "Topic", "TopicCurve", "Topics", "UnitChanges", "UnitReport", "attribution_methods", "inverters", "masks",
    "networks", "photographs", "solvers", "world",
}  # fmt: skip


def test_every_public_callable_is_called():
    errors = {
        name for name in cx.__all__ if inspect.isclass(getattr(cx, name)) and issubclass(getattr(cx, name), Exception)
    }
    called = {name.split(".")[0] for name in CALLS}
    assert set(cx.__all__) - errors - ELSEWHERE - called == set()


def test_a_network_that_is_none_is_told_the_line_that_works(refused):
    image = np.zeros((28, 28), np.uint8)
    refused(cx.NetworkError, lambda: cx.invert("lenet", image, "conv2"), "cx.load('lenet')")
    refused(cx.NetworkError, lambda: cx.invert(torch.nn.ReLU(), image, "conv2"), "cx.Network(module, size=")
    refused(cx.NetworkError, lambda: cx.filters(None), "cx.load('lenet')")


@pytest.mark.parametrize(
    "value", [3, np.int8(3), np.uint64(3), np.array(3), torch.tensor(3), torch.tensor(3, dtype=torch.int16)]
)
def test_numbers_of_numpy_and_torch_are_numbers(value):
    assert type(plain_number(value)) is int
    assert whole(0, 5)("k", value) == 3
    assert place("position", (value, 0)) == (3, 0)
    assert seeds("seed", [value, 1]) == [3, 1]


@pytest.mark.parametrize("value", [True, np.True_, np.array(True), torch.tensor(True), "3", None, 1j, [3], np.ones(1)])
def test_what_is_no_number(value):
    assert plain_number(value) is None


def test_a_number_that_is_too_large_is_told_the_largest(refused):
    refused(cx.SettingError, lambda: whole(0)("seed", 2**63), str(2**63), f"0 to {2**63 - 1}")
    refused(cx.SettingError, lambda: whole(0)("seed", -1), "0 or more")


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_value_is_shown_in_one_short_line(name):
    text = brief_value(BAD[name]())
    assert "\n" not in text
    assert len(text) <= 84
    assert " at 0x" not in text


def test_a_figure_is_refused_before_the_work(tmp_path, refused):
    from click.testing import CliRunner

    from cnnexplore.cli import cli

    for out in ("a.xyz", "missing/a.png"):
        found = CliRunner().invoke(cli, ["figure", "preimage2016.1", "--out", str(tmp_path / out)])
        assert isinstance(found.exception, cx.SettingError)
    refused(cx.SettingError, lambda: cx.figure("preimage2016.1", step=3), "did you mean 'steps'?")
    refused(cx.SettingError, lambda: cx.figure("preimage2016.2", weights=[-1]), "weights")


@contextlib.contextmanager
def float64_by_default():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def numbers(value, depth=0):
    """The arrays of a result, in order."""
    if isinstance(value, (torch.Tensor, np.ndarray, float)):
        return [np.asarray(value)]
    if isinstance(value, (list, tuple)) and depth < 3:
        return [one for part in value[:10] for one in numbers(part, depth + 1)]
    if dataclasses.is_dataclass(value) and depth < 3:
        names = [field.name for field in dataclasses.fields(value)]
        skipped = ("net", "features", "topics", "images", "python")
        return [one for name in names if name not in skipped for one in numbers(getattr(value, name), depth + 1)]
    return []


def moved_type(name):
    """A parameter of the test below: the usual functions in daily work, the others beside."""
    usual = ("invert", "maximize", "complete", "attribute.gradcam", "receptive_field", "decode", "features", "facets",
             "maximize.generator", "dissect", "finetune")  # fmt: skip
    return pytest.param(name, marks=() if name in usual else pytest.mark.slow)


@pytest.mark.parametrize("name", [moved_type(name) for name in sorted(CALLS.keys() - PANELS.keys())])
@pytest.mark.parametrize(
    "around", [float64_by_default, lambda: torch.autocast("cpu", dtype=torch.bfloat16)], ids=["float64", "autocast"]
)
def test_another_default_type_and_autocast_change_nothing(name, around):
    found = []
    for context in (contextlib.nullcontext, around):
        things = Things()
        assert things.net
        function, arguments = CALLS[name](things)
        with context():
            result = function(**arguments)
            if isinstance(result, types.GeneratorType):
                result = list(itertools.islice(result, 3))
        found.append(numbers(result))
    for one, other in zip(*found, strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def test_networks_and_their_digests_are_the_same_with_another_default_type():
    with float64_by_default():
        nets = [cx.load("worldnet"), cx.load("alexnet-caffe", weights="random")]
        digests = [network_digest(net, ["conv1"]) for net in nets]
    for net, digest in zip(nets, digests, strict=True):
        again = cx.load(net.name, weights=None if net.name == "worldnet" else "random")
        assert net.dtype == torch.float32
        assert digest == network_digest(again, ["conv1"])


@pytest.mark.parametrize("kind", ["Inversion", "Maximization", "Caricature"])
def test_settings_and_runs_can_be_copied_and_pickled(kind, things):
    function, arguments = CALLS[kind](things)
    run = function(**arguments)
    run.advance()
    for other in (copy.deepcopy(run), pickle.loads(pickle.dumps(run))):
        other.settings.update(C=7)
        assert run.settings.C != 7
        other.settings.update(C=run.settings.C)
        while other.step < other.total:
            other.advance()
        alone = copy.deepcopy(run)
        while alone.step < alone.total:
            alone.advance()
        assert torch.equal(other.x, alone.x)
    box = pickle.loads(pickle.dumps(run.settings))
    assert box.snapshot() == run.settings.snapshot()
