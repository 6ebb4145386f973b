"""How long each lab computes, and how much memory its kernel takes: `python tests/benchmarks/lab_times.py [LAB ...]`.

Each notebook runs from top to bottom in a kernel of its own, without a cache of earlier runs and without a browser.
The time is that of the cells, without the start of the kernel; the memory is the largest resident size of the kernel.
A machine that does other work makes the wall time longer; the processor time hardly depends on it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient

LABS = Path(__file__).parents[2] / "notebooks" / "labs"


@dataclass(frozen=True)
class Measured:
    """What a notebook took.

    Attributes
    ----------
    seconds : float
        Wall time of all cells, in seconds.
    processor : float
        Processor time of the kernel over all its threads, in seconds.
    megabytes : float
        Largest resident size of the kernel, in MB.
    slowest : list of (float, str)
        Seconds and first line of the three cells that took longest.
    """

    seconds: float
    processor: float
    megabytes: float
    slowest: list[tuple[float, str]]


def peak_megabytes(pid: int) -> float:
    """Largest resident size of a process so far, in MB of 10^6 bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))


def processor_seconds(pid: int) -> float:
    """Processor time of a process over all its threads, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(path: Path) -> Measured:
    """Run a notebook in a fresh kernel."""
    notebook = nbformat.read(path, 4)
    os.environ |= {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}  # as `cnnexplore lab` sets them
    client = NotebookClient(notebook, timeout=900, kernel_name="python3")
    times: list[tuple[float, str]] = []
    with client.setup_kernel():
        pid = client.km.provisioner.pid
        for number, cell in enumerate(notebook.cells):
            begin = time.perf_counter()
            client.execute_cell(cell, number)
            if cell.cell_type == "code":
                times.append((time.perf_counter() - begin, cell.source.strip().splitlines()[0]))
        found = Measured(sum(s for s, _ in times), processor_seconds(pid), peak_megabytes(pid), sorted(times)[:-4:-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labs", nargs="*", type=Path, help="notebooks  [default: all labs]")
    print("| lab | wall, s | processor, s | peak memory, MB | slowest cells |\n|---|---|---|---|---|")
    for path in parser.parse_args().labs or sorted(LABS.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as cache:
            os.environ["XDG_CACHE_HOME"] = cache
            found = measure(path)
        slowest = "; ".join(f"{seconds:.0f} s `{line[:60]}`" for seconds, line in found.slowest)
        load = os.getloadavg()[0]
        row = f"| {path.stem} | {found.seconds:.0f} | {found.processor:.0f} | {found.megabytes:.0f} | {slowest} |"
        print(row, f"<!-- load {load:.1f} -->", flush=True)


if __name__ == "__main__":
    main()
