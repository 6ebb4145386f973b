"""The training of LeNet on a few random images: the file that it writes; reproducible from its seed."""

import json

import pytest
import torch
from safetensors import safe_open

import cnnexplore as cx
from cnnexplore.zoo.training import lenet


@pytest.fixture
def fake_mnist(monkeypatch):
    """256 images to train on and 64 to test on: bright left halves are ones."""

    def mnist(root, train, download, pixels=lenet.PIXELS):
        generator = torch.Generator().manual_seed(int(train))
        count = 256 if train else 64
        x, labels = torch.rand(count, 1, 28, 28, generator=generator), torch.arange(count) % 2
        x[labels == 1, :, :, :14] += 1
        return x - 0.5, labels

    monkeypatch.setattr(lenet, "_mnist", mnist)


def test_training_writes_a_file_that_describes_itself(fake_mnist, tmp_path):
    out = tmp_path / "new folder" / "mine.safetensors"
    score = lenet.train("anywhere", out, epochs=10, seed=4)
    assert score > 0.9
    with safe_open(out, "pt") as file:
        about = file.metadata()
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118
    assert set(about) == {"architecture", "pixels", "input_size", "labels", "source", "license"}
    assert json.loads(about["labels"]) == list("0123456789")
    assert f"{score:.4f}" in about["source"]
    assert "--epochs 10 --seed 4" in about["source"]
    net = cx.load(out, device="cpu")
    assert net.pixels == lenet.PIXELS
    assert net.size == (28, 28)
    x, labels = lenet._mnist("anywhere", False, False)
    assert lenet.accuracy(net.module, x, labels) == score  # that of the weights as written


def test_the_smooth_one_decays(fake_mnist, tmp_path):
    """Same architecture and file; its unused filters shrink, and its pixels are -1 to 1."""
    lenet.train("anywhere", tmp_path / "a.safetensors", epochs=4, seed=1)
    lenet.train("anywhere", tmp_path / "b.safetensors", epochs=4, seed=1, smooth=True)
    usual, smooth = (cx.load(tmp_path / f"{name}.safetensors", device="cpu") for name in "ab")
    assert smooth.pixels == lenet.SMOOTH_PIXELS != usual.pixels
    assert smooth.module.conv1.weight.norm() < usual.module.conv1.weight.norm()
    assert smooth.module.conv3.weight.norm() < 0.5 * usual.module.conv3.weight.norm()
    with safe_open(tmp_path / "b.safetensors", "pt") as file:
        assert "lenet --smooth --epochs 4 --seed 1" in file.metadata()["source"]


def test_the_same_seed_gives_the_same_weights(fake_mnist, tmp_path):
    files = []
    for k, seed in enumerate((0, 0, 1)):
        torch.rand(k)  # whatever came before
        out = tmp_path / f"{k}.safetensors"
        lenet.train("anywhere", out, epochs=1, seed=seed)
        files.append(cx.load(out, device="cpu").module.state_dict())
    assert all(torch.equal(files[0][name], files[1][name]) for name in files[0])
    assert not all(torch.equal(files[0][name], files[2][name]) for name in files[0])


def test_shifted_digits_keep_their_ink_and_come_in_on_background():
    x = torch.zeros(40, 1, 28, 28) - lenet.PIXELS.mean[0] / lenet.PIXELS.std[0]
    background = float(x[0, 0, 0, 0])
    x[:, :, 10:18, 10:18] = 2.0
    moved = lenet._shifted(x, torch.Generator().manual_seed(0))
    assert moved.shape == x.shape
    places = set()
    for image in moved[:, 0]:
        ink = image == 2.0
        assert int(ink.sum()) == 64
        assert bool((image[~ink] == background).all())
        rows, columns = ink.any(1).nonzero().flatten(), ink.any(0).nonzero().flatten()
        assert len(rows) == len(columns) == 8
        places.add((int(rows[0]) - 10, int(columns[0]) - 10))
    assert {abs(v) for place in places for v in place} == {0, 1, 2}
    assert len(places) > 10


def test_accuracy():
    class Right(torch.nn.Module):
        def forward(self, x):
            return torch.nn.functional.one_hot(x.flatten(1)[:, 0].long(), 4).float()

    labels = torch.arange(1500) % 4
    x = labels.float()[:, None, None, None]
    x[:375] = (x[:375] + 1) % 4
    assert lenet.accuracy(Right(), x, labels) == 0.75


def test_an_interrupted_training_ends_with_the_same_bytes(fake_mnist, tmp_path, monkeypatch):
    lenet.train("anywhere", tmp_path / "whole.safetensors", epochs=3, seed=2)
    usual, steps = lenet._shifted, []

    def interrupted(x, generator):
        steps.append(1)
        if len(steps) in (2, 5):
            raise KeyboardInterrupt
        return usual(x, generator)

    monkeypatch.setattr(lenet, "_shifted", interrupted)
    out = tmp_path / "again.safetensors"
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            lenet.train("anywhere", out, epochs=3, seed=2)
        assert not out.exists()
    lenet.train("anywhere", out, epochs=3, seed=2)
    assert out.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    assert len(steps) == 2 + 3 + 4  # of two steps an epoch; what a checkpoint holds is not computed again
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_a_checkpoint_of_other_settings_is_not_resumed(fake_mnist, tmp_path, refused):
    out = tmp_path / "a.safetensors"
    lenet.train("anywhere", out, epochs=1, seed=2)
    refused(cx.WeightsError, lambda: lenet.train("anywhere", out, epochs=2, seed=2), "a.checkpoint", "epochs 1")
