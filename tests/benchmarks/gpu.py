"""Compares a GPU with the CPU, then times the engine on both: python tests/benchmarks/gpu.py, from the checkout.

First the tests marked "gpu", then steps per second of `invert` and `maximize` on torchvision's AlexNet and VGG-16 with
random weights. Needs torch, torchvision, numpy, scipy, scikit-learn, scikit-image, matplotlib, pytest and hypothesis,
and no file from outside the checkout. CNNEXPLORE_GPU_DEVICE=cpu tries it without a GPU.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # without an installation

import numpy as np
import torch

import cnnexplore as cx

CHECKOUT = Path(__file__).parents[2]


def tests(options: list[str]) -> int:
    """The exit status of the tests marked "gpu"."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "tests/gpu", "-n", "0", "-p", "no:cacheprovider", "-q"]
    paths = os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH")]))
    return subprocess.run([*command, *options], cwd=CHECKOUT, env={**os.environ, "PYTHONPATH": paths}).returncode


def steps_per_second(run: cx.Inversion | cx.Maximization, device: str, seconds: float) -> float:
    """How many steps of a run a second holds; the first steps, which choose algorithms, are not counted."""

    def advance(steps: int) -> None:
        for _ in range(steps):
            run.advance()
        if device != "cpu":
            torch.cuda.synchronize()

    many = 1 if device == "cpu" else 10
    advance(many)
    begin, steps = time.perf_counter(), 0
    while not steps or time.perf_counter() - begin < seconds:
        advance(many)
        steps += many
    return steps / (time.perf_counter() - begin)


def runs(net: cx.Network, inverted: str, maximised: str) -> Iterator[tuple[str, cx.Inversion | cx.Maximization]]:
    """What is timed, each with a name; one image and batches of eight."""
    image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    for batch in (1, 8):
        many = list(range(batch))
        what = f"{net.name} {inverted}, {batch} at once"
        yield f"invert {what}", cx.Inversion(net, image, inverted, steps=10_000, seed=many)
        what = f"{net.name} {maximised}, {batch} at once"
        yield f"maximize {what}", cx.Maximization(net, maximised, many, steps=10_000, M=1.0)


def timings(devices: list[str], seconds: float) -> None:
    """Print a table: what is run, and its steps per second on each device."""
    print(f"\n{'steps per second':<40}" + "".join(f"{name:>10}" for name in devices))
    for name, inverted, maximised in [("alexnet", "conv3", "conv5"), ("vgg16", "conv3_3", "conv5_3")]:
        nets = [cx.load(name, weights="random", device=device) for device in devices]
        for row in zip(*(runs(net, inverted, maximised) for net in nets), strict=True):
            speeds = [steps_per_second(run, device, seconds) for device, (_, run) in zip(devices, row, strict=True)]
            print(f"{row[0][0]:<40}" + "".join(f"{speed:10.1f}" for speed in speeds), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2, help="how long each run is timed")
    parser.add_argument("--no-tests", action="store_true", help="time only")
    parser.add_argument("options", nargs="*", help="options of pytest, after --")
    options = parser.parse_args()
    device = os.environ.get("CNNEXPLORE_GPU_DEVICE") or ("cuda" if torch.cuda.is_available() else "")
    if not device:
        print("there is no CUDA device here; set CNNEXPLORE_GPU_DEVICE=cpu to try this without one.")
        return 1
    if device != "cpu":
        print(torch.cuda.get_device_name(device), end=", ")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} CPU threads", flush=True)
    status = 0 if options.no_tests else tests(options.options)
    timings(list(dict.fromkeys([device, "cpu"])), options.seconds)
    return status


if __name__ == "__main__":
    sys.exit(main())
