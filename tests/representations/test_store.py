"""The store: several processes at once, kills at any moment, full disks and folders that are only read."""

import errno
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

import cnnexplore as cx
from cnnexplore.representations import feature_stream, folder_lock, store
from cnnexplore.representations.folder_lock import FolderInUse, NoLocks
from cnnexplore.representations.store import CLASSES, Store

SHAPE, BLOCK, RUN = (50, 6), 8, {"version": 0, "network": "some"}
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


def rows(first, seed=0):
    count = min(BLOCK, SHAPE[0] - first)
    values = np.random.default_rng([seed, first]).standard_normal((count, SHAPE[1])).astype(np.float16)
    classes = np.zeros(count, CLASSES)
    classes["label"], classes["predicted"] = np.arange(first, first + count), seed
    return values, classes


EXPECTED = np.concatenate([rows(first)[0] for first in range(0, SHAPE[0], BLOCK)])


def opened(folder, private=False):
    return Store(folder, RUN, SHAPE, "float16", BLOCK, private=private)


def fill(made, pause=0.0):
    for first in made.missing:
        time.sleep(pause)
        made.write(first, *rows(first))
    activations, classes = made.arrays()
    made.close()
    return activations, classes


def whole(folder):
    fill(opened(folder))
    return folder


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_store_gives_back_what_was_written(tmp_path):
    activations, classes = fill(opened(tmp_path))
    assert np.array_equal(activations, EXPECTED)
    assert classes["label"].tolist() == list(range(50))
    assert isinstance(activations, np.memmap)
    assert not activations.flags.writeable
    assert np.array_equal(np.load(tmp_path / "activations.npy"), EXPECTED)  # a plain .npy file
    again = opened(tmp_path)
    assert not again.missing
    assert np.array_equal(again.arrays()[0], EXPECTED)


@forks
@pytest.mark.parametrize("pairs", [10, pytest.param(60, marks=pytest.mark.slow)])
def test_two_processes_on_a_new_store_never_see_wrong_rows(tmp_path, pairs):
    """Pairs that begin at once: each ends with the right rows, and so does the folder."""

    def work(folder, start):
        time.sleep(max(0.0, start - time.monotonic()))
        try:
            made = opened(folder)
        except FolderInUse:
            made = opened(folder.with_name(f"{folder.name}-{os.getpid()}"), private=True)
        values, classes = fill(made, 0.0005)
        time.sleep(0.002)
        return np.array_equal(values, EXPECTED) and classes["label"].tolist() == list(range(50))

    for pair in range(pairs):
        folder, start, children = tmp_path / str(pair), time.monotonic() + 0.01, []
        for _ in range(2):
            child = os.fork()
            if not child:
                os._exit(0 if work(folder, start) else 1)
            children.append(child)
        assert [os.waitpid(child, 0)[1] for child in children] == [0, 0], pair
        assert not opened(folder).missing, pair


@forks
@pytest.mark.parametrize("kills", [15, pytest.param(50, marks=pytest.mark.slow)])
def test_kills_at_random_moments_leave_the_same_bytes(tmp_path, kills):
    """Stores, each filled by a process that is killed at a random moment and by a second one."""
    expected = bytes_of(whole(tmp_path / "undisturbed"))
    moments, half = np.random.default_rng(0).uniform(0, 0.06, kills), 0
    for k, moment in enumerate(moments):
        folder = tmp_path / str(k)
        begun, begins = os.pipe()
        child = os.fork()
        if not child:
            made = opened(folder)
            os.write(begins, b"1")
            fill(made, 0.005)
            os._exit(0)
        if k % 2:  # the others are killed while they open the folder, too
            os.read(begun, 1)
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(begun)
        os.close(begins)
        made = opened(folder)  # the lock of the killed process is gone
        half += 0 < len(made.missing) < 7
        fill(made)
        assert bytes_of(folder) == expected
    assert half > 0


def test_one_writes_and_the_other_works_apart(tmp_path):
    first = opened(tmp_path)
    with pytest.raises(FolderInUse):
        opened(tmp_path)
    found = []

    def beside():
        try:
            opened(tmp_path)
        except FolderInUse as error:
            found.append(error)

    thread = threading.Thread(target=beside)
    thread.start()
    thread.join()
    assert found
    first.write(0, *rows(0))
    first.close()
    second = opened(tmp_path)
    assert second.missing == list(range(8, 50, 8))
    fill(second)
    held, also = opened(tmp_path), opened(tmp_path)  # whole: both only read
    assert not held.missing + also.missing


def test_features_beside_another_writer_and_without_locks(tmp_path, monkeypatch):
    net, images = tiny(), pictures()
    expected = np.array(cx.features(net, images, cache=False, dtype="float32", batch=4, progress=False))

    def make():
        return cx.features(net, images, cache=tmp_path, dtype="float32", batch=4, progress=False)

    stream = feature_stream(net, images, cache=tmp_path, dtype="float32", batch=4)
    next(stream)  # stopped half way: it holds the lock
    beside = make()
    assert np.array_equal(beside, expected)
    assert tmp_path not in beside.folder.parents
    stream.close()
    kept = make()
    assert np.array_equal(kept, expected)
    assert kept.folder.parent == tmp_path
    shutil.rmtree(kept.folder)

    def none(file):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(folder_lock, "_lock", none)
    with pytest.raises(NoLocks):
        opened(tmp_path / "nowhere")
    shutil.rmtree(tmp_path / "nowhere")
    apart = make()
    assert np.array_equal(apart, expected)
    assert tmp_path not in apart.folder.parents
    (found,) = tmp_path.iterdir()  # kept as a whole, and nothing else
    assert found == kept.folder
    again = make()
    assert again.folder == kept.folder
    assert np.array_equal(again, expected)


def pictures():
    return [np.random.default_rng(k).integers(0, 256, (12, 12, 3), dtype=np.uint8) for k in range(18)]


def tiny():
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        module = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(100, 3))
    return cx.Network(module, size=12)


def as_another_user(folder):
    """What a user who does not own the files reads: the checksum of the numbers, or a sentence."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        if os.geteuid() == 0:  # who may do everything
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        try:
            made = opened(folder)
            answer = "not whole" if made.missing else str(zlib.crc32(made.arrays()[0].tobytes()))
        except Exception as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writing, answer.encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with open(reading, encoding="utf-8") as file:
        return file.read()


@forks
def test_what_is_whole_is_read_where_nothing_may_be_written():
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        shared = Path(name)
        kept, half, lines = whole(shared / "whole"), shared / "half", shared / "lines"
        made = opened(half)
        made.write(0, *rows(0))
        made.close()
        shutil.copytree(half, lines)
        before = bytes_of(kept), bytes_of(half)
        for path in (shared, *shared.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        right = str(zlib.crc32(EXPECTED.tobytes()))
        assert as_another_user(kept) == right
        assert as_another_user(half).startswith("SettingError")
        for folder in (kept, half, lines):
            folder.chmod(0o777)  # a shared folder in which all may make and delete files
        assert as_another_user(kept) == right
        assert "cannot be written" in as_another_user(half)
        for path in lines.iterdir():
            path.chmod(0o444 if path.suffix == ".jsonl" else 0o666)  # only the journal is read-only
        assert "cannot be written" in as_another_user(lines)
        assert (bytes_of(kept), bytes_of(half)) == before
        shared.chmod(0o700)


def test_a_full_disk_is_a_sentence_and_what_was_done_stays(tmp_path, refused, monkeypatch):
    made, write, left = opened(tmp_path), io.FileIO.write, [3]

    class Full(io.FileIO):
        def write(self, data):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(self, data)

    for one in made._rows:
        one.file = Full(one.file.name, "r+")
    made.write(0, *rows(0))
    refused(cx.SettingError, lambda: made.write(8, *rows(8)), "No space left", "cache=")
    made.close()
    again = opened(tmp_path)
    assert again.done == {0}
    assert np.array_equal(fill(again)[0], EXPECTED)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small disk")
def test_a_disk_that_is_really_full(tmp_path):
    """On a disk of one megabyte: a sentence, where a write through a memory map ends the process."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)], capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    code = (
        "import sys, numpy as np\nfrom pathlib import Path\nimport cnnexplore as cx\n"
        "from cnnexplore.representations import store\n"
        "store._free = lambda folder: 10**12\n"
        "made = store.Store(Path(sys.argv[1]) / 'kept', {}, (1000, 4000), 'float16', 10)\n"
        "try:\n    for first in made.missing:\n"
        "        made.write(first, np.ones((10, 4000), np.float16), np.zeros(10, store.CLASSES))\n"
        "except cx.SettingError as error:\n    print('said', error)\n"
    )
    try:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        answer = subprocess.run(
            [sys.executable, "-c", code, str(disk)], capture_output=True, text=True, env=environment, check=False
        )
        assert answer.stdout.startswith("said"), (answer.returncode, answer.stderr)
        assert "No space left" in answer.stdout
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_damage_anywhere_is_made_good(tmp_path):
    """Bytes changed, lost and added at random places of every file, also in the header of an array."""
    source = whole(tmp_path / "source")
    draw = np.random.default_rng(1)
    names = ["activations.npy", "classes.npy", "blocks.jsonl"]
    for k in range(240):
        folder = shutil.copytree(source, tmp_path / "damaged")
        path = folder / names[k % 3]
        data = bytearray(path.read_bytes())
        place, count = int(draw.integers(min(len(data), 140) if k % 2 else len(data))), int(draw.integers(1, 9))
        junk = bytes(draw.integers(0, 256, count, dtype=np.uint8))
        kind = k % 4
        data[place : place + (count if kind < 2 else 0 if kind == 2 else len(data))] = junk if kind != 1 else b""
        path.write_bytes(data)
        made = opened(folder)
        assert np.array_equal(fill(made)[0], EXPECTED), k
        assert not opened(folder).missing
        shutil.rmtree(folder)


def test_files_that_are_links_are_not_followed(tmp_path):
    if not hasattr(os, "symlink") or sys.platform == "win32":
        pytest.skip("needs symbolic links")
    (tmp_path / "mine").write_text("precious")
    folder = tmp_path / "shared"
    folder.mkdir()
    for name in ("activations.npy", "classes.npy", "blocks.jsonl"):
        os.symlink(tmp_path / "mine", folder / name)
    assert np.array_equal(fill(opened(folder))[0], EXPECTED)
    assert (tmp_path / "mine").read_text() == "precious"


def test_nothing_is_left_open_by_a_failure(tmp_path, monkeypatch):
    def refuse(folder):
        return 1000

    monkeypatch.setattr(store, "_free", refuse)
    with pytest.raises(cx.SettingError, match="GB free"):
        opened(tmp_path)
    monkeypatch.undo()
    fill(opened(tmp_path))  # the lock was given back
