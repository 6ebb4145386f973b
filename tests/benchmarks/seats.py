"""What a seat of a session costs: `python tests/benchmarks/seats.py [--kernels 1 2 4 8] [--seats 30]`.

As many kernels as are named start on this machine, each with its own live inversion, as if all students of a group
pressed *start* at once; the figures for all seats are extrapolated from the largest group that was measured:

* memory: the resident size of a kernel, and its share of what kernels have in common (the mapped libraries),
* speed: steps per second of each kernel, and how unequal the kernels are,
* panels: the same with several runs in one kernel.

The machine should do nothing else meanwhile; its load before each measurement is printed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import threading
from pathlib import Path

from jupyter_client.manager import KernelManager

SETUP = """
import threading, time
import cnnexplore as cx
from cnnexplore.widgets.live.runner import Runner
net, image = cx.load("photonet", device="cpu"), cx.photograph("cat")
net.predict(image)
"""
RUNS = """
def measure(count, seconds):
    "Steps per second of each of `count` runs that go on at once, as panels do."
    runners = [Runner() for _ in range(count)]
    for k, runner in enumerate(runners):
        runner.begin(lambda k=k: cx.Inversion(net, image, "conv3", steps=10**6, seed=k))
    while any(runner.run is None or runner.run.step < 5 for runner in runners):
        time.sleep(0.05)
    before, begin = [runner.run.step for runner in runners], time.perf_counter()
    time.sleep(seconds)
    past = time.perf_counter() - begin
    steps = [(runner.run.step - first) / past for runner, first in zip(runners, before)]
    for runner in runners:
        runner.close()
    return steps
"""


class Kernel:
    """A kernel of its own with a network loaded."""

    def __init__(self, threads: int):
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(env=os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"})
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)
        self.pid = self.manager.provisioner.pid

    def run(self, code: str) -> str:
        """What the last line of some code gives, as text."""
        text: list[str] = []

        def keep(message: dict) -> None:
            content = message["content"]
            if message["msg_type"] == "execute_result":
                text.append(content["data"]["text/plain"])
            if message["msg_type"] == "error":
                raise RuntimeError("\n".join(content["traceback"]))

        self.client.execute_interactive(code, output_hook=keep, timeout=600)
        return text[-1] if text else ""

    def megabytes(self) -> tuple[float, float]:
        """Resident size, and the share of it when pages in common are divided among their users, in MB."""
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        found = {line.split(":")[0]: int(line.split()[1]) * 1024 / 1e6 for line in lines[1:] if line.endswith("kB")}
        return found["Rss"], found["Pss"]

    def end(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def all_at_once(kernels: list[Kernel], code: str) -> list[str]:
    """Run some code in all kernels at the same time."""
    found = [""] * len(kernels)

    def act(k: int) -> None:
        found[k] = kernels[k].run(code)

    threads = [threading.Thread(target=act, args=(k,)) for k in range(len(kernels))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernels", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--seats", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch in each kernel")
    parser.add_argument("--seconds", type=float, default=10)
    asked = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    kernels: list[Kernel] = []
    print(f"{cores} cores; {asked.threads} thread for each kernel; photonet, conv3")
    print("| kernels | load before | RSS of each, MB | PSS of each, MB | steps/s of each | slowest / fastest |")
    print("|---|---|---|---|---|---|")
    try:
        for count in asked.kernels:
            more = [Kernel(asked.threads) for _ in range(count - len(kernels))]
            all_at_once(more, SETUP + RUNS)
            kernels += more
            load = os.getloadavg()[0]
            speeds = [float(text.strip("[]")) for text in all_at_once(kernels, f"measure(1, {asked.seconds})")]
            sizes = [kernel.megabytes() for kernel in kernels]
            rss, pss = (statistics.mean(column) for column in zip(*sizes, strict=True))
            mean = statistics.mean(speeds)
            ratio = min(speeds) / max(speeds)
            print(f"| {count} | {load:.1f} | {rss:.0f} | {pss:.0f} | {mean:.1f} | {ratio:.2f} |", flush=True)
        together = sum(speeds)
        print(
            f"extrapolated to {asked.seats} seats: {asked.seats * rss / 1e3:.1f} GB resident, "
            f"{asked.seats * pss / 1e3:.1f} GB with shared pages counted once; all at once on c cores: "
            f"{together / cores / asked.seats:.2f} c steps/s each"
        )
        print("\n| panels in one kernel | steps/s of each | together |\n|---|---|---|")
        for kernel in kernels[1:]:
            kernel.end()
        del kernels[1:]
        for panels in (1, 2, 4):
            found = [float(one) for one in kernels[0].run(f"measure({panels}, {asked.seconds})").strip("[]").split(",")]
            print(f"| {panels} | {', '.join(f'{one:.1f}' for one in found)} | {sum(found):.1f} |", flush=True)
    finally:
        for kernel in kernels:
            kernel.end()


if __name__ == "__main__":
    main()
