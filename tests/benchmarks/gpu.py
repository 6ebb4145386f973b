"""Measures the engine on a GPU: python tests/benchmarks/gpu.py, from the checkout. It takes less than four minutes.

First the tests marked "gpu", which compare it with the CPU. Then, on torchvision's networks with random weights: a
step over a forward and backward pass alone, captured in a CUDA graph; live steps per second; all units of a layer;
what lower precision and another memory layout give, with the energy that is reached; and each preset once. Needs torch,
torchvision, numpy, scipy, scikit-learn, scikit-image, matplotlib, pytest and hypothesis, and no file from outside the
checkout. CNNEXPLORE_GPU_DEVICE=cpu tries it on small images without a GPU.
"""

from __future__ import annotations

import argparse
import copy
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # without an installation

import numpy as np
import torch

import cnnexplore as cx
from cnnexplore.preimage import presets
from cnnexplore.preimage.captures import FIRST, Captures, graphs_on

CHECKOUT = Path(__file__).parents[2]
RATIOS = [
    ("squeezenet1_1", "fire9"),
    ("vgg16", "relu5_3"),
    ("alexnet", "pool5"),
    ("resnet50", "layer4.2.relu:3"),
]
BARS = {1: 1.5, 32: 1.2}  # of a step over a bare pass, by the size of the batch
STEPS = 1_000_000  # a run that does not end while it is timed


@cache
def loaded(name: str) -> cx.Network:
    """A network with random weights on the CPU; to draw them takes seconds."""
    return cx.load(name, weights="random", device="cpu")


@dataclass(frozen=True)
class Machine:
    """Where is measured, and how much.

    Attributes
    ----------
    device : str
        The GPU, or "cpu" for a try on small images.
    seconds : float
        How long each of two sides is timed.
    """

    device: str
    seconds: float

    @property
    def is_gpu(self) -> bool:
        """Whether it is not the try on the CPU."""
        return self.device != "cpu"

    def choose(self, full, small):
        """The first on a GPU, the second in the try."""
        return full if self.is_gpu else small

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self.is_gpu:
            torch.cuda.synchronize()

    def net(self, name: str, dtype: torch.dtype = torch.float32) -> cx.Network:
        """A network with random weights of a number type."""
        known = loaded(name)
        module = copy.deepcopy(known.module).to(self.device, dtype)
        return cx.Network(module, size=self.choose(known.size, (64, 64)), pixels=known.pixels, labels=known.labels)

    def each_milliseconds(self, *calls: Callable[[], object], rounds: int = 5) -> list[float]:
        """The median times of calls that take turns."""
        rounds = self.choose(rounds, 1)
        found: list[list[float]] = [[] for _ in calls]
        for _ in range(rounds):
            for call, times in zip(calls, found, strict=True):
                many, begin = 0, time.perf_counter()
                while not many or time.perf_counter() - begin < self.seconds / rounds:
                    for _ in range(self.choose(10, 1)):
                        call()
                        many += 1
                    self.wait()
                times.append(1e3 * (time.perf_counter() - begin) / many)
        return [float(np.median(times)) for times in found]


def tests(options: list[str], limit: float) -> int:
    """The exit status of the tests marked "gpu", which are ended after some seconds."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "tests/gpu", "-n", "0", "-p", "no:cacheprovider", "-q"]
    paths = os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": paths}
    try:
        return subprocess.run([*command, *options], cwd=CHECKOUT, env=environment, timeout=limit).returncode
    except subprocess.TimeoutExpired:
        print(f"the tests were ended after {limit:g} s; pytest -m gpu tests/gpu runs all of them.", flush=True)
        return 0


def picture(net: cx.Network) -> np.ndarray:
    """A photograph, smooth and with edges, from no file."""
    generator = np.random.default_rng(0)
    coarse = torch.from_numpy(generator.uniform(0, 255, (1, 3, 9, 9))).float()
    fine = torch.nn.functional.interpolate(coarse, net.size, mode="bicubic")[0].clamp(0, 255)
    fine[:, net.size[0] // 3 : net.size[0] // 2] = 40
    return fine.permute(1, 2, 0).byte().numpy()


def inversion(net: cx.Network, layer: str, batch: int = 1, steps: int = STEPS) -> cx.Inversion:
    return cx.Inversion(net, picture(net), layer, steps=steps, refine=0, seed=list(range(batch)))


def bare_pass(net: cx.Network, layer: str, run: cx.Inversion) -> Callable[[], object]:
    """A forward and backward pass of a run's images, captured where graphs are."""
    probe, fed, name = net.probe(layer), net.feed(run.x), net.layers[layer].name

    def once():
        with torch.enable_grad():
            image = fed.detach().requires_grad_()
            activation = probe(image)[name]
            (slope,) = torch.autograd.grad(activation, image, activation.detach())
        return (slope,), activation.detach()

    graphs = graphs_on(net.device)
    if isinstance(graphs, str):
        return once
    for _ in range(3):
        graphs.aside(once)
    return graphs.capture(once)[0]


def begun(run: cx.Inversion | cx.Maximization) -> cx.Inversion | cx.Maximization:
    """A run after its first steps, which are not captured."""
    for _ in range(run._approach + FIRST + 3 if run.net.device.type != "cpu" else 1):
        run.advance()
    return run


def ratios(machine: Machine) -> None:
    """A step, captured and not, over a captured bare pass."""
    print(f"\n{'milliseconds':<34}{'batch':>6}{'bare':>9}{'step':>9}{'ratio':>7}{'bar':>6}{'uncaptured':>12}  captured")
    for name, layer in machine.choose(RATIOS, RATIOS[:1]):
        net = machine.net(name)
        for batch in machine.choose((1, 32), (1, 2)):
            run, plain = inversion(net, layer, batch), inversion(net, layer, batch)
            plain._captures = Captures("it is compared with.")
            begun(run)
            begun(plain)
            bare, step, usual = machine.each_milliseconds(bare_pass(net, layer, run), run.advance, plain.advance)
            numbers = f"{bare:9.2f}{step:9.2f}{step / bare:7.2f}{BARS.get(batch, 0):6.1f}{usual:12.2f}"
            print(f"{name + ' ' + layer:<34}{batch:>6}{numbers}  {run.captured}", flush=True)


def live(machine: Machine) -> None:
    """Steps per second of VGG-16 while its picture is taken twenty times a second."""
    name, layer = machine.choose(("vgg16", "relu5_3"), RATIOS[0])
    run, shown = begun(inversion(machine.net(name), layer)), 0.0
    begin, steps = time.perf_counter(), 0
    while (now := time.perf_counter()) - begin < max(2 * machine.seconds, 0.01) or not steps:
        frame = run.advance()
        steps += 1
        if now - shown > 1 / 20:
            shown, _ = now, frame.picture
    machine.wait()
    speed = steps / (time.perf_counter() - begin)
    print(f"\nlive steps per second, {name} {layer}: {speed:.0f} (bar: 600)", flush=True)


def units(machine: Machine) -> None:
    """The time of one batch of units of AlexNet's conv5."""
    name, layer = machine.choose(("alexnet", "conv5"), RATIOS[0])
    net, count, steps = machine.net(name), *machine.choose((256, 200), (4, 3))
    for preset in ("paper2016", "natural"):
        run = cx.Maximization(net, layer, list(range(count)), steps=steps, M=1.0, preset=preset)
        machine.wait()
        begin = time.perf_counter()
        run.finish(progress=False)
        machine.wait()
        took = time.perf_counter() - begin
        print(f"{count} units of {name} {layer}, {steps} steps, {preset}: {took:.2f} s (bar: 2.5)", flush=True)


def energy(run: cx.Inversion, x: torch.Tensor) -> float:
    """The energy of images as a run of full precision has it."""
    values = run.settings.snapshot()
    priors = sum(float(prior(x, values, run.scale, torch.zeros_like(x)).sum()) for prior in run.priors)
    return values.C * float(run.data_term(x)[0].sum()) + priors


@contextmanager
def tf32(products: bool, convolutions: bool) -> Iterator[None]:
    """Whether float32 is rounded to TF32 in products of matrices and in convolutions."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if products else "highest")
    torch.backends.cudnn.allow_tf32 = convolutions
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def channels_last(net: cx.Network) -> cx.Network:
    """A network whose images lie in memory with channels last."""
    net.module.to(memory_format=torch.channels_last)
    vars(net)["memory_format"] = torch.channels_last
    return net


def precisions(machine: Machine) -> None:
    """What other number types and layouts cost, and the energy that they reach, evaluated in full float32."""
    steps = machine.choose(150, 2)
    print(f"\n{'precision':<44}{'ms, 1':>8}{'ms, batch':>11}{'energy / float32':>18}")
    for name, layer in machine.choose(RATIOS[:2], RATIOS[:1]):
        exact = inversion(machine.net(name), layer, steps=steps)
        first = None
        for kind, dtype, last, context in [
            ("float32", torch.float32, False, tf32(False, False)),
            ("torch's default", torch.float32, False, nullcontext()),
            ("TF32", torch.float32, False, tf32(True, True)),
            ("TF32, channels last", torch.float32, True, tf32(True, True)),
            ("bfloat16", torch.bfloat16, False, nullcontext()),
            ("bfloat16, channels last", torch.bfloat16, True, nullcontext()),
        ]:
            with context:
                net = machine.net(name, dtype)
                net = channels_last(net) if last else net
                run = inversion(net, layer, steps=steps)
                run.finish(progress=False)
                reached = energy(exact, run.x)
                first = reached if first is None else first
                pair = [begun(inversion(net, layer, batch)) for batch in machine.choose((1, 32), (1, 2))]
                each = machine.each_milliseconds(*(one.advance for one in pair), rounds=2)
            what = f"{name} {layer}, {kind}"
            print(f"{what:<44}{each[0]:8.2f}{each[1]:11.2f}{reached / first:18.4f}", flush=True)


def each_preset(machine: Machine) -> None:
    """Every preset once: its time and response."""
    name, layer = machine.choose(("alexnet", "fc8"), RATIOS[0])
    net, steps = machine.net(name), machine.choose(200, 2)
    print(f"\n{f'maximize {name} {layer} 3, {steps} steps':<44}{'seconds':>8}{'response':>11}  captured")
    for preset in presets():
        run = cx.Maximization(net, layer, 3, preset=preset, steps=steps, M=1.0)
        said = "no"
        begin = time.perf_counter()
        for _ in run.frames():
            said = run.captured
        response = run.result().response
        print(f"{preset:<44}{time.perf_counter() - begin:8.2f}{response:11.3f}  {said}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.6, help="how long each side of a comparison is timed")
    parser.add_argument("--tests", type=float, default=90, help="after how many seconds the tests are ended")
    parser.add_argument("--no-tests", action="store_true", help="time only")
    parser.add_argument("options", nargs="*", help="options of pytest, after --")
    options = parser.parse_args()
    device = os.environ.get("CNNEXPLORE_GPU_DEVICE") or ("cuda" if torch.cuda.is_available() else "")
    if not device:
        print("there is no CUDA device here; set CNNEXPLORE_GPU_DEVICE=cpu to try this without one.")
        return 1
    machine = Machine(device, options.seconds)
    if machine.is_gpu:
        print(torch.cuda.get_device_name(device), end=", ")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} CPU threads", flush=True)
    status = 0 if options.no_tests else tests(options.options, options.tests)
    for part in (ratios, live, units, precisions, each_preset):
        begin = time.perf_counter()
        part(machine)
        print(f"({time.perf_counter() - begin:.0f} s)", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
