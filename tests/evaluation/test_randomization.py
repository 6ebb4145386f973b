"""The sanity check: what must change does, what cannot does not; similarities are those of their definitions."""

import copy
import csv
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

import cnnexplore as cx
from cnnexplore import world
from cnnexplore.evaluation import rank_correlation, sanity_methods, structural_similarity
from cnnexplore.evaluation.randomization import edges
from cnnexplore.network.random_weights import randomized_networks

IMAGES = list(np.random.default_rng(0).integers(0, 256, (3, 20, 20, 3), dtype=np.uint8))


def literal_rank_correlation(one, other):
    """Pearson's correlation of ranks, each value's the mean of the places that it shares."""

    def ranks(values):
        flat = [float(v) for v in np.abs(values).ravel()]
        return np.array([sum(w < v for w in flat) + (sum(w == v for w in flat) - 1) / 2 for v in flat])

    a, b = ranks(one), ranks(other)
    a, b = a - a.mean(), b - b.mean()
    return (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())


def literal_ssim(one, other):
    """Wang et al. 2004 over all windows of 7 x 7 pixels, with unbiased variances, of maps scaled to 0..1."""
    a, b = (np.abs(v) for v in (one, other))
    a, b = ((v - v.min()) / (v.max() - v.min()) for v in (a, b))
    found = []
    for i in range(a.shape[0] - 6):
        for j in range(a.shape[1] - 6):
            p, q = a[i : i + 7, j : j + 7].ravel(), b[i : i + 7, j : j + 7].ravel()
            both = ((p - p.mean()) * (q - q.mean())).sum() / 48
            top = (2 * p.mean() * q.mean() + 1e-4) * (2 * both + 9e-4)
            found.append(top / ((p.mean() ** 2 + q.mean() ** 2 + 1e-4) * (p.var(ddof=1) + q.var(ddof=1) + 9e-4)))
    return np.mean(found)


maps = arrays(np.float64, (9, 8), elements=st.integers(-9, 9).map(float))


@given(maps, maps)
def test_the_similarities_are_those_of_their_definitions(one, other):
    if np.ptp(np.abs(one)) == 0 or np.ptp(np.abs(other)) == 0:
        assert rank_correlation(one, other) == structural_similarity(one, other) == 0
        return
    assert rank_correlation(one, other) == pytest.approx(literal_rank_correlation(one, other), abs=1e-9)
    assert structural_similarity(one, other) == pytest.approx(literal_ssim(one, other), abs=1e-9)
    assert rank_correlation(one, -one) == pytest.approx(1)
    assert structural_similarity(one, -3 * one) == pytest.approx(1)


class Odd(nn.Module):
    """A convolution used twice, tied weights, batch normalisation, and a parameter of the outermost module."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.linspace(-1, 1, 20).view(1, 1, 1, 20))
        self.first = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.twice = nn.Conv2d(4, 4, 3, padding=1)
        self.head, self.tied = nn.Linear(4, 4), nn.Linear(4, 4)
        self.tied.weight = self.head.weight

    def forward(self, x):
        x = torch.relu(self.norm(self.first(x + self.shift)))
        x = torch.relu(self.twice(torch.relu(self.twice(x))))
        return self.tied(torch.relu(self.head(x.mean((2, 3)))))


@pytest.fixture
def odd():
    torch.manual_seed(0)
    module = Odd()
    module.norm.weight.data = torch.tensor([1.0, 2.0, 3.0, 4.0])
    module.norm.running_mean += torch.arange(4.0)
    return cx.Network(module, size=20, labels=list("abcd"), pixels=cx.Pixels(std=(50, 50, 50)))


def weights_of(module):
    return {name: p.detach().clone() for name, p in module.named_parameters(remove_duplicate=False)}


def test_weights_become_random_from_the_top_and_the_users_module_stays(odd):
    before = copy.deepcopy(odd.module.state_dict())
    trained = weights_of(odd.module)
    seen, changed = [], []
    for name, net in randomized_networks(odd, IMAGES, seed=3):
        assert all(
            np.array_equal(np.sort(a.numpy().ravel()), np.sort(trained[k].numpy().ravel()))
            for k, a in weights_of(net.module).items()
        )
        assert net.module.tied.weight is net.module.head.weight  # what was shared is shared
        seen.append(name)
        changed.append({k for k, a in weights_of(net.module).items() if not torch.equal(a, trained[k])})
        assert (net.size, net.pixels, net.labels) == (odd.size, odd.pixels, odd.labels)
    names = {layer.path.split(":")[0]: layer.name for layer in odd.layers.values()}
    order = [names.get(path, path) for path in ("tied", "head", "twice", "norm", "first")]
    assert seen == ["", *order, odd.name]
    new = [later - sooner for sooner, later in itertools.pairwise(changed)]
    assert new == [
        {"tied.weight", "head.weight", "tied.bias"},
        {"head.bias"},
        {"twice.weight", "twice.bias"},
        {"norm.weight"},
        {"first.weight", "first.bias"},
        {"shift"},
    ]  # fmt: skip  (all of the norm's biases are 0)
    assert all(torch.equal(value, before[name]) for name, value in odd.module.state_dict().items())
    assert odd.module.training
    assert not odd.module.norm._forward_pre_hooks


def test_batch_normalisation_divides_by_what_the_images_have_there(odd):
    x = odd.feed(odd.pixels_of(IMAGES))
    for name, net in randomized_networks(odd, IMAGES):
        module = net.module
        with torch.no_grad():
            values = module.first(x + module.shift).transpose(0, 1).flatten(1)
        if name in ("", "head"):
            assert torch.equal(module.norm.running_mean, odd.module.norm.running_mean)
    torch.testing.assert_close(module.norm.running_mean, values.mean(1))
    torch.testing.assert_close(module.norm.running_var, values.var(1))


def test_a_seed_gives_the_same_networks_and_another_one_others(odd):
    def last(seed):
        return [weights_of(net.module) for _, net in randomized_networks(odd, IMAGES, seed=seed)][-1]

    one, again, other = last(5), last(5), last(6)
    assert all(torch.equal(one[k], again[k]) for k in one)
    assert not torch.equal(one["twice.weight"], other["twice.weight"])


def test_a_map_of_the_image_stays_and_a_map_of_the_weights_goes(odd):
    weights = {"edges": edges, "weights": lambda net, image, target: net.module.first.weight.detach().numpy()[0, 0]}
    check = cx.sanity_check(odd, IMAGES, weights, progress=False)
    assert np.allclose(check.rank[0], 1)
    assert np.allclose(check.ssim[0], 1)
    assert np.allclose(check.rank[1, :-2], 1)  # until the first convolution is random, and the shift after it
    expected = [weights_of(net.module)["first.weight"].numpy()[0, 0] for _, net in randomized_networks(odd, IMAGES)][-1]
    assert check.rank[1, -1, 0] == pytest.approx(
        literal_rank_correlation(odd.module.first.weight.detach().numpy()[0, 0], expected)
    )


def test_the_first_point_is_the_trained_network_and_gradients_are_those_of_plain_torch(odd):
    check = cx.sanity_check(odd, IMAGES, ["gradient"], seed=2, progress=False)
    assert np.allclose(check.rank[:, 0], 1)
    target = int(odd.activations(IMAGES[1], odd.scores.name).argmax())
    found = []
    for module in (odd.module, [net.module for _, net in randomized_networks(odd, IMAGES, seed=2)][-1]):
        plain = copy.deepcopy(module).eval().requires_grad_(False)
        x = odd.feed(odd.pixels_of(IMAGES[1])).requires_grad_()
        plain(x)[0, target].backward()
        found.append(x.grad[0].abs().amax(0).numpy())
    assert check.rank[0, -1, 1] == pytest.approx(literal_rank_correlation(*found), abs=0.005)


def test_a_method_that_does_not_work_is_left_out_with_its_reason(odd, refused):
    flat = cx.Network(nn.Sequential(nn.Flatten(), nn.Linear(1200, 3)), size=20)
    check = cx.sanity_check(flat, IMAGES[:1], ["gradient", "gradcam"], progress=False)
    assert check.methods == ["gradient"]
    assert "map" in check.left_out["gradcam"]
    refused(cx.NetworkError, lambda: cx.sanity_check(flat, IMAGES[:1], ["gradcam"], progress=False), "no method works")
    refused(cx.SettingError, lambda: cx.sanity_check(odd, IMAGES, ["gradiant"]), "gradiant")
    wrong = {"mine": lambda net, image, target: np.zeros(3)}
    refused(cx.SettingError, lambda: cx.sanity_check(odd, IMAGES, wrong, progress=False), "mine")


def test_pictures_of_units_and_inversions_are_checked_too():
    net = cx.load("lenet")
    check = cx.sanity_check(net, [cx.digit(3)], ["invert", "maximize", "decode"], progress=False)
    assert np.allclose(check.rank[:, 0], 1)
    names = dict(zip(check.methods, check.rank[:, :, 0], strict=True))
    assert np.abs(names["maximize"][1:]).max() < 0.7
    assert np.abs(names["decode"][1:]).max() < 0.7
    assert names["invert"][-1] < 0.7
    below_the_scores = names["invert"][1]  # the layer that is inverted lies below them
    assert below_the_scores == pytest.approx(1)


def test_the_result_is_a_picture_a_table_and_its_python(odd, tmp_path):
    check = cx.sanity_check(odd, IMAGES, ["gradient", "guided_backprop"], progress=False)
    again = eval(check.to_python(), {"cx": cx, "net": odd, "images": IMAGES})
    assert np.array_equal(check.rank, again.rank)
    assert check.picture.ndim == 3
    check.save(tmp_path / "check.png")
    check.save(tmp_path / "check.csv")
    with open(tmp_path / "check.csv", newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == check.rank.size
    assert float(lines[4]["rank correlation"]) == check.rank[0, 1, 1]


@pytest.mark.slow
def test_the_card_has_the_published_order_on_worldnet():
    """Guided backprop hardly notices that the upper layers became random; the gradient and Grad-CAM do."""
    known = sanity_methods()
    names = ("gradient", "guided_backprop", "gradcam")
    card = cx.score(cx.load("worldnet"), randomized={name: known[name] for name in names}, n=8, progress=False)
    rows = card["random weights"]
    assert rows["the image's edges"] == pytest.approx(dict.fromkeys(rows["the image's edges"], 1))
    assert rows["guided_backprop"]["scores only"] > 0.9
    assert rows["gradient"]["scores only"] < 0.8
    assert abs(rows["gradcam"]["scores only"]) < 0.5
    assert rows["guided_backprop"]["upper half"] > rows["gradient"]["upper half"] + 0.2
    assert list(card["random weights"]) == [*names, "the image's edges"]
    assert set(world.CLASSES) <= set(cx.load("worldnet").labels)
