"""Where units lie in the image: the places of maps of any layout, by what moves when the input changes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import SwinTransformer, VisionTransformer

import cnnexplore as cx
from cnnexplore.network import as_maps, from_maps, upsample

SIDE = 64
PIXELS = cx.Pixels("RGB", (0.001,) * 3, (255.0,) * 3)


def flat(channels, out, kernel, **more):
    conv = nn.Conv2d(channels, out, kernel, padding=kernel // 2, **more)
    nn.init.constant_(conv.weight, 1 / (channels * kernel**2))
    nn.init.zeros_(conv.bias)
    return conv


class NonLocal(nn.Module):
    """Each position sees all; keys and queries in one order of factors or the other."""

    def __init__(self, keys_first):
        super().__init__()
        self.parts = nn.ModuleList(nn.Conv2d(4, 4, 1) for _ in range(3))
        self.keys_first = keys_first

    def forward(self, x):
        q, k, v = (f(x).flatten(2) for f in self.parts)
        if self.keys_first:
            y = v @ (k.transpose(1, 2) @ q).softmax(1)
        else:
            y = v @ (q.transpose(1, 2) @ k).softmax(2).transpose(1, 2)
        return 1e-3 * y.reshape(x.shape) + x


class Pyramid(nn.Module):
    def forward(self, x):
        seen = [F.interpolate(F.adaptive_avg_pool2d(x, k), x.shape[2:], mode="bilinear") for k in (1, 2, 6)]
        return x + 1e-3 * sum(seen)


class Depth(nn.Module):
    def forward(self, x):
        n, c, h, w = x.shape
        return x.reshape(n, c, h // 4, 4, w // 4, 4).permute(0, 3, 5, 1, 2, 4).reshape(n, 16 * c, h // 4, w // 4)


class Unfolded(nn.Module):
    def forward(self, x):
        return F.unfold(x, 4, stride=4).unflatten(2, (x.shape[2] // 4, -1))


class Unpooled(nn.Module):
    def forward(self, x):
        y, where = F.max_pool2d(x, 2, return_indices=True)
        return F.max_unpool2d(y, where, 2)


class Pooled(nn.Module):
    def forward(self, x):
        return x + F.interpolate(F.adaptive_avg_pool2d(x, 1), x.shape[2:])


class Gated(nn.Module):
    """A gate from the whole map, as in squeeze-and-excitation; or from its rows and columns, in sum or apart."""

    def __init__(self, *dims):
        super().__init__()
        self.dims = dims

    def forward(self, x):
        for dims in self.dims:
            x = x * (1 + 1e-3 * x.mean(dims, keepdim=True)).sigmoid()
        return x


class Strips(nn.Module):
    def forward(self, x):
        return x.mean(2, keepdim=True) + x.mean(3, keepdim=True)


class Beside(nn.Module):
    """The map beside its mean at every position, mixed by a convolution."""

    def __init__(self):
        super().__init__()
        self.mix = flat(8, 4, 1)

    def forward(self, x):
        return self.mix(torch.cat([x, 1e-3 * x.mean((2, 3), keepdim=True).expand_as(x)], 1))


class LinearAttention(nn.Module):
    """Patches of 2 x 2: a context for each place within a patch, multiplied with all patches."""

    def forward(self, x):
        n, c, h, w = x.shape
        y = F.unfold(x, 2, stride=2).view(n, c, 4, -1)
        context = (y * y[:, :1].softmax(-1)).sum(-1, keepdim=True)
        y = y * (1 + 1e-3 * context).expand_as(y)
        return F.fold(y.flatten(1, 2), (h, w), 2, stride=2)


class ChannelsLast(nn.Module):
    def forward(self, x):
        return F.relu(x.permute(0, 2, 3, 1) * 1.0)


class Resized(nn.Module):
    def __init__(self, size, **more):
        super().__init__()
        self.size, self.more = size, more

    def forward(self, x):
        return F.interpolate(x, size=self.size, **self.more)


def stem():
    return [flat(3, 4, 3, stride=2), nn.ReLU(), flat(4, 4, 3, stride=2), nn.ReLU()]


BODIES = {
    "plain": lambda: stem(),
    "non-local": lambda: [*stem(), NonLocal(False)],
    "non-local, keys first": lambda: [*stem(), NonLocal(True)],
    "pyramid": lambda: [*stem(), Pyramid()],
    "circular": lambda: [*stem(), flat(4, 4, 3, padding_mode="circular"), flat(4, 4, 5, padding_mode="circular")],
    "reshaped to depth": lambda: [Depth(), flat(48, 4, 1)],
    "unshuffled": lambda: [nn.PixelUnshuffle(4), flat(48, 4, 1)],
    "shuffled back": lambda: [nn.PixelUnshuffle(4), flat(48, 16, 1), nn.PixelShuffle(2)],
    "unfolded": lambda: [Unfolded(), flat(48, 4, 1)],
    "unpooled": lambda: [*stem(), Unpooled()],
    "pooled and spread": lambda: [*stem(), Pooled()],
    "channels last": lambda: [*stem(), ChannelsLast()],
    "rolled": lambda: [*stem(), Rolled()],
    "flipped": lambda: [*stem(), Flipped()],
    "transposed convolution": lambda: [*stem(), nn.ConvTranspose2d(4, 4, 4, 2, 1)],
    "corners aligned": lambda: [*stem(), Resized(25, mode="bilinear", align_corners=True)],
    "bicubic": lambda: [*stem(), Resized(23, mode="bicubic")],
    "adaptive, more cells": lambda: [*stem(), nn.MaxPool2d(4), nn.AdaptiveAvgPool2d(6)],
    "reflected": lambda: [*stem(), nn.ReflectionPad2d(3), flat(4, 4, 3)],
    "sampled": lambda: [*stem(), Sampled()],
    "instance norm": lambda: [*stem(), nn.InstanceNorm2d(4)],
    "gated twice": lambda: [*stem(), Gated((2, 3)), flat(4, 4, 3), Gated((2, 3), (2, 3)), flat(4, 4, 3)],
    "gated by strips": lambda: [*stem(), Gated(2, 3), flat(4, 4, 3), Gated((2, 3), 3), flat(4, 4, 3)],
    "beside its mean": lambda: [*stem(), Beside(), flat(4, 4, 3), Beside()],
    "linear attention": lambda: [*stem(), LinearAttention(), flat(4, 4, 1), LinearAttention()],
}


class Rolled(nn.Module):
    def forward(self, x):
        return x.roll((3, -2), (2, 3))


class Flipped(nn.Module):
    def forward(self, x):
        return x.flip(2, 3)


class Sampled(nn.Module):
    def forward(self, x):
        grid = F.affine_grid(torch.tensor([[[0.5, 0, 0], [0, -1.0, 0]]]).repeat(len(x), 1, 1), list(x.shape), False)
        return F.grid_sample(x, grid, align_corners=False)


@pytest.mark.parametrize("name", BODIES)
def test_what_a_unit_answers_to_lies_where_the_map_says(name):
    """A bright square is moved over the image: the map's change, put on the image, has its centre on the square."""
    torch.manual_seed(0)
    module = nn.Sequential(*BODIES[name]()).eval()
    for part in module.modules():
        if isinstance(part, nn.ConvTranspose2d):
            nn.init.constant_(part.weight, 0.1)
    net = cx.Network(module, SIDE, PIXELS)
    layer = net.output
    assert layer.has_map
    for top, left in ((24, 40), (28, 18)):
        dark, light = np.zeros((2, SIDE, SIDE, 3), np.uint8)
        light[top : top + 8, left : left + 8] = 255
        if name == "instance norm":
            dark += np.random.default_rng(0).integers(0, 40, (SIDE, SIDE, 1), dtype=np.uint8)
            light = np.maximum(light, dark)
        before, after = (as_maps(net.activations(one, layer.name), layer) for one in (dark, light))
        change = upsample((after - before).abs().sum(1, keepdim=True), layer, (SIDE, SIDE))[0, 0].double().numpy()
        change[change < 0.5 * change.max()] = 0
        centre = (np.indices(change.shape) * change).sum((1, 2)) / change.sum()
        if name == "sampled":
            continue  # a part of the square may have left the sampled region
        near = 6 if name == "adaptive, more cells" else 3  # its cells have 16 pixels
        assert np.abs(centre - (top + 3.5, left + 3.5)).max() < near, centre


SEES_ALL = (
    "non-local", "pyramid", "pooled and spread", "instance norm", "gated twice", "gated by strips", "beside its mean",
    "linear attention",
)  # fmt: skip


def test_sums_over_rows_and_over_columns_give_a_place_together():
    layer = cx.Network(nn.Sequential(*stem(), Strips(), flat(4, 4, 3), Strips()).eval(), SIDE, PIXELS).output
    assert layer.size == (16, 16)
    assert [layer.centres(a).tolist() for a in (0, 1)] == [[4.0 * k for k in range(16)]] * 2


@pytest.mark.parametrize("name", SEES_ALL)
def test_what_sees_everything_has_a_place_and_says_so(name):
    layer = cx.Network(nn.Sequential(*BODIES[name]()).eval(), SIDE, PIXELS).output
    assert layer.sees_all
    assert layer.rf_size >= (SIDE - 1, SIDE - 1)
    assert layer.centres(0).tolist() == [4.0 * k for k in range(16)]
    top, left, bottom, right = layer.rf_box(3, 5)
    assert (top <= 0, left <= 0, bottom >= SIDE - 1, right >= SIDE - 1) == (True,) * 4


def test_a_plain_map_does_not_see_everything():
    assert not cx.Network(nn.Sequential(*stem()).eval(), SIDE, PIXELS).output.sees_all


def test_group_and_layer_normalisation_see_everything():
    for norm in (nn.GroupNorm(2, 4), nn.LayerNorm([4, 16, 16]), nn.InstanceNorm2d(4)):
        net = cx.Network(nn.Sequential(*stem(), norm).eval(), SIDE, PIXELS)
        assert net.output.sees_all
        assert not net.layers["conv2"].sees_all
    channels = cx.Network(nn.Sequential(*stem(), ChannelsLast(), nn.LayerNorm(4)).eval(), SIDE, PIXELS)
    assert not channels.output.sees_all


def reach(net, layer, row, column):
    """The pixels on which a unit of any layout depends."""
    fed = net.feed(net.pixels_of(np.random.default_rng(0).integers(0, 256, (*net.size, 3), dtype=np.uint8)))
    fed = fed.requires_grad_()
    maps = as_maps(net.probe(layer.name)(fed)[layer.name], layer)
    units = maps[0, :, row, column]
    weights = torch.rand(len(units), generator=torch.Generator().manual_seed(0))  # a norm's sum has no gradient
    (slope,) = torch.autograd.grad((units * weights).sum(), fed)
    return slope[0].abs().sum(0)


def test_tokens_of_a_vision_transformer_are_a_map():
    torch.manual_seed(0)
    net = cx.Network(VisionTransformer(64, 16, 2, 2, 32, 64, num_classes=5), 64)
    layer = net.layers["encoder.layers.encoder_layer_0.mlp.0"]
    assert (layer.size, layer.channels) == ((4, 4), 64)
    assert layer.rf_stride == (16, 16)
    assert layer.rf_offset == (7.5, 7.5)
    assert layer.sees_all
    raw = net.activations(np.zeros((64, 64, 3), np.uint8), layer.name)
    assert raw.shape == (1, 17, 64)
    assert torch.equal(as_maps(raw, layer)[0, :, 2, 3], raw[0, 1 + 2 * 4 + 3])
    back = from_maps(as_maps(raw, layer), layer, raw.shape[1:])
    assert not back[0, 0].any()  # the class token has no position
    assert torch.equal(back[0, 1:], raw[0, 1:])
    first = net.layers["encoder.layers.encoder_layer_0.ln_1"]
    for row, column in ((0, 0), (2, 1)):  # before attention a token sees its own patch
        mask = reach(net, first, row, column) > 0
        assert mask[16 * row : 16 * row + 16, 16 * column : 16 * column + 16].all()
        assert int(mask.sum()) == 256
        assert first.rf_box(row, column) == (16 * row, 16 * column, 16 * row + 15, 16 * column + 15)


def test_windows_of_swin_are_a_map():
    torch.manual_seed(0)
    module = SwinTransformer([4, 4], 16, [2, 2], [2, 4], [4, 4], num_classes=5).eval()
    net = cx.Network(module, 64)
    inside = [one for one in net.layers.values() if ".attn.linear()" in one.name]
    assert inside
    for layer in inside:
        rows = 16 if layer.name.startswith("features.1") else 8
        assert layer.size == (rows, rows)
        for row, column in ((0, 0), (rows // 2, rows - 2), (rows - 1, 3)):
            top, left, bottom, right = layer.rf_box(row, column)
            mask = reach(net, layer, row, column) > 0
            r, c = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
            assert (r[0] >= top, c[0] >= left, r[-1] <= bottom, c[-1] <= right) == (True,) * 4, layer.name
            assert abs(layer.centres(0)[row] - (row + 0.5) * 64 / rows + 0.5) < 1e-6
    two = net.activations([np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 200, np.uint8)], inside[0].name)
    assert len(two) == 2
    one = net.activations(np.full((64, 64, 3), 200, np.uint8), inside[0].name)
    torch.testing.assert_close(two[1:], one, rtol=1e-3, atol=1e-4)


def test_sequences_along_the_first_axis():
    class SequenceFirst(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.lin = nn.Conv2d(3, 8, 8, 8), nn.Linear(8, 6)

        def forward(self, x):
            return self.lin(self.embed(x).flatten(2).permute(2, 0, 1)).mean(0)

    module = SequenceFirst().eval()
    net = cx.Network(module, 32)
    images = list(np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8))
    found = net.activations(images, "fc2")
    assert found.shape == (3, 16, 6)
    maps = as_maps(found, net.layers["fc2"])
    assert maps.shape == (3, 6, 4, 4)
    with torch.no_grad():
        expected = module.lin(module.embed(net.feed(net.pixels_of(images))).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(maps, expected)


def test_a_layer_that_mixes_images_is_given_one_at_a_time():
    class Batch(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

        def forward(self, x):
            h = self.conv(x)
            return self.fc(F.relu(F.batch_norm(h, None, None, training=True)).mean((2, 3)))

    net = cx.Network(Batch().eval(), 16)
    images = list(np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8))
    together = net.activations(images, net.scores.name)
    for image, row in zip(images, together, strict=True):
        torch.testing.assert_close(net.activations(image, net.scores.name)[0], row)
