"""What dissection costs over bare passes, and the time and memory of 10,000 scenes.

The cost is measured on images and masks in memory, and on scenes that both sides draw; dissection reads a block of
images ahead.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import cnnexplore as cx

# Seconds, and the largest memory of a fresh process with the network loaded and then with a layer dissected, in bytes.
TEN_THOUSAND = """
import resource, sys, time, torch
import cnnexplore as cx
torch.set_num_threads(2)
unit = 1 if sys.platform == "darwin" else 1024
net = cx.load("worldnet", device="cpu")
cx.dissect(net, "conv5", cx.world.dataset({warm}), cache=False, progress=False)
before = unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.perf_counter()
cx.dissect(net, "conv5", cx.world.dataset({count}, seed=1), cache=False, progress=False)
print(time.perf_counter() - began, before, unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


class InMemory:
    """Images with masks that are decoded already."""

    def __init__(self, data, count):
        self.pairs = [data.concepts(k) for k in range(count)]

    def __len__(self):
        return len(self.pairs)

    def concepts(self, index):
        return self.pairs[index]


@pytest.mark.parametrize("name", ["worldnet", "alexnet"])
def test_a_dissection_over_bare_forward_passes(name, request, shared, in_turn, report):
    if name == "worldnet":
        net, data = cx.load(name, device="cpu"), InMemory(cx.world.dataset(500, seed=1), 500)
    else:
        net, data = request.getfixturevalue(name), InMemory(cx.concept_images(shared / "data" / "coco128-seg"), 96)
    probe = net.probe("conv5")

    def bare():
        with torch.no_grad():
            for low in range(0, len(data), 16):
                probe(net.feed(torch.cat([net.pixels_of(image) for image, _ in data.pairs[low : low + 16]])))

    ours, plain = in_turn(lambda: cx.dissect(net, "conv5", data, cache=False, progress=False), bare, rounds=5)
    how = f"{len(data)} images in memory, {ours:.2f} s over {plain:.2f} s"
    report(f"dissection / bare passes, {name} conv5", how, ours / plain, "<= 1.2")


def test_drawn_scenes(in_turn, report):
    net, scenes = cx.load("worldnet", device="cpu"), cx.world.dataset(500, seed=1)
    probe = net.probe("conv5")

    def bare():
        with torch.no_grad():
            for low in range(0, len(scenes), 16):
                pictures = [scenes.concepts(k)[0] for k in range(low, min(low + 16, len(scenes)))]
                probe(net.feed(torch.cat([net.pixels_of(picture) for picture in pictures])))

    ours, plain = in_turn(lambda: cx.dissect(net, "conv5", scenes, cache=False, progress=False), bare, rounds=5)
    how = f"500 scenes, drawn on both sides, {ours:.2f} s over {plain:.2f} s"
    report("dissection / bare passes, drawn scenes", how, ours / plain, "<= 1.2")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not report the largest memory of a process this way")
def test_ten_thousand_scenes(report):
    code = TEN_THOUSAND.format(warm=500, count=10_000)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, before, peak = map(float, done.stdout.split())
    report("minutes, 10,000 scenes through conv5", "two threads, worldnet", seconds / 60, "<= 5")
    how = f"peak {peak / 1e9:.2f} GB; {before / 1e9:.2f} GB after 500"
    report("more MB, 10,000 scenes than 500", how, (peak - before) / 1e6, "<= 64")
