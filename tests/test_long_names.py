"""Names of any length, from files or modules: a refusal stays one short sentence."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import cnnexplore as cx
from cnnexplore.errors import brief_list
from cnnexplore.widgets.panels.images import ImageChoices
from cnnexplore.zoo.architectures.build import fill

LONG = 5000 * "long\n"
MOST = 700  # characters of a sentence


@pytest.fixture(scope="module")
def net():
    """A network of 300 layers and 300 classes; one layer and the labels have names of 25,000 characters."""
    parts = [(f"layer{k}", nn.ReLU()) for k in range(300)]
    parts[7] = (LONG, nn.ReLU())
    parts += [("flat", nn.Flatten()), ("fc", nn.Linear(48, 300))]
    labels = [f"{k} {LONG}" for k in range(300)]
    return cx.Network(nn.Sequential(OrderedDict(parts)), size=(4, 4), labels=labels, name="long")


def short(refused, kind, call, *words):
    assert len(refused(kind, call, *words)) < MOST


def test_a_list_says_how_many_more_there_are():
    assert brief_list(["conv1", "fc 6"]) == "conv1, 'fc 6'"
    assert brief_list(range(5), 3) == "0, 1, 2 and 2 more"
    assert brief_list([]) == ""
    assert len(brief_list([LONG])) <= 80
    assert brief_list(["a"], quoted=True) == "'a'"
    assert len(brief_list([LONG] * 50)) < 300
    assert brief_list([LONG] * 50).endswith("more")


def test_layers_and_labels(net, refused):
    image = np.zeros((4, 4, 3), np.uint8)
    short(refused, cx.LayerNotFound, lambda: net.layers["conv9"], "and")
    short(refused, cx.LayerNotFound, lambda: net.layers["long\nlong\nlon"])
    for label in ("1", LONG, "0 long", "nothing of that name"):
        short(refused, cx.SettingError, lambda label=label: cx.maximize(net, "fc", label, steps=1, progress=False))
    short(refused, cx.ExploreError, lambda: cx.attribute(net, image, LONG[:-9]))
    short(refused, cx.ExploreError, lambda: cx.features(net, [image], "conv9", cache=False, progress=False))
    found = cx.features(net, [image] * 2, "flat", cache=False, progress=False)
    short(refused, cx.SettingError, lambda: found.of(LONG))


def test_tensors_of_a_file(tmp_path, refused):
    module = nn.Linear(2, 2)
    more = {f"{k}{LONG}": torch.zeros(1) for k in range(50)}
    short(refused, cx.WeightsError, lambda: fill(module, {**module.state_dict(), **more}, "a file"), " more")
    short(refused, cx.WeightsError, lambda: fill(module, more, "a file"), "missing")
    wide = nn.Sequential(OrderedDict([(LONG.replace("\n", " "), module)]))
    wrong = {name: torch.zeros(3) for name in wide.state_dict()}
    short(refused, cx.WeightsError, lambda: fill(wide, wrong, "a file"), "shape")
    about = {"architecture": LONG, "input_size": "4", "labels": '["a"]', "pixels": cx.Pixels("grey").to_json()}
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors", about)
    short(refused, cx.ExploreError, lambda: cx.load(tmp_path / "a.safetensors"), "architecture")


def test_an_image_of_a_panel(net, refused):
    images = {f"{k} {LONG}": np.zeros((4, 4, 3), np.uint8) for k in range(200)}
    short(refused, cx.ImageError, lambda: ImageChoices(images, net)[LONG], "more")
