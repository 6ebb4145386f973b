"""The patch database: where a code's patch lies, which are near, and that an image never meets itself."""

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from scipy.ndimage import gaussian_filter
from torch import nn

import cnnexplore as cx
from cnnexplore.styles.duplicates import LIKE, likeness, thumbnails
from cnnexplore.styles.metric import AlikePatches, coarse
from cnnexplore.styles.patches import code_places

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
    return cx.Network(module, SIDE, cx.Pixels(order))


@pytest.fixture(scope="module")
def net():
    return network()


@pytest.fixture(scope="module")
def database(net):
    return cx.PatchDatabase(net, pictures(12), "conv2", metric="code", cache=False, progress=False)


def test_places_of_the_papers_alexnet(shared):
    net = cx.load(shared / "weights" / "alexnet-imagenette.safetensors", device="cpu")
    layer = net.layers["pool5"]
    places = code_places(layer, net.size, (67, 67))
    for i, j in np.ndindex(6, 6):
        assert (places[i, j] + 33).tolist() == [33 + 32 * i, 33 + 32 * j]  # centred there
    assert places.max() + 67 <= 227


def test_patches_lie_inside_the_picture(net):
    layer = net.layers["conv2"]
    places = code_places(layer, (SIDE, SIDE), (11, 11))
    assert places.shape == (8, 8, 2)
    assert places.min() == 0
    assert places.max() == SIDE - 11
    row, column = 4, 5
    top, left, bottom, right = layer.rf_box(row, column)
    assert abs(places[row, column, 0] + 5 - (top + bottom) / 2) <= 0.5
    assert abs(places[row, column, 1] + 5 - (left + right) / 2) <= 0.5


def test_neighbours_are_those_of_a_loop(net, database):
    image = pictures(1, seed=9)[0]
    near = database.neighbours(image, 4)
    code = net.activations(image, "conv2")[0].double().numpy()
    known = net.activations(pictures(12), "conv2").half().double().numpy()
    for i, j in ((0, 0), (3, 6), (7, 7)):
        distances = np.sqrt(((known - code[None, :, i, j, None, None]) ** 2).sum(1))
        order = np.argsort(distances, axis=None)[:4]
        picture, row, column = np.unravel_index(order, distances.shape)
        assert near.picture[i, j].tolist() == picture.tolist()
        assert np.allclose(near.distance[i, j], distances.ravel()[order], rtol=1e-3)
        assert near.place[i, j].tolist() == database.places[row, column].tolist()
    assert (np.diff(near.distance, axis=-1) >= 0).all()


def test_the_average_is_that_of_a_loop(net, database):
    image = pictures(1, seed=9)[0]
    near, (h, w) = database.neighbours(image, 3), database.size
    total, count = np.zeros((SIDE, SIDE, 3)), np.zeros((SIDE, SIDE, 1))
    for i in range(8):
        for j in range(8):
            top, left = near.own[i, j]
            for k in range(3):
                t, x = near.place[i, j, k]
                total[top : top + h, left : left + w] += pictures(12)[near.picture[i, j, k]][t : t + h, x : x + w] / 3.0
            count[top : top + h, left : left + w] += 1
    assert count.min() >= 1
    assert np.allclose(database.average(image, 3), total / count, atol=0.01)
    begun = net.picture(database.with_matching(k=3).init(net.pixels_of(image)))
    assert np.abs(begun - total / count).max() <= 0.51


def test_where_no_patch_lies_the_nearest_goes_on(net):
    bright = [np.maximum(picture, 60) for picture in pictures(4)]
    small = cx.PatchDatabase(net, bright, "conv2", metric="code", cache=False, progress=False)
    small.size, small.places = (2, 2), code_places(net.layers["conv2"], net.size, (2, 2))
    image = pictures(1, seed=9)[0]
    shown = small.average(image, 1)
    assert np.isfinite(shown).all()
    assert shown.min() >= 60  # nothing is left black


def test_an_image_never_meets_itself(net):
    known = pictures(12)
    whole = cx.PatchDatabase(net, known, "conv2", metric="code", cache=False, progress=False)
    for image in (known[3], known[3][:, ::-1], np.clip(known[3] * 0.7 + 20, 0, 255).astype(np.uint8)):
        assert np.flatnonzero(~whole.usable(np.ascontiguousarray(image))).tolist() == [3]
        assert not (whole.neighbours(np.ascontiguousarray(image), 20).picture == 3).any()
    index = whole.index(known[3])
    own = whole.pictures[3].astype(np.float32)
    for picture, mean, deviation in zip(index.pictures, index._means, index._deviations, strict=True):
        region = picture * deviation + mean
        windows = np.lib.stride_tricks.sliding_window_view(own, region.shape[:2], (0, 1))
        assert np.abs(np.moveaxis(windows, 2, -1) - region).max((2, 3, 4)).min() > 1
    assert whole.usable(pictures(1, seed=9)[0]).all()


def variants(photograph):
    """The same photograph as people pass it on."""
    picture = Image.fromarray(photograph)
    w, h = picture.size
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=25)
    yield "resaved", np.asarray(Image.open(file))
    yield "darker", np.asarray(ImageEnhance.Brightness(picture).enhance(0.6))
    yield "contrast", np.asarray(ImageEnhance.Contrast(picture).enhance(1.5))
    yield "grey", np.repeat(np.asarray(picture.convert("L"))[..., None], 3, 2)
    yield "small", np.asarray(picture.resize((w // 3, h // 3)).resize((w, h)))
    yield "mirrored", photograph[:, ::-1]
    yield "corner", np.asarray(picture.crop((0, 0, round(0.9 * w), round(0.9 * h))).resize((w, h)))
    yield "middle", np.asarray(picture.crop((w // 10, h // 10, w - w // 10, h - h // 10)).resize((w, h)))


def test_near_duplicates_of_photographs():
    names = ["cat", "astronaut", "coffee", "rocket", "motorcycle", "horse", "coins", "camera"]
    net = network()
    large = cx.Network(net.module[:4], 160)
    known = [large.picture(large.pixels_of(cx.photograph(name))) for name in names]
    seen = thumbnails(np.stack(known))
    for k, photograph in enumerate(known):
        assert likeness(photograph, seen)[k] == pytest.approx(1, abs=1e-4)
        for name, variant in variants(photograph):
            like = likeness(np.ascontiguousarray(variant), seen)
            assert like[k] >= LIKE, (names[k], name)
            assert np.delete(like, k).max() < LIKE, (names[k], name)
            assert likeness(photograph, thumbnails(np.ascontiguousarray(variant)[None]))[0] >= LIKE, (names[k], name)


def test_a_picture_without_contrast_is_like_none():
    flat = np.full((SIDE, SIDE, 3), 90, np.uint8)
    assert likeness(flat, thumbnails(np.stack([flat, *pictures(2)]))).max() < 0.5


def test_the_fitted_metric_finds_patches_that_look_alike():
    """Codes of which few channels tell the patch and many are noise: the plain distance is led astray."""
    rng = np.random.default_rng(0)
    looks = gaussian_filter(rng.normal(size=(260, 6, 6, 1)), (0, 1, 1, 0)) * 60 + 128
    patches = np.repeat(np.repeat(looks.reshape(260, 36, 1, 1, 1), 8, 2), 8, 3)
    codes = np.concatenate([looks.transpose(0, 3, 1, 2) / 60, 2 * rng.normal(size=(260, 5, 6, 6))], 1)
    metric = AlikePatches(codes[:200], lambda numbers: patches[:200][numbers], dims=4)
    assert metric.known.shape == (200, 36, 4)
    new = metric(codes[200:])
    target, known = looks[200:].reshape(-1), looks[:200].reshape(-1)

    def miss(queries, database):
        distance = ((queries[:, None] - database[None]) ** 2).sum(-1)
        return np.abs(known[distance.argmin(1)] - target[: len(queries)]).mean()

    plain = codes.transpose(0, 2, 3, 1).reshape(-1, 6)
    fitted = miss(new.reshape(-1, 4)[:400], metric.known.reshape(-1, 4))
    assert fitted < 0.5 * miss(plain[200 * 36 :][:400], plain[: 200 * 36])
    again = AlikePatches(codes[:200], lambda numbers: patches[:200][numbers], dims=4)
    assert np.array_equal(again(codes[200:]), new)


def test_coarse_is_the_mean_of_blocks():
    patch = np.random.default_rng(0).integers(0, 256, (1, 2, 16, 16, 3)).astype(np.uint8)
    blocks = patch[0].reshape(2, 8, 2, 8, 2, 3).mean((2, 4)).transpose(0, 3, 1, 2).reshape(2, -1)
    assert np.allclose(coarse(patch).numpy(), blocks, atol=1e-3)


def test_a_grey_network():
    net = network(1, "grey")
    database = cx.PatchDatabase(net, pictures(6), "conv2", cache=False, progress=False, size=7, k=2)
    assert database.pictures.shape == (6, SIDE, SIDE, 1)
    assert database.average(pictures(1, seed=9)[0]).shape == (SIDE, SIDE, 1)
    result = cx.invert(net, pictures(1, seed=9)[0], "conv2", steps=3, refine=0, patches=database, init="patches",
                       progress=False)  # fmt: skip
    assert np.isfinite(result.error)


def test_all_patches_alike(net, monkeypatch):
    monkeypatch.setattr("cnnexplore.styles.patches.MOST", 100)
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
    assert made.with_matching(size=5).to_python() == made.to_python() + ".with_matching(size=5)"
    assert cx.PatchDatabase(net, pictures(3), "conv2", progress=False).to_python() == "patches"
    Image.fromarray(pictures(1)[0]).save(tmp_path / "a.png")
    folder = cx.PatchDatabase(lenet, tmp_path, "conv2", metric="code", progress=False)
    assert repr(str(tmp_path)) in folder.to_python()
    assert "metric='code'" in folder.to_python()


def test_wrong_input(net, database, refused):
    make = cx.PatchDatabase
    refused(cx.LayerError, lambda: make(net, pictures(2), "fc3"), "no places")
    refused(cx.LayerNotFound, lambda: make(net, pictures(2), "pool9"), "'pool9'")
    refused(cx.SettingError, lambda: make(net, pictures(2), metric="cosine"), "'cosine'", "'alike'")
    refused(cx.SettingError, lambda: make(net, [], "conv2"), "empty")
    refused(cx.SettingError, lambda: make(net, pictures(2), kk=3), "'kk'", "stride")
    refused(cx.SettingError, lambda: database.with_matching(k=0), "k is 0")
    refused(cx.SettingError, lambda: database.neighbours(pictures(1, seed=9)[0], 10**6), "k is 1000000")
    refused(cx.LayerError, lambda: make(net, pictures(2), progress=False).neighbours(pictures(1)[0]), "no codes")
    refused(cx.SettingError, lambda: database.with_matching(size=40).index(pictures(1, seed=9)[0]), "40 x 40")
