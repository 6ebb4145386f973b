"""bfloat16 only where a processor multiplies in it: elsewhere float32 is several times faster."""

import pytest
import torch
from torch import nn

from cnnexplore.zoo.training import recipe
from cnnexplore.zoo.training.precision import mixed_precision, multiplies_bfloat16

CPU = torch.device("cpu")
ASKED = "_is_avx512_bf16_supported", "_is_amx_tile_supported"


@pytest.fixture(params=[(), ASKED[:1], ASKED[1:]], ids=["neither", "avx512", "amx"])
def processor(request, monkeypatch):
    """A processor with these instructions; whether it has any."""
    for name in ASKED:
        monkeypatch.setattr(torch.cpu, name, lambda name=name: name in request.param, raising=False)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    return bool(request.param)


def test_the_forward_pass_has_the_processors_precision(processor):
    with mixed_precision(CPU):
        found = nn.Linear(4, 3)(torch.ones(2, 4))
    assert found.dtype == (torch.bfloat16 if processor else torch.float32)
    assert multiplies_bfloat16(CPU) == processor


def test_without_onednn_or_on_other_devices_there_is_none(processor, monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not multiplies_bfloat16(CPU)
    assert not multiplies_bfloat16(torch.device("mps"))


def test_an_older_pytorch_that_cannot_be_asked(processor, monkeypatch):
    for name in ASKED:
        monkeypatch.delattr(torch.cpu, name)
    assert not multiplies_bfloat16(CPU)


def test_an_attack_goes_up_in_both_precisions(processor):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5))
    x, labels = torch.randn(6, 3, 8, 8), torch.arange(6) % 5
    limits = torch.full((3, 1, 1), -9.0), torch.full((3, 1, 1), 9.0)
    moved = recipe.attack(module, x, labels, 1.0, 5, torch.Generator().manual_seed(0), limits)
    before, after = (nn.functional.cross_entropy(module(one), labels, reduction="none") for one in (x, moved))
    assert bool((after > before + 0.1).all())
    assert float((moved - x).flatten(1).norm(dim=1).max()) <= 1.0 + 1e-4
