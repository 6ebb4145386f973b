"""What a module returns: the class scores, several outputs, and probabilities, against the module itself."""

from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cnnexplore as cx

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
Pair = namedtuple("Pair", "logits age")


@dataclass
class Answer:
    logits: torch.Tensor
    hidden: torch.Tensor | None = None


class Ending(nn.Module):
    """A small classifier whose output a function makes of its features, its scores and another head's."""

    def __init__(self, end, classes=5):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc, self.other = nn.Conv2d(3, 8, 3, 2), nn.Linear(8, classes), nn.Linear(8, 2)
        self.prototypes = nn.Parameter(torch.randn(8, classes))
        self.end = end

    def forward(self, x):
        maps = F.relu(self.conv(x))
        h = maps.mean((2, 3))
        return self.end(self, maps, h, self.fc(h))


def out(module, net):
    with torch.no_grad():
        return module(net.feed(net.pixels_of(IMAGE)))


PROBABILITIES = {
    "scores": (lambda m, maps, h, s: s, lambda y: y.softmax(1)),
    "a product with prototypes": (lambda m, maps, h, s: 10 * F.normalize(h) @ m.prototypes, lambda y: y.softmax(1)),
    "a temperature": (lambda m, maps, h, s: s / 7, lambda y: y.softmax(1)),
    "two heads, averaged": (lambda m, maps, h, s: (s + h @ m.prototypes) / 2, lambda y: y.softmax(1)),
    "a softmax": (lambda m, maps, h, s: s.softmax(1), lambda y: y),
    "a softmax with a temperature": (lambda m, maps, h, s: (s / 3).softmax(-1), lambda y: y),
    "a mean of softmaxes": (lambda m, maps, h, s: (s.softmax(1) + (h @ m.prototypes).softmax(1)) / 2, lambda y: y),
    "normalised by hand": (lambda m, maps, h, s: s.exp() / s.exp().sum(1, keepdim=True), lambda y: y),
    "a log-softmax": (lambda m, maps, h, s: F.log_softmax(s, 1), lambda y: y.exp()),
    "sigmoids": (lambda m, maps, h, s: torch.sigmoid(s), lambda y: y),
    "hard sigmoids": (lambda m, maps, h, s: F.hardsigmoid(s), lambda y: y),
    "log-sigmoids": (lambda m, maps, h, s: F.logsigmoid(s), lambda y: y.exp()),
    "a softmax, then reshaped": (lambda m, maps, h, s: s[:, :, None, None].softmax(1).flatten(1), lambda y: y),
    "a tuple of one": (lambda m, maps, h, s: (s,), lambda y: y[0].softmax(1)),
    "a dictionary of one": (lambda m, maps, h, s: {"logits": s, "loss": None}, lambda y: y["logits"].softmax(1)),
    "a data class": (lambda m, maps, h, s: Answer(s), lambda y: y.logits.softmax(1)),
}


@pytest.mark.parametrize("name", PROBABILITIES)
def test_probabilities_are_those_of_the_module(name):
    end, expected = PROBABILITIES[name]
    module = Ending(end).eval()
    net = cx.Network(module, 24)
    truth = expected(out(module, net))[0]
    found = net.predict(IMAGE, 5)
    assert [label for label, _ in found] == [f"class {k}" for k in truth.argsort(descending=True).tolist()]
    np.testing.assert_allclose([p for _, p in found], truth.sort(descending=True).values, rtol=1e-4, atol=1e-6)
    assert cx.attribute(net, IMAGE).target == int(truth.argmax())


@pytest.mark.parametrize("end", [lambda m, maps, h, s: s, lambda m, maps, h, s: s.sigmoid()])
def test_one_score(end):
    module = Ending(end, classes=1).eval()
    net = cx.Network(module, 24, labels=["tumour"])
    truth = out(module, net)[0, 0]
    truth = truth if net._output.ending == "sigmoid" else truth.sigmoid()
    assert net.predict(IMAGE) == [("tumour", pytest.approx(float(truth), rel=1e-5))]


def test_the_user_says_how_probabilities_are_made():
    module = Ending(lambda m, maps, h, s: s).eval()
    scores = out(module, cx.Network(module, 24))[0]
    for name, expected in {"sigmoid": scores.sigmoid(), "none": scores, "exp": scores.exp()}.items():
        found = dict(cx.Network(module, 24, probability=name).predict(IMAGE))
        np.testing.assert_allclose([found[f"class {k}"] for k in range(5)], expected, rtol=1e-5)
    with pytest.raises(cx.SettingError, match="probability is 'other'"):
        cx.Network(module, 24, probability="other")


SEVERAL = {
    "dictionary": (lambda m, maps, h, s: {"image": maps, "logits": s}, "logits", "'image' (1 x 8 x 11 x 11), 'logits'"),
    "tuple": (lambda m, maps, h, s: (s, m.other(h)), 0, "'0' (1 x 5), '1' (1 x 2)"),
    "named tuple": (lambda m, maps, h, s: Pair(s, m.other(h)), "logits", "'logits' (1 x 5), 'age' (1 x 2)"),
    "data class": (lambda m, maps, h, s: Answer(s, h), "logits", "'logits' (1 x 5), 'hidden' (1 x 8)"),
    "nested": (lambda m, maps, h, s: {"a": [m.other(h), s]}, "a.1", "'a.0' (1 x 2), 'a.1' (1 x 5)"),
    "the last head is not the classes": (lambda m, maps, h, s: (s, h @ m.prototypes), 1, "'0' (1 x 5), '1' (1 x 5)"),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_outputs_are_named_and_one_is_chosen(name):
    end, wanted, words = SEVERAL[name]
    module = Ending(end).eval()
    net = cx.Network(module, 24)
    assert "conv1" in net.layers
    for ask in (lambda: net.predict(IMAGE), lambda: cx.attribute(net, IMAGE), lambda: net.scores):
        with pytest.raises(cx.NetworkError) as caught:
            ask()
        assert words in str(caught.value)
        assert "output=" in str(caught.value)
    chosen = cx.Network(module, 24, output=wanted)
    result = out(module, chosen)
    for key in str(wanted).split("."):
        if isinstance(result, dict):
            result = result[key]
        else:
            result = result[int(key)] if key.isdigit() else getattr(result, key)
    label, p = chosen.predict(IMAGE, 1)[0]
    assert label == f"class {int(result.argmax())}"
    assert p == pytest.approx(float(result.softmax(1).max()), rel=1e-4)
    with pytest.raises(cx.NetworkError, match="output is 'nonsense'"):
        _ = cx.Network(module, 24, output="nonsense").scores


def test_a_module_that_returns_nothing_of_the_image_has_layers_but_no_scores():
    net = cx.Network(Ending(lambda m, maps, h, s: {"boxes": []}).eval(), 24)
    assert net.activations(IMAGE, "conv1").shape == (1, 8, 11, 11)
    with pytest.raises(cx.NetworkError, match="no class scores"):
        net.predict(IMAGE)


class Detector(nn.Module):
    """Describes the places of its map that are bright; where none is, its later layers are given nothing."""

    def __init__(self, above):
        super().__init__()
        self.conv, self.describe, self.above = nn.Conv2d(3, 4, 3, 2), nn.Linear(4, 2), above

    def forward(self, x):
        maps = F.relu(self.conv(x))
        found = maps.flatten(2).transpose(1, 2)[maps.amax(1).flatten(1) > self.above]
        levels = [found[found[:, 0] > found[:, 1]], found[found[:, 0] <= found[:, 1]]]
        return {"found": torch.cat([self.describe(level) for level in levels])}


def test_a_detector_that_finds_nothing_has_layers():
    torch.manual_seed(0)
    module = Detector(1e9).eval()
    net = cx.Network(module, size=24)
    assert list(net.layers) == ["conv1", "relu1"]
    with torch.no_grad():
        assert torch.allclose(net.activations(IMAGE, "conv1"), module.conv(net.pixels_of([IMAGE])), atol=1e-5)
    assert net.layers["relu1"].rf_size == (3, 3)
    with pytest.raises(cx.NetworkError, match="no class scores"):
        net.predict(IMAGE)


def test_a_detector_that_finds_something_has_further_layers():
    torch.manual_seed(0)
    net = cx.Network(Detector(-1.0).eval(), size=24)
    assert list(net.layers)[:4] == ["conv1", "relu1", "fc2", "fc3"]


class Regions(nn.Module):
    """Describes as many places of each image as it is bright, those of all images along the first axis."""

    def __init__(self):
        super().__init__()
        self.conv, self.describe, self.end = nn.Conv2d(3, 4, 3, 2), nn.Linear(4, 2), nn.Linear(4, 3)

    def forward(self, x):
        maps = F.relu(self.conv(x))
        found = [one.flatten(1).T[: 3 + int(image.mean() > 200)] for one, image in zip(maps, x, strict=True)]
        self.describe(torch.cat(found))
        return self.end(maps.mean((2, 3)))


def test_rows_whose_number_depends_on_the_image_are_refused():
    torch.manual_seed(0)
    net = cx.Network(Regions().eval(), size=24, pixels=cx.Pixels("RGB", (0.0,) * 3))
    dark, bright = np.full((24, 24, 3), 20, np.uint8), np.full((24, 24, 3), 220, np.uint8)
    listed = net.activations([dark, dark], "fc2")
    assert listed.shape[0] == 2
    for images, rows in ((bright, 4), ([bright, dark], 7)):
        with pytest.raises(cx.LayerError, match=f"fc2 has {rows} rows .* depends on the image"):
            net.activations(images, "fc2")
    assert net.activations([bright, dark], "fc3").shape == (2, 3)


def test_names_do_not_decide_what_a_layer_is():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.prob = nn.Conv2d(3, 8, 3), nn.Linear(8, 5)

        def forward(self, x):
            h = F.relu(self.conv(x)).flatten(2)
            return self.prob((h * F.softmax(h.sum(1, keepdim=True), 2)).sum(2))

    module = Attention().eval()
    net = cx.Network(module, 24)
    assert net.layers["prob"].kind == "Linear"  # the module's own name, and not the softmax of its attention
    assert sum(layer.kind == "softmax" for layer in net.layers.values()) == 1
    assert net.scores is net.layers["prob"]
    truth = out(module, net).softmax(1)[0]
    assert net.predict(IMAGE, 1) == [(f"class {int(truth.argmax())}", pytest.approx(float(truth.max()), rel=1e-5))]


def test_a_function_that_a_module_returns_is_listed_once():
    class Cosine(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(5, 8))

        def forward(self, x):
            return F.linear(F.normalize(x), F.normalize(self.weight))

    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), Cosine()).eval()
    layers = cx.Network(module, 16).layers
    assert [layer.kind for layer in layers.values()] == ["Conv2d", "ReLU", "AdaptiveAvgPool2d", "Flatten", "linear"]
    assert layers["4"] is layers["4.linear()"]


def test_a_block_that_adds_in_place_has_its_own_values():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x):
            y = self.conv(x)
            y += x
            return y

    module = nn.Sequential(nn.Conv2d(3, 4, 3), Block(), nn.ReLU()).eval()
    net = cx.Network(module, 16)
    with torch.no_grad():
        truth = module[:2](net.feed(net.pixels_of(np.zeros((16, 16, 3), np.uint8))))
    torch.testing.assert_close(net.activations(np.zeros((16, 16, 3), np.uint8), "1"), truth)


def test_what_the_module_cannot_take_it_is_not_given():
    class Viewed(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4 * 14 * 14, 5)

        def forward(self, x):
            return self.fc(F.relu(self.conv(x)).view(-1, 4 * 14 * 14))

    class OneByOne(Viewed):
        def forward(self, x):
            if len(x) != 1:
                raise ValueError("one image, please")
            return super().forward(x)

    for kind in (Viewed, OneByOne):
        module = kind().eval()
        net = cx.Network(module, 16)
        images = list(np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8))
        with torch.no_grad():
            truth = torch.cat([module(net.pixels_of(one)) for one in images])
        torch.testing.assert_close(net.activations(images, "fc2"), truth)
        assert cx.invert(net, images[0], "fc2", steps=1, refine=0, progress=False).error > 0
        assert cx.maximize(net, "fc2", [0, 1], steps=1, progress=False)[1].net is net
