"""The patch database: where an activation's patch lies, which are near, and that an image never meets itself."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import nn

import cnnexplore as cx
from cnnexplore.styles.patch_database import patch_corners

SIDE = 32


def pictures(count, seed=0, channels=3, side=SIDE, width=3):
    noise = np.random.default_rng(seed).normal(size=(count, side, side, channels))
    smooth = gaussian_filter(noise, (0, width, width, 0))
    return list(np.clip(128 + 45 * smooth / smooth.std(), 0, 255).astype(np.uint8))


def network(channels=3, order="RGB"):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(channels, 6, 5, 2, 2), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU(),
                               nn.Flatten(), nn.Linear(8 * 64, 4))  # fmt: skip
    mean, std = ((110.0, 100.0, 90.0), (60.0, 50.0, 55.0)) if channels == 3 else ((110.0,), (60.0,))
    return cx.Network(module, size=SIDE, pixels=cx.Pixels(order, mean, std))


@pytest.fixture(scope="module")
def net():
    return network()


@pytest.fixture(scope="module")
def database(net):
    return cx.PatchDatabase(net, pictures(12), "conv2", metric="activation", cache=False, progress=False)


def test_places_of_the_papers_alexnet(shared):
    net = cx.load(shared / "weights" / "alexnet-imagenette.safetensors", device="cpu")
    layer = net.layers["pool5"]
    corners = patch_corners(layer, net.size, (67, 67))
    for i, j in np.ndindex(6, 6):
        assert (corners[i, j] + 33).tolist() == [33 + 32 * i, 33 + 32 * j]  # centred there
    assert corners.max() + 67 <= 227


def test_patches_lie_inside_the_picture(net):
    layer = net.layers["conv2"]
    corners = patch_corners(layer, (SIDE, SIDE), (11, 11))
    assert corners.shape == (8, 8, 2)
    assert corners.min() == 0
    assert corners.max() == SIDE - 11
    row, column = 4, 5
    top, left, bottom, right = layer.rf_box(row, column)
    assert abs(corners[row, column, 0] + 5 - (top + bottom) / 2) <= 0.5
    assert abs(corners[row, column, 1] + 5 - (left + right) / 2) <= 0.5


def test_neighbours_are_those_of_a_loop(net, database):
    image = pictures(1, seed=9)[0]
    near = database.neighbours(image, 4)
    activation = net.activations(image, "conv2")[0].double().numpy()
    known = net.activations(pictures(12), "conv2").half().double().numpy()
    for i, j in ((0, 0), (3, 6), (7, 7)):
        distances = np.sqrt(((known - activation[None, :, i, j, None, None]) ** 2).sum(1))
        order = np.argsort(distances, axis=None)[:4]
        picture, row, column = np.unravel_index(order, distances.shape)
        assert near.photographs[i, j].tolist() == picture.tolist()
        assert np.allclose(near.distance[i, j], distances.ravel()[order], rtol=1e-3)
        assert near.corners[i, j].tolist() == database.corners[row, column].tolist()
    assert (np.diff(near.distance, axis=-1) >= 0).all()


def test_the_average_is_that_of_a_loop(net, database):
    image = pictures(1, seed=9)[0]
    near, (h, w) = database.neighbours(image, 3), database.size
    total, count = np.zeros((SIDE, SIDE, 3)), np.zeros((SIDE, SIDE, 1))
    for i in range(8):
        for j in range(8):
            top, left = near.targets[i, j]
            for n, (t, x) in zip(near.photographs[i, j], near.corners[i, j], strict=True):
                total[top : top + h, left : left + w] += pictures(12)[n][t : t + h, x : x + w] / 3.0
            count[top : top + h, left : left + w] += 1
    assert count.min() >= 1
    assert np.allclose(database.average(image, 3), total / count, atol=0.01)
    begun = net.picture(database.with_matching(k=3).init(net.pixels_of(image)))
    assert np.abs(begun - total / count).max() <= 0.51


def test_where_no_patch_lies_the_nearest_goes_on(net):
    bright = [np.maximum(picture, 60) for picture in pictures(4)]
    small = cx.PatchDatabase(net, bright, "conv2", metric="activation", cache=False, progress=False)
    small.size, small.corners = (2, 2), patch_corners(net.layers["conv2"], net.size, (2, 2))
    image = pictures(1, seed=9)[0]
    shown = small.average(image, 1)
    assert np.isfinite(shown).all()
    assert shown.min() >= 60  # nothing is left black


def test_an_image_never_meets_itself(net):
    known = pictures(12)
    whole = cx.PatchDatabase(net, known, "conv2", metric="activation", cache=False, progress=False)
    for image in (known[3], known[3][:, ::-1], np.clip(known[3] * 0.7 + 20, 0, 255).astype(np.uint8)):
        assert np.flatnonzero(~whole.not_duplicates(np.ascontiguousarray(image))).tolist() == [3]
        assert not (whole.neighbours(np.ascontiguousarray(image), 20).photographs == 3).any()
    index = whole.index(known[3])
    patches = index.patches(np.arange(len(index)), original_colours=True)
    windows = np.lib.stride_tricks.sliding_window_view(known[3].astype(np.float32), index.size, (0, 1))
    windows = np.moveaxis(windows, 2, -1).reshape(-1, *index.size, 3)
    for patch in patches:
        assert np.abs(windows - patch).max((1, 2, 3)).min() > 1
    assert whole.not_duplicates(pictures(1, seed=9)[0]).all()


def test_a_grey_network():
    net = network(1, "grey")
    database = cx.PatchDatabase(net, pictures(6), "conv2", cache=False, progress=False, size=7, k=2)
    assert database.pictures.shape == (6, SIDE, SIDE, 1)
    assert database.average(pictures(1, seed=9)[0]).shape == (SIDE, SIDE, 1)
    result = cx.invert(net, pictures(1, seed=9)[0], "conv2", steps=3, refine=0, patches=database, init="patches",
                       progress=False)  # fmt: skip
    assert np.isfinite(result.error)


def test_without_a_layer_all_patches_are_equal(net, monkeypatch):
    monkeypatch.setattr("cnnexplore.styles.patch_database.MAX_PATCHES", 100)
    whole = cx.PatchDatabase(net, pictures(5), progress=False, size=9)
    index = whole.index()
    assert len(index) == 100
    assert index is whole.index()
    assert whole.with_matching(size=7).index().size == (7, 7)
    assert whole.index(side=5).size == (5, 5)


def test_a_database_says_the_python_that_makes_it(net, tmp_path):
    lenet = cx.load("lenet", device="cpu")
    made = cx.PatchDatabase(lenet, None, "conv2", k=4, progress=False)
    assert made.to_python() == "cx.PatchDatabase(cx.load('lenet'), None, 'conv2', k=4)"
    assert eval(made.to_python(), {"cx": cx}).matching == made.matching
    assert made.with_matching(size=np.int64(5)).to_python() == made.to_python() + ".with_matching(size=5)"
    assert cx.PatchDatabase(net, pictures(3), "conv2", progress=False).to_python() == "patches"
    Image.fromarray(pictures(1)[0]).save(tmp_path / "a.png")
    folder = cx.PatchDatabase(lenet, tmp_path, "conv2", metric="activation", progress=False)
    assert repr(str(tmp_path)) in folder.to_python()
    assert "metric='activation'" in folder.to_python()


def test_wrong_input(net, database, refused):
    make = cx.PatchDatabase
    refused(cx.LayerError, lambda: make(net, pictures(2), "fc3"), "no map")
    refused(cx.LayerNotFound, lambda: make(net, pictures(2), "pool9"), "'pool9'")
    refused(cx.SettingError, lambda: make(net, pictures(2), metric="cosine"), "'cosine'", "'learned'")
    refused(cx.SettingError, lambda: make(net, [], "conv2"), "empty")
    refused(cx.SettingError, lambda: database.with_matching(kk=3), "'kk'", "stride")
    refused(cx.SettingError, lambda: database.with_matching(k=0), "k is 0")
    refused(cx.SettingError, lambda: database.neighbours(pictures(1, seed=9)[0], 10**6), "k is 1000000")
    refused(cx.LayerError, lambda: make(net, pictures(2), progress=False).neighbours(pictures(1)[0]), "no layer")
    refused(cx.SettingError, lambda: database.with_matching(size=40).index(pictures(1, seed=9)[0]), "40 x 40")


class Layouts(nn.Module):
    """One computation, its map with the channels first, last, or as tokens."""

    def __init__(self, layout):
        super().__init__()
        torch.manual_seed(0)
        self.layout, self.conv, self.mixed, self.fc = layout, nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x):
        x = self.conv(x)
        if self.layout == "first":
            return self.fc(nn.functional.conv2d(x, self.mixed.weight[:, :, None, None], self.mixed.bias).mean((2, 3)))
        x = x.permute(0, 2, 3, 1)  # 8 rows, 8 columns and 8 channels
        return self.fc(self.mixed(x if self.layout == "last" else x.flatten(1, 2)).flatten(1, -2).mean(1))


@pytest.mark.parametrize("layout", ["last", "tokens"])
@pytest.mark.parametrize("metric", ["activation", "learned"])
def test_the_layout_of_the_activations_does_not_matter(layout, metric):
    found = []
    for one, kind in ((layout, "Linear"), ("first", "conv2d")):
        net = cx.Network(Layouts(one), size=SIDE)
        name = next(n for n, layer in net.layers.items() if layer.kind == kind and layer.has_map)
        made = cx.PatchDatabase(net, pictures(12), name, metric=metric, cache=False, progress=False)
        found.append(made.neighbours(pictures(1, 5)[0], 3))
    assert np.array_equal(found[0].photographs, found[1].photographs)
    assert np.array_equal(found[0].corners, found[1].corners)
    assert np.allclose(found[0].distance, found[1].distance, rtol=0.02, atol=0.05)
