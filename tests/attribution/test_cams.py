"""CAM is the class score, spread out; Grad-CAM by its formula; both are put where the units look."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import VisionTransformer

import cnnexplore as cx
from cnnexplore.network import upsample

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)


class Pooled(nn.Module):
    """Ends in global average pooling and a linear classifier with a bias."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 6, 5, 2, 1), nn.Conv2d(6, 8, 3, 1, 1)
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        x = F.relu(self.b(F.relu(self.a(x))))
        return self.fc(x.mean((2, 3)))


def network(module, **more):
    return cx.Network(module, size=40, labels=list("abcde"), **more)


@pytest.fixture(scope="module")
def pooled():
    torch.manual_seed(0)
    return Pooled().requires_grad_(False)


def test_cam_is_the_score(pooled):
    for module, share in ((pooled, 1e-5), (Pooled().double().requires_grad_(False), 1e-12)):
        net = network(module)
        for target in range(5):
            a = cx.attribute(net, IMAGE, target, method="cam")
            with torch.no_grad():
                score = float(module(net.feed(net.pixels_of(IMAGE)))[0, target])
            assert a.raw.mean(dtype=np.float64) + float(module.fc.bias[target]) == pytest.approx(score, rel=share)
            assert a.score == pytest.approx(score, rel=1e-6)
            assert a.bias == pytest.approx(float(module.fc.bias[target]), rel=max(share, 1e-6) * 100)
            assert a.map.shape == (40, 40)


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "mobilenet_v3_large", "squeezenet1_1"])
def test_cam_on_networks_of_torchvision(name, refused):
    torch.manual_seed(0)
    net = cx.load(name, weights="random", device="cpu")
    image = cx.photograph("cat")
    if name == "mobilenet_v3_large":  # two layers after the pooling
        refused(cx.LayerError, lambda: cx.attribute(net, image, 7, method="cam"), "global average pooling", "gradcam")
        return
    a = cx.attribute(net, image, 7, method="cam")
    bias = {"resnet18": "fc", "densenet121": "classifier"}.get(name)
    rest = float(net.module.get_submodule(bias).bias[7].detach()) if bias else 0
    assert a.raw.mean(dtype=np.float64) + rest == pytest.approx(a.score, rel=1e-4, abs=1e-5)


def test_cam_of_squeezenet_is_its_last_map(shared):
    net = cx.load(shared / "weights" / "squeezenet1_0-imagenet.safetensors", device="cpu")
    path = next((shared / "data" / "imagenet-sample").glob("0281_*.jpg"))
    a = cx.attribute(net, path, method="cam")
    assert np.allclose(a.raw[0], net.activations(path, "relu10")[0, a.target], rtol=1e-4, atol=1e-4)
    assert a.raw.mean(dtype=np.float64) == pytest.approx(a.score, rel=1e-6)


def test_what_has_no_such_end_is_refused(refused):
    torch.manual_seed(0)
    ends = {
        "flattened": nn.Sequential(nn.Conv2d(3, 4, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 18 * 18, 5)),
        "two layers": nn.Sequential(nn.Conv2d(3, 4, 5, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                                    nn.Linear(4, 9), nn.ReLU(), nn.Linear(9, 5)),
        "largest value": nn.Sequential(nn.Conv2d(3, 4, 5, 2), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(),
                                       nn.Linear(4, 5)),
    }  # fmt: skip
    for module in ends.values():
        refused(cx.LayerError, lambda m=module: cx.attribute(network(m), IMAGE, 1, method="cam"), "gradcam")
    flat = nn.Sequential(nn.Flatten(), nn.Linear(4800, 5))
    for method in ("cam", "gradcam"):
        refused(cx.LayerError, lambda m=method: cx.attribute(network(flat), IMAGE, 1, method=m), "a layer with a map")


class Branches(nn.Module):
    """Two branches side by side, or one beside the map itself."""

    def __init__(self, short):
        super().__init__()
        self.short, self.stem = short, nn.Conv2d(3, 4, 5, 2, 1)
        self.a, self.b, self.fc = nn.Conv2d(4, 4, 3, 1, 1), nn.Conv2d(4, 4, 1), nn.Linear(4 if short else 8, 5)

    def forward(self, x):
        x = F.relu(self.stem(x))
        b = F.relu(self.b(x))
        return self.fc((x + b if self.short else torch.cat([F.relu(self.a(x)), b], 1)).mean((2, 3)))


@pytest.mark.parametrize("short", [False, True])
def test_a_score_of_two_branches_is_explained_by_the_map_that_leads_to_both(short, refused):
    torch.manual_seed(0)
    module = Branches(short).requires_grad_(False)
    net = network(module)
    maps = F.relu(module.stem(net.feed(net.pixels_of(IMAGE)))).requires_grad_()
    b = F.relu(module.b(maps))
    score = module.fc((maps + b if short else torch.cat([F.relu(module.a(maps)), b], 1)).mean((2, 3)))[0, 2]
    (slope,) = torch.autograd.grad(score, maps)
    expected = (slope.mean((2, 3), keepdim=True) * maps).sum(1).detach()
    a = cx.attribute(net, IMAGE, 2, method="gradcam")
    assert np.allclose(a.raw[0], expected, rtol=1e-4, atol=1e-6 * float(expected.abs().max()))
    refused(cx.LayerError, lambda: cx.attribute(net, IMAGE, 2, method="cam"), "relu1", "global average pooling")


def test_branches_that_no_map_leads_to_are_named(refused):
    class Apart(Branches):
        def forward(self, x):
            return self.fc(torch.cat([F.relu(self.stem(x)), F.relu(self.other(x))], 1).mean((2, 3)))

    torch.manual_seed(0)
    module = Apart(False)
    module.other = nn.Conv2d(3, 4, 5, 2, 1)
    net = network(module)
    for method in ("cam", "gradcam"):
        refused(cx.LayerError, lambda m=method: cx.attribute(net, IMAGE, 2, method=m), "relu1", "relu2", "at=")
    assert cx.attribute(net, IMAGE, 2, method="gradcam", at="relu1").raw.any()


def test_a_class_token_is_explained_by_what_keys_and_values_are_computed_from():
    torch.manual_seed(0)
    net = network(VisionTransformer(40, 8, 2, 2, 32, 64, num_classes=5).eval())
    nn.init.normal_(net.module.heads.head.weight)
    default, named = (
        cx.attribute(net, IMAGE, 2, method="gradcam", **more).raw
        for more in ({}, {"at": "encoder.layers.encoder_layer_1.ln_1"})
    )
    assert named.any()
    assert np.allclose(default, named, rtol=1e-4, atol=1e-5 * float(named.max()))


def test_gradcam_by_its_formula(pooled):
    net = network(pooled)
    x = net.feed(net.pixels_of(IMAGE))
    first = F.relu(pooled.a(x)).detach().requires_grad_()
    score = pooled.fc(F.relu(pooled.b(first)).mean((2, 3)))[0, 2]
    (slope,) = torch.autograd.grad(score, first)
    weights = [float(slope[0, k].double().sum()) / slope[0, k].numel() for k in range(6)]
    expected = sum(w * first[0, k].detach().double() for k, w in enumerate(weights))
    name = next(n for n, layer in net.layers.items() if layer.kind == "relu")
    a = cx.attribute(net, IMAGE, 2, method="gradcam", at=name)
    assert np.allclose(a.raw[0], expected, rtol=1e-4, atol=1e-6 * float(expected.abs().max()))
    assert (a.map >= 0).all()
    guided = cx.attribute(net, IMAGE, 2, method="guided_gradcam", at=name)
    assert np.allclose(guided.raw, a.map * cx.attribute(net, IMAGE, 2, method="guided_backprop").raw, atol=1e-9)


def test_gradcam_after_which_everything_works_in_place():
    torch.manual_seed(0)

    def build(in_place):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 5, 2), nn.ReLU(in_place), nn.Flatten(), nn.Linear(4 * 18 * 18, 5))

    found = [cx.attribute(network(build(p)), IMAGE, 1, method="gradcam", at="conv1").raw for p in (False, True)]
    assert np.array_equal(*found)


def test_a_value_lands_where_its_unit_looks():
    for stride, padding, kernel in ((4, 0, 7), (3, 2, 5), (8, 0, 1)):
        net = network(nn.Sequential(nn.Conv2d(3, 2, kernel, stride, padding), nn.Flatten(), nn.LazyLinear(5)))
        net.module(torch.zeros(1, 3, 40, 40))
        layer = net.layers["conv1"]
        maps = torch.zeros(1, 1, *layer.size)
        maps[0, 0, 2, 1] = 1
        full = upsample(maps, layer, (40, 40))[0, 0]
        top, left, bottom, right = layer.rf_box(2, 1)
        assert divmod(int(full.argmax()), 40) == ((top + bottom) / 2, (left + right) / 2)
        assert float(full.max()) == pytest.approx(1)
        flat = upsample(torch.full_like(maps, 3.0), layer, (40, 40))
        assert torch.allclose(flat, torch.full_like(flat, 3.0))


def test_gradcam_is_refused_where_it_cannot_look(pooled, refused):
    net = network(pooled)
    fc = list(net.layers)[-1]
    refused(cx.LayerError, lambda: cx.attribute(net, IMAGE, 1, method="gradcam", at=fc), "a layer with a map")
    refused(cx.LayerError, lambda: cx.attribute(net, IMAGE, layer="a", unit=1, method="gradcam", at="b"), "before")
    refused(cx.LayerNotFound, lambda: cx.attribute(net, IMAGE, 1, method="gradcam", at="c"), "'c'")


def test_layers_whose_channels_come_last():
    torch.manual_seed(0)
    net = cx.load("swin_t", weights="random", device="cpu")
    name = next(n for n, layer in net.layers.items() if layer.kind == "LayerNorm" and max(layer.size) > 1)
    assert net.activations(cx.photograph("cat"), name).shape[3] == net.layers[name].channels
    image = cx.photograph("cat")
    a = cx.attribute(net, image, 7, method="gradcam", at=name)
    assert a.raw.shape == (1, *net.layers[name].size)
    probe = net.probe(name, net.scores.name)
    held = []
    with torch.enable_grad():
        activations = probe(
            net.feed(net.pixels_of(image)), {name: lambda c: held.append(c.requires_grad_()) or held[0]}
        )
        (slope,) = torch.autograd.grad(activations[net.scores.name][0, 7], held[0])
    expected = (slope.mean((1, 2), keepdim=True) * held[0]).sum(3)[0].detach()
    assert np.allclose(a.raw[0], expected, rtol=1e-3, atol=1e-5 * float(expected.abs().max()))
    unit = cx.attribute(net, image, layer=name, unit=5, position=(3, 2))
    top, left, bottom, right = net.layers[name].rf_box(3, 2)
    assert unit.map.max() > 0
    assert unit.score == pytest.approx(float(held[0][0, 3, 2, 5].detach()), rel=1e-4)
    assert top < bottom
    assert left < right
