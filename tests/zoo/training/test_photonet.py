"""The training of photonet on a few random images: its augmentation and the file that it writes."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

import cnnexplore as cx
from cnnexplore.zoo.training import photonet


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


@pytest.mark.slow
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
    assert np.mean(right) == score  # by net.predict


def test_without_the_data_a_sentence(tmp_path):
    with pytest.raises(cx.ExploreError, match=r"Imagenette .* was not found under .*--download"):
        photonet.train(str(tmp_path), tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())
