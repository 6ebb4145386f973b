"""The training of worldnet on a few scenes: deterministic, resumable, with checkpoints."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

import cnnexplore as cx
from cnnexplore import world
from cnnexplore.zoo.readers import checkpoints
from cnnexplore.zoo.training import worldnet


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(worldnet, "BATCH", 8)
    monkeypatch.setattr(worldnet, "KEPT", (0, 1, 3))
    real = worldnet.accuracy
    monkeypatch.setattr(worldnet, "accuracy", lambda module, n, workers=None: real(module, 24, workers=workers))


def test_one_short_epoch_twice_gives_the_same(small, tmp_path):
    files = []
    for k in range(2):
        torch.rand(3 * k)
        out = tmp_path / f"{k}.safetensors"
        worldnet.train(out, epochs=1, steps=3, seed=2, workers=k)  # also from another process
        with safe_open(out, "pt") as file:
            files.append(
                (
                    file.metadata(),
                    {name: file.get_tensor(name) for name in file.keys()},  # noqa: SIM118
                )
            )
    assert files[0][0]["source"] == files[1][0]["source"]  # the losses are in it
    assert all(torch.equal(value, files[1][1][name]) for name, value in files[0][1].items())
    assert json.loads(files[0][0]["labels"]) == list(world.CLASSES)


def test_checkpoints_are_whole_networks_and_ship_as_their_convolutions(small, tmp_path):
    out, folder = tmp_path / "mine.safetensors", tmp_path / "kept"
    worldnet.train(out, epochs=2, steps=2, seed=2, checkpoints=folder, workers=0)
    assert sorted(path.name for path in folder.iterdir()) == [f"worldnet-{k}.safetensors" for k in (0, 1, 3)]
    whole = cx.load(folder / "worldnet-1.safetensors", device="cpu")
    assert len(whole.predict(world.scene(1).image)) == 5
    file = tmp_path / "mine-history.safetensors"
    assert checkpoints.steps(file) == [0, 1, 3]
    part = checkpoints.read_step(file, "worldnet", "1")
    assert list(part.layers)[-1] == "pool5"
    image = world.scene(3).image
    assert torch.equal(part.activations(image, "conv4"), whole.activations(image, "conv4"))


def test_training_goes_on_from_its_checkpoint(small, tmp_path):
    out = tmp_path / "a.safetensors"
    whole = worldnet.train(tmp_path / "whole.safetensors", epochs=2, steps=2, workers=0)
    original = world.dataset

    def dies(*args, **named):
        if (tmp_path / "a.checkpoint").exists():
            raise KeyboardInterrupt
        return original(*args, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "dataset", dies)
        with pytest.raises(KeyboardInterrupt):
            worldnet.train(out, epochs=2, steps=2, workers=0)
    assert not out.exists()
    assert worldnet.train(out, epochs=2, steps=2, workers=0) == whole
    one, two = (cx.load(file, device="cpu").module.state_dict() for file in (out, tmp_path / "whole.safetensors"))
    assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_the_kept_steps_begin_at_the_start():
    assert worldnet.KEPT[0] == 0
    assert len(worldnet.KEPT) >= 8
    assert list(np.unique(worldnet.KEPT)) == list(worldnet.KEPT)
    assert worldnet.KEPT[-1] <= 15 * worldnet.EPOCH
