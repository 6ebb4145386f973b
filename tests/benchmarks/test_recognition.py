"""Recognition: pictures of the classes of one network, made with each preset, named by other networks.

MACO sees six images in a step: at the same number of steps it takes about six times as long, so that it is measured
twice, the second time with the steps that take about as long as those of the others.
"""

from __future__ import annotations

import time
from collections import defaultdict

import numpy as np
import pytest

import cnnexplore as cx
from cnnexplore.evaluation import ranks_of
from cnnexplore.preimage import presets

pytestmark = pytest.mark.long

STEPS, BATCH = 200, 5
DEFAULT, PAPER = "natural", "paper2016"
RUNS = [(preset, STEPS) for preset in presets()] + [("maco", STEPS // 6)]
FOUND: dict[tuple, dict[str, list]] = {}  # (network, preset, steps): by judge the ranks; the seconds of the pictures


def measured(net, judges, labels, preset, steps):
    """Make the pictures of some classes, and keep their ranks and the time."""
    kept = FOUND.setdefault((net.name, preset, steps), defaultdict(list))
    begun, pictures = time.perf_counter(), []
    for first in range(0, len(labels), BATCH):
        some = labels[first : first + BATCH]
        found = cx.maximize(net, net.scores.name, some, preset=preset, steps=steps, progress=False)
        pictures += [one.picture for one in found]
    kept["seconds"].append(time.perf_counter() - begun)
    for judge in judges:
        known = [k for k, label in enumerate(labels) if label in judge.labels]
        ranks = ranks_of(judge, [pictures[k] for k in known], [labels[k] for k in known])
        kept[judge.name] += ranks.tolist()


def counts(net, preset, steps, judge):
    """How many pictures there are, and the numbers of those whose class is the judge's first, and among five."""
    ranks = np.array(FOUND[net.name, preset, steps][judge.name])
    return len(ranks), float((ranks == 1).sum()), float((ranks <= 5).sum())


def table(net, judges):
    """Print the rows of a network."""
    for name, preset, steps in FOUND:
        if name == net.name:
            cells = []
            for judge in judges:
                total, first, five = counts(net, preset, steps, judge)
                cells.append(f"{judge.name}: {first:2.0f} top-1 and {five:2.0f} top-5 of {total}")
            seconds = sum(FOUND[name, preset, steps]["seconds"])
            print(f"{name} {preset:10s} {steps:4d} steps {seconds:7.1f} s   {'   '.join(cells)}")


@pytest.fixture(scope="module")
def photonets():
    return [cx.load(name, device="cpu") for name in ("photonet", "photonet-robust")]


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize(("preset", "steps"), RUNS)
def test_pictures_of_five_classes_of_alexnet(alexnet, squeezenet, photonets, preset, steps, part):
    labels = alexnet.labels[BATCH * part : BATCH * (part + 1)]
    measured(alexnet, [squeezenet, *photonets], labels, preset, steps)


@pytest.mark.parametrize(("preset", "steps"), RUNS)
def test_pictures_of_the_classes_of_photonet(alexnet, squeezenet, photonets, preset, steps):
    measured(photonets[0], [squeezenet, alexnet], photonets[0].labels, preset, steps)


def test_the_default_is_recognised_most_often(alexnet, squeezenet, photonets, report):
    wanted = [(alexnet.name, *run) for run in RUNS]
    if any(len(FOUND.get(one, {}).get(squeezenet.name, [])) < len(alexnet.labels) for one in wanted):
        pytest.skip("the pictures are made by the tests before, in one process: pytest -n 0 -m long")
    table(alexnet, [squeezenet, *photonets])
    _, first, five = counts(alexnet, DEFAULT, STEPS, squeezenet)
    report("AlexNet -> SqueezeNet, top-1", f"of 20, {STEPS} steps", first, ">= 14")
    report("AlexNet -> SqueezeNet, top-5", f"of 20, {STEPS} steps", five, ">= 19")
    seconds = [sum(FOUND[alexnet.name, name, STEPS]["seconds"]) for name in (DEFAULT, PAPER)]
    report("time of natural", "over that of paper2016", seconds[0] / seconds[1], "<= 1.3")
    for name, steps in RUNS:
        assert first >= counts(alexnet, name, steps, squeezenet)[1], (name, steps)


def test_photonets_classes_are_recognised_as_often_as_with_the_papers_method(alexnet, squeezenet, photonets, report):
    net = photonets[0]
    if (net.name, *RUNS[-1]) not in FOUND:
        pytest.skip("the pictures are made by the tests before, in one process: pytest -n 0 -m long")
    table(net, [squeezenet, alexnet])
    for judge in (squeezenet, alexnet):
        ours, paper = (counts(net, name, STEPS, judge)[2] for name in (DEFAULT, PAPER))
        report(f"photonet -> {judge.name}, top-5", "of 10; over the paper's", ours - paper, ">= 0")
