"""The networks of the pre-image papers: tables 1 to 3 of preimage2016, and weights files for them."""

import json

import numpy as np
import pytest
import torch
from matfiles import meta, row, write_simplenn
from safetensors.torch import save_file
from torch import nn

import cnnexplore as cx
from cnnexplore.zoo import published
from cnnexplore.zoo.architectures.build import build
from cnnexplore.zoo.architectures.vgg import vgg_m

# name: (kernel, receptive field, stride, channels), as printed

TABLE_1 = """conv1 11 11 4 96, relu1 1 11 4 96, norm1 1 11 4 96, pool1 3 19 8 96, conv2 5 51 8 256, relu2 1 51 8 256,
norm2 1 51 8 256, pool2 3 67 16 256, conv3 3 99 16 384, relu3 1 99 16 384, conv4 3 131 16 384, relu4 1 131 16 384,
conv5 3 163 16 256, relu5 1 163 16 256, pool5 3 195 32 256, fc6 6 355 32 4096, relu6 1 355 32 4096,
fc7 1 355 32 4096, relu7 1 355 32 4096, fc8 1 355 32 1000, prob 1 355 32 1000"""
TABLE_2 = """conv1 7 7 2 96, relu1 1 7 2 96, norm1 1 7 2 96, pool1 3 11 4 96, conv2 5 27 8 256, relu2 1 27 8 256,
norm2 1 27 8 256, pool2 3 43 16 256, conv3 3 75 16 512, relu3 1 75 16 512, conv4 3 107 16 512, relu4 1 107 16 512,
conv5 3 139 16 512, relu5 1 139 16 512, pool5 3 171 32 512, fc6 6 331 32 4096, relu6 1 331 32 4096,
fc7 1 331 32 4096, relu7 1 331 32 4096, fc8 1 331 32 1000, prob 1 331 32 1000"""
TABLE_3 = """conv1_1 3 3 1 64, relu1_1 1 3 1 64, conv1_2 3 5 1 64, relu1_2 1 5 1 64, pool1 2 6 2 64,
conv2_1 3 10 2 128, relu2_1 1 10 2 128, conv2_2 3 14 2 128, relu2_2 1 14 2 128, pool2 2 16 4 128,
conv3_1 3 24 4 256, relu3_1 1 24 4 256, conv3_2 3 32 4 256, relu3_2 1 32 4 256, conv3_3 3 40 4 256,
relu3_3 1 40 4 256, pool3 2 44 8 256, conv4_1 3 60 8 512, relu4_1 1 60 8 512, conv4_2 3 76 8 512,
relu4_2 1 76 8 512, conv4_3 3 92 8 512, relu4_3 1 92 8 512, pool4 2 100 16 512, conv5_1 3 132 16 512,
relu5_1 1 132 16 512, conv5_2 3 164 16 512, relu5_2 1 164 16 512, conv5_3 3 196 16 512, relu5_3 1 196 16 512,
pool5 2 212 32 512, fc6 7 404 32 4096, relu6 1 404 32 4096, fc7 1 404 32 4096, relu7 1 404 32 4096,
fc8 1 404 32 1000, prob 1 404 32 1000"""
TABLES = {"alexnet-caffe": TABLE_1, "vgg-m": TABLE_2, "vgg-vd-16": TABLE_3}
SIZES = {"alexnet-caffe": 227, "caffenet": 227, "vgg-m": 224, "vgg-vd-16": 224}


def without_numbers(name):
    """The architecture with weights of zero, whose memory is never touched."""
    with torch.device("meta"):
        module = build(name, 1000).eval()
    module = module.to_empty(device="cpu")
    for tensor in (*module.parameters(), *module.buffers()):
        tensor.data = torch.zeros(()).expand(tensor.shape) if tensor.dim() > 1 else torch.zeros(tensor.shape)
    return cx.Network(module, size=SIZES[name], name=name)


@pytest.fixture(scope="module")
def nets():
    return {name: without_numbers(name) for name in SIZES}


@pytest.mark.parametrize("name", TABLES)
def test_the_papers_tables(nets, name):
    """The kernel follows from the growth of the field: 1 + (field - field before) / stride before."""
    rows = [line.split() for line in TABLES[name].replace("\n", " ").split(", ")]
    layers = [layer for layer in nets[name].layers.values() if layer.kind not in ("Flatten", "Dropout")]
    found, field, stride = [], 1, 1
    for layer in layers:
        assert layer.rf_size[0] == layer.rf_size[1]
        assert layer.rf_stride[0] == layer.rf_stride[1]
        kernel = 1 + (layer.rf_size[0] - field) / stride
        field, stride = layer.rf_size[0], layer.rf_stride[0]
        found.append([layer.name, kernel, field, stride, layer.channels])
    assert found == [[one[0], *map(int, one[1:])] for one in rows]


def test_the_tables_numbers_are_the_modules_own(nets):
    for name, table in TABLES.items():
        for line in table.replace("\n", " ").split(", "):
            layer, kernel, *_ = line.split()
            part = nets[name].module.get_submodule(layer)
            if isinstance(part, (nn.Conv2d, nn.MaxPool2d)):
                assert part.kernel_size in ((int(kernel),) * 2, int(kernel)), (name, layer)


def test_sizes_of_the_maps(nets):
    sides = {
        "alexnet-caffe": {"conv1": 55, "pool1": 27, "conv2": 27, "pool2": 13, "conv5": 13, "pool5": 6},
        "vgg-m": {"conv1": 109, "pool1": 54, "conv2": 26, "pool2": 13, "conv5": 13, "pool5": 6},
        "vgg-vd-16": {"conv1_2": 224, "pool1": 112, "pool2": 56, "pool3": 28, "pool4": 14, "conv5_3": 14, "pool5": 7},
    }
    for name, expected in sides.items():
        assert {layer: nets[name].layers[layer].size for layer in expected} == {k: (n, n) for k, n in expected.items()}


def test_caffenet_swaps_norm_and_pool(nets):
    alexnet, caffenet = list(nets["alexnet-caffe"].layers), list(nets["caffenet"].layers)
    assert caffenet[:8] == ["conv1", "relu1", "pool1", "norm1", "conv2", "relu2", "pool2", "norm2"]
    assert sorted(caffenet) == sorted(alexnet)
    assert caffenet[8:] == alexnet[8:]
    shapes = [[(k, v.shape) for k, v in nets[n].module.state_dict().items()] for n in ("alexnet-caffe", "caffenet")]
    assert shapes[0] == shapes[1]
    assert nets["caffenet"].layers["norm1"].rf_size == (19, 19)


def test_normalisation_and_groups(nets):
    alexnet, vgg = nets["alexnet-caffe"].module, nets["vgg-m"].module
    assert [alexnet.get_submodule(f"conv{k}").groups for k in range(1, 6)] == [1, 2, 1, 2, 2]
    assert [vgg.get_submodule(f"conv{k}").groups for k in range(1, 6)] == [1] * 5
    for module, alpha, k in ((alexnet, 1e-4, 1), (vgg, 5e-4, 2)):
        norm = module.norm1
        assert (norm.size, norm.alpha, norm.beta, norm.k) == (5, alpha, 0.75, k)
    with torch.no_grad():  # VGG-M's, written out: 5 channels around, alpha / 5
        x = torch.rand(1, 96, 1, 1) * 100
        y = vgg.norm1(x)
    around = x[0, 8:13].square().sum()
    assert y[0, 10].item() == pytest.approx((x[0, 10] / (2 + 1e-4 * around) ** 0.75).item(), rel=1e-5)


@pytest.mark.parametrize("name", SIZES)
def test_without_weights(name, refused):
    file = {
        "alexnet-caffe": "imagenet-caffe-alex.mat", "caffenet": "imagenet-caffe-ref.mat",
        "vgg-m": "imagenet-vgg-m.mat", "vgg-vd-16": "imagenet-vgg-verydeep-16.mat",
    }[name]  # fmt: skip
    refused(cx.WeightsError, lambda: cx.load(name), f"https://www.vlfeat.org/matconvnet/models/{file}",
            f'cx.load({name!r}, weights="path/to/{file}")', 'weights="random"')  # fmt: skip
    refused(cx.WeightsError, lambda: cx.load(name, weights=file), "no weights file", file)
    (entry,) = (entry for entry in cx.networks() if entry.name == name)
    assert not entry.offline
    assert entry.megabytes is None
    assert file in entry.source


def test_random_weights_predict():
    net = cx.load("alexnet-caffe", weights="random", device="cpu")
    assert net.to_python() == "cx.load('alexnet-caffe', weights='random')"
    assert (net.size, net.pixels.order, len(net.labels)) == ((227, 227), "RGB", 1000)
    (best, p), *_ = net.predict(np.zeros((30, 30), np.uint8))
    assert best in net.labels
    assert 0 < p < 1


def test_similar_names_are_suggested(refused):
    refused(cx.NetworkError, lambda: cx.load("vgg-n"), "'vgg-m'")
    refused(cx.NetworkError, lambda: cx.load("alexnet-cafe"), "'alexnet-caffe'")


# the published files, made here: their layers and shapes, narrow behind fc6


def matlab_layers(module):
    """The layers of a chain as MatConvNet's importer writes them: fully-connected ones as convolutions."""
    layers, channels, side = [], 3, 0
    for name, part in module.named_children():
        if isinstance(part, nn.Conv2d):
            f, b = part.weight.detach().numpy().transpose(2, 3, 1, 0), part.bias.detach().numpy()
            layer = {"type": "conv", "weights": [f, b[None]], "pad": row(*[part.padding[0]] * 4)}
            layers.append({"name": name, "stride": row(*part.stride), **layer})
            channels = part.out_channels
        elif isinstance(part, nn.Linear):
            side = round((part.in_features / channels) ** 0.5)
            f = part.weight.detach().numpy().reshape(-1, channels, side, side).transpose(2, 3, 1, 0)
            b = part.bias.detach().numpy()[None]
            layers.append({"type": "conv", "name": name, "weights": [f, b], "pad": row(0), "stride": row(1)})
            channels = part.out_features
        elif isinstance(part, nn.MaxPool2d):
            layers.append({"type": "pool", "name": name, "method": "max", "pool": row(*[part.kernel_size] * 2),
                           "stride": row(part.stride), "pad": row(0, part.ceil_mode, 0, part.ceil_mode)})  # fmt: skip
        elif isinstance(part, nn.LocalResponseNorm):
            param = row(part.size, part.k, part.alpha / part.size, part.beta)
            layers.append({"type": "normalize", "name": name, "param": param})
        elif isinstance(part, (nn.ReLU, nn.Softmax)):
            layers.append({"type": type(part).__name__.lower(), "name": name})
    return layers


@pytest.fixture(scope="module")
def narrow():
    """Each architecture with 16 units in fc6 and fc7, and three classes."""
    tensors = {"fc6.bias": torch.zeros(16)}
    return {name: build(name, 3, tensors).eval() for name in ("alexnet-caffe", "caffenet", "vgg-m")}


@pytest.mark.parametrize("name", ["alexnet-caffe", "caffenet", "vgg-m"])
def test_from_the_published_layout_and_back(narrow, tmp_path, name):
    """The network read computes what the architecture with the same weights does, to the bit, with the same layers."""
    size = SIZES[name]
    mean = np.full((size, size, 3), np.float32([120, 110, 100]))
    path = write_simplenn(tmp_path / "x.mat", matlab_layers(narrow[name]), meta((size, size, 3), mean, "abc"))
    net = cx.load(name, weights=path, device="cpu")
    assert net.to_python() == f"cx.load({name!r}, weights={str(path)!r})"
    assert (net.name, net.labels, net.pixels.mean) == (name, ["a", "b", "c"], (120, 110, 100))
    like = cx.Network(narrow[name], size=size)
    kept = {n: layer for n, layer in like.layers.items() if layer.kind != "Dropout"}
    assert list(net.layers) == list(kept)
    for found, layer in zip(net.layers.values(), kept.values(), strict=True):
        assert found.describe() == layer.describe()
        assert (found.rf_stride, found.rf_offset) == (layer.rf_stride, layer.rf_offset)
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1)) * 50
    with torch.no_grad():
        assert torch.equal(net.module(x), narrow[name](x))
    state, expected = net.module.state_dict(), narrow[name].state_dict()
    assert list(state) == list(expected)
    assert all(torch.equal(state[key], expected[key]) for key in state)
    assert cx.load(path, device="cpu").name == "x"


def test_files_of_another_network(narrow, tmp_path, refused):
    def write(name, change=lambda layers: layers, size=227):
        layers = change(matlab_layers(narrow[name]))
        return write_simplenn(tmp_path / f"{name}.mat", layers, meta((size, size, 3)))

    path = write("caffenet")
    refused(cx.WeightsError, lambda: cx.load("alexnet-caffe", weights=path), "'pool1'", "expected 'norm1'")
    path = write("vgg-m", size=224)
    refused(cx.WeightsError, lambda: cx.load("alexnet-caffe", weights=path), "'conv1.weight'", "(96, 3, 7, 7)",
            "(96, 3, 11, 11)")  # fmt: skip
    path = write("alexnet-caffe", lambda layers: layers[:-1])
    refused(cx.WeightsError, lambda: cx.load("alexnet-caffe", weights=path), "missing", "'prob'")
    path = write("alexnet-caffe", lambda layers: [*layers, {"type": "relu", "name": "more"}])
    refused(cx.WeightsError, lambda: cx.load("alexnet-caffe", weights=path), "'more'")


def test_a_safetensors_file_that_describes_itself(tmp_path, refused):
    module = vgg_m(2, 8)
    pixels = cx.Pixels("BGR", (104, 117, 123))
    about = {"architecture": "vgg-m", "pixels": pixels.to_json(), "input_size": "224", "labels": json.dumps(["a", "b"])}
    save_file(module.state_dict(), tmp_path / "mine.safetensors", about)
    for net in (
        cx.load(tmp_path / "mine.safetensors", device="cpu"),
        cx.load("vgg-m", weights=tmp_path / "mine.safetensors", device="cpu"),
    ):
        assert torch.equal(net.module.fc8.weight, module.fc8.weight)
        assert (net.pixels, net.labels) == (pixels, ["a", "b"])
    refused(cx.WeightsError, lambda: cx.load("caffenet", weights=tmp_path / "mine.safetensors"), "'norm1'", "'pool1'")


def test_the_shared_alexnet_by_name(shared):
    net = cx.load("alexnet-caffe", weights=shared / "weights" / "alexnet-imagenette.safetensors", device="cpu")
    assert (net.pixels.order, len(net.labels)) == ("BGR", 20)
    assert published.knows("alexnet-caffe")
