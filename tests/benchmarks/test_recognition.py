"""Recognition: pictures of the classes of one network, by each preset at equal steps, named by another network."""

from __future__ import annotations

import time

import numpy as np
import pytest

import cnnexplore as cx
from cnnexplore.evaluation import ranks_of
from cnnexplore.preimage import presets

STEPS, BATCH = 200, 5
DEFAULT = "natural"


def made(net, preset, labels, steps=STEPS):
    """The pictures of classes, and the seconds that they took."""
    begun, pictures = time.perf_counter(), []
    for first in range(0, len(labels), BATCH):
        some = labels[first : first + BATCH]
        found = cx.maximize(net, net.scores.name, some, preset=preset, steps=steps, progress=False)
        pictures += [one.picture for one in found]
    return pictures, time.perf_counter() - begun


def table(net, judges, labels, steps):
    """By preset: the ranks of the true classes in the eyes of each judge, and seconds per picture."""
    found = {}
    for preset in presets():
        pictures, seconds = made(net, preset, labels, steps[preset])
        ranks = [ranks_of(judge, pictures, labels) for judge in judges]
        found[preset] = ranks, seconds / len(labels)
        counts = "   ".join(
            f"{judge.name}: {int((r == 1).sum()):2d} top-1, {int((r <= 5).sum()):2d} top-5"
            for judge, r in zip(judges, ranks, strict=True)
        )
        print(f"{net.name:20s} {preset:10s} {steps[preset]:4d} steps {seconds / len(labels):6.1f} s   {counts}")
    return found


@pytest.mark.long
def test_classes_of_alexnet_in_the_eyes_of_squeezenet(alexnet, squeezenet, report):
    # MACO sees six images in a step, so that at the same number of steps it takes six times as long
    steps = dict.fromkeys(presets(), STEPS)
    found = table(alexnet, [squeezenet], alexnet.labels, steps)
    ranks = {name: one[0] for name, (one, _) in found.items()}
    seconds = {name: one for name, (_, one) in found.items()}
    best = ranks[DEFAULT]
    report("AlexNet -> SqueezeNet, top-1", f"of 20, {STEPS} steps", float((best == 1).sum()), ">= 14")
    report("AlexNet -> SqueezeNet, top-5", f"of 20, {STEPS} steps", float((best <= 5).sum()), ">= 19")
    report("time of natural", "over that of paper2016", seconds[DEFAULT] / seconds["paper2016"], "<= 1.3")
    assert all(np.log(best).mean() <= np.log(other).mean() for other in ranks.values())


@pytest.mark.long
def test_classes_of_photonet_in_the_eyes_of_others(alexnet, squeezenet, report):
    net = cx.load("photonet", device="cpu")
    found = table(net, [squeezenet, alexnet], net.labels, dict.fromkeys(presets(), STEPS))
    for k, judge in enumerate(("SqueezeNet", "AlexNet")):
        paper, ours = (found[name][0][k] for name in ("paper2016", DEFAULT))
        report(
            f"photonet -> {judge}, top-5",
            "of 10; over the paper's",
            float((ours <= 5).sum() - (paper <= 5).sum()),
            ">= 0",
        )
