"""Features, dissections and tables by threads, processes and dask: the same bits as without an executor."""

import functools
import json
import multiprocessing
import threading
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from torch import nn
from workers import IMAGES, files_in, network

import cnnexplore as cx
from cnnexplore.network import batch_size
from cnnexplore.representations import feature_stream

pytestmark = pytest.mark.usefixtures("one_thread")


def test_features_are_the_same(executor, tmp_path):
    options = {"layer": "relu1", "batch": 8, "progress": False}
    alone = cx.features(network(), IMAGES, cache=tmp_path / "alone", **options)
    shared = cx.features(network(), IMAGES, cache=tmp_path / "shared", executor=executor, **options)
    assert np.array_equal(shared.activations, alone.activations)
    assert files_in(tmp_path / "shared") == files_in(tmp_path / "alone")
    again = cx.features(network(), IMAGES, cache=tmp_path / "alone", executor=executor, **options)
    assert again.folder == alone.folder  # a kept pass is found with an executor, and the other way round
    assert again.to_python() == alone.to_python()


@pytest.mark.parametrize("executor", ["processes"], indirect=True)
def test_features_of_a_data_set_that_the_workers_read(executor):
    scenes = cx.world.dataset(10, 3, 24)
    options = {"layer": "conv1", "batch": 4, "cache": False, "progress": False}
    alone = cx.features(network(), scenes, **options)
    shared = cx.features(network(), scenes, executor=executor, **options)
    assert np.array_equal(shared.activations, alone.activations)
    assert np.array_equal(shared.labels, alone.labels)
    assert np.array_equal(shared.predicted, alone.predicted)


@pytest.mark.parametrize("executor", ["processes", "cluster"], indirect=True)
def test_dissections_are_the_same(executor):
    scenes = cx.world.dataset(200, 3, 24)
    options = {"quantile": 0.02, "null": "rotation", "batch": 16, "cache": False, "progress": False}
    alone = cx.dissect(network(), ["conv1", "relu1"], scenes, **options)
    shared = cx.dissect(network(), ["conv1", "relu1"], scenes, executor=executor, **options)
    for one, other in zip(alone, shared, strict=True):
        for mine, theirs in ((one, other), (one.null, other.null)):
            for name in ("thresholds", "share", "minimum", "intersection", "activation", "truth", "top_values"):
                assert np.array_equal(getattr(mine, name), getattr(theirs, name)), name
            assert np.array_equal(mine.top_images, theirs.top_images)
            assert mine.words == theirs.words


TABLES = {
    "preimage2016.table5": {"layers": ["conv1", "relu1"], "weights": (1, 100), "solvers": ["adagrad"], "steps": 2},
    "inverting2015.table3": {"layers": ["conv1"], "variations": (1, 10), "steps": 2},
    "intraclass2015.table1": {
        "layer": "conv1",
        "patches": IMAGES[3:5],
        "solvers": ["spectral"],
        "steps": 1,
        "refine": 0,
    },
}


@pytest.mark.parametrize(
    ("name", "executor"),
    [
        ("preimage2016.table5", "threads"),
        ("preimage2016.table5", "cluster"),
        ("inverting2015.table3", "processes"),
        ("intraclass2015.table1", "processes"),
    ],
    indirect=["executor"],
)
def test_tables_are_the_same(name, executor, tmp_path):
    call = functools.partial(cx.figure, name, network(), IMAGES[:2], progress=False, **TABLES[name])
    alone = call(log=tmp_path / "alone")
    shared = call(log=tmp_path / "shared", executor=executor)
    assert shared.values == alone.values
    assert shared.columns == alone.columns
    assert shared.to_python() == alone.to_python()
    assert (tmp_path / "shared").read_bytes() == (tmp_path / "alone").read_bytes()


def test_a_log_that_lacks_one_number_of_a_run_gets_that_one(tmp_path):
    name = "intraclass2015.table1"
    call = functools.partial(cx.figure, name, network(), IMAGES[:1], progress=False, **TABLES[name])
    whole = call(log=tmp_path / "log")
    lines = (tmp_path / "log").read_text().splitlines(keepends=True)
    (tmp_path / "log").write_text("".join(lines[:4]))
    assert call(log=tmp_path / "log").values == whole.values
    again = (tmp_path / "log").read_text().splitlines(keepends=True)
    assert again == lines
    places = [tuple(json.loads(line)[1][:3]) for line in again[1:]]
    assert len(places) == len(set(places))


# What is refused.


def test_executors_that_cannot_work(refused, monkeypatch):
    call = lambda executor: cx.features(network(), IMAGES, cache=False, progress=False, executor=executor)  # noqa: E731
    refused(cx.SettingError, lambda: call(4), "executor is 4", "ProcessPoolExecutor")
    refused(cx.SettingError, lambda: call(Executor), "expected a concurrent.futures.Executor")
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        refused(cx.SettingError, lambda: call(pool), "by fork", "'spawn'")
        assert not pool._processes
    with ThreadPoolExecutor(1) as pool:
        pass
    refused(cx.WorkerError, lambda: call(pool), "takes no work", "after shutdown")


class Unpicklable(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.lock = nn.Conv2d(3, 4, 3), threading.Lock()

    def forward(self, x):
        return self.conv(x)


def test_what_cannot_be_sent_is_said(processes, refused):
    net = cx.Network(Unpicklable(), size=12, pixels=cx.Pixels("RGB"), name="locked")
    options = {"layer": "conv", "cache": False, "progress": False}
    sentence = refused(
        cx.SettingError, lambda: cx.features(net, IMAGES, executor=processes, **options), "cannot be sent"
    )
    assert "lock" in sentence
    assert "ThreadPoolExecutor" in sentence
    with ThreadPoolExecutor(2) as pool:
        assert len(cx.features(net, IMAGES, executor=pool, **options)) == len(IMAGES)


def test_an_error_of_a_piece_is_raised_as_it_is(executor, refused):
    images = [*IMAGES[:20], "no such file.png", *IMAGES[20:]]
    options = {"layer": "conv1", "cache": False, "batch": 4, "name": "some", "progress": False}
    refused(cx.ImageError, lambda: cx.features(network(), images, executor=executor, **options), "no such file.png")


def test_a_stream_that_is_closed_cancels_its_pieces(processes):
    stream = feature_stream(network(), IMAGES, "conv1", cache=False, batch=2, executor=processes)
    next(stream)
    stream.close()
    assert processes.submit(int, 3).result() == 3
    assert not processes._pending_work_items


# The batch that fills a GPU.


@pytest.fixture
def gpu(monkeypatch):
    """A GPU whose memory is told: bytes that are free, and bytes that an image needs."""

    def make(free, each):
        monkeypatch.setattr(batch_size, "_on_gpu", lambda device: True)
        monkeypatch.setattr(batch_size, "_free_memory", lambda device: free)
        monkeypatch.setattr(
            batch_size, "_memory_of", lambda device, one_pass: one_pass(batch_size._TRIED) is not None and 4 * each
        )

    return make


def test_a_batch_fills_the_free_memory(gpu, tmp_path, monkeypatch):
    seen = []
    feed = cx.Network.feed
    monkeypatch.setattr(cx.Network, "feed", lambda net, x: seen.append(len(x)) or feed(net, x))
    call = functools.partial(cx.features, network(), IMAGES, "conv1", cache=tmp_path, progress=False)
    gpu(free=1000, each=30)
    first = call()
    assert set(seen) == {4, 16, 62 % 16}  # 0.6 of the memory holds 20 images; the trial has 4
    seen.clear()
    gpu(free=10_000, each=30)
    assert call().folder == first.folder  # what is kept goes on, although more images would fit now
    gpu(free=10, each=30)
    assert len(call(cache=False)) == len(IMAGES)
    assert seen.count(1) == len(IMAGES)  # one image at least


def test_workers_share_the_memory(gpu, tmp_path):
    gpu(free=1000, each=30)
    with ThreadPoolExecutor(4) as pool:
        found = cx.features(network(), IMAGES, "conv1", cache=tmp_path, executor=pool, progress=False)
    header = json.loads((found.folder / "blocks.jsonl").read_text().splitlines()[0])[1]
    assert header["batch"] == 4  # 0.6 of 250 bytes hold 5


def test_on_a_cpu_the_batch_is_the_usual_one(tmp_path):
    found = cx.features(network(), IMAGES, "conv1", cache=tmp_path, progress=False)
    assert json.loads((found.folder / "blocks.jsonl").read_text().splitlines()[0])[1]["batch"] == 32


@pytest.mark.parametrize("executor", ["threads", "cluster"], indirect=True)
def test_galleries_are_the_same(executor, tmp_path):
    options = {"layer": ["conv1", "fc3"], "steps": 2, "batch": 2, "progress": False}
    alone = cx.gallery(network(), cache=tmp_path / "alone", **options)
    shared = cx.gallery(network(), cache=tmp_path / "shared", executor=executor, **options)
    assert files_in(tmp_path / "shared") == files_in(tmp_path / "alone")
    for layer in alone.layers:
        assert np.array_equal(shared.pictures[layer], alone.pictures[layer])
        assert np.array_equal(shared.responses[layer], alone.responses[layer])
