"""Executors of each kind, made once a file of tests: threads, processes, a dask cluster of two worker processes."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
import torch


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip(
        "distributed", reason="distributed is not installed: pip install cnnexplore[dask]"
    )
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options, silence_logs=50) as made, distributed.Client(made) as client:
        yield client


@pytest.fixture(params=["threads", "processes", "cluster", "executor of the cluster"])
def executor(request):
    """An executor of each kind, or of the one that a test names."""
    if request.param == "threads":
        with ThreadPoolExecutor(2) as pool:
            yield pool
    elif request.param == "executor of the cluster":
        yield request.getfixturevalue("cluster").get_executor()
    else:
        yield request.getfixturevalue(request.param)


@pytest.fixture
def one_thread():
    """torch uses one thread, as in the workers: sums are then added in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
