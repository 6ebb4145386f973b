"""Galleries: the pictures that cx.maximize finds, of every unit of every layer, kept and gone on from."""

import inspect
import json

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.network import batch_size
from cnnexplore.preimage import maximization
from cnnexplore.units import gallery as module_of_gallery

SIDE = 12
QUIET = {"steps": 2, "progress": False}


@pytest.fixture(scope="module")
def net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(400, 3), nn.Softmax(1)
    return cx.Network(nn.Sequential(*layers), size=SIDE, pixels=cx.Pixels("RGB", std=(60.0,) * 3), labels=list("abc"))


@pytest.fixture
def made(monkeypatch):
    """Counts the units that are maximised."""
    seen = []
    run = maximization.maximize

    def counted(net, layer, unit, **options):
        seen.append((layer, list(unit)))
        return run(net, layer, unit, **options)

    monkeypatch.setattr(inspect.getmodule(module_of_gallery), "maximize", counted)
    return seen


def test_each_picture_is_the_one_of_maximize(net):
    found = cx.gallery(net, ["conv1", "fc2"], [2, 0], seed=3, batch=2, cache=False, **QUIET)
    assert found.units == {"conv1": [2, 0], "fc2": [2, 0]}
    for layer in found.layers:
        alone = cx.maximize(net, layer, [2, 0], seed=3, **QUIET)
        assert found.pictures[layer].dtype == np.uint8
        assert np.array_equal(found.pictures[layer], np.stack([one.picture for one in alone]))
        assert np.array_equal(found.responses[layer], np.float32([one.response for one in alone]))
    assert found.pictures["conv1"].shape == (2, 3, 3, 3)
    assert found.pictures["fc2"].shape == (2, SIDE, SIDE, 3)


def test_every_unit_of_every_layer_that_computes_something(net):
    found = cx.gallery(net, cache=False, **QUIET)
    assert found.units == {"conv1": [0, 1, 2, 3], "relu1": [0, 1, 2, 3], "fc2": [0, 1, 2]}
    assert len(found) == 11


def test_a_gallery_goes_on_where_it_was_stopped(net, tmp_path, made, monkeypatch):
    whole = cx.gallery(net, ["conv1", "fc2"], batch=2, cache=tmp_path / "whole", **QUIET)
    assert [units for _, units in made] == [[0, 1], [2, 3], [0, 1], [2]]
    made.clear()

    def stop(*_, **__):
        raise KeyboardInterrupt

    counted = inspect.getmodule(module_of_gallery).maximize
    calls = iter([counted, counted, counted])
    monkeypatch.setattr(
        inspect.getmodule(module_of_gallery), "maximize", lambda *given, **more: next(calls, stop)(*given, **more)
    )
    with pytest.raises(KeyboardInterrupt):
        cx.gallery(net, ["conv1", "fc2"], batch=2, cache=tmp_path / "cache", **QUIET)
    made.clear()
    monkeypatch.setattr(inspect.getmodule(module_of_gallery), "maximize", counted)
    again = cx.gallery(net, ["conv1", "fc2"], batch=2, cache=tmp_path / "cache", **QUIET)
    assert made == [("fc2", [2])]
    made.clear()
    assert cx.gallery(net, ["fc2"], batch=2, cache=tmp_path / "cache", **QUIET).units == {"fc2": [0, 1, 2]}
    assert made == []
    for layer in whole.layers:
        assert np.array_equal(again.pictures[layer], whole.pictures[layer])
        assert np.array_equal(again.responses[layer], whole.responses[layer])
    cx.gallery(net, ["fc2"], seed=1, batch=2, cache=tmp_path / "cache", **QUIET)
    assert len(made) == 2  # other settings are another gallery


def test_the_gallery_of_one_layer_and_its_python(net):
    found = cx.gallery(cx.load("lenet"), ["conv1", "conv4"], range(2), cache=False, **QUIET)
    assert found.to_python() == "cx.gallery(cx.load('lenet'), ['conv1', 'conv4'], [0, 1], steps=2)"
    one = found.of("conv4")
    assert one.layers == ["conv4"]
    assert one.pictures["conv4"] is found.pictures["conv4"]
    assert one.to_python() == f"{found.to_python()}.of('conv4')"
    assert one.of("conv4").to_python() == one.to_python()
    again = eval(one.to_python(), {"cx": cx})
    assert np.array_equal(again.pictures["conv4"], one.pictures["conv4"])


def test_a_unit_that_does_not_respond_is_called_silent(net):
    found = cx.gallery(net, ["conv1"], cache=False, **QUIET)
    found.responses["conv1"][:] = [0.5, 0, -1, 2]
    titles = [axis.get_title() for axis in found.plot().axes]
    assert titles == ["unit 0\n0.50 M", "unit 1\nsilent", "unit 2\nsilent", "unit 3\n2.00 M"]


def test_what_a_gallery_refuses(net, refused, tmp_path):
    call = lambda *given, **more: cx.gallery(net, *given, cache=False, **{**QUIET, **more})  # noqa: E731
    refused(cx.LayerNotFound, lambda: call("conv9"), "conv9")
    refused(cx.SettingError, lambda: call([]), "empty list")
    refused(cx.SettingError, lambda: call("fc2", 3), "units 0 to 2")
    refused(cx.SettingError, lambda: call("fc2", batch=0), "batch")
    refused(cx.SettingError, lambda: call("fc2", executor="threads"), "executor")
    refused(cx.LayerNotFound, lambda: call("fc2").of("conv1"), "the gallery has fc2")
    (tmp_path / "file").touch()
    refused(cx.SettingError, lambda: cx.gallery(net, "fc2", cache=tmp_path / "file", **QUIET), "cannot be written")


def test_on_a_gpu_the_units_of_a_batch_fill_the_memory(net, tmp_path, made, monkeypatch):
    monkeypatch.setattr(batch_size, "_on_gpu", lambda device: True)
    monkeypatch.setattr(batch_size, "_free_memory", lambda device: 100)
    monkeypatch.setattr(batch_size, "_memory_of", lambda device, one_pass: one_pass(4) and 4 * 25)
    found = cx.gallery(net, "conv1", cache=tmp_path, **QUIET)
    assert made[0] == ("conv1", [0, 1, 2, 3])  # what is measured
    assert [units for _, units in made[1:]] == [[0, 1], [2, 3]]
    header = json.loads(next(tmp_path.glob("*/blocks.jsonl")).read_text().splitlines()[0])[1]
    assert header["batch"] == 2
    assert len(found) == 4
