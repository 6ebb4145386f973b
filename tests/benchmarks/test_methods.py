"""Attribution methods on photographs with outlines: SqueezeNet explains a class that is there. Prints the table."""

from __future__ import annotations

from functools import partial

import numpy as np

import cnnexplore as cx
from cnnexplore.evaluation import crop_mask

# ImageNet's numbers of what COCO calls by one name; things of COCO that ImageNet has not are left out.
SAME = {
    "bicycle": [444, 671], "car": [436, 468, 511, 609, 627, 656, 661, 717, 751, 817], "motorcycle": [665, 670],
    "airplane": [404, 895], "bus": [654, 779, 874], "train": [466, 547, 705, 820],
    "truck": [555, 569, 675, 717, 734, 864, 867], "boat": [472, 484, 554, 576, 625, 814, 914], "traffic light": [920],
    "stop sign": [919], "parking meter": [704], "bench": [703],
    "bird": [*range(7, 25), *range(80, 101), *range(127, 147)], "cat": list(range(281, 286)),
    "dog": list(range(151, 269)), "horse": [339], "sheep": [348, 349], "cow": [345], "elephant": [385, 386],
    "bear": list(range(294, 298)), "zebra": [340], "backpack": [414], "umbrella": [879], "bottle": [440, 737, 898, 907],
    "cup": [504, 968], "bowl": [659, 809], "banana": [954], "orange": [950], "broccoli": [937], "hot dog": [934],
    "pizza": [963], "couch": [831], "potted plant": [738], "dining table": [532], "tv": [664, 851],
    "laptop": [620, 681], "mouse": [673], "remote": [761], "keyboard": [508], "cell phone": [487], "microwave": [651],
    "refrigerator": [760], "clock": [409, 892], "vase": [883], "teddy bear": [850],
}  # fmt: skip


def truths(net, folder, count=None):
    """(image, target, mask): the likeliest class that is outlined on 2 to 60 % of what the network is shown."""
    found = []
    for image, masks in cx.annotated(folder):
        shown = {name: crop_mask(mask, net.size).mean() for name, mask in masks.items() if name in SAME}
        there = [name for name, area in shown.items() if 0.02 < area < 0.6]
        if there:
            scores = net.activations(image, net.scores.name).flatten()
            target, name = max(((k, name) for name in there for k in SAME[name]), key=lambda pair: scores[pair[0]])
            found.append((image, target, masks[name]))
    return found[:count]


def test_the_score_card(squeezenet, shared, benchmark, report):
    truth = truths(squeezenet, shared / "data" / "coco128-seg", 16)  # all of them: 20 minutes on one core
    options = {"smoothgrad": {"samples": 10}, "integrated_gradients": {"steps": 16}}
    methods = {m: partial(cx.attribute, method=m, **options.get(m, {})) for m in cx.attribution_methods()}
    card = benchmark.pedantic(lambda: cx.score(squeezenet, methods, truth=truth), rounds=1)
    print(f"\n{card}")
    rows = card["attributions"]
    best = max(rows[m]["average precision"] for m in methods)
    report("average precision, best method / random map", f"{len(truth)} photographs, SqueezeNet",
           best / rows["a random map"]["average precision"], ">= 1.5")  # fmt: skip
    assert np.isfinite(best)
