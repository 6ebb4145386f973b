"""Receptive fields: the closed formula by hand, and which pixels of the input a unit's gradient reaches."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision.models.resnet import BasicBlock
from torchvision.models.squeezenet import Fire

import cnnexplore as cx
from cnnexplore.preimage import paper_C, paper_jitter
from cnnexplore.zoo.architectures.alexnet import caffe_alexnet

GREY = cx.Pixels("grey")


def positive(module):
    """Weights that cannot cancel: every connection shows in the gradient."""
    for p in module.parameters():
        nn.init.uniform_(p, 0.5, 1.0)
    return module.eval()


def reach(module, channels, size, unit=None):
    """Rows and columns of the input that the unit (default: the centre one) of the module's output depends on."""
    x = torch.rand(1, channels, *size, requires_grad=True)
    out = module(x * 1.0)
    unit = unit or tuple(s // 2 for s in out.shape[-2:])
    (gradient,) = torch.autograd.grad(out[0, :, unit[0], unit[1]].sum(), x)
    return unit, gradient[0].abs().sum(0) > 0


def box(layer, unit, size):
    """The layer's rf_box at a unit, clipped to the image, as (top, left, bottom, right)."""
    top, left, bottom, right = layer.rf_box(*unit)
    return max(top, 0), max(left, 0), min(bottom, size[0] - 1), min(right, size[1] - 1)


def extent(mask):
    rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
    return int(rows[0]), int(columns[0]), int(rows[-1]), int(columns[-1])


# chains

pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))
conv = st.fixed_dictionaries(
    {"kind": st.just("conv"), "k": pairs, "s": st.tuples(st.integers(1, 3), st.integers(1, 3)),
         "p": st.tuples(st.integers(0, 2), st.integers(0, 2)), "d": st.tuples(st.integers(1, 2), st.integers(1, 2))}
)  # fmt: skip
pool = st.fixed_dictionaries(
    {"kind": st.sampled_from(["avg", "max"]), "k": pairs, "s": st.tuples(st.integers(1, 3), st.integers(1, 3)),
         "p": st.sampled_from([(0, 0), (1, 0), (1, 1)]), "ceil": st.booleans()}
)  # fmt: skip
relu = st.just({"kind": "relu"})


def make(ops):
    layers = []
    for op in ops:
        if op["kind"] == "conv":
            layers.append(nn.Conv2d(1, 1, op["k"], op["s"], op["p"], op["d"]))
        elif op["kind"] == "relu":
            layers.append(nn.ReLU(inplace=not layers or not isinstance(layers[-1], nn.ReLU)))
        else:
            op["p"] = tuple(min(a, k // 2) for a, k in zip(op["p"], op["k"], strict=True))
            kind = nn.AvgPool2d if op["kind"] == "avg" else nn.MaxPool2d
            layers.append(kind(op["k"], op["s"], op["p"], ceil_mode=op["ceil"]))
    return positive(nn.Sequential(*layers))


def closed_formula(ops):
    """(size, stride, offset) per axis after each operation."""
    size, stride, offset = [1, 1], [1, 1], [0, 0]
    for op in ops:
        if op["kind"] != "relu":
            for a in (0, 1):
                k = op.get("d", (1, 1))[a] * (op["k"][a] - 1) + 1
                size[a] += (k - 1) * stride[a]
                offset[a] += ((k - 1) / 2 - op["p"][a]) * stride[a]
                stride[a] *= op["s"][a]
        yield tuple(size), tuple(stride), tuple(offset)


def touches_padding(ops, maps, unit):
    """Whether a unit's window leaves a map between two layers, where there is no image behind the border."""
    low, high = list(unit), list(unit)
    for depth in reversed(range(len(ops))):
        op = ops[depth]
        if op["kind"] == "relu":
            continue
        for a in (0, 1):
            low[a] = low[a] * op["s"][a] - op["p"][a]
            high[a] = high[a] * op["s"][a] - op["p"][a] + op.get("d", (1, 1))[a] * (op["k"][a] - 1)
            if depth and (low[a] < 0 or high[a] >= maps[depth - 1][a]):
                return True
    return False


@settings(max_examples=120)
@given(st.lists(st.one_of(conv, pool, relu), min_size=1, max_size=5), st.sampled_from([(32, 29), (41, 64)]))
def test_chains(ops, size):
    module = make(ops)
    x, maps = torch.zeros(1, 1, *size), []
    for part in module:
        assume(all(s + 2 * p >= d * (k - 1) + 1 for s, k, p, d in _windows(part, x.shape[-2:])))
        x = part(x)
        maps.append(tuple(x.shape[-2:]))
    layers = list(cx.Network(module, size=size, pixels=GREY).layers.values())
    assert [layer.size for layer in layers] == maps
    expected = list(closed_formula(ops))
    assert [(layer.rf_size, layer.rf_stride, layer.rf_offset) for layer in layers] == expected
    unit, mask = reach(module, 1, size)
    predicted = box(layers[-1], unit, size)
    if touches_padding(ops, maps, unit) or any(op["kind"] == "max" for op in ops):
        found = extent(mask) if mask.any() else predicted  # a part of the field
        assert all(f >= p for f, p in zip(found[:2], predicted[:2], strict=True))
        assert all(f <= p for f, p in zip(found[2:], predicted[2:], strict=True))
    else:
        assert extent(mask) == predicted
        solid = all(op.get("d", (1, 1)) == (1, 1) and all(k >= s for k, s in zip(op["k"], op["s"], strict=True))
                    for op in ops if op["kind"] != "relu")  # fmt: skip
        if solid:  # without holes every pixel of the box is seen
            top, left, bottom, right = (int(v) for v in predicted)
            assert int(mask.sum()) == (bottom - top + 1) * (right - left + 1)


def _windows(part, shape):
    if isinstance(part, nn.ReLU):
        return []
    d = part.dilation if isinstance(part, nn.Conv2d) else (1, 1)
    return zip(shape, part.kernel_size, part.padding, d, strict=True)


@pytest.mark.parametrize("kernel", [3, 4, (2, 5)])
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_padding_same_is_a_string(kernel):
    net = cx.Network(
        positive(nn.Sequential(nn.Conv2d(1, 1, kernel, padding="same"), nn.AvgPool2d(2))), size=24, pixels=GREY
    )
    layer = net.layers["pool1"]
    unit, mask = reach(net.module, 1, (24, 24))
    assert extent(mask) == box(layer, unit, (24, 24))


@pytest.mark.parametrize("pad", [nn.ZeroPad2d((1, 2, 3, 0)), nn.ReflectionPad2d(2), nn.ReplicationPad2d((2, 1, 0, 1))])
def test_padding_layers(pad):
    net = cx.Network(positive(nn.Sequential(pad, nn.Conv2d(1, 1, 3, 2))), size=24, pixels=GREY)
    unit, mask = reach(net.module, 1, (24, 24))
    assert extent(mask) == box(net.layers["conv1"], unit, (24, 24))


def test_transposed_convolution_and_upsampling_come_near():
    """Their fields differ from unit to unit: the formula's must hold them, and be at most a cell larger."""
    for up in (
        nn.ConvTranspose2d(2, 1, 4, 2, 1), nn.ConvTranspose2d(2, 1, 2, 2), nn.Upsample(scale_factor=2),
        nn.Upsample(scale_factor=2, mode="bilinear"), nn.Sequential(nn.Conv2d(2, 4, 1), nn.PixelShuffle(2)),
    ):  # fmt: skip
        net = cx.Network(positive(nn.Sequential(nn.Conv2d(1, 2, 3, 2), up, nn.Conv2d(1 if not isinstance(
            up, nn.Upsample) else 2, 1, 1))), size=32, pixels=GREY)  # fmt: skip
        layer = list(net.layers.values())[-1]
        assert layer.rf_stride == (1, 1)
        for unit in ((10, 10), (11, 14)):
            _, mask = reach(net.module, 1, (32, 32), unit)
            for found, predicted in zip(extent(mask), box(layer, unit, (32, 32)), strict=True):
                assert abs(found - predicted) <= 2


# branching modules and forward passes in Python


class Inception(nn.Module):
    """Four branches of different depth, concatenated."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(1, 1, 1)
        self.three = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 3, padding=1))
        self.five = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 5, padding=2))
        self.pool = nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.Conv2d(1, 1, 1))

    def forward(self, x):
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], 1)


class Lopsided(nn.Module):
    """Two branches whose windows lie on different sides of the unit."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3)

    def forward(self, x):
        return self.a(F.pad(x, (2, 0, 0, 2))) + self.b(F.pad(x, (0, 2, 1, 1)))


class Dense(nn.Module):
    """Each convolution sees all maps before it."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(1 + k, 1, 3, padding=1) for k in range(3))

    def forward(self, x):
        for conv in self.convs:
            x = torch.cat([x, F.relu(conv(x))], 1)
        return x


class Functional(nn.Module):
    """Windows and rectifiers called as functions, one of them in place."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, 1, 3, 3))

    def forward(self, x):
        x = F.avg_pool2d(F.relu_(F.conv2d(x, self.weight)), 2)
        x = torch.relu(F.conv2d(x, self.weight, stride=2, dilation=1))
        return (2 * x)[:, :, 1:, 1:]


class Reused(nn.Module):
    """One convolution and one rectifier, used three times."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu = nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(inplace=True)

    def forward(self, x):
        for _ in range(3):
            x = self.relu(self.conv(x))
        return x


def halved(block):
    return nn.Sequential(
        nn.Conv2d(1, 1, 3, 2), block, nn.Conv2d(4 if isinstance(block, Inception | Dense) else 1, 1, 3)
    )


def downsampling():
    return BasicBlock(1, 1, 2, downsample=nn.Sequential(nn.Conv2d(1, 1, 1, 2), nn.BatchNorm2d(1)))


BRANCHING = {
    "fire": lambda: nn.Sequential(nn.Conv2d(1, 2, 3, 2), Fire(2, 1, 2, 2), nn.AvgPool2d(3, 2, ceil_mode=True)),
    "residual": lambda: halved(BasicBlock(1, 1)),
    "residual with a projection": lambda: halved(downsampling()),
    "inception": lambda: halved(Inception()),
    "lopsided": lambda: halved(Lopsided()),
    "dense": lambda: halved(Dense()),
    "functional": lambda: nn.Sequential(Functional(), nn.Conv2d(1, 1, 1)),
    "reused": lambda: halved(Reused()),
}


@pytest.mark.parametrize("name", BRANCHING)
def test_branching_modules(name):
    size = (49, 61)
    module = positive(BRANCHING[name]())
    layer = list(cx.Network(module, size=size, pixels=GREY).layers.values())[-1]
    unit, mask = reach(module, 1, size)
    found = extent(mask)
    assert found == box(layer, unit, size)
    assert found[0] > 0
    assert found[2] < size[0] - 1  # else the border of the image would have hidden a larger field


def test_each_use_of_a_shared_module_has_its_own_field():
    layers = cx.Network(positive(Reused()), size=24, pixels=GREY).layers
    assert [(layer.path, layer.rf_size) for layer in layers.values()] == [
        ("conv", (3, 3)), ("relu", (3, 3)), ("conv:2", (5, 5)), ("relu:2", (5, 5)), ("conv:3", (7, 7)),
        ("relu:3", (7, 7)),
    ]  # fmt: skip


class Squeeze(nn.Module):
    """A gate that has seen the whole map."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Conv2d(1, 1, 1)

    def forward(self, x):
        return x * self.fc(x.mean((2, 3), keepdim=True)).sigmoid()


def test_a_global_gate_sees_everything():
    net = cx.Network(
        positive(nn.Sequential(nn.Conv2d(1, 1, 3, 2), Squeeze(), nn.Conv2d(1, 1, 1))), size=(21, 25), pixels=GREY
    )
    assert net.layers["2"].rf_size == (21, 25)
    assert net.layers["2"].rf_stride == (2, 2)
    assert net.layers["2"].size == (10, 12)


@pytest.mark.parametrize(
    "head",
    [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 3))],
)
def test_what_follows_the_whole_map_sees_the_whole_map(head):
    net = cx.Network(positive(nn.Sequential(nn.Conv2d(1, 1, 5, 2), head)), size=(21, 31), pixels=GREY)
    layer = list(net.layers.values())[-1]
    assert layer.size == (1, 1)
    assert layer.rf_size == (21, 31)
    assert layer.rf_offset == (10, 15)
    assert layer.rf_box() == (0, 0, 20, 30)


@pytest.mark.parametrize(("inside", "outside"), [(12, 3), (12, 12), (13, 6), (4, 6), (7, 5)])
def test_adaptive_pooling(inside, outside):
    """Its windows differ in size, and their centres do not lie evenly: each unit has its own box."""
    net = cx.Network(
        positive(nn.Sequential(nn.AdaptiveAvgPool2d(outside), nn.Conv2d(1, 1, 1))), size=inside, pixels=GREY
    )
    layer = list(net.layers.values())[-1]
    for unit in range(outside):
        _, mask = reach(net.module, 1, (inside, inside), (unit, outside - 1 - unit))
        assert extent(mask) == box(layer, (unit, outside - 1 - unit), (inside, inside))
        first, last = unit * inside // outside, -(-(unit + 1) * inside // outside) - 1
        assert layer.centres(0)[unit] == (first + last) / 2


def test_describe():
    layer = cx.Network(nn.Sequential(nn.Conv2d(3, 8, (5, 3), 2)), size=(24, 32)).layers["conv1"]
    assert layer.describe() == "10 x 15 x 8, sees 5 x 3 px"
    assert layer.rf_box(1, 2) == (2, 4, 6, 6)


# the published tables (preimage2016, tables 1 to 3): name -> (receptive field, stride, channels)

ALEXNET = {
    "conv1": (11, 4, 96), "relu1": (11, 4, 96), "norm1": (11, 4, 96), "pool1": (19, 8, 96),
    "conv2": (51, 8, 256), "relu2": (51, 8, 256), "norm2": (51, 8, 256), "pool2": (67, 16, 256),
    "conv3": (99, 16, 384), "relu3": (99, 16, 384), "conv4": (131, 16, 384), "relu4": (131, 16, 384),
    "conv5": (163, 16, 256), "relu5": (163, 16, 256), "pool5": (195, 32, 256),
    "fc6": (355, 32, 4096), "relu6": (355, 32, 4096), "fc7": (355, 32, 4096), "relu7": (355, 32, 4096),
    "fc8": (355, 32, 1000),
}  # fmt: skip
VGG_M = {
    "conv1": (7, 2, 96), "pool1": (11, 4, 96), "conv2": (27, 8, 256), "pool2": (43, 16, 256), "conv3": (75, 16, 512),
    "conv4": (107, 16, 512), "conv5": (139, 16, 512), "pool5": (171, 32, 512), "fc6": (331, 32, 4096),
}  # fmt: skip
VGG_16 = {
    "conv1_1": (3, 1, 64), "conv1_2": (5, 1, 64), "pool1": (6, 2, 64), "conv2_1": (10, 2, 128),
    "conv2_2": (14, 2, 128), "pool2": (16, 4, 128), "conv3_1": (24, 4, 256), "conv3_2": (32, 4, 256),
    "conv3_3": (40, 4, 256), "pool3": (44, 8, 256), "conv4_1": (60, 8, 512), "conv4_2": (76, 8, 512),
    "conv4_3": (92, 8, 512), "pool4": (100, 16, 512), "conv5_1": (132, 16, 512), "conv5_2": (164, 16, 512),
    "conv5_3": (196, 16, 512), "pool5": (212, 32, 512), "fc6": (404, 32, 4096), "fc7": (404, 32, 4096),
    "fc8": (404, 32, 1000),
}  # fmt: skip


def check_table(net, table):
    for name, (rf, stride, channels) in table.items():
        layer = net.layers[name]
        assert layer.name == name
        assert (layer.rf_size, layer.rf_stride, layer.channels) == ((rf, rf), (stride, stride), channels), name
    positions = [net.layers.depth(net.layers[name]) for name in table]
    assert positions == sorted(positions)


@pytest.fixture(scope="module")
def alexnet():
    return cx.Network(caffe_alexnet(), size=227, name="alexnet-caffe")


@pytest.fixture(scope="module")
def vgg16():
    return cx.load("vgg16", weights="random", device="cpu")


@pytest.fixture(scope="module")
def vgg_m():
    def norm():
        return nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0)

    pool = lambda: nn.MaxPool2d(3, 2, ceil_mode=True)  # noqa: E731
    module = nn.Sequential(
        nn.Conv2d(3, 96, 7, 2), nn.ReLU(), norm(), pool(),
        nn.Conv2d(96, 256, 5, 2, 1), nn.ReLU(), norm(), pool(),
        nn.Conv2d(256, 512, 3, padding=1), nn.ReLU(), nn.Conv2d(512, 512, 3, padding=1), nn.ReLU(),
        nn.Conv2d(512, 512, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(512, 4096, 6), nn.ReLU(),
    )  # fmt: skip
    renamed = nn.Sequential()
    for k, part in enumerate(module):
        renamed.add_module("fc6" if isinstance(part, nn.Conv2d) and part.kernel_size == (6, 6) else str(k), part)
    return cx.Network(renamed, size=224, name="vgg-m")


def test_table_1_alexnet(alexnet):
    check_table(alexnet, ALEXNET)


def test_table_1_with_the_shared_weights(shared):
    net = cx.load(shared / "weights" / "alexnet-imagenette.safetensors", device="cpu")
    narrow = {"fc6": 1024, "relu6": 1024, "fc7": 1024, "relu7": 1024, "fc8": 20}
    check_table(net, {name: (rf, s, narrow.get(name, c)) for name, (rf, s, c) in ALEXNET.items()})


def test_table_2_vgg_m(vgg_m):
    check_table(vgg_m, VGG_M)


def test_table_3_vgg_16(vgg16):
    check_table(vgg16, VGG_16)


def test_squeezenet_geometry(shared):
    net = cx.load(shared / "weights" / "squeezenet1_0-imagenet.safetensors", device="cpu")
    check_table(net, {
        "conv1": (7, 2, 96), "pool1": (11, 4, 96), "fire2": (19, 4, 128), "fire3": (27, 4, 128),
        "fire4": (35, 4, 256), "pool4": (43, 8, 256), "fire5": (59, 8, 256), "fire6": (75, 8, 384),
        "fire7": (91, 8, 384), "fire8": (107, 8, 512), "pool8": (123, 16, 512), "fire9": (155, 16, 512),
        "conv10": (155, 16, 1000),
    })  # fmt: skip
    assert net.layers["fire4"].size == (55, 55)
    assert net.layers["pool10"].size == (1, 1)


# the paper's weights of the code and shifts (section 5.2), which follow from the geometry


def upto(net, last):
    names = list(net.layers)
    return names[: names.index(last) + 1]


@pytest.mark.parametrize(
    ("which", "limits"),
    [
        ("alexnet", {"relu3": 300, "relu4": 100, "relu5": 20, "prob": 1}),
        ("vgg_m", {"9": 300, "11": 100, "13": 20, "16": 1}),
        ("vgg16", {"conv4_3": 300, "pool4": None, "conv5_1": 100, "relu5_1": None, "conv5_3": 20, "relu5_3": None,
                   "fc8": 1}),
    ],
)  # fmt: skip
def test_the_papers_C(which, limits, request):
    net = request.getfixturevalue(which)
    done = set()
    for last, C in limits.items():
        for name in upto(net, net.layers[last].name):
            if name not in done and C is not None:
                assert paper_C(net.layers[name], net.size) == C, name
            done.add(name)


def test_the_papers_jitter(alexnet):
    """A quarter of the stride, at least 1."""
    expected = {"conv1": 1, "pool1": 2, "conv2": 2, "pool2": 4, "conv5": 4, "pool5": 8, "fc6": 8, "fc8": 8}
    assert {name: paper_jitter(alexnet.layers[name]) for name in expected} == expected
    seven = cx.Network(nn.Sequential(nn.Conv2d(3, 1, 7, 7)), size=28).layers["conv1"]
    assert paper_jitter(seven) == 2  # rounded
