"""The layer that features are taken from by default, whatever follows the classifier; and what float16 cannot hold."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cnnexplore as cx
from cnnexplore.network import features_layer

IMAGES = list(np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8))


def body(*more):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 6), nn.ReLU(), *more
    )


class Head(nn.Module):
    """A head of timm's kind: pooling, dropout, the classifier, and an Identity where flattening could be."""

    def __init__(self, flatten):
        super().__init__()
        self.pool, self.drop, self.fc, self.flatten = nn.AdaptiveAvgPool2d(1), nn.Dropout(), nn.Linear(8, 5), flatten

    def forward(self, x):
        return self.flatten(self.fc(self.drop(self.pool(x).flatten(1))))


class Net(nn.Module):
    def __init__(self, ending, head):
        super().__init__()
        self.conv, self.head, self.ending = nn.Conv2d(3, 8, 3), head, ending

    def forward(self, x):
        return self.ending(self.head, self.conv(x).relu())


class TwoHeads(nn.Module):
    """DeiT's ending: the mean of the scores of two heads."""

    def __init__(self):
        super().__init__()
        self.body, self.one, self.two = body(), nn.Linear(6, 5), nn.Linear(6, 5)

    def forward(self, x):
        x = self.body(x)
        return (self.one(x) + self.two(x)) / 2


class Cosine(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.prototypes = body(), nn.Parameter(torch.randn(6, 5))

    def forward(self, x):
        return self.body(x) @ self.prototypes * 10.0


SIX_WIDE = {
    "prototypes": Cosine,
    "the plain classifier": lambda: body(nn.Linear(6, 5)),
    "dropout before it": lambda: body(nn.Dropout(), nn.Linear(6, 5)),
    "an identity after it": lambda: body(nn.Linear(6, 5), nn.Identity()),
    "several identities": lambda: body(nn.Linear(6, 5), nn.Identity(), nn.Dropout(), nn.Identity()),
    "a flatten after it": lambda: body(nn.Linear(6, 5), nn.Flatten()),
    "a softmax after it": lambda: body(nn.Linear(6, 5), nn.Softmax(1)),
    "a softmax and an identity": lambda: body(nn.Linear(6, 5), nn.Softmax(1), nn.Identity()),
    "two heads": TwoHeads,
    "an identity before it": lambda: body(nn.Identity(), nn.Linear(6, 5)),
}


@pytest.mark.parametrize("name", SIX_WIDE)
def test_the_default_layer_is_what_the_scores_are_computed_from(name):
    torch.manual_seed(0)
    module = SIX_WIDE[name]().eval()
    net = cx.Network(module, size=16)
    found = cx.features(net, IMAGES, cache=False, progress=False, dtype="float32")
    kept = {}
    first = next(part for part in module.modules() if isinstance(part, nn.Sequential))
    hook = first[5].register_forward_hook(lambda part, args, out: kept.update(out=out.detach().clone()))
    with torch.no_grad():
        module(net.feed(net.pixels_of(IMAGES)))
    hook.remove()
    assert np.allclose(np.asarray(found), kept["out"].numpy(), atol=1e-4)


@pytest.mark.parametrize("flatten", [nn.Identity(), nn.Flatten()])
@pytest.mark.parametrize("ending", [lambda head, x: head(x), lambda head, x: head(x) / 0.07])
def test_the_default_layer_of_timms_heads(flatten, ending):
    net = cx.Network(Net(ending, Head(flatten)), size=16)
    assert features_layer(net).channels == 8
    assert features_layer(net).size == (1, 1)


def test_a_network_of_scores_alone_has_none(refused):
    net = cx.Network(nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 4), nn.Identity()), size=16)
    refused(cx.LayerError, lambda: features_layer(net), "no layer before")


@pytest.mark.parametrize("scale", [1e-10, 1e-6, 1e-4, 1.0])
def test_small_activations_are_kept(scale, tmp_path):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
    with torch.no_grad():
        module[0].weight.mul_(scale / 100)
        module[0].bias.zero_()
    net = cx.Network(module, size=16)
    expected = net.activations(IMAGES, "relu1").flatten(1).double().numpy()
    for _ in range(2):
        found = cx.features(net, IMAGES, "relu1", cache=tmp_path, progress=False)
        apart = np.linalg.norm(np.asarray(found, np.float64) - expected, axis=1)
        assert (apart <= 1e-3 * np.linalg.norm(expected, axis=1)).all()
        assert found.activations.dtype == (np.float16 if scale >= 1e-4 else np.float32)


def test_one_small_image_among_many_is_kept(tmp_path):
    """A black image's activation is not zero, only small beside the others'."""
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 14 * 14, 5))
    with torch.no_grad():
        module[0].bias.fill_(1e-7)
        module[0].weight.abs_()
    net = cx.Network(module, size=16, pixels=cx.Pixels("RGB", (0, 0, 0)))
    images = [*IMAGES, np.zeros((16, 16, 3), np.uint8)]
    found = cx.features(net, images, "relu1", cache=tmp_path, batch=2, progress=False)
    assert found.activations.dtype == np.float32
    assert np.allclose(np.asarray(found)[5], 1e-7)
    assert np.allclose(np.asarray(found), net.activations(images, "relu1").flatten(1), rtol=1e-4)


class Flow(nn.Module):
    """Bright and dark images take other paths, of other shapes."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.fc = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 8, 5), nn.Linear(8, 4)

    def forward(self, x):
        return self.fc(F.relu(self.a(x) if x.mean() > 60 else self.b(x)).mean((2, 3)))


def test_a_shape_that_depends_on_the_image_is_a_sentence(refused):
    net = cx.Network(Flow(), size=16, pixels=cx.Pixels("RGB", (0, 0, 0)))
    mixed = [*IMAGES, np.zeros((16, 16, 3), np.uint8)]
    name = next(n for n, layer in net.layers.items() if layer.kind == "relu")

    def make(call):
        return lambda: call(batch=1, progress=False)

    refused(cx.ExploreError, make(lambda **o: cx.features(net, mixed, name, cache=False, **o)), "take")
    refused(cx.ExploreError, make(lambda **o: cx.neighbours(net, IMAGES[0], name, mixed, **o)), "take")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_features_of_other_number_types(dtype, tmp_path):
    torch.manual_seed(0)
    module = body(nn.Linear(6, 5))
    reference = cx.features(cx.Network(module, size=16), IMAGES, cache=False, progress=False)
    other = cx.Network(body(nn.Linear(6, 5)), size=16)
    other.module.load_state_dict(module.state_dict())
    found = cx.features(cx.Network(other.module.to(dtype), size=16), IMAGES, cache=tmp_path, progress=False)
    assert found.activations.dtype == np.float16
    assert np.allclose(np.asarray(found), np.asarray(reference), rtol=0.03, atol=0.2)
