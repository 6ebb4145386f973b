"""The training of the embedded AlexNets: folding, attacks, resuming from a checkpoint."""

import os

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cnnexplore as cx
from cnnexplore.errors import SettingError, WeightsError
from cnnexplore.zoo.architectures.alexnet import alexnet, photo_alexnet, world_alexnet
from cnnexplore.zoo.training import recipe as training

SMALL = {"widths": (4, 8, 8, 8, 6), "hidden": 12, "first": (7, 2, 3), "alpha": 1.0, "drop": 0.2}


@pytest.mark.parametrize("build", [world_alexnet, photo_alexnet, lambda: alexnet(3, **SMALL)])
def test_folding_changes_nothing(build):
    torch.manual_seed(0)
    plain = build()
    size = 128 if build is photo_alexnet else 96
    trained = training.trainee(plain)
    for _ in range(3):  # statistics other than the first ones
        trained(3 * torch.randn(8, 3, size, size) + 1)
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    plain = build().eval()
    plain.load_state_dict(training.folded(trained))
    x = torch.randn(4, 3, size, size)
    assert torch.allclose(plain[:-1](x), trained.eval()(x), rtol=1e-4, atol=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in trained.state_dict().items())


@pytest.mark.parametrize("steps", [1, 3])
def test_an_attack_stays_in_its_ball_and_raises_the_loss(steps):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(48, 4))
    x, labels = torch.rand(16, 3, 4, 4), torch.arange(16) % 4
    limits = (torch.zeros(3, 1, 1), torch.ones(3, 1, 1))
    moved = training.attack(module, x, labels, 0.5, steps, torch.Generator().manual_seed(0), limits)
    lengths = (moved - x).flatten(1).norm(dim=1)
    assert float(lengths.max()) <= 0.5 + 1e-5
    assert float(lengths.mean()) > 0.3
    assert float(moved.min()) >= 0
    assert float(moved.max()) <= 1
    noise = torch.randn(x.shape)
    noise = (x + 0.5 * noise / noise.flatten(1).norm(dim=1)[:, None, None, None]).clamp(0, 1)
    losses = [F.cross_entropy(module(at), labels).item() for at in (x, noise, moved)]
    assert losses[2] > max(losses[:2]) + 0.05
    assert all(p.grad is None for p in module.parameters())


def some_batches(epoch):
    generator = torch.Generator().manual_seed(epoch)
    for _ in range(100):
        labels = torch.randint(0, 3, (6,), generator=generator)
        yield torch.randn(6, 3, 96, 96, generator=generator) + labels.view(-1, 1, 1, 1), labels


def trained(recipe, checkpoint=None, batches=some_batches, after_step=None):
    torch.manual_seed(1)
    return training.fit(alexnet(3, **SMALL), batches, cx.Pixels("RGB"), recipe, checkpoint, after_step)


@pytest.mark.parametrize("eps", [0.0, 0.5])
def test_an_interrupted_training_ends_as_an_uninterrupted_one(tmp_path, eps):
    recipe = training.Recipe(epochs=4, steps=2, eps=eps, attacks=2, seed=3)
    whole, losses = trained(recipe)

    def stops_in_the_third_epoch(epoch):
        if epoch == 2:
            raise KeyboardInterrupt
        return some_batches(epoch)

    with pytest.raises(KeyboardInterrupt):
        trained(recipe, tmp_path / "c.checkpoint", stops_in_the_third_epoch)
    torch.rand(7)
    gone_on, after = trained(recipe, tmp_path / "c.checkpoint")
    assert after == losses
    assert all(torch.equal(whole[name], gone_on[name]) for name in whole)


def test_the_same_seed_gives_the_same_losses_and_another_seed_others():
    one, two, other = (trained(training.Recipe(1, 3, seed=seed))[1] for seed in (5, 5, 6))
    assert one == two
    assert one != other


def test_a_checkpoint_of_another_recipe_is_refused_and_kept(tmp_path):
    path = tmp_path / "c.checkpoint"
    trained(training.Recipe(1, 1), path)
    kept = path.read_bytes()
    with pytest.raises(WeightsError, match=r"no checkpoint of this training.*remove it"):
        trained(training.Recipe(2, 1), path)
    assert path.read_bytes() == kept
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(WeightsError, match="no checkpoint of this training"):
        trained(training.Recipe(1, 1), path)


@pytest.mark.parametrize("place", [0.3, 0.5, 0.7])
def test_a_checkpoint_with_a_changed_byte_is_refused(tmp_path, place):
    path = tmp_path / "c.checkpoint"
    trained(training.Recipe(1, 1), path)
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="no checkpoint of this training"):
        trained(training.Recipe(1, 1), path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "c.checkpoint")
    with pytest.raises(WeightsError, match="no file"):
        trained(training.Recipe(1, 1), tmp_path / "c.checkpoint")


def test_a_checkpoint_that_cannot_be_written_is_said_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    seen = []
    with pytest.raises(SettingError, match="cannot be written"):
        trained(training.Recipe(1, 1), tmp_path / "file" / "c.checkpoint", after_step=lambda *step: seen.append(step))
    assert seen == []

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(training.os, "replace", full)
    with pytest.raises(SettingError, match="No space left"):
        trained(training.Recipe(1, 1), tmp_path / "c.checkpoint")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"], "nothing half written stays"


def test_after_step_is_called_before_the_first_step_and_after_each():
    seen = []
    trained(training.Recipe(2, 2), after_step=lambda step, module: seen.append(step))
    assert seen == [0, 1, 2, 3, 4]
