"""Fine-tuning: it learns, what is frozen stays, a killed training goes on with the same bits."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx

SIDE = 12


def module(classes=3, ends=()):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.2),
            nn.Linear(24, 8), nn.ReLU(), nn.Linear(8, classes), *ends,
        )  # fmt: skip


def network(classes=3, ends=()):
    return cx.Network(module(classes, ends), size=SIDE, labels=list("abc")[:classes], name="tiny")


def images(n=60, classes=3):
    """Images whose class is their brightest colour."""
    random = np.random.default_rng(0)
    found = []
    for k in range(n):
        image = random.integers(0, 120, (SIDE, SIDE, 3), dtype=np.uint8)
        image[..., k % classes] += 100
        found.append((image, k % classes))
    return found


@pytest.mark.parametrize("ends", [(), (nn.Softmax(1),)])
def test_it_learns_and_leaves_the_module_alone(ends):
    net = network(ends=ends)
    before = copy.deepcopy(net.module.state_dict())
    found = cx.finetune(net, images(), epochs=8, rate=0.1, batch=8, progress=False)
    assert found.accuracies[-1] == 1
    assert found.accuracies[0] < 0.7
    assert found.losses[-1] < found.losses[0] / 2
    assert found.held_out == 12
    assert not found.new_scores
    assert found.before is net
    assert all(torch.equal(value, before[name]) for name, value in net.module.state_dict().items())
    assert net.module.training  # as it was given
    assert all(parameter.requires_grad for parameter in [*net.module.parameters(), *found.net.module.parameters()])
    assert found.net.predict(images()[1][0], 1)[0][0] == "b"
    assert found.picture.shape[2] == 3


def test_only_what_is_named_is_trained():
    net = network()
    found = cx.finetune(net, images(20), layers="fc2", epochs=2, progress=False)
    names = list(net.layers)
    assert found.trained == [name for name in names if name.startswith("fc")][-1:] or found.trained == ["fc2", "fc3"]
    changed = {
        name for name, value in found.net.module.state_dict().items()
        if not torch.equal(value, net.module.state_dict()[name])
    }  # fmt: skip
    assert changed == {"6.weight", "6.bias", "8.weight", "8.bias"}  # no statistics of the frozen normalisation either
    some = cx.finetune(net, images(20), layers=["conv1"], epochs=1, progress=False)
    assert some.trained == ["conv1"]
    assert torch.equal(some.net.module[8].weight, net.module[8].weight)


def test_a_checkpoint_of_each_epoch():
    found = cx.finetune(network(), images(), epochs=3, rate=0.1, batch=8, progress=False)
    nets = found.checkpoints
    assert list(nets) == ["before", "epoch 1", "epoch 2", "epoch 3"]
    last = nets["epoch 3"].module.state_dict()
    assert all(torch.equal(value, last[name]) for name, value in found.net.module.state_dict().items())
    assert not torch.equal(nets["epoch 1"].module[8].weight, last["8.weight"])
    through = cx.evolution(nets, "conv1", 2, images(9), progress=False)
    assert through.checkpoints == list(nets)


class Killed(Exception):
    pass


class Dying(list):
    """Images that end the training when one was asked for so many times."""

    left = 10**9

    def __getitem__(self, index):
        Dying.left -= 1
        if Dying.left < 0:
            raise Killed
        return super().__getitem__(index)


def test_a_killed_training_goes_on_with_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr("cnnexplore.zoo.training.finetune._MEMORY", 0)  # images are read again in each epoch
    options = {"epochs": 3, "rate": 0.1, "batch": 8, "seed": 4, "progress": False}
    data = Dying(images(40))
    Dying.left = 10**9
    straight = cx.finetune(network(), data, **options)
    kills = 0
    for life in range(20):
        Dying.left = 100 if life == 0 else 85
        try:
            resumed = cx.finetune(network(), data, folder=tmp_path, **options)
            break
        except Killed:
            kills += 1
    assert kills >= 2
    assert np.array_equal(resumed.losses, straight.losses)
    assert np.array_equal(resumed.accuracies, straight.accuracies)
    for name, value in straight.net.module.state_dict().items():
        assert torch.equal(value, resumed.net.module.state_dict()[name])
    Dying.left = 10**9
    with pytest.raises(cx.WeightsError, match="remove it to start again"):
        cx.finetune(network(), data, folder=tmp_path, **{**options, "rate": 0.2})


def test_other_classes_get_a_new_layer_of_scores(tmp_path):
    from PIL import Image

    for k, (image, label) in enumerate(images(40, 2)):
        folder = tmp_path / ("red", "green")[label]
        folder.mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"{k}.png")
    net = network()
    found = cx.finetune(net, tmp_path, layers="fc3", epochs=6, rate=0.3, batch=4, progress=False)
    assert found.new_scores
    assert found.net.labels == ["green", "red"]
    assert found.net.scores.channels == 2
    assert found.accuracies[-1] == 1
    assert net.labels == list("abc")
    assert net.module[8].out_features == 3
    other = cx.finetune(net, images(30), test=images(9), epochs=1, progress=False)
    assert other.held_out == 9


def test_the_worlds_own_classes_keep_their_scores():
    net = cx.load("worldnet", device="cpu")
    found = cx.finetune(net, cx.world.dataset(30, 1, 96, ["boat", "fish"]), layers="fc8", epochs=1, progress=False)
    assert found.net.labels == net.labels
    assert found.trained == ["fc8"]
    assert found.accuracies[0] > 0.9


def test_what_cannot_be_trained_is_refused(refused):
    net, data = network(), images(12)
    refused(cx.SettingError, lambda: cx.finetune(net, [image for image, _ in data], progress=False), "no labels")
    refused(cx.LayerError, lambda: cx.finetune(net, data, layers=["relu1"], progress=False), "no weights")
    refused(cx.LayerNotFound, lambda: cx.finetune(net, data, layers="fc9", progress=False))
    refused(cx.SettingError, lambda: cx.finetune(net, data[:1], progress=False), "at least two")
    refused(cx.SettingError, lambda: cx.finetune(net, data, test=[(data[0][0], 7)], progress=False), "up to 7")
    maps = cx.Network(nn.Sequential(nn.Conv2d(3, 4, 3)), size=SIDE)
    refused(cx.NetworkError, lambda: cx.finetune(maps, data, progress=False), "classifier")
    wild = network()
    with torch.no_grad():
        wild.module[8].weight.fill_(float("inf"))
    refused(cx.DivergedError, lambda: cx.finetune(wild, data, progress=False), "lower the rate")
