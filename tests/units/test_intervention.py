"""Interventions against a forward pass that the test changes itself."""

import copy

import numpy as np
import pytest
import torch
from layouts import OTHERS, Plain, network

import cnnexplore as cx
from cnnexplore.units import Interventions

IMAGES = list(np.random.default_rng(0).integers(0, 256, (5, 24, 24, 3), dtype=np.uint8))
CHANGES = [(0.0, "set"), (2.5, "set"), (-1.0, "add"), (3.0, "scale"), ([1.0, -2.0], "set"), ([0.5, 4.0], "scale")]


def by_hand(net, units, value, how):
    """The scores of the plain module with a changed map."""
    module = network(Plain).module
    maps = module.mixed(net.feed(net.pixels_of(IMAGES)))
    value = torch.tensor(value).reshape(-1, 1, 1).expand(len(units), *maps.shape[2:])
    old = maps[:, units]
    maps[:, units] = {"set": value.expand_as(old), "add": old + value, "scale": old * value}[how]
    return module.fc(maps.relu().mean((2, 3))).detach().numpy()


@pytest.mark.parametrize("kind", OTHERS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(("value", "how"), CHANGES)
def test_scores_after_a_change(kind, value, how):
    net = network(kind)
    found = cx.intervene(net, IMAGES, "up", unit=[1, 4], value=value, how=how, batch=2, progress=False)
    assert np.allclose(found.after, by_hand(net, [1, 4], value, how), atol=1e-5)
    assert np.allclose(found.before, net.activations(IMAGES, net.scores.name).numpy(), atol=1e-6)
    assert np.allclose(found.effect("bee"), found.after[:, 1] - found.before[:, 1])
    assert found.flips == np.mean(found.before.argmax(1) != found.after.argmax(1))


def test_the_python_makes_it_again():
    net = cx.load("lenet")
    found = cx.intervene(net, cx.digit(3), "relu3", unit=[4, 7], value=2, how="add", progress=False)
    again = eval(found.to_python(), {"cx": cx, "image": cx.digit(3)})
    assert np.array_equal(found.after, again.after)
    assert not np.array_equal(found.after, found.before)


def test_the_module_stays_as_it_was():
    net = network(Plain)
    before = copy.deepcopy(net.module.state_dict())
    hooks = [len(part._forward_hooks) for part in net.module.modules()]
    cx.intervene(net, IMAGES[0], "stem", unit=0, progress=False)
    assert all(torch.equal(value, before[name]) for name, value in net.module.state_dict().items())
    assert hooks == [len(part._forward_hooks) for part in net.module.modules()]


def test_a_data_set_has_its_classes_and_a_picture():
    net = cx.load("worldnet")
    scenes = cx.world.dataset(6, seed=1)
    found = cx.intervene(net, scenes, "relu5", unit=[0, 1], progress=False)
    assert found.classes.tolist() == scenes.labels.tolist()
    assert found.picture.shape[2] == 3
    assert found.describe() == "relu5: 2 units (0, 1) set to 0"


def test_scores_that_do_not_depend_on_a_layer_are_refused(refused):
    class Side(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.fc = torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(4, 2)

        def forward(self, x):
            return self.fc(self.a(x).mean((2, 3))), self.b(x)

    net = cx.Network(Side().eval(), size=12, output=0)
    refused(cx.LayerError, lambda: Interventions(net, "b"), "not computed from")
    refused(cx.SettingError, lambda: cx.intervene(net, np.zeros((12, 12, 3), np.uint8), "a", unit=[0, 1],
                                                  value=[1.0, 2.0, 3.0]), "3 numbers for 2 units")  # fmt: skip
