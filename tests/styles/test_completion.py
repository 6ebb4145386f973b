"""Completion: not a bit changes outside the mask, at any size; the class rises; its Python makes it again."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import binary_fill_holes, label

import cnnexplore as cx
from cnnexplore.styles import nearest_topic
from cnnexplore.styles.masked_photograph import MaskedPhotograph


@pytest.fixture(scope="module")
def net():
    return cx.load("worldnet", device="cpu")


@pytest.fixture(scope="module")
def scene():
    return cx.scene(11).image


BOX = (30, 20, 70, 66)


def boxed(size, box=BOX):
    mask = np.zeros(size, bool)
    mask[box[0] : box[2], box[1] : box[3]] = True
    return mask


def test_pixels_outside_the_mask_are_untouched_to_the_bit(net, scene, tmp_path):
    mask = boxed((96, 96))
    run = cx.Completion(net, scene, mask, steps=6, refine=3)
    start = net.pixels_of(scene)
    for frame in run.frames():
        assert torch.equal(frame.x[0][:, ~mask], start[0][:, ~mask])
    made = run.result()
    assert made.picture.dtype == np.uint8
    assert np.array_equal(made.picture[~mask], scene[~mask])
    assert (made.picture[mask] != scene[mask]).any(1).mean() > 0.9
    made.save(tmp_path / "made.png")
    saved = np.asarray(Image.open(tmp_path / "made.png"))
    assert np.array_equal(saved[~mask], scene[~mask])
    assert np.array_equal(saved, made.picture)
    assert Image.open(tmp_path / "made.png").text["cnnexplore"] == made.to_python()


@pytest.mark.parametrize("size", [(240, 411), (411, 240), (60, 80), (97, 96)])
def test_a_photograph_of_any_size_keeps_its_own_pixels(net, size):
    photo = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    box = (size[0] // 3, size[1] // 3, 2 * size[0] // 3, 2 * size[1] // 3)
    made = cx.complete(net, photo, box, target="church", steps=3, refine=0, progress=False)
    mask = boxed(size, box)
    assert np.array_equal(made.mask, mask)
    assert made.picture.shape == photo.shape
    assert np.array_equal(made.picture[~mask], photo[~mask])
    assert (made.picture[mask] != photo[mask]).any(1).mean() > 0.9
    low = made.masked.update_mask
    assert torch.equal(made.x[0][:, ~low], net.pixels_of(photo)[0][:, ~low])


def test_what_the_network_does_not_see_stays(net):
    photo = np.random.default_rng(0).integers(0, 256, (100, 300, 3), dtype=np.uint8)
    made = cx.complete(net, photo, (20, 60, 80, 160), target=0, steps=2, refine=0, progress=False)
    changed = (made.picture != photo).any(2)
    assert not changed[:, :100].any()
    assert changed[25:75, 105:155].mean() > 0.9


@given(seed=st.integers(0, 10**6), h=st.integers(20, 150), w=st.integers(20, 150))
def test_any_mask_any_size(net, seed, h, w):
    rng = np.random.default_rng(seed)
    photo = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
    mask = rng.random((h, w)) < 0.6
    masked = MaskedPhotograph(net, photo, mask)
    x = torch.from_numpy(rng.normal(0, 60, (1, 3, 96, 96)).astype(np.float32))
    out = masked.fill(x)
    assert np.array_equal(out[~mask], photo[~mask])
    assert not (masked.mask & ~mask).any()
    again = MaskedPhotograph(net, photo, eval(masked.to_python()))
    assert np.array_equal(again.mask, masked.mask)
    assert masked.soft_update_mask(0.05)[~masked.update_mask].max(initial=0) == 0
    assert masked.soft_update_mask(0.05)[masked.update_mask].min() > 0


@pytest.mark.slow
def test_the_class_rises(net):
    """In scenes of the world, with classes that are not there."""
    rises = []
    for seed, target in ((11, "church"), (12, "fish"), (13, "bird")):
        made = cx.complete(net, cx.scene(seed).image, BOX, target=target, steps=60, refine=10, progress=False)
        assert made.after == pytest.approx(dict(net.predict(made.picture, 10))[target], abs=1e-6)
        assert made.before == pytest.approx(dict(net.predict(cx.scene(seed).image, 10))[target], abs=1e-6)
        rises.append(made.after - made.before)
    assert min(rises) > 0
    assert np.mean(rises) > 0.5


def test_the_class_is_that_of_the_surroundings(net, scene):
    run = cx.Completion(net, scene, BOX)
    around = net.picture(run.masked.inpaint())
    assert run.class_name == net.predict(around, 1)[0][0]
    assert repr(run.class_name) in run.to_python()


@pytest.mark.slow
def test_styles_and_seeds_are_one_batch(net, scene):
    styles = [cx.Pathway.ensemble(0), np.arange(256) % 2 == 0, None]
    batch = cx.complete(net, scene, BOX, styles, target=3, seed=[5, 5, 6], steps=3, refine=0, progress=False)
    assert len(batch) == 3
    for one in batch:
        assert np.array_equal(one.picture, eval(one.to_python(), {"cx": cx, "image": scene}).picture)
    assert not np.array_equal(batch[0].picture, batch[1].picture)
    seeds = cx.complete(net, scene, BOX, target=3, seed=[5, 6], steps=3, refine=0, progress=False)
    assert np.array_equal(seeds[1].picture, batch[2].picture)
    assert not np.array_equal(seeds[0].picture, seeds[1].picture)


@pytest.mark.parametrize("init", ["surroundings", "noise", "image"])
def test_the_python_makes_the_completion_again(net, init, tmp_path):
    path = tmp_path / "photo.png"
    photo = np.random.default_rng(1).integers(0, 256, (120, 150, 3), dtype=np.uint8)
    Image.fromarray(photo).save(path)
    mask = np.random.default_rng(2).random((120, 150)) < 0.5
    made = cx.complete(
        net, path, mask, cx.Pathway.ensemble(3), target=2, C=0.3, steps=3, refine=1, seed=4, init=init, M=2.0,
        schedule={2: {"C": 1.0}}, progress=False,
    )  # fmt: skip
    again = eval(made.to_python())
    assert np.array_equal(made.picture, again.picture)
    assert again.to_python() == made.to_python()


def test_a_mask_may_be_a_picture(net, scene, tmp_path):
    mask = boxed((96, 96))
    Image.fromarray(mask).save(tmp_path / "mask.png")
    for one in (tmp_path / "mask.png", Image.fromarray(mask), mask * np.uint8(255), torch.from_numpy(mask), BOX):
        assert np.array_equal(MaskedPhotograph(net, scene, one).mask, mask)
    large = np.kron(scene, np.ones((3, 3, 1), np.uint8))
    assert np.array_equal(MaskedPhotograph(net, large, mask).mask, np.kron(mask, np.ones((3, 3))) > 0)


def test_a_smooth_picture_is_inpainted_as_it_was(net):
    ramp = np.repeat(np.linspace(40, 200, 96)[:, None], 96, 1)
    photo = np.stack([ramp, ramp / 2, 255 - ramp], 2).astype(np.uint8)
    x = MaskedPhotograph(net, photo, (30, 30, 60, 60)).inpaint()
    assert (net.pixels_of(photo) - x).abs().max() < 3
    whole = MaskedPhotograph(net, photo, np.ones((96, 96), bool))
    assert not whole.inpaint().any()


def test_the_salient_part_is_one_piece_without_holes_and_on_the_object(net):
    found = []
    for seed in range(6):
        world = cx.scene(seed)
        mask = cx.salient_part(net, world.image)
        assert mask.shape == (96, 96)
        assert label(mask)[1] == 1
        assert np.array_equal(binary_fill_holes(mask), mask)
        assert 0.02 < mask.mean() < 0.35
        found.append((world.mask[mask].mean(), world.mask.mean()))
    inside, chance = np.mean(found, 0)
    assert inside > 1.5 * chance
    run = cx.Completion(net, cx.scene(0).image, steps=1)
    assert np.array_equal(run.masked.mask, cx.salient_part(net, cx.scene(0).image))
    assert "mask=" not in run.to_python()
    photo = np.kron(cx.scene(0).image, np.ones((2, 2, 1), np.uint8))
    assert cx.salient_part(net, photo).shape == (192, 192)


def test_what_cannot_be_gets_a_sentence(net, scene, refused):
    def run(mask=BOX, **more):
        return lambda: cx.Completion(net, scene, mask, **more)

    refused(cx.SettingError, run(np.zeros((96, 96), bool)), "nothing to fill")
    refused(cx.SettingError, run(np.ones((95, 96), bool)), "(95, 96)", "96 x 96")
    refused(cx.SettingError, run((0, 0, 97, 4)), "box", "96")
    refused(cx.SettingError, run(np.full((96, 96), 0.5)), "mask")
    refused(cx.ImageError, run("nowhere.png"), "nowhere.png")
    refused(cx.SettingError, run("96x96:zz"), "mask")
    refused(cx.SettingError, run(init="grass"), "init", "'surroundings'")
    refused(cx.SettingError, run(topic="fluffy"), "topic", "str")
    refused(cx.SettingError, run(topic=np.ones(7)), "m7", "7", "256")
    refused(cx.SettingError, run(target="unicorn"), "unicorn")
    refused(cx.SettingError, run(M=0), "M")
    refused(cx.SettingError, run(topic=[None, None], seed=[1, 2, 3]), "2 topics and 3 seeds")
    refused(cx.SettingError, lambda: cx.Completion(net, [scene], BOX), "list of images")
    refused(cx.SettingError, lambda: cx.salient_part(net, scene, area=1), "area")
    with pytest.raises(cx.NetworkError):
        cx.Completion(cx.load("hog"), scene, (0, 0, 9, 9), topic=cx.Pathway.ensemble(0))


@pytest.mark.slow
def test_a_style_changes_the_fill_more_than_a_seed_does():
    """On the network that knows the world's styles: fills are of the class and nearest to images of their topic."""
    net = cx.load("worldnet-styles", device="cpu")
    found = cx.features(net, cx.world.dataset(60, 1, 96, ["church"]), cache=False, progress=False)
    topics = cx.topics(found, 3)
    styles = [topic for topic in topics for _ in (0, 1)]
    fills = cx.complete(
        net,
        cx.scene(12).image,
        (20, 20, 80, 76),
        styles,
        target="church",
        seed=[0, 1] * 3,
        steps=40,
        refine=5,
        progress=False,
    )
    assert min(fill.after for fill in fills) > 0.9 > 0.1 > fills[0].before
    assert nearest_topic(topics, [fill.picture for fill in fills]).tolist() == [0, 0, 1, 1, 2, 2]
    codes = net.activations([fill.picture for fill in fills], "relu7").numpy()
    far = np.linalg.norm(codes[:, None] - codes[None], axis=2)
    within = np.mean([far[2 * k, 2 * k + 1] for k in range(3)])
    between = np.mean([far[2 * a + n, 2 * b + n] for a, b in ((0, 1), (0, 2), (1, 2)) for n in (0, 1)])
    assert between > 3 * within
