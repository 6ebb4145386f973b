"""What decoding by whole layers gains over the paper's loops, and what AlexNet's conv5 takes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import cnnexplore as cx

sys.path.append(str(Path(__file__).parents[1] / "decoding"))
import literal_decoding as literal

# The largest memory of a fresh process with the network loaded, then with conv5 decoded, in bytes.
PEAK = """
import resource, sys, time, torch
import cnnexplore as cx
torch.set_num_threads(2)
unit = 1 if sys.platform == "darwin" else 1024
net = cx.load({path!r}, device="cpu")
net.layers
before = unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.perf_counter()
assert cx.decode(net, "conv5").filters.shape == (256, 3, 163, 163)
print(before, unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter() - began)
"""


def test_all_of_lenets_layer_5_over_five_by_the_papers_loops(report):
    net = cx.load("lenet", device="cpu")
    conv1, conv2, conv3 = (net.module.get_submodule(f"conv{k}").weight.detach().double().numpy() for k in (1, 2, 3))
    pool = literal.Pool((2, 2), (2, 2))
    layers = [literal.Conv(conv1), pool, literal.Conv(conv2), pool, literal.Conv(conv3)]
    shapes = [(1, 28, 28), (20, 24, 24), (20, 12, 12), (50, 8, 8), (50, 4, 4), (500, 1, 1)]
    fast = []
    for _ in range(5):
        began = time.perf_counter()
        filters = cx.decode(net, "conv3", progress=False).filters
        fast.append(time.perf_counter() - began)
    began = time.perf_counter()
    five = [literal.filter_decoding(layers, shapes, unit, "bilinear")[0] for unit in range(5)]
    slow = time.perf_counter() - began
    assert np.allclose(filters[:5], np.stack(five), atol=1e-5)
    quick = sorted(fast)[2]
    report("500 decoded / 5 by loops", f"{quick:.2f} s over {slow:.1f} s", quick / slow, "<= 0.1")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not report the largest memory of a process this way")
def test_all_of_alexnets_conv5_in_less_than_2_gigabytes(shared, report):
    path = str(shared / "weights" / "alexnet-imagenette.safetensors")
    done = subprocess.run([sys.executable, "-c", PEAK.format(path=path)], capture_output=True, text=True, check=True)
    before, peak, seconds = map(float, done.stdout.split())
    how = f"in {seconds:.1f} s; {before / 1e9:.2f} GB before"
    report("peak GB, AlexNet's conv5 decoded", how, peak / 1e9, "<= 2")
