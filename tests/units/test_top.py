"""Top patches and minimal images: against looking at everything."""

import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import cnnexplore as cx
from cnnexplore import drawing
from cnnexplore.data import Images

SIDE = 24
IMAGES = list(np.random.default_rng(0).integers(0, 256, (23, SIDE, SIDE, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 5, 5, 2, 1), nn.ReLU(), nn.Conv2d(5, 7, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4)
    )
    module(torch.zeros(1, 3, SIDE, SIDE))
    return cx.Network(module, size=SIDE, pixels=cx.Pixels("RGB", (10, 20, 30), (4, 5, 6)), labels=list("abcd"))


@pytest.mark.parametrize("batch", [1, 4, 16, 64])
def test_top_patches_of_all_units(net, batch):
    top = cx.top_patches(net, "relu2", None, IMAGES, k=6, batch=batch, progress=False)
    activation = torch.cat([net.activations(one, "relu2") for one in IMAGES])
    for unit in range(7):
        best = activation[:, unit].flatten(1).max(1)
        order = best.values.argsort(descending=True)[:6]
        assert top.indices[unit].tolist() == order.tolist()
        assert np.allclose(top.values[unit], best.values[order], rtol=1e-5)
        width = activation.shape[3]
        assert top.positions[unit].tolist() == [
            [int(best.indices[k]) // width, int(best.indices[k]) % width] for k in order
        ]


def test_some_units_and_more_than_there_are(net):
    everything = cx.top_patches(net, "conv2", None, IMAGES, k=3, progress=False)
    some = cx.top_patches(net, "conv2", [5, 2], IMAGES, k=3, progress=False)
    assert np.array_equal(some.indices, everything.indices[[5, 2]])
    assert np.array_equal(some.only(2).values, everything.only(2).values)
    assert cx.top_patches(net, "conv2", 1, IMAGES[:4], k=9, progress=False).values.shape == (1, 4)
    scores = cx.top_patches(net, net.scores.name, "d", IMAGES, k=2, progress=False)
    assert scores.units == [3]
    assert np.array_equal(scores.only("d", 1).indices, scores.indices[:, :1])
    assert scores.positions.tolist() == [[[0, 0], [0, 0]]]
    assert scores.patches().shape == (2, SIDE, SIDE, 3)


def test_a_patch_is_what_the_unit_sees(net):
    top = cx.top_patches(net, "relu1", 3, IMAGES, k=9, progress=False)
    for j, (patch, box) in enumerate(zip(top.patches(), top.boxes(), strict=True)):
        assert patch.shape == (5, 5, 3)
        top_, left, bottom, right = box
        assert (bottom - top_, right - left) == (5, 5)
        inside = top_ >= 0 and left >= 0 and bottom <= SIDE and right <= SIDE
        if not inside:
            continue
        x = net.pixels_of(np.pad(patch, ((0, SIDE - 5), (0, SIDE - 5), (0, 0))))
        with torch.no_grad():
            whole = nn.functional.conv2d(net.pixels.feed(x)[:, :, :5, :5], net.module[0].weight, net.module[0].bias)
        assert float(whole[0, 3]) == pytest.approx(float(top.values[0, j]), rel=1e-4)


def test_projections_are_the_gradients_in_the_patches(uneven_pixels):
    """Against plain autograd: the module's own derivative, through the division by the pixel std."""
    net = uneven_pixels
    images = [one[:12, :12] for one in IMAGES]
    top = cx.top_patches(net, "relu2", 3, images, k=4, progress=False)
    mean, std = (torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (net.pixels.mean, net.pixels.std))
    shown = top.projections(rule="gradient")
    for j, index in enumerate(top.indices[0]):
        order = images[index][..., ::-1] if net.pixels.order == "BGR" else images[index]
        x = torch.from_numpy(order.transpose(2, 0, 1).copy()).double().requires_grad_()
        value = net.module[:5](((x - mean) / std)[None])[(0, 3, *top.positions[0, j])]
        assert float(value.detach()) == pytest.approx(float(top.values[0, j]), rel=1e-5)
        (gradient,) = torch.autograd.grad(value, x)
        pattern = gradient.numpy()[::-1] if net.pixels.order == "BGR" else gradient.numpy()
        size = np.abs(pattern)
        expected = 127.5 + 127.5 * (pattern / np.quantile(size, 0.999)).clip(-1, 1)
        box_top, left, bottom, right = top.boxes()[j]
        rows, columns = slice(max(box_top, 0), min(bottom, 12)), slice(max(left, 0), min(right, 12))
        inside = shown[j][rows.start - box_top : rows.stop - box_top, columns.start - left : columns.stop - left]
        assert np.abs(inside - expected.transpose(1, 2, 0)[rows, columns]).max() <= 0.51


def test_projections_follow_their_rule(net):
    top = cx.top_patches(net, "relu2", 3, IMAGES, k=2, progress=False)
    for rule in ("gradient", "deconvnet", "guided_backprop"):
        shown = top.projections(rule=rule)
        assert shown.shape == (2, 9, 9, 3)
        for j, index in enumerate(top.indices[0]):
            place = tuple(top.positions[0, j].tolist())
            a = cx.attribute(net, IMAGES[index], layer="relu2", unit=3, position=place, method=rule)
            whole = drawing.signed_picture(a.raw, 0.999)
            r, c, b, d = top.boxes()[j]
            if r >= 0 and c >= 0 and b <= SIDE and d <= SIDE:
                assert np.abs(shown[j].astype(int) - whole[r:b, c:d]).max() <= 1


def test_memory_does_not_grow_with_the_number_of_images(net):
    alive, most = weakref.WeakSet(), 0

    class Counting:
        def __len__(self):
            return 60

        def __getitem__(self, index):
            nonlocal most
            image = torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(index))
            alive.add(image)
            most = max(most, len(alive))
            return image, 0

    top = cx.top_patches(net, "conv2", None, Counting(), k=9, batch=4, progress=False)
    assert top.values.shape == (7, 9)
    assert most <= 3 * 4
    assert not [value for value in vars(top).values() if isinstance(value, torch.Tensor)]


@settings(max_examples=10)
@given(st.lists(st.integers(0, 255), min_size=1, max_size=9), st.integers(1, 5), st.integers(1, 4))
def test_the_largest_of_a_stream(greys, k, batch):
    """Of images of one grey each, units that add and subtract it."""
    module = nn.Conv2d(1, 2, 4, bias=False)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1).expand(2, 1, 4, 4) / 16)
    net = cx.Network(nn.Sequential(module), size=4, pixels=cx.Pixels("grey", (0.0,), (1.0,)))
    images = [np.full((4, 4), grey, np.uint8) for grey in greys]
    top = cx.top_patches(net, "conv1", None, images, k=k, batch=batch, progress=False)
    for sign, values, numbers in zip((1, -1), top.values, top.indices, strict=True):
        assert np.allclose(values, sorted((sign * v for v in greys), reverse=True)[:k], atol=1e-3)
        assert np.allclose(values, [sign * greys[n] for n in numbers], atol=1e-3)
        assert len(set(numbers.tolist())) == len(numbers)


def test_a_folder_or_a_data_set(net, tmp_path):
    from PIL import Image

    for k in range(3):
        (tmp_path / f"{k % 2}").mkdir(exist_ok=True)
        Image.fromarray(IMAGES[k]).save(tmp_path / f"{k % 2}" / f"{k}.png")
    (tmp_path / "notes.txt").write_text("no image")
    assert [path.name for path in (Images(tmp_path)[k] for k in range(3))] == ["0.png", "2.png", "1.png"]
    top = cx.top_patches(net, "conv2", 0, tmp_path, k=3, progress=False)
    order = [IMAGES[int(Images(tmp_path)[k].stem)] for k in range(3)]
    assert np.array_equal(top.indices, cx.top_patches(net, "conv2", 0, order, k=3, progress=False).indices)
    world = cx.world.dataset(4, 1, SIDE)
    assert cx.top_patches(net, "conv2", 0, world, k=2, progress=False).pictures().shape == (2, SIDE, SIDE, 3)


def test_the_minimal_image_by_its_definition(net):
    m = cx.minimal_image(net, IMAGES[3], segments=9, progress=False)
    x = net.pixels_of(IMAGES[3])

    def scores(x):
        with torch.no_grad():
            return net.probe(net.scores.name)(net.feed(x))[net.scores.name].flatten()

    def without(parts):
        return torch.where(torch.from_numpy(np.isin(m.segments, parts)), torch.zeros_like(x), x)

    def lead(s):
        return float(s[m.target] - max(s[k] for k in range(4) if k != m.target))

    assert m.target == int(scores(x).argmax())
    for step in range(len(m.removed)):
        gone = m.removed[:step]
        left = [k for k in range(m.segments.max() + 1) if k not in gone]
        best = max(left, key=lambda k, gone=gone: lead(scores(without([*gone, k]))))
        assert m.removed[step] == best
        assert int(scores(without(m.removed[: step + 1])).argmax()) == m.target
    left = [k for k in range(m.segments.max() + 1) if k not in m.removed]
    assert len(left) == 1 or all(lead(scores(without([*m.removed, k]))) <= 0 for k in left)
    assert np.array_equal(m.mask, np.isin(m.segments, left))
    assert len(m.scores) == len(m.removed) + 1
    assert m.scores[-1] == pytest.approx(float(scores(without(m.removed))[m.target]), rel=1e-4)
    assert np.array_equal(m.minimal, net.picture(without(m.removed)))


def test_what_is_wrong_gets_a_sentence(net, refused, tmp_path):
    refused(cx.SettingError, lambda: cx.top_patches(net, "conv1", 5, IMAGES), "0 to 4")
    refused(cx.SettingError, lambda: cx.top_patches(net, "conv1", [], IMAGES), "empty")
    refused(cx.SettingError, lambda: cx.top_patches(net, "conv1", 1, IMAGES, k=0), "k is 0")
    refused(cx.SettingError, lambda: cx.top_patches(net, "conv1", 1, []), "empty")
    refused(cx.SettingError, lambda: cx.top_patches(net, "conv1", 1, tmp_path), "not a folder")
    refused(cx.SettingError, lambda: cx.top_patches(net, "conv1", 1, iter(IMAGES)), "list_iterator")
    refused(cx.LayerNotFound, lambda: cx.top_patches(net, "conv7", 1, IMAGES), "conv7")
    top = cx.top_patches(net, "conv1", [1, 2], IMAGES[:3], progress=False)
    refused(cx.SettingError, lambda: top.only(3), "none of the 2 units")
    refused(cx.SettingError, lambda: top.patches(), "name one")
    refused(cx.SettingError, lambda: cx.minimal_image(net, IMAGES[0], segments=1), "2 to 1000")
    maps = cx.Network(nn.Conv2d(3, 4, 3), size=12)
    refused(cx.NetworkError, lambda: cx.minimal_image(maps, IMAGES[0]), "ends in a map")
    broken = [*IMAGES[:3], "nowhere.png"]
    refused(cx.ImageError, lambda: cx.top_patches(net, "conv1", 1, broken, progress=False), "nowhere.png")
