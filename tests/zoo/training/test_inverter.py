"""The training of inverters: it learns, resumes to the same bytes, and measures what it wrote."""

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore import world
from cnnexplore.errors import SettingError
from cnnexplore.generators import read_inverter
from cnnexplore.zoo.training import inverter as training


def small_network(labels=None):
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 8, 5, 2, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(12 * 64, 20), nn.ReLU(), nn.Linear(20, 4),
    )  # fmt: skip
    return cx.Network(module, size=32, pixels=cx.Pixels("RGB", (137, 137, 123), (60, 60, 60)), labels=labels, name="m")


@pytest.fixture(autouse=True)
def _few_held_out(monkeypatch):
    monkeypatch.setattr(training, "HELD_OUT", 16)


@pytest.fixture(scope="module")
def images():
    scenes = world.dataset(80, 5, 32)
    return np.stack([scenes[k][0].numpy() for k in range(80)])


def recipe(loss, steps, **more):
    return training.Recipe(loss, steps, batch=8, width=6, hidden=16, **more)


def train(tmp_path, name, loss, steps, images, layer="relu2", **more):
    out = tmp_path / f"{name}.safetensors"
    training.train(small_network(), layer, out, recipe(loss, steps, **more), images, "command", progress=False)
    return out


@pytest.mark.parametrize(("layer", "steps", "reached"), [("relu2", 80, 0.8), ("relu3", 200, 0.95)])
def test_a_decoder_learns_images(tmp_path, images, layer, steps, reached):
    """After some passes its images are nearer than grey, whose error is 1, and than those of one step."""
    few, many = (
        read_inverter(train(tmp_path, f"a{count}", "pixel", count, images, layer)).errors["image"]
        for count in (1, steps)
    )
    assert many < reached < 0.98 < few


@pytest.mark.parametrize("loss", ["pixel", "feature", "adversarial"])
def test_an_interrupted_training_gives_the_same_bytes(tmp_path, images, loss, monkeypatch):
    whole = train(tmp_path, "whole", loss, 10, images)
    monkeypatch.setattr(training, "PAUSE", 0.0)  # a checkpoint after every step
    for stop in (3, 8):
        out, taken = tmp_path / "part.safetensors", []
        advance = training._Training.advance

        def stops(self, stop=stop, advance=advance, taken=taken):
            if self.step == stop:
                raise KeyboardInterrupt
            taken.append(self.step)
            advance(self)

        with monkeypatch.context() as changed:
            changed.setattr(training._Training, "advance", stops)
            with pytest.raises(KeyboardInterrupt):
                train(tmp_path, "part", loss, 10, images)
        assert taken
        assert taken[-1] == stop - 1
        assert not out.exists()
    torch.rand(5)  # another state of torch's own generator must not matter
    assert train(tmp_path, "part", loss, 10, images).read_bytes() == whole.read_bytes()
    assert train(tmp_path, "other", loss, 10, images, seed=1).read_bytes() != whole.read_bytes()


def test_a_checkpoint_of_other_settings_is_refused(tmp_path, images):
    train(tmp_path, "a", "pixel", 2, images)
    with pytest.raises(cx.ExploreError, match="is no checkpoint of this training"):
        train(tmp_path, "a", "pixel", 3, images)


def test_the_errors_are_those_of_the_file(tmp_path, images):
    """Measured again by a literal loop in float64, on the images that were left out."""
    net = small_network()
    found = read_inverter(train(tmp_path, "a", "pixel", 30, images))
    errors = {"image": [], "activation": []}
    for picture in images[-16:]:
        x = net.pixels_of(torch.from_numpy(picture))
        wanted = net.activations(torch.from_numpy(picture), "relu2")
        made = found.images(net, wanted)
        with torch.no_grad():
            again = net.probe("relu2")(net.feed(made))["relu2"]
        for name, a, b in (("image", made, x), ("activation", again, wanted)):
            errors[name].append(float((a.double() - b.double()).norm() / b.double().norm()))
    for name, values in errors.items():
        assert found.errors[name] == pytest.approx(np.mean(values), rel=2e-3)


def test_the_statistics_are_those_of_the_training_images(tmp_path, images):
    net = small_network()
    found = read_inverter(train(tmp_path, "a", "pixel", 1, images))
    rows = net.activations([torch.from_numpy(one) for one in images[:-16]], "relu2").double()
    mean, deviation = rows.mean((0, 2, 3)), rows.var((0, 2, 3), correction=0).sqrt()
    torch.testing.assert_close(found.statistics["mean"].double(), mean, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.statistics["deviation"].double(), deviation, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(found.statistics["upper"].double(), mean + 3 * deviation, rtol=1e-3, atol=1e-5)
    assert (found.statistics["lower"] == 0).all()  # nothing is negative after a ReLU
    linear = read_inverter(train(tmp_path, "b", "pixel", 1, images, "fc3"))
    mean, deviation = linear.statistics["mean"], linear.statistics["deviation"]
    rows = net.activations([torch.from_numpy(one) for one in images[:-16]], "fc3")
    never_negative = rows.amin(0) >= 0
    assert not never_negative.all()
    expected = torch.where(never_negative, torch.zeros_like(mean), mean - 3 * deviation)
    torch.testing.assert_close(linear.statistics["lower"], expected, rtol=1e-3, atol=1e-4)


def test_images_of_the_world_and_of_a_folder(tmp_path):
    from PIL import Image

    net = small_network(world.CLASSES[:4])
    scenes = training.training_images(net, None, 40, 0)
    assert scenes.shape == (40, 3, 32, 32)
    assert np.array_equal(scenes[7], world.dataset(40, training.FIRST_SEED, 32)[7][0].numpy())
    for k in range(34):
        Image.fromarray(scenes[k].transpose(1, 2, 0)).save(tmp_path / f"{k}.png")
    found = training.training_images(net, str(tmp_path), 100, 0)
    assert len(found) == 2 * (34 - 16) + 16  # mirrored, but for those that are left out
    assert np.array_equal(found[18], found[0][..., ::-1])
    known = {one.tobytes() for one in scenes}
    assert all(one.tobytes() in known for one in found[:18])
    with pytest.raises(SettingError, match="needs at least 32"):
        training.training_images(net, str(tmp_path), 20, 0)
    with pytest.raises(SettingError, match="give --data FOLDER"):
        training.training_images(small_network(["tench"]), None, 40, 0)


@pytest.mark.parametrize("content", [None, b"", b"no array", b"\x93NUMPY\x01\x00\x10\x00{'descr': '|O'}"])
def test_a_file_that_holds_no_images_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(SettingError, match=r"cannot be read .*expected a folder"):
        training.training_images(small_network(), str(tmp_path / "a.npy"), 40, 0)
