"""The verb: what is asked for is what is explained; every method against a slow, literal version of its formula."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

import cnnexplore as cx
from cnnexplore.attribution import attribute_stream

SIDE = 24
IMAGES = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
IMAGE = IMAGES[0]


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 5, 2, 2)
        self.fc = nn.Linear(6 * 36, 4)

    def forward(self, x):
        return F.softmax(self.fc(F.max_pool2d(F.relu(self.conv(x)), 2).flatten(1)), 1)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    pixels = cx.Pixels("BGR", (100, 110, 120), (50, 60, 70))
    return cx.Network(Small(), size=SIDE, pixels=pixels, labels=["ant", "bee", "red cat", "dog"])


@torch.no_grad()
def scores(net, x):
    m = net.module
    return m.fc(F.max_pool2d(F.relu(m.conv(net.pixels.feed(x))), 2).flatten(1))


def numeric(net, x, target, places, step=0.02):
    """Central differences of a class's score with respect to x."""
    out = []
    for c, row, column in places:
        up, down = x.clone(), x.clone()
        up[0, c, row, column] += step
        down[0, c, row, column] -= step
        out.append(float(scores(net, up)[0, target] - scores(net, down)[0, target]) / (2 * step))
    return out


def test_the_gradient_is_of_the_score_before_the_softmax_and_by_pixel_value(net):
    a = cx.attribute(net, IMAGE, "red cat")
    places = [(0, 3, 4), (1, 12, 12), (2, 20, 7), (0, 0, 23)]
    expected = numeric(net, net.pixels_of(IMAGE), 2, places)
    assert np.allclose([a.raw[p] for p in places], expected, rtol=0.02, atol=2e-5)
    assert np.array_equal(a.map, np.abs(a.raw).max(0))
    assert (a.target, a.about, a.method) == (2, "red cat", "gradient")
    assert a.score == pytest.approx(float(scores(net, net.pixels_of(IMAGE))[0, 2]), rel=1e-4)
    assert np.array_equal(a.image, IMAGE)


def test_gradients_by_autograd_with_uneven_pixels(uneven_pixels):
    net = uneven_pixels
    image = IMAGES[0, :12, :12]
    x = net.pixels_of(image).double().requires_grad_()
    std = torch.tensor(net.pixels.std, dtype=torch.float64).view(1, -1, 1, 1)
    net.module(x / std)[0, 3].backward()
    gradient = x.grad[0].numpy()
    a = cx.attribute(net, image, "dog")
    np.testing.assert_allclose(a.raw, gradient, rtol=1e-10)
    np.testing.assert_allclose(a.map, np.abs(gradient).max(0), rtol=1e-10)
    product = cx.attribute(net, image, "dog", method="input_x_gradient")
    np.testing.assert_allclose(product.map, (x[0].detach().numpy() * gradient).sum(0), rtol=1e-9, atol=1e-12)
    quiet = cx.attribute(net, image, "dog", method="smoothgrad", noise=0, samples=9)
    np.testing.assert_allclose(quiet.raw, gradient, rtol=1e-10)
    along = cx.attribute(net, image, "dog", method="integrated_gradients", steps=400)
    with torch.no_grad():
        difference = float((net.module(x / std) - net.module(x * 0))[0, 3])
    assert along.map.sum() == pytest.approx(difference, abs=0.005 * float(np.abs(along.map).sum()))


def test_images_in_one_array_and_units_in_one(net):
    several = cx.attribute(net, IMAGES)
    assert [a.target for a in several] == [cx.attribute(net, image).target for image in IMAGES]
    for units in (np.array([1, 2]), torch.tensor([1, 2]), (1, 2), range(1, 3)):
        assert [a.target for a in cx.attribute(net, IMAGE, layer="conv", unit=units)] == [1, 2]
    assert cx.attribute(net, IMAGE, np.int64(2)).about == "red cat"
    a = cx.attribute(net, IMAGE, 1, method="smoothgrad", samples=np.int64(2), noise=np.float64(0.25))
    assert a.to_python().endswith("1, method='smoothgrad', samples=2, noise=0.25)")


def test_without_a_target_the_predicted_class_is_explained(net):
    best = int(scores(net, net.pixels_of(IMAGE))[0].argmax())
    a = cx.attribute(net, IMAGE)
    assert a.target == best
    assert np.array_equal(a.map, cx.attribute(net, IMAGE, best).map)


@pytest.mark.parametrize("method", [m for m in cx.attribution_methods() if m != "cam"])
def test_lists_run_together_and_give_the_same(net, method):
    options = {"window": 6} if method == "occlusion" else {"samples": 2} if method == "smoothgrad" else {}
    several = cx.attribute(net, list(IMAGES), [0, 3, 1], method=method, **options)
    for k, a in enumerate(several):
        alone = cx.attribute(net, IMAGES[k], [0, 3, 1][k], method=method, **options)
        assert a.map.shape == (SIDE, SIDE)
        assert np.isfinite(a.map).all()
        assert a.map.max() > 0
        assert a.target == alone.target
        assert np.allclose(a.map, alone.map, rtol=1e-3, atol=1e-4 * np.abs(alone.map).max())
    one = cx.attribute(net, IMAGE, [1, 2], method=method, **options)
    assert [a.target for a in one] == [1, 2]


@pytest.mark.parametrize("method", [m for m in cx.attribution_methods() if m != "cam"])
def test_a_unit_at_a_place(net, method):
    """What is outside the unit's field has no part in it; without a place it is the strongest one."""
    relu = next(name for name in net.layers if "relu" in name)
    activations = net.activations(IMAGE, relu)[0, 4]
    strongest = divmod(int(activations.argmax()), activations.shape[1])
    options = {"at": "conv1" if "conv1" in net.layers else "conv"} if "gradcam" in method else {}
    options |= {"window": 4, "stride": 2} if method == "occlusion" else {}
    a = cx.attribute(net, IMAGE, layer=relu, unit=4, method=method, **options)
    assert a.score == pytest.approx(float(activations.max()), rel=1e-5)
    assert str(strongest) in a.about
    same = cx.attribute(net, IMAGE, layer=relu, unit=4, position=strongest, method=method, **options)
    assert np.array_equal(a.map, same.map)
    if method not in ("gradcam", "rise"):  # whose maps are nonzero all over
        top, left, bottom, right = net.layers[relu].rf_box(*strongest)
        wide = 4 if method == "occlusion" else 0
        outside = np.ones((SIDE, SIDE), bool)
        rows = slice(max(int(top) - wide, 0), int(bottom) + 1 + wide)
        outside[rows, max(int(left) - wide, 0) : int(right) + 1 + wide] = False
        assert np.abs(a.map[outside]).max() <= 1e-5 * np.abs(a.map).max()
    assert np.array_equal(eval(a.to_python(), {"cx": cx, "net": net, "image": IMAGE}).map, a.map)


def test_smoothgrad_is_the_mean_gradient_of_noisy_copies(net):
    a = cx.attribute(net, IMAGE, 1, method="smoothgrad", samples=5, noise=0.1, seed=3)
    x = net.pixels_of(IMAGE)
    generator = torch.Generator().manual_seed(3)
    sigma = 0.1 * float(x.max() - x.min())
    total = 0
    for _ in range(5):
        noisy = (x + sigma * torch.randn(x[0].shape, generator=generator)).requires_grad_()
        m = net.module
        score = m.fc(F.max_pool2d(F.relu(m.conv(net.pixels.feed(noisy))), 2).flatten(1))[0, 1]
        total = total + torch.autograd.grad(score, noisy)[0] / 5
    assert np.allclose(a.raw, total[0], rtol=1e-3, atol=1e-5 * float(total.abs().max()))
    quiet = cx.attribute(net, IMAGE, 1, method="smoothgrad", samples=2, noise=0)
    assert np.allclose(quiet.raw, cx.attribute(net, IMAGE, 1).raw, rtol=1e-4, atol=1e-7)


def test_integrated_gradients_add_up_to_the_difference(net):
    for baseline in (None, IMAGES[1]):
        a = cx.attribute(net, IMAGE, 1, method="integrated_gradients", steps=200, baseline=baseline)
        start = torch.zeros(1, 3, SIDE, SIDE) if baseline is None else net.pixels_of(baseline)
        difference = scores(net, net.pixels_of(IMAGE))[0, 1] - scores(net, start)[0, 1]
        assert a.map.sum() == pytest.approx(float(difference), abs=0.01 * float(np.abs(a.map).sum()))
        assert np.allclose(a.map, a.raw.sum(0), atol=1e-5)


@pytest.mark.parametrize(("window", "stride", "fill"), [(6, 3, "mean"), ((5, 8), (4, 5), 200), (7, 7, (10, 20, 30))])
def test_occlusion_window_by_window(net, window, stride, fill):
    a = cx.attribute(net, IMAGE, 3, method="occlusion", window=window, stride=stride, fill=fill)
    (h, w), (sh, sw) = (v if isinstance(v, tuple) else (v, v) for v in (window, stride))
    x = net.pixels_of(IMAGE)
    colour = torch.zeros(3) if fill == "mean" else torch.tensor(fill).expand(3).flip(0) - torch.tensor(net.pixels.mean)
    whole = float(scores(net, x)[0, 3])
    total, count = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    rows, columns = (range(0, -(-(SIDE - n) // s) * s + 1, s) for n, s in ((h, sh), (w, sw)))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            covered = x.clone()
            covered[0, :, row : row + h, column : column + w] = colour[:, None, None]
            fall = whole - float(scores(net, covered)[0, 3])
            assert a.raw[0, i, j] == pytest.approx(fall, abs=2e-4)
            total[row : row + h, column : column + w] += fall
            count[row : row + h, column : column + w] += 1
    assert a.raw.shape == (1, len(rows), len(columns))
    assert np.allclose(a.map, total / count, atol=2e-4)


def test_occlusion_as_a_stream(net):
    stream = list(attribute_stream(net, IMAGE, 3, method="occlusion", window=6, stride=3, batch=10))
    # 16 windows lie side by side, 19 are drawn, 14 follow.
    assert [round(49 * done) for _, done in stream] == [10, 16, 26, 35, 45, 49]
    assert [a.accuracy.partition(":")[0] for a, _ in stream] == ["unfinished"] * 3 + ["approximate"] * 2 + ["exact"]
    first, last = stream[0][0].map, stream[-1][0].map
    whole = cx.attribute(net, IMAGE, 3, method="occlusion", window=6, stride=3).map
    np.testing.assert_allclose(last, whole, rtol=1e-4, atol=1e-5)  # of batches of another size
    assert (first[6:] == 0).sum() > (last[6:] == 0).sum()
    assert np.array_equal(eval(stream[-1][0].to_python(), {"cx": cx, "net": net, "image": IMAGE}).map, last)


def test_other_methods_stream_in_one_step(net):
    ((found, share),) = attribute_stream(net, IMAGE, 3, method="gradcam")
    assert share == 1
    assert np.array_equal(found.map, cx.attribute(net, IMAGE, 3, method="gradcam").map)


def test_under_no_grad_and_inference_mode(net):
    expected = cx.attribute(net, IMAGE, 1, method="guided_backprop").map
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            assert np.array_equal(cx.attribute(net, IMAGE, 1, method="guided_backprop").map, expected)


def test_the_names(net):
    methods = cx.attribution_methods()
    assert list(methods) == [
        "gradient", "input_x_gradient", "smoothgrad", "integrated_gradients", "deconvnet", "guided_backprop", "cam",
        "gradcam", "guided_gradcam", "occlusion", "rise",
    ]  # fmt: skip
    assert all(30 < len(summary) < 120 for summary in methods.values())


def test_it_shows_itself(net, tmp_path):
    for method in ("gradient", "occlusion"):
        a = cx.attribute(net, IMAGE, 1, method=method)
        assert a._repr_png_().startswith(b"\x89PNG")
        a.save(tmp_path / f"{method}.png")
        with Image.open(tmp_path / f"{method}.png") as file:
            assert file.text["cnnexplore"] == a.to_python()
            assert np.array_equal(np.asarray(file), a.picture)
        a.save(tmp_path / f"{method}.pdf")
        assert (tmp_path / f"{method}.pdf").read_bytes().startswith(b"%PDF")
        assert a.picture.shape == a.overlay(0.4).shape == (SIDE, SIDE, 3)
    a = cx.attribute(net, IMAGE, 1)
    brightest = np.unravel_index(a.map.argmax(), a.map.shape)
    assert tuple(a.picture[brightest]) == (253, 231, 36) or a.picture[brightest].sum() >= a.picture.sum(-1).max() - 3
    grey = np.repeat(IMAGE.mean(-1, keepdims=True), 3, -1)
    assert np.abs(a.overlay(0.0) - grey).max() <= 0.5


def test_what_is_wrong_gets_a_sentence(net, refused):
    wrong = {
        ("'gradcan'", "'gradcam'"): lambda: cx.attribute(net, IMAGE, 1, method="gradcan"),
        ("no attribution method", "occlusion"): lambda: cx.attribute(net, IMAGE, 1, method="zzz"),
        ("gradient has no setting 'steps'",): lambda: cx.attribute(net, IMAGE, 1, steps=3),
        ("'horse'", "net.labels"): lambda: cx.attribute(net, IMAGE, "horse"),
        ("'cat'", "'red cat'"): lambda: cx.attribute(net, IMAGE, "cat"),
        ("0 to 3",): lambda: cx.attribute(net, IMAGE, 4),
        ("True",): lambda: cx.attribute(net, IMAGE, True),
        ("not both",): lambda: cx.attribute(net, IMAGE, 1, layer="conv", unit=1),
        ("at=",): lambda: cx.attribute(net, IMAGE, layer="conv", method="gradcam"),
        ("without layer",): lambda: cx.attribute(net, IMAGE, unit=2),
        ("position",): lambda: cx.attribute(net, IMAGE, position=(1, 1)),
        ("(12, 0)", "12 x 12"): lambda: cx.attribute(net, IMAGE, layer="conv", unit=1, position=(12, 0)),
        ("(row, column)",): lambda: cx.attribute(net, IMAGE, layer="conv", unit=1, position=3),
        ("2 images and 3 targets",): lambda: cx.attribute(net, list(IMAGES[:2]), [0, 1, 2]),
        ("empty",): lambda: cx.attribute(net, IMAGE, []),
        ("window", "24"): lambda: cx.attribute(net, IMAGE, 1, method="occlusion", window=25),
        ("stride",): lambda: cx.attribute(net, IMAGE, 1, method="occlusion", window=4, stride=5),
        ("fill", "'blue'"): lambda: cx.attribute(net, IMAGE, 1, method="occlusion", fill="blue"),
        ("fill", "300"): lambda: cx.attribute(net, IMAGE, 1, method="occlusion", fill=300),
        ("samples",): lambda: cx.attribute(net, IMAGE, 1, method="smoothgrad", samples=0),
        ("noise",): lambda: cx.attribute(net, IMAGE, 1, method="smoothgrad", noise=-1),
        ("steps",): lambda: cx.attribute(net, IMAGE, 1, method="integrated_gradients", steps=0),
        ("opacity",): lambda: cx.attribute(net, IMAGE, 1).overlay(2),
    }
    for words, call in wrong.items():
        refused(cx.SettingError, call, *words)
    refused(cx.LayerNotFound, lambda: cx.attribute(net, IMAGE, layer="conv9", unit=1), "conv9")
    maps = cx.Network(nn.Conv2d(3, 4, 3), size=12)
    refused(cx.NetworkError, lambda: cx.attribute(maps, IMAGE), "10 x 10", "unit=")
