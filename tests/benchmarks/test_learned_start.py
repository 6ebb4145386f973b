"""Whether an optimised inversion that starts from the learned one is sooner where Algorithm 1 ends."""

from __future__ import annotations

import numpy as np
import pytest
from test_engine import energy

import cnnexplore as cx

MOST = 600


def steps_to(bar: float, net, image, layer: str, **options) -> int:
    """The steps until the energy is at most `bar`; MOST if it does not get there."""
    run = cx.Inversion(net, image, layer, steps=MOST, refine=0, **options)
    while run.step < MOST and energy(run) > bar:
        run.advance()
    return run.step


@pytest.mark.parametrize(("layer", "limit"), [("relu3", "<= 1"), ("pool5", ">= 0"), ("relu6", ">= 0")])
def test_from_the_learned_image_to_where_algorithm_1_ends(layer, limit, benchmark, report):
    """Steps from the learned image, over those from noise. Of deep layers only the figure is reported: no bar holds."""
    net, scenes = cx.load("worldnet", device="cpu"), cx.world.dataset(3, cx.world.HELD_OUT_SEED)
    found = []

    def race():
        for k in range(len(scenes)):
            image = scenes.scene(k).image
            old = cx.Inversion(net, image, layer, steps=300, refine=0, solver="adagrad")
            for _ in range(300):
                old.advance()
            bar = energy(old)
            found.append([steps_to(bar, net, image, layer, init="learned"), steps_to(bar, net, image, layer)])

    benchmark.pedantic(race, rounds=1)
    learned, noise = np.array(found).T
    how = f"{learned.tolist()} steps over {noise.tolist()}, {MOST} at most"
    report(f"from the learned image / from noise, {layer}", how, float(learned.mean() / noise.mean()), limit)
