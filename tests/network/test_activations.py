"""Codes: those of a plain forward pass, no deeper than asked, whatever a module does in place."""

import copy
import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cnnexplore as cx


def picture(side, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def same(activations, expected):
    """Equal up to the order of additions, which depends on the memory layout."""
    assert activations.shape == expected.shape
    return float((activations - expected).abs().max()) <= 1e-4 * float(expected.abs().max())


CALLS = []  # a copy of a module shares what its forward finds in the file


class Counted(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.name = name

    def forward(self, x):
        CALLS.append(self.name)
        return x + 1


@pytest.fixture
def counted():
    net = cx.Network(nn.Sequential(*(part for k in range(4) for part in (Counted(k), nn.Conv2d(3, 3, 3)))), size=24)
    assert len(net.layers) == 8  # traced here, where all of it runs
    CALLS.clear()
    return net


def test_nothing_runs_deeper_than_asked(counted):
    for layer, calls in (("0", [0]), ("conv1", [0]), ("conv2", [0, 1]), (["conv1", "conv3"], [0, 1, 2])):
        CALLS.clear()
        counted.activations(picture(24), layer)
        assert calls == CALLS
    CALLS.clear()
    run = cx.Inversion(counted, picture(24), "conv2", steps=3, refine=0)
    list(run.frames())
    assert CALLS == [0, 1] * 4  # the reference, and three steps
    CALLS.clear()
    counted.layers, counted.size, counted.device  # noqa: B018
    assert CALLS == []


def test_the_order_of_a_list_does_not_matter(counted):
    found = counted.activations(picture(24), ["conv3", "conv1"])
    assert list(found) == ["conv3", "conv1"]
    CALLS.clear()
    counted.activations(picture(24), ["conv3", "conv1"])
    assert CALLS == [0, 1, 2]


def by_hand(net, image, depth):
    """The plain module's activations after its first parts, fed a copy at every step."""
    x = net.pixels.feed(net.pixels_of(image))
    with torch.no_grad():
        for part in net.module[:depth]:
            x = copy.deepcopy(part).eval()(x.clone())
    return x


@pytest.fixture(scope="module")
def chain():
    """Batch normalisation and dropout in training mode, rectifiers in place."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.9),
            nn.Conv2d(4, 5, 3), nn.Hardtanh(-1, 1, inplace=True), nn.Flatten(), nn.Linear(5 * 12 * 12, 7),
        )  # fmt: skip
        module[2].running_mean.uniform_(-1, 1)
    return cx.Network(module, size=16, pixels=cx.Pixels("BGR", (1, 2, 3), (50, 60, 70)))


def test_codes_are_those_of_a_plain_pass(chain):
    assert chain.module.training
    names, image = list(chain.layers), picture(16)
    together = chain.activations(image, names)
    assert list(together) == names
    for depth, name in enumerate(names, 1):
        expected = by_hand(chain, image, depth)
        assert same(chain.activations(image, name), expected)
        assert torch.equal(chain.activations(image, name), together[name])
    assert (together["conv1"] < 0).any()  # the rectifier behind it works in place
    assert together["fc3"].shape == (1, 7)
    assert not together["fc3"].requires_grad


def test_any_name_of_a_layer(chain):
    image = picture(16)
    found = chain.activations(image, ["5", "conv2"])
    assert list(found) == ["5", "conv2"]
    assert found["5"] is found["conv2"]
    assert torch.equal(chain.activations(image, "5"), found["conv2"])


def test_a_batch_is_its_images(chain):
    images = [picture(16, seed) for seed in range(3)]
    found = chain.activations(images, "conv2")
    assert found.shape == (3, 5, 12, 12)
    for image, activations in zip(images, found, strict=True):
        assert torch.allclose(chain.activations(image, "conv2")[0], activations, atol=1e-5)
    assert torch.equal(chain.activations(np.stack(images), "conv2"), found)


class Shared(nn.Module):
    """One rectifier for all, in place, its returned value not always used; a shared convolution; functions."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x, log=None):
        note = (lambda name, t: log.setdefault(name, t.detach().clone())) if log is not None else lambda name, t: None
        x = self.a(x)
        note("a", x)
        self.relu(x)
        note("relu", x)
        x.mul_(0.5).sub_(0.1)
        y = self.b(x)
        note("b", y)
        y = self.relu(y)
        note("relu:2", y)
        y += x
        z = self.b(y)
        note("b:2", z)
        z = F.relu_(z)
        note("relu_()", z)
        z.add_(1)
        z = F.avg_pool2d(z, 2)
        note("avg_pool2d()", z)
        z = F.relu(z - 1, inplace=True)
        note("relu()", z)
        z = torch.tanh(z)
        note("tanh()", z)
        z = self.head(z.mean((2, 3)))
        note("head", z)
        return z


@pytest.fixture(scope="module")
def tangled():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return cx.Network(Shared(), size=16)


def test_shared_modules_and_functions(tangled):
    image, log = picture(16), {}
    with torch.no_grad():
        tangled.module(tangled.pixels_of(image), log)
    paths = [layer.path for layer in tangled.layers.values()]
    assert paths == list(log)
    found = tangled.activations(image, paths)
    for path, expected in log.items():
        assert same(found[path], expected), path
        assert same(tangled.activations(image, path), expected), path


class Residual(nn.Module):
    """In place wherever autograd allows it."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.bn = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.relu(self.a(x))
        y = self.bn(self.b(x))
        y += x
        return F.avg_pool2d(self.relu(y), 2)


def test_gradients_through_what_works_in_place():
    """Against a plain pass that works nowhere in place."""
    net = cx.Network(Residual(), size=16)
    m = copy.deepcopy(net.module).eval()
    x = net.pixels_of(picture(16))
    plain, found = x.clone().requires_grad_(), x.clone().requires_grad_()
    r = m.a(plain).relu()
    b = m.bn(m.b(r))
    expected = {"a": m.a(plain), "relu": r, "bn": b, "relu:2": (b + r).relu()}
    expected["avg_pool2d()"] = F.avg_pool2d(expected["relu:2"], 2)
    for path, activations in expected.items():
        mine = net.probe("a", "bn", path)(found)[net.layers[path].name]
        assert torch.allclose(mine, activations, rtol=1e-4, atol=1e-4)
        slope = torch.rand_like(activations)
        (one,) = torch.autograd.grad(mine, found, slope)
        (other,) = torch.autograd.grad(activations, plain, slope, retain_graph=True)
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-4), path


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_0", "googlenet", "mobilenet_v3_small"])
def test_torchvisions_networks_agree_with_hooks_of_ones_own(name):
    net = cx.load(name, weights="random", device="cpu")
    net = cx.Network(net.module, size=64, pixels=net.pixels)
    image, expected, calls = picture(64), {}, {}
    plain = copy.deepcopy(net.module).eval()
    for path, part in plain.named_modules():

        def note(module, args, output, path=path):
            if isinstance(output, torch.Tensor):
                calls[path] = calls.get(path, 0) + 1
                key = path if calls[path] == 1 else f"{path}:{calls[path]}"
                expected[key] = output.clone()

        part.register_forward_hook(note)
    with torch.no_grad():
        plain(net.pixels.feed(net.pixels_of(image)))
    mine = [layer for layer in net.layers.values() if layer.site[0] == "module"]
    assert len(mine) > 20
    found = net.activations(image, [layer.path for layer in mine])
    for layer in mine:
        assert same(found[layer.path], expected[layer.path]), layer.path
        assert found[layer.path].shape[1] == layer.channels
        if found[layer.path].dim() == 4:
            assert found[layer.path].shape[2:] == layer.size


class NoReturn(nn.Module):
    """Overrides train() as people do, and forgets to return itself."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def train(self, mode=True):
        super().train(mode)

    def forward(self, x):
        return self.conv(x)


def test_a_module_whose_train_returns_nothing():
    assert cx.Network(NoReturn(), size=8).activations(picture(8), "conv1").shape == (1, 2, 6, 6)


def test_weight_normalised_modules():
    module = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 2, 3)), nn.ReLU())
    net = cx.Network(module, size=8)
    assert same(net.activations(picture(8), "conv1"), by_hand(net, picture(8), 1))


def test_a_network_takes_another_path(refused):
    class Fickle(nn.Module):
        """Does something else with a batch than with one image."""

        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 2, 3), nn.Conv2d(3, 2, 3)

        def forward(self, x):
            return self.a(x) if len(x) == 1 else self.b(x)

    net = cx.Network(Fickle(), size=8)
    refused(cx.NetworkError, lambda: net.activations([picture(8)] * 2, "conv1"), "'conv1'", "another path")


def test_probes_in_threads(chain):
    images = [picture(16, seed) for seed in range(4)]
    expected = [chain.activations(image, "fc3") for image in images]
    wrong = []

    def work(k):
        for _ in range(30):
            if not torch.equal(chain.activations(images[k], ["conv1", "fc3"])["fc3"], expected[k]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_cannot_be_asked(chain, refused):
    refused(cx.LayerNotFound, lambda: chain.activations(picture(16), "conv3"), "'conv3'")
    refused(cx.LayerNotFound, lambda: chain.activations(picture(16), ["conv1", "pool9"]), "'pool9'")
    refused(cx.SettingError, lambda: chain.activations(picture(16), []), "no layer")
    refused(cx.SettingError, lambda: chain.activations([], "conv1"), "at least one image")
    grey = cx.Network(chain.module, size=16, pixels=cx.Pixels("grey"))
    refused(cx.NetworkError, lambda: grey.activations(picture(16), "conv1"), "pixels=")


# predict


def scores(*values):
    class Fixed(nn.Module):
        def forward(self, x):
            return torch.tensor([values]) + 0 * x.flatten(1).sum(1, keepdim=True)

    return nn.Sequential(nn.Conv2d(3, 1, 1), Fixed())


def test_predict_is_a_softmax_of_the_scores():
    net = cx.Network(scores(1.0, 3.0, 2.0), size=8, labels=["a", "b", "c"])
    exps = [float(np.exp(v)) for v in (3, 2, 1)]
    found = net.predict(picture(8), k=2)
    assert [label for label, _ in found] == ["b", "c"]
    assert [p for _, p in found] == pytest.approx([e / sum(exps) for e in exps[:2]], rel=1e-5)
    assert len(net.predict(picture(8), k=50)) == 3
    assert [label for label, _ in cx.Network(scores(0.0, 1.0), size=8).predict(picture(8))] == ["class 1", "class 0"]


def test_predict_leaves_probabilities_as_they_are():
    module = nn.Sequential(*scores(1.0, 3.0, 2.0), nn.Softmax(1))
    (_, p), *_ = cx.Network(module, size=8).predict(picture(8))
    assert p == pytest.approx(float(np.exp(3) / (np.exp(1) + np.exp(2) + np.exp(3))), rel=1e-5)


def test_predict_refuses(refused):
    net = cx.Network(scores(1.0, 3.0), size=8)
    maps = cx.Network(nn.Sequential(nn.Conv2d(3, 2, 3)), size=8)
    refused(cx.NetworkError, lambda: maps.predict(picture(8)), "one score per class")
    refused(cx.NetworkError, lambda: net.predict([picture(8)] * 2), "of one image")
    short = cx.Network(scores(1.0, 3.0), size=8, labels=["only one"])
    refused(cx.NetworkError, lambda: short.predict(picture(8)), "2 scores", "1 label")
    for k in (0, -1, 2.5):
        refused(cx.SettingError, lambda k=k: net.predict(picture(8), k), f"k is {k}")
