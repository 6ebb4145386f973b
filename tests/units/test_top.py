"""Top patches, neighbours, minimal images: against looking at everything."""

import weakref

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import cnnexplore as cx
from cnnexplore.data import Images
from cnnexplore.units.stream import largest

SIDE = 24
IMAGES = list(np.random.default_rng(0).integers(0, 256, (23, SIDE, SIDE, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 5, 5, 2, 1), nn.ReLU(), nn.Conv2d(5, 7, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4)
    )
    module(torch.zeros(1, 3, SIDE, SIDE))
    return cx.Network(module, SIDE, labels=list("abcd"))


@pytest.mark.parametrize("batch", [1, 4, 16, 64])
def test_top_patches_of_all_units(net, batch):
    top = cx.top_patches(net, "relu2", None, IMAGES, k=6, batch=batch, progress=False)
    code = torch.cat([net.activations(one, "relu2") for one in IMAGES])
    for unit in range(7):
        best = code[:, unit].flatten(1).max(1)
        order = best.values.argsort(descending=True)[:6]
        assert top.indices[unit].tolist() == order.tolist()
        assert np.allclose(top.values[unit], best.values[order], rtol=1e-5)
        width = code.shape[3]
        assert top.positions[unit].tolist() == [
            [int(best.indices[k]) // width, int(best.indices[k]) % width] for k in order
        ]


def test_some_units_and_more_than_there_are(net):
    everything = cx.top_patches(net, "conv2", None, IMAGES, k=3, progress=False)
    some = cx.top_patches(net, "conv2", [5, 2], IMAGES, k=3, progress=False)
    assert np.array_equal(some.indices, everything.indices[[5, 2]])
    assert np.array_equal(some.only(2).values, everything.only(2).values)
    assert cx.top_patches(net, "conv2", 1, IMAGES[:4], k=9, progress=False).values.shape == (1, 4)
    scores = cx.top_patches(net, net.scores.name, 3, IMAGES, k=2, progress=False)
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


def test_projections_are_the_attributions(net):
    top = cx.top_patches(net, "relu2", 3, IMAGES, k=4, progress=False)
    from cnnexplore.units import project

    x = net.pixels_of([IMAGES[k] for k in top.indices[0]])
    for rule in ("gradient", "deconvnet", "guided_backprop"):
        found = project(net, top.layer, x, [3] * 4, top.positions[0].tolist(), rule)
        for j, index in enumerate(top.indices[0]):
            place = tuple(top.positions[0, j].tolist())
            a = cx.attribute(net, IMAGES[index], layer="relu2", unit=3, position=place, method=rule)
            assert np.allclose(found[j], a.raw, rtol=1e-4, atol=1e-7)
    assert top.projections().shape == (4, 9, 9, 3)
    assert top._repr_png_().startswith(b"\x89PNG")


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


@given(st.lists(st.lists(st.integers(-99, 99), min_size=1, max_size=7), min_size=1, max_size=5), st.integers(1, 9))
def test_the_largest_of_a_stream(chunks, k):
    known, first = None, 0
    for chunk in chunks:
        values = torch.tensor([chunk, [-v for v in chunk]])
        known = largest(known, (values, torch.arange(first, first + len(chunk)).expand(2, -1)), k)
        first += len(chunk)
    flat = [v for chunk in chunks for v in chunk]
    for sign, values, numbers in zip((1, -1), *known, strict=True):
        assert values.tolist() == sorted((sign * v for v in flat), reverse=True)[:k]
        assert [sign * flat[n] for n in numbers.tolist()] == values.tolist()


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


def test_neighbours_by_looking_at_all(net):
    for layer in (None, "conv1"):
        n = cx.neighbours(net, IMAGES[5], layer, IMAGES, k=4, batch=5, progress=False)
        x = net.pixels_of(IMAGES).flatten(1)
        codes = net.activations(IMAGES, n.layer).flatten(1)
        for found, distances, all_ in ((n.in_pixels, n.pixel_distances, x), (n.in_layer, n.layer_distances, codes)):
            expected = (all_ - all_[5]).double().norm(dim=1)
            assert found.tolist() == expected.argsort()[:4].tolist()
            assert found[0] == 5
            assert np.allclose(distances, expected.sort().values[:4], rtol=1e-4, atol=1e-3)
    assert n._repr_png_().startswith(b"\x89PNG")


def test_neighbours_compare_the_features_by_default(net):
    assert cx.neighbours(net, IMAGES[0], None, IMAGES[:2], k=1, progress=False).layer == "relu2"
    assert cx.neighbours(cx.load("worldnet"), IMAGES[0], None, IMAGES[:2], k=1, progress=False).layer == "relu7"


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
    assert np.array_equal(m.picture, net.picture(without(m.removed)))
    assert m._repr_png_().startswith(b"\x89PNG")


def test_what_is_wrong_gets_a_sentence(net, refused, tmp_path):
    refused(cx.SettingError, lambda: cx.top_patches(net, "conv1", 5, IMAGES), "0 to 4")
    refused(cx.SettingError, lambda: cx.top_patches(net, "conv1", [], IMAGES), "empty")
    refused(cx.SettingError, lambda: cx.top_patches(net, "conv1", 1, IMAGES, k=0), "k is 0")
    refused(cx.SettingError, lambda: cx.top_patches(net, "conv1", 1, []), "empty")
    refused(cx.SettingError, lambda: cx.top_patches(net, "conv1", 1, tmp_path), "no folder")
    refused(cx.SettingError, lambda: cx.top_patches(net, "conv1", 1, iter(IMAGES)), "list_iterator")
    refused(cx.LayerNotFound, lambda: cx.top_patches(net, "conv7", 1, IMAGES), "conv7")
    top = cx.top_patches(net, "conv1", [1, 2], IMAGES[:3], progress=False)
    refused(cx.SettingError, lambda: top.only(3), "none of the 2 units")
    refused(cx.SettingError, lambda: top.patches(), "name one")
    refused(cx.SettingError, lambda: cx.neighbours(net, IMAGES[0], None, IMAGES, k=0), "k is 0")
    refused(cx.SettingError, lambda: cx.minimal_image(net, IMAGES[0], segments=1), "2 to 1000")
    maps = cx.Network(nn.Conv2d(3, 4, 3), 12)
    refused(cx.NetworkError, lambda: cx.minimal_image(maps, IMAGES[0]), "ends in a map")
    broken = [*IMAGES[:3], "nowhere.png"]
    refused(cx.ImageError, lambda: cx.top_patches(net, "conv1", 1, broken, progress=False), "nowhere.png")
