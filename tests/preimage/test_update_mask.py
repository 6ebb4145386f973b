"""Update mask: a run changes only the pixels under it, to the bit, with any jitter, solver and settings."""

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.preimage import Run, Settings, Values
from cnnexplore.preimage.losses import InnerProduct

SIDE = 20
PARAMETERS = Run.parameters_for()


@pytest.fixture(scope="module")
def net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(3), nn.Flatten(), nn.Linear(4 * 36, 3))
    return cx.Network(module, size=SIDE, pixels=cx.Pixels("RGB", (120, 110, 100), (1.5, 0.7, 1.2)))


def begun(net, mask, jitter=3, count=1, **more):
    begin = torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) * 60
    weights = torch.eye(3)[:1].expand(count, 3)
    settings = Settings(Values(PARAMETERS, C=1e-2, jitter=jitter, rate=0.2))
    run = Run(
        net, "fc2", InnerProduct(weights, 1.0), settings, seeds=list(range(count)), init=begin, update_mask=mask, **more
    )
    return run, begin


HALF = np.zeros((SIDE, SIDE), bool)
HALF[5:, :12] = True


@pytest.mark.parametrize("solver", cx.solvers())
@pytest.mark.parametrize("jitter", [0, 4])
def test_only_pixels_under_the_mask_change(net, solver, jitter):
    run, begin = begun(net, HALF, jitter, steps=6, refine=3, solver=solver, schedule={3: {"jitter": 7}, 5: {"C": 3.0}})
    for frame in run.frames():
        assert torch.equal(frame.x[0][:, ~HALF], begin[0][:, ~HALF])
    moved = (run.x != begin)[0].all(0)
    assert float(moved[HALF].float().mean()) > 0.95
    again, _ = begun(net, HALF, jitter, steps=6, refine=3, solver=solver)
    again.restore(run.state())
    assert torch.equal(again.x, run.x)


def test_a_state_goes_on_with_another_jitter(net):
    run, begin = begun(net, HALF, 6, steps=8, refine=0)
    for _ in range(3):
        run.advance()
    other, _ = begun(net, HALF, 0, steps=8, refine=0)
    other.restore(run.state())
    for _ in range(3):
        run.advance()
        other.advance()
    assert torch.equal(run.x, other.x)
    assert torch.equal(other.x[0][:, ~HALF], begin[0][:, ~HALF])


def test_each_image_of_a_batch_has_its_own(net):
    masks = np.stack([HALF, ~HALF])
    run, begin = begun(net, masks, 4, count=2, steps=4, refine=0)
    list(run.frames())
    for k, one in enumerate(masks):
        assert torch.equal(run.x[k][:, ~one], begin[k][:, ~one])
        assert not torch.equal(run.x[k][:, one], begin[k][:, one])


def test_the_gradient_of_the_loss_is_weighted_by_the_mask(net):
    graded = np.linspace(0, 1, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
    run, begin = begun(net, graded, 0)
    plain, _ = begun(net, None, 0)
    values, weight = run.settings.snapshot(), torch.from_numpy(graded)
    whole = plain.energy(begin, values)[1]
    data = plain.data_term(begin)[1] * values.C
    expected = (whole - data + data * weight) * (weight > 0)
    assert torch.allclose(run.energy(begin, values)[1], expected, rtol=1e-4, atol=1e-9)


def test_a_mask_of_ones_changes_nothing(net):
    one, _ = begun(net, np.ones((SIDE, SIDE), bool), 4, steps=5, refine=2)
    other, _ = begun(net, None, 4, steps=5, refine=2)
    list(one.frames()), list(other.frames())
    assert torch.equal(one.x, other.x)


def test_what_cannot_be_gets_a_sentence(net, refused):
    refused(cx.SettingError, lambda: begun(net, HALF[1:]), "20 x 20", "(1, 19, 20)")
    refused(cx.SettingError, lambda: begun(net, np.zeros_like(HALF)), "no pixel")
    refused(cx.SettingError, lambda: begun(net, "all"), "mask")
    refused(cx.SettingError, lambda: begun(net, HALF * 2.0), "from 0 to 1")
    refused(
        cx.SettingError,
        lambda: Run(
            net, "fc2", InnerProduct(torch.eye(3)[:1], 1), Settings(Values(PARAMETERS)), seeds=[0], update_mask=HALF
        ),
        "noise",
    )
