"""The patch prior against its formula written out, and in runs: live, continued, remade."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.network import Pixels
from cnnexplore.preimage import Settings, Values
from cnnexplore.preimage.patch_prior import PatchPrior
from cnnexplore.preimage.priors import Scale
from cnnexplore.styles.patch_index import PatchIndex

SIDE = 24
SCALE = Scale(80, SIDE * SIDE)


def pictures(count, seed=0, channels=3):
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(count, SIDE, SIDE, channels)), (0, 2, 2, 0))
    return np.clip(128 + 45 * noise / noise.std(), 0, 255).astype(np.uint8)


def prior(order="RGB", coloured=False, count=1, **more):
    index = PatchIndex(pictures(3, channels=1 if order == "grey" else 3), 3, 8, rerank=10**6)
    pixels = Pixels(order)

    def matcher(picture):
        return index.match(picture, stride=5, count=count, original_colours=coloured)

    return PatchPrior(matcher, (SIDE, SIDE), pixels, coloured=coloured, **more), index, pixels


def energy(x, index, matches, pixels, coloured, deviation=60.0):
    """The mean over patches and numbers of || I~_p - D~_p ||^2, patch by patch in float64, for fixed matches."""
    total, numbers = 0.0, 0
    if coloured:
        seen = (x + torch.tensor(pixels.mean, dtype=x.dtype)[:, None, None]) / deviation
    else:
        mean, spread = x.mean((1, 2), keepdim=True), x.var((1, 2), keepdim=True, correction=0).sqrt()
        seen = (x - mean) / spread
    for (top, left), which in zip(matches.positions, matches.indices, strict=True):
        matched = torch.from_numpy(index.patches(which, original_colours=coloured).mean(0)).double().permute(2, 0, 1)
        matched = matched.flip(0) if pixels.order == "BGR" else matched
        away = seen[:, top : top + 8, left : left + 8] - matched / (deviation if coloured else 1)
        total, numbers = total + away.square().sum(), numbers + away.numel()
    return total / numbers


@pytest.mark.parametrize("order", ["RGB", "BGR", "grey"])
@pytest.mark.parametrize("coloured", [False, True])
@pytest.mark.parametrize("count", [1, 3])
def test_value_and_gradient_are_those_of_the_formula(order, coloured, count):
    """Also the part of the global normalisation, by automatic differentiation of the sum written out."""
    one, index, pixels = prior(order, coloured, count)
    x = torch.randn(2, pixels.channels, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) * 40 + 5
    gradient = torch.zeros_like(x)
    value = one(x, Values(PatchPrior.parameters, gamma=2.5), SCALE, gradient)
    for k in range(2):
        picture = x[k] + torch.tensor(pixels.mean)[:, None, None]
        picture = (picture.flip(0) if order == "BGR" else picture).permute(1, 2, 0).numpy()
        y = x[k].double().requires_grad_()
        matches = index.match(picture, stride=5, count=count, original_colours=coloured)
        written = 2.5 * energy(y, index, matches, pixels, coloured)
        (slope,) = torch.autograd.grad(written, y)
        assert float(value[k]) == pytest.approx(written.item(), rel=1e-4)
        assert torch.allclose(gradient[k].double(), slope, atol=1e-4 * float(slope.abs().max()))


def test_normalised_the_colours_as_a_whole_stay_free():
    one, *_ = prior()
    x = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) * 40
    gradient = torch.zeros_like(x)
    value = one(x, Values(PatchPrior.parameters, gamma=1), SCALE, gradient)
    assert torch.allclose(gradient.mean((2, 3)), torch.zeros(1, 3), atol=1e-7)
    again = one(
        x * torch.tensor([0.3, 2, 1]).view(1, 3, 1, 1) + 30,
        Values(PatchPrior.parameters, gamma=1),
        SCALE,
        torch.zeros_like(x),
    )
    assert torch.allclose(value, again, rtol=1e-4)


def test_without_weight_nothing_is_looked_for():
    one = PatchPrior(lambda picture: pytest.fail("looked"), (SIDE, SIDE), Pixels())
    gradient = torch.zeros(2, 3, SIDE, SIDE)
    assert one(torch.ones(2, 3, SIDE, SIDE), Values(PatchPrior.parameters), SCALE, gradient).tolist() == [0, 0]
    assert not gradient.any()
    assert one.warped() is None


def test_only_the_canvas_s_centre_is_drawn():
    one, *_ = prior()
    x = torch.randn(1, 3, SIDE + 5, SIDE + 5, generator=torch.Generator().manual_seed(1)) * 40
    gradient = torch.zeros_like(x)
    one(x, Values(PatchPrior.parameters, gamma=1), SCALE, gradient)
    inside = torch.zeros_like(x, dtype=torch.bool)
    inside[..., 2 : 2 + SIDE, 2 : 2 + SIDE] = True
    assert not gradient[~inside].any()
    assert (gradient[inside] != 0).float().mean() > 0.9


def test_descent_with_matches_looked_for_anew_goes_down():
    """Both halves of the alternation only ever lower the energy."""
    one, *_ = prior(coloured=True, every=3)
    x = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) * 40
    seen = []
    for _ in range(12):
        gradient = torch.zeros_like(x)
        seen.append(float(one(x, Values(PatchPrior.parameters, gamma=1), SCALE, gradient)))
        x = x - gradient * (x.numel() * 60**2 / 8)
    assert all(after <= before * (1 + 1e-5) for before, after in pairwise(seen))
    assert seen[-1] < 0.3 * seen[0]


def test_matches_hold_for_so_many_steps():
    one, *_ = prior(every=3)
    looked = []
    plain = one.matchers
    one.matchers = lambda picture: (looked.append(1), plain(picture))[1]
    x = torch.randn(2, 3, SIDE, SIDE) * 40
    for _ in range(7):
        one(x, Values(PatchPrior.parameters, gamma=1), SCALE, torch.zeros_like(x))
    assert len(looked) == 2 * 3  # two images; at steps 0, 3 and 6


@pytest.mark.parametrize("order", ["RGB", "BGR", "grey"])
def test_the_warped_picture_is_what_was_matched(order):
    one, _, pixels = prior(order, coloured=True)
    known = pictures(3, channels=pixels.channels)[1]
    x = pixels.encode(cx.network.read_image(known)[None])
    one.match(x)
    shown = one.warped()
    assert shown.shape == (1, SIDE, SIDE, 3)
    assert shown.dtype == np.uint8
    assert np.abs(shown[0].astype(int) - known).max() <= 60  # places of the estimate's grid that the index has not
    other, *_ = prior("RGB", coloured=False)
    other.match(torch.randn(1, 3, SIDE, SIDE) * 40)
    assert 100 < other.warped().mean() < 155


@pytest.fixture(scope="module")
def net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(3, 6, 5, 2, 2), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU(),
                               nn.Flatten(), nn.Linear(8 * 36, 4))  # fmt: skip
    return cx.Network(module, size=SIDE, pixels=cx.Pixels("RGB", (120, 110, 100), (1.5, 0.7, 1.2)))


@pytest.fixture(scope="module")
def patches(net):
    return cx.PatchDatabase(net, list(pictures(8)), "conv2", cache=False, progress=False).with_matching(
        k=3, size=7, stride=2
    )


IMAGE = pictures(9, seed=5)[8]


def test_an_inversion_with_patches_is_remade_by_its_code(net, patches):
    run = cx.Inversion(net, IMAGE, "conv2", steps=6, refine=2, patches=patches, gamma=3, init="patches")
    for frame in run.frames():
        assert set(frame.energies) == {"energy", "data", "alpha", "tv", "patches"}
        if frame.step == 3:
            run.settings.update(gamma=0.5)
    result = run.result()
    assert "gamma=3" in result.to_python()
    assert "patches=patches" in result.to_python()
    assert "init='patches'" in result.to_python()
    again = eval(result.to_python(), {"cx": cx, "net": net, "image": IMAGE, "patches": patches})
    assert torch.equal(again.x, result.x)
    assert (result.history["patches"] > 0).all()


def test_a_run_with_patches_goes_on_elsewhere_to_the_bit(net, patches):
    def begin():
        return cx.Inversion(net, IMAGE, "conv2", steps=9, refine=0, patches=patches)

    run, other = begin(), begin()
    for _ in range(4):
        run.advance()
    other.restore(run.state())
    for _ in range(3):
        assert torch.equal(run.advance().x, other.advance().x)


def test_a_batch_is_what_its_images_are_alone(net, patches):
    images = [IMAGE, pictures(1, seed=6)[0]]
    options = {"steps": 4, "refine": 0, "patches": patches, "gamma": 2, "progress": False}
    both = cx.invert(net, images, "conv2", **options)
    for image, one in zip(images, both, strict=True):
        assert torch.allclose(cx.invert(net, image, "conv2", **options).x, one.x, atol=1e-2)
    stacked = cx.invert(net, np.stack(images), "conv2", **options)  # not only the first one's patches
    assert all(torch.equal(a.x, b.x) for a, b in zip(stacked, both, strict=True))
    seeds = cx.invert(net, IMAGE, "conv2", seed=[0, 1], **options)
    assert torch.allclose(cx.invert(net, IMAGE, "conv2", seed=1, **options).x, seeds[1].x, atol=1e-2)


def test_a_weight_of_0_is_in_the_python(net, patches):
    made = cx.invert(net, IMAGE, "conv2", steps=2, refine=0, patches=patches, gamma=0, progress=False)
    again = eval(made.to_python(), {"cx": cx, "net": net, "image": IMAGE, "patches": patches})
    assert "gamma=0" in made.to_python()
    assert torch.equal(made.x, again.x)


def test_a_heavy_prior_brings_the_estimate_to_its_patches(net, patches):
    def distance(gamma):
        run = cx.Inversion(net, IMAGE, "conv2", steps=60, refine=0, patches=patches, gamma=gamma)
        list(run.frames())
        prior = run.more_priors[0]
        prior.match(run.x)
        return float(np.abs(prior.warped()[0].astype(float) - run.result().picture).mean())

    assert distance(1000) < 0.6 * distance(0)


def test_maximisation_draws_to_a_class_s_photographs(net):
    whole = cx.PatchDatabase(net, list(pictures(4)), progress=False, size=7, stride=3, every=5)
    run = cx.Maximization(net, "fc3", 1, steps=10, M=1.0, patches=whole, gamma=50, init=IMAGE)
    list(run.frames())
    result = run.result()
    again = eval(result.to_python(), {"cx": cx, "net": net, "patches": whole, "init": IMAGE})
    assert torch.equal(again.x, result.x)
    assert "patches" in result.history.dtype.names


def test_a_start_may_be_any_image(net):
    run = cx.Inversion(net, IMAGE, "conv2", init=pictures(1, seed=7)[0], jitter=1)
    assert np.array_equal(net.picture(run.x), pictures(1, seed=7)[0])


def test_wrong_input(net, patches, refused):
    refused(cx.SettingError, lambda: cx.Inversion(net, IMAGE, "conv2", gamma=1), "patches=")
    refused(cx.SettingError, lambda: cx.Inversion(net, IMAGE, "conv2", init="patches"), "patches=")
    refused(cx.SettingError, lambda: cx.Inversion(net, IMAGE, "conv2", patches=patches, gamma=-1), "gamma is -1")
    refused(cx.SettingError, lambda: prior(every=0), "every is 0")
    assert Settings(Values(PatchPrior.parameters, gamma=2)).gamma == 2
