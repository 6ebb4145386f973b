"""A worker process that is killed in the middle of a sweep: nothing is lost, nothing is twice, the same bytes."""

import json
import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from workers import IMAGES, Deadly, files_in, network

import cnnexplore as cx
from cnnexplore.data.journal import records_in
from cnnexplore.representations import feature_stream

BATCH = 4
FEATURES = {"layer": "conv1", "cache": None, "batch": BATCH, "dtype": "float32"}


def features_until_a_kill(folder, executor, kill):
    """The features; after the third batch, one worker is killed."""
    seen = []
    for step in feature_stream(network(), IMAGES, **{**FEATURES, "cache": folder}, executor=executor):
        seen.append(step)
        if len(seen) == 3:
            kill()
    return seen


def blocks_in(folder):
    """The first rows of the blocks that the journal of a store names, in order."""
    journal = next(folder.glob("*/blocks.jsonl"))
    lines = [line for line in journal.read_text().splitlines() if line]
    run = json.loads(lines[0])[1]
    return [first for first, _ in records_in(journal.read_bytes(), run, journal)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    found = cx.features(network(), IMAGES, **{**FEATURES, "cache": folder}, progress=False)
    return found, files_in(folder)


def test_a_process_pool_that_breaks_is_said_and_gone_on_from(tmp_path, undisturbed, refused):
    context, images = multiprocessing.get_context("spawn"), Deadly(tmp_path / "killed", 41)
    options = {**FEATURES, "cache": tmp_path / "cache", "name": "images", "progress": False}
    unkept = {**options, "cache": False}
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        call = lambda: cx.features(network(), images, executor=pool, **options)  # noqa: E731
        refused(cx.WorkerError, call, "lost its workers", "what is finished is kept")
        done = blocks_in(tmp_path / "cache")
        refused(cx.WorkerError, call, "lost its workers")
        refused(
            cx.WorkerError,
            lambda: cx.features(network(), images, executor=pool, **unkept),
            "a cache",
        )
    assert blocks_in(tmp_path / "cache") == done
    assert len(done) == len(set(done))
    assert set(range(0, 28, BATCH)) <= set(done)  # at most four batches are in flight
    assert 40 not in done
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        found = cx.features(network(), images, executor=pool, **options)
    blocks = blocks_in(tmp_path / "cache")
    assert blocks[: len(done)] == done
    assert sorted(blocks) == list(range(0, len(IMAGES), BATCH))
    assert np.array_equal(found.activations, undisturbed[0].activations)
    name = "activations.npy"
    assert (found.folder / name).read_bytes() == (undisturbed[0].folder / name).read_bytes()
    refused(cx.WorkerError, lambda: cx.features(network(), images, executor=pool, **unkept), "no work")


def test_dask_computes_the_pieces_of_a_killed_worker_again(tmp_path, cluster, undisturbed):
    pids = cluster.run(os.getpid)
    assert os.getpid() not in pids.values()
    assert len(set(pids.values())) == 2
    victim = next(iter(pids.values()))
    *steps, found = features_until_a_kill(tmp_path, cluster, lambda: os.kill(victim, signal.SIGKILL))
    assert [done for done, _ in steps] == [min(first + BATCH, len(IMAGES)) for first in range(0, len(IMAGES), BATCH)]
    assert blocks_in(tmp_path) == list(range(0, len(IMAGES), BATCH))
    assert np.array_equal(found.activations, undisturbed[0].activations)
    assert files_in(tmp_path) == undisturbed[1]
    assert victim not in cluster.run(os.getpid).values()
