"""Work that is killed at random moments and begun again: it must end with the bytes of work that nobody disturbed.

A test gives the source of a function `work(folder)`, which writes files into a folder. It runs in processes that fork
from one that has run the source, so that torch is imported once. The source computes no gradient outside `work`:
the threads of one are not copied by a fork, and the child would wait for them.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from tqdm.std import tqdm

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


class Killed(NamedTuple):
    """What was seen: kills before the work was done; other states of the folder after a kill; seconds undisturbed."""

    kills: int
    states: int
    seconds: float


def kill_and_resume(source: str, folder: Path, kills: int, product: str = "**/*", timeout: float = 850) -> Killed:
    """Kill the work of a source at random moments; raises AssertionError if it ends with other bytes.

    product: the files whose bytes must be the same, a pattern; names that begin with a dot are left out.
    """
    code = (
        f"{source}\nimport killing, pathlib\nkilling._trials(work, pathlib.Path({str(folder)!r}), {kills}, {product!r})"
    )
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout, env=environment, check=False
    )
    assert not done.returncode, done.stderr[-3000:]
    found = Killed(**json.loads(done.stdout.splitlines()[-1]))
    print(found)
    return found


def _trials(work: Callable[[Path], None], folder: Path, kills: int, product: str) -> None:
    chance, done, states = random.Random(0), 0, set()
    tqdm.set_lock(threading.RLock())  # its own is shared by forks: one killed under it would stop all others
    _import_what_it_imports(work, folder)
    start = time.monotonic()
    status, whole = _ended(_begun(work, folder / "whole")), _files(folder / "whole", product)
    duration = time.monotonic() - start
    assert status == 0, status
    assert whole
    while done < kills:
        out, status = folder / str(done), -1
        while status:
            child = _begun(work, out)
            if done < kills:
                time.sleep(duration * chance.random())
                os.kill(child, signal.SIGKILL)
            status = _ended(child)
            assert status in (0, -signal.SIGKILL), status
            if status:
                done += 1
                states.add(hashlib.sha256(repr(_files(out, "**/*")).encode()).digest())
        found = _files(out, product)
        assert found.keys() == whole.keys(), (sorted(found), sorted(whole))
        assert found == whole, [name for name in whole if found[name] != whole[name]]
        shutil.rmtree(out)
    print(json.dumps({"kills": done, "states": len(states), "seconds": duration}))


def _import_what_it_imports(work: Callable[[Path], None], folder: Path) -> None:
    """Import here what the work imports late, so that a kill meets the work."""

    def names(out: Path) -> None:
        work(out)
        (out / "names").write_text(" ".join(name for name in sys.modules if name.isascii() and " " not in name))

    assert _ended(_begun(names, folder / "imports")) == 0
    for name in (folder / "imports" / "names").read_text().split():
        with contextlib.suppress(Exception):  # some cannot be imported by their name
            importlib.import_module(name)


def _begun(work: Callable[[Path], None], out: Path) -> int:
    """The number of a process that works."""
    child = os.fork()
    if not child:
        try:
            out.mkdir(exist_ok=True)
            work(out)
            os._exit(0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    return child


def _ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _files(folder: Path, product: str) -> dict[str, bytes]:
    found = sorted(path for path in folder.glob(product) if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}
