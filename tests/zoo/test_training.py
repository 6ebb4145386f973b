"""The recipes of the embedded AlexNets: folding, attacks, resuming, and the files that they write."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from torch import nn

import cnnexplore as cx
from cnnexplore.errors import ExploreError, WeightsError
from cnnexplore.zoo.architectures.alexnet import ResponseNorm, alexnet, photo_alexnet, world_alexnet
from cnnexplore.zoo.training import photonet
from cnnexplore.zoo.training import recipe as training

SMALL = {"widths": (4, 8, 8, 8, 6), "hidden": 12, "first": (7, 2, 3), "alpha": 1.0, "drop": 0.2}


@settings(deadline=None, max_examples=40)
@given(
    size=st.integers(1, 7),
    channels=st.integers(1, 9),
    beta=st.sampled_from([0.5, 0.75, 1.0]),
    k=st.sampled_from([1.0, 2.0]),
    seed=st.integers(0, 99),
)
def test_response_norm_is_torchs(size, channels, beta, k, seed):
    x = torch.randn(2, channels, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    x.requires_grad_()
    ours, peer = (kind(size, 0.7, beta, k)(x) for kind in (ResponseNorm, nn.LocalResponseNorm))
    assert torch.allclose(ours, peer, rtol=1e-12)
    weights = torch.arange(x.numel(), dtype=x.dtype).view(x.shape).cos()
    (a,), (b,) = (torch.autograd.grad(y, x, weights) for y in (ours, peer))
    assert torch.allclose(a, b, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(("build", "size"), [(world_alexnet, 96), (photo_alexnet, 128)])
def test_the_small_alexnets_have_the_shape_of_caffes(build, size):
    net = cx.Network(build(), size)
    published = cx.Network(alexnet(10, hidden=8), 227)
    assert list(net.layers) == list(published.layers)
    assert [layer.kind for layer in net.layers.values()] == [layer.kind for layer in published.layers.values()]
    assert net.layers["pool5"].size == (6, 6)


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


def test_after_step_is_called_before_the_first_step_and_after_each():
    seen = []
    trained(training.Recipe(2, 2), after_step=lambda step, module: seen.append(step))
    assert seen == [0, 1, 2, 3, 4]


def test_varied_photographs_are_parts_of_the_photograph():
    images = torch.zeros(64, 3, 160, 160)
    images[:] = torch.linspace(0, 255, 160)
    out = photonet.varied(images, torch.Generator().manual_seed(0))
    assert out.shape == (64, 3, 128, 128)
    assert 0 <= float(out.min()) <= float(out.max()) <= 255
    slopes = out.mean((1, 2))[:, 127] - out.mean((1, 2))[:, 0]
    assert 10 < int((slopes > 0).sum()) < 54  # about half are mirrored
    again = photonet.varied(images, torch.Generator().manual_seed(0))
    assert torch.equal(out, again)


@pytest.fixture
def few_photographs(monkeypatch):
    def photographs(root, split, download):
        rng = np.random.RandomState(0)
        labels = np.arange(128) % 10
        return rng.randint(0, 255, (128, 160, 160, 3), dtype=np.uint8), labels

    monkeypatch.setattr(photonet, "photographs", photographs)


def test_photonet_writes_a_file_that_describes_itself(few_photographs, tmp_path):
    out = tmp_path / "new" / "mine.safetensors"
    score = photonet.train("anywhere", out, robust=True, epochs=1, eps=0.7)
    with safe_open(out, "pt") as file:
        about = file.metadata()
    assert json.loads(about["labels"]) == list(photonet.LABELS)
    assert "--robust" in about["source"]
    assert "eps 0.7" in about["source"]
    assert f"{score:.4f}" in about["source"]
    net = cx.load(out, device="cpu")
    assert (net.size, net.pixels) == ((128, 128), photonet.PIXELS)
    images, labels = photonet.photographs("anywhere", "val", False)
    right = [net.predict(image, 1)[0][0] == net.labels[label] for image, label in zip(images, labels, strict=True)]
    assert np.mean(right) == score  # as a person would measure it


def test_without_the_data_a_sentence(tmp_path):
    with pytest.raises(ExploreError, match=r"Imagenette .* was not found under .*--download"):
        photonet.train(str(tmp_path), tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())
