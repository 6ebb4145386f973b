"""Pieces: in order, a few in flight, the work once for each worker; what ends early leaves nothing behind."""

import os
import re
import sys
import tempfile
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from torch import nn
from workers import Counting, Failing

import cnnexplore as cx
from cnnexplore.sweep import executor as checked_executor
from cnnexplore.sweep import executors, in_pieces, workers_of
from cnnexplore.sweep.worker import Parcel


def test_results_come_in_the_order_of_the_pieces(executor):
    with in_pieces(Counting(), range(40), executor) as found:
        assert [(piece, result[0]) for piece, result in found] == [(k, k * k) for k in range(40)]


def test_without_an_executor_pieces_are_computed_here():
    with in_pieces(Counting(), range(3)) as found:
        assert [result[:2] for _, result in found] == [(0, os.getpid()), (1, os.getpid()), (4, os.getpid())]


@pytest.mark.parametrize("executor", ["processes", "cluster"], indirect=True)
def test_a_worker_is_sent_the_work_once(executor):
    with in_pieces(Counting(), range(60), executor) as found:
        results = [result for _, result in found]
    assert os.getpid() not in {process for _, process, _ in results}
    assert {times for _, _, times in results} == {1}  # how often the work was unpickled in that process


def test_few_pieces_are_in_flight(executor):
    """However many pieces there are, two for each worker are taken before their results are."""
    taken, most = [], 2 * workers_of(executor)
    with in_pieces(Counting(), (taken.append(k) or k for k in range(1000)), executor) as found:
        for done, _ in enumerate(found):
            assert len(taken) <= done + 1 + most
            if done == 30:
                break
    assert len(taken) <= 31 + most


def test_an_error_of_a_piece_is_raised_and_the_executor_goes_on(executor):
    with pytest.raises(ZeroDivisionError), in_pieces(Failing(5), range(100), executor) as found:
        assert [result for _, result in found] == []
    with in_pieces(Counting(), range(5), executor) as found:
        assert len(list(found)) == 5


@pytest.mark.parametrize("executor", ["processes", "cluster"], indirect=True)
def test_a_worker_that_sees_no_file_is_sent_the_bytes(executor, monkeypatch):
    monkeypatch.setattr(
        executors, "Parcel", lambda digest, path, threads: Parcel(f"{digest} elsewhere", f"{path} elsewhere", threads)
    )
    with in_pieces(Counting(), range(10), executor) as found:
        assert [result[0] for _, result in found] == [k * k for k in range(10)]


@pytest.fixture
def left_behind(tmp_path, monkeypatch):
    """Gives what is there: threads, files of the temporary folder, open files and pipes.

    Sockets and threads of a dask cluster, which other tests of this process use, come and go at any time.
    """
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    descriptors = Path("/proc/self/fd")

    def there():
        threads = {t.name for t in threading.enumerate() if not re.search("dask|IO loop", t.name, re.IGNORECASE)}
        opened = [os.readlink(entry) for entry in descriptors.glob("*") if entry.is_symlink()]
        files = sorted(name for name in opened if name.startswith(("/", "pipe:")) and not name.startswith("/proc"))
        return threads, sorted(tmp_path.iterdir()), files

    return there


@pytest.mark.parametrize("end", ["end", "error", "close"])
def test_nothing_is_left_behind(processes, left_behind, end):
    with in_pieces(Counting(), range(4), processes) as found:  # the pool has its threads and pipes
        list(found)
    before = left_behind()
    if end == "error":
        with pytest.raises(ZeroDivisionError), in_pieces(Failing(2), range(9), processes) as found:
            list(found)
    else:
        with in_pieces(Counting(), range(9), processes) as found:
            assert len(list(Path(tempfile.gettempdir()).iterdir())) == 1
            next(found) if end == "close" else list(found)
    assert processes.submit(int, 1).result() == 1
    assert left_behind() == before


def test_threads_hold_no_work_after_a_sweep():
    import gc
    import weakref

    work = Counting()
    gone = weakref.ref(work)
    with ThreadPoolExecutor(2) as pool:
        with in_pieces(work, range(9), pool) as found:
            list(found)
        del work, found
        gc.collect()
        assert gone() is None


# What cannot be sent or loaded.


def test_a_class_that_the_workers_do_not_find_is_said(processes, refused):
    module = types.ModuleType("only_here")
    exec("class Work:\n    def prepare(self):\n        return abs", vars(module))
    sys.modules["only_here"] = module
    try:
        with in_pieces(module.Work(), range(3), processes) as found:
            refused(cx.SettingError, lambda: list(found), "only_here", "can import")
    finally:
        del sys.modules["only_here"]


def test_a_module_of_a_notebook_is_sent_with_cloudpickle(processes):
    pytest.importorskip("cloudpickle", reason="cloudpickle is not installed.")
    source = "class Mine(nn.Module):\n    def forward(self, x):\n        return nn.functional.relu(x)"
    exec(source, {"nn": nn, "__name__": "__main__"}, found := {})
    net = cx.Network(found["Mine"](), size=4, pixels=cx.Pixels("RGB", mean=(0, 0, 0)))
    assert type(net.module).__module__ == "__main__"
    pictures = [np.full((4, 4, 3), k, np.uint8) for k in range(5)]
    options = {"cache": False, "batch": 2, "progress": False, "name": "five"}
    values = np.asarray(cx.features(net, pictures, list(net.layers)[-1], executor=processes, **options))
    assert (values == np.arange(5)[:, None]).all()


def test_without_cloudpickle_the_advice_names_it(processes, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    work = Counting()
    work.function = lambda: 1
    refused(cx.SettingError, lambda: in_pieces(work, [1], processes).__enter__(), "cloudpickle", "ThreadPoolExecutor")
    with in_pieces(Counting(), range(3), processes) as found:
        assert len(list(found)) == 3


def test_a_client_that_is_closed_is_said(cluster, refused):
    import distributed

    client = distributed.Client(cluster.scheduler.address, set_as_default=False)
    client.close()
    refused(cx.SettingError, lambda: checked_executor("executor", client), "is closed")
    refused(cx.SettingError, lambda: checked_executor("executor", client.get_executor()), "is closed")
