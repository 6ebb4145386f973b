"""Runs: settings that change while they go on, pause and stop, state, batches, and the code that remakes them."""

import io
import sys
import threading
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import cnnexplore as cx
from cnnexplore.preimage import Settings, Values

SIDE = 20
PARAMETERS = cx.Inversion.parameters_for()


@pytest.fixture(scope="module")
def net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Conv2d(3, 6, 5, 2), nn.ReLU(inplace=True), nn.Conv2d(6, 8, 3), nn.ReLU(inplace=True), nn.Conv2d(8, 4, 3)
        )
    return cx.Network(module, size=SIDE, pixels=cx.Pixels("RGB", (120, 110, 100), (1.5, 0.7, 1.2)))


def picture(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


IMAGE = picture()


def begin(net, **options):
    return cx.Inversion(
        net, options.pop("image", IMAGE), "conv2", **({"C": 20, "jitter": 3, "steps": 8, "refine": 4} | options)
    )


def finish(run):
    return list(run.frames())


# the settings


def test_settings_change_at_once_or_not_at_all(refused):
    box = Settings(Values(PARAMETERS, C=3))
    assert (box.C, box.alpha, box.beta, box.jitter, box.rate, box.version) == (3, 6, 2, 0, 0.05, 0)
    refused(cx.SettingError, lambda: box.update(C=5, beta=9), "beta is 9", "1 to 3")
    refused(cx.SettingError, lambda: box.update(C=5, seed=1), "'seed'", "jitter")
    assert box.snapshot() == Values(PARAMETERS, C=3)
    assert box.version == 0
    assert box.update(C=5, beta=1.5) == Values(PARAMETERS, C=5, beta=1.5) == box.snapshot()
    assert box.version == 1
    assert "C=5" in repr(box)
    with pytest.raises(FrozenInstanceError):
        box.snapshot().C = 7
    with pytest.raises(AttributeError):
        box.delta  # noqa: B018


@pytest.mark.parametrize(
    "wrong",
    [{"C": -1}, {"C": float("nan")}, {"C": float("inf")}, {"C": "20"}, {"C": True}, {"C": 1e10},
     {"alpha": 0.5}, {"alpha": 21}, {"beta": 0.9}, {"beta": 3.1}, {"beta": None}, {"jitter": -1},
     {"jitter": 65}, {"jitter": 1.5}, {"rate": 0}, {"rate": 11}],
)  # fmt: skip
def test_settings_outside_their_range(wrong, refused, net):
    (name,) = wrong
    refused(cx.SettingError, lambda: Values(PARAMETERS, **wrong), f"{name} is {wrong[name]!r}")
    if name not in ("rate", "beta", "alpha") and wrong[name] is not None:
        refused(cx.SettingError, lambda: begin(net, **wrong), name)


def test_a_change_acts_at_the_next_step(net):
    run = begin(net, C=1)
    first = run.advance()
    run.settings.update(C=50, alpha=4, beta=1.5)
    second = run.advance()
    assert (first.values.C, second.values) == (1, Values(PARAMETERS, C=50, alpha=4, beta=1.5, jitter=3))
    for frame in (first, second):
        e = frame.energies
        assert e["energy"] == pytest.approx(frame.values.C * e["data"] + e["alpha"] + e["tv"])
    other = begin(net, C=1)
    other.advance()
    assert not torch.equal(other.advance().x, second.x)


def test_changes_from_a_thread_are_never_mixed(net):
    sets = [{"C": 1.0, "alpha": 3.0, "beta": 1.5}, {"C": 500.0, "alpha": 6.0, "beta": 2.5}]
    run = begin(net, **sets[0], steps=3000, refine=0)
    done = threading.Event()

    def write():
        while not done.is_set():
            for one in sets:
                run.settings.update(**one)

    writer = threading.Thread(target=write)
    seen, interval = set(), sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # a thousand times more occasions to come between two writes
    writer.start()
    try:
        for frame in run.frames():
            v = frame.values
            assert {"C": v.C, "alpha": v.alpha, "beta": v.beta} in sets
            e = frame.energies  # what was computed is what was said
            assert e["energy"] == pytest.approx(v.C * e["data"] + e["alpha"] + e["tv"], rel=1e-4)
            seen.add(v.C)
            if len(seen) == 2 and frame.step >= 200:
                break
    finally:
        done.set()
        writer.join()
        sys.setswitchinterval(interval)
    assert seen == {1.0, 500.0}


def test_two_runs_may_read_one_mailbox(net):
    box = Settings(Values(PARAMETERS, C=7, jitter=2))
    runs = [begin(net, settings=box), begin(net, settings=box, seed=1)]
    assert [run.advance().values.C for run in runs] == [7, 7]
    box.update(C=9)
    assert [run.advance().values.C for run in runs] == [9, 9]


# the stream


def test_frames_keep_their_pictures(net):
    frames = finish(begin(net))
    assert [frame.step for frame in frames] == list(range(1, 13))
    assert all(frame.total == 12 and frame.x.shape == (1, 3, SIDE, SIDE) for frame in frames)
    again = [frame.x.clone() for frame in begin(net).frames()]
    assert all(torch.equal(a.x, b) for a, b in zip(frames, again, strict=True))
    assert not torch.equal(frames[-1].x, frames[-2].x)
    assert np.array_equal(frames[-1].picture, net.picture(frames[-1].x))


def test_pause_and_resume(net):
    run = begin(net, steps=400, refine=0)
    got, reached, ended = [], threading.Event(), threading.Event()

    def loop():
        for frame in run.frames():
            got.append(frame.step)
            if frame.step == 3:
                run.pause()
                reached.set()
        ended.set()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    assert reached.wait(30)
    assert run.paused
    assert not ended.wait(0.1)
    assert run.step == 3
    assert got == [1, 2, 3]
    run.resume()
    assert ended.wait(60)
    assert not run.paused
    assert got == list(range(1, 401))


def test_stop_ends_a_paused_stream_and_it_can_go_on(net):
    whole = finish(begin(net))[-1]
    run = begin(net)
    ended, reached = threading.Event(), threading.Event()

    def loop():
        for frame in run.frames():
            if frame.step == 5:
                run.pause()
                reached.set()
        ended.set()

    threading.Thread(target=loop, daemon=True).start()
    assert reached.wait(30)
    run.stop()
    assert ended.wait(30)
    assert run.step == 5
    rest = finish(run)
    assert [frame.step for frame in rest] == list(range(6, 13))
    assert torch.equal(rest[-1].x, whole.x)


def test_a_stop_that_arrives_as_a_step_begins_is_not_lost(net):
    class Late(cx.Inversion):
        def advance(self):
            if self.step == 3:
                self.stop()
            return super().advance()

    run = Late(net, IMAGE, "conv2", C=20, jitter=3, steps=8, refine=4)
    assert len(finish(run)) == 4


def test_the_end_is_the_end(net):
    run = begin(net, steps=2, refine=1)
    assert run.total == 3
    assert len(finish(run)) == 3
    assert finish(run) == []
    nothing = begin(net, steps=0, refine=0)
    assert finish(nothing) == []
    assert nothing.history.shape == (0,)
    assert torch.equal(nothing.result().x, nothing.x)


def test_refinement_only(net):
    assert [frame.step for frame in begin(net, steps=0, refine=2).frames()] == [1, 2]


# state


@pytest.mark.parametrize("at", [0, 3, 8, 10])
@pytest.mark.parametrize("through_file", [False, True])
def test_state_continues_to_the_bit(net, at, through_file):
    changes = {2: {"C": 33.3}, 5: {"jitter": 5, "beta": 1.5}}
    whole = begin(net, schedule=changes)
    finish(whole)
    run = begin(net, schedule=changes)
    for _ in range(at):
        run.advance()
    state = run.state()
    if through_file:
        file = io.BytesIO()
        torch.save(state, file)
        file.seek(0)
        state = torch.load(file, weights_only=True)
    finish(run)  # the state must not move with the run it was taken from
    other = begin(net, schedule=changes)
    other.advance()
    other.restore(state)
    assert other.step == at
    finish(other)
    assert torch.equal(other.canvas, whole.canvas)
    assert np.array_equal(other.history, whole.history)
    assert other.to_python() == run.to_python() == whole.to_python()


def test_state_carries_the_seed_into_the_code(net):
    run = begin(net, seed=5)
    run.advance()
    other = begin(net)
    other.restore(run.state())
    finish(run), finish(other)
    assert torch.equal(other.canvas, run.canvas)
    assert other.to_python() == run.to_python()


def test_state_carries_a_change_that_waits_for_its_step(net):
    run = begin(net)
    run.advance()
    run.settings.update(C=200)
    other = begin(net)
    other.restore(run.state())
    finish(run), finish(other)
    assert torch.equal(other.canvas, run.canvas)
    assert other.to_python() == run.to_python()
    assert "200" in other.to_python()


def test_restore_refuses_what_belongs_elsewhere(net, refused):
    run = begin(net)
    run.advance()
    kept = run.canvas.clone()
    other = cx.Inversion(net, IMAGE, "conv1", steps=2)
    refused(cx.SettingError, lambda: run.restore(other.state()), "layer", "'conv1'", "'conv2'")
    refused(cx.SettingError, lambda: run.restore(begin(net, seed=[0, 1]).state()), "canvas")
    larger = cx.Network(net.module, size=SIDE + 4, pixels=net.pixels)
    refused(cx.SettingError, lambda: begin(larger, image=IMAGE).restore(run.state()), "canvas")
    refused(cx.SettingError, lambda: run.restore({**run.state(), "solver": "newton"}), "'newton'", "'spectral'")
    assert torch.equal(run.canvas, kept)
    assert run.step == 1


# same seed, same result; batches


def test_same_seed_same_result(net):
    a, b, c = (cx.invert(net, IMAGE, "conv2", steps=8, refine=3, seed=s, progress=False) for s in (4, 4, 5))
    assert torch.equal(a.x, b.x)
    assert a.error == b.error
    assert np.array_equal(a.history, b.history)
    assert not torch.equal(a.x, c.x)


def test_torchs_own_randomness_plays_no_part(net):
    before = torch.get_rng_state()
    a = cx.invert(net, IMAGE, "conv2", steps=4, refine=1, progress=False)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert torch.equal(a.x, cx.invert(net, IMAGE, "conv2", steps=4, refine=1, progress=False).x)
    torch.set_rng_state(before)


def agree(batch, singles):
    assert isinstance(batch, list)
    assert len(batch) == len(singles)
    for one, alone in zip(batch, singles, strict=True):
        assert one.x.shape == alone.x.shape
        assert float((one.x - alone.x).norm() / alone.x.norm()) < 1e-3
        assert one.error == pytest.approx(alone.error, rel=1e-3)
        for name in alone.history.dtype.names:
            np.testing.assert_allclose(one.history[name], alone.history[name], rtol=1e-3, atol=1e-6)
    assert [one.to_python()[-3:] for one in batch] == [f"[{k}]" for k in range(len(batch))]


def test_a_batch_of_seeds_is_its_runs(net):
    seeds = [3, 0, 9]
    batch = cx.invert(net, IMAGE, "conv2", C=20, jitter=3, steps=10, refine=4, seed=seeds, progress=False)
    agree(batch, [finish_one(net, IMAGE, seed) for seed in seeds])


def finish_one(net, image, seed):
    return cx.invert(net, image, "conv2", C=20, jitter=3, steps=10, refine=4, seed=seed, progress=False)


@pytest.mark.parametrize(
    "make",
    [
        lambda net, image: cx.invert(net, image[0], "conv3", seed=[0, 1, 2], steps=12, refine=2, progress=False),
        lambda net, image: cx.invert(net, image, "conv3", seed=4, steps=6, refine=0, progress=False),
        lambda net, image: cx.invert(net, np.stack(image), "conv3", steps=6, refine=0, progress=False),
        lambda net, image: cx.maximize(net, "conv3", [3, 5, 8], seed=[1, 2, 3], steps=6, progress=False),
        lambda net, image: cx.maximize(net, "conv3", np.array([3]), seed=[1], steps=6, progress=False),
        lambda net, image: cx.caricature(net, image, "conv3", steps=6, progress=False),
    ],
    ids=["seeds", "images", "stack", "units", "one unit", "caricatures"],
)
def test_the_python_of_one_of_a_batch_makes_it_again_to_the_bit(make):
    """Alone it would differ: convolutions of another number of images round differently, and a descent enlarges it."""
    net, images = cx.load("worldnet", device="cpu"), [cx.scene(7).image, cx.scene(8).image]
    batch = make(net, images)
    image = images[0] if "seed=[0, 1, 2]" in batch[0].python else images
    for one in batch:
        assert torch.equal(eval(one.python, {"cx": cx, "image": image}).x, one.x)


def test_a_batch_of_images_is_its_runs(net):
    images = [picture(seed) for seed in (5, 6)]
    batch = cx.invert(net, images, "conv2", C=20, jitter=3, steps=10, refine=4, seed=2, progress=False)
    agree(batch, [finish_one(net, image, 2) for image in images])
    stacked = cx.invert(net, np.stack(images), "conv2", C=20, jitter=3, steps=10, refine=4, seed=2, progress=False)
    assert all(torch.equal(a.x, b.x) for a, b in zip(batch, stacked, strict=True))
    pairs = cx.invert(net, images, "conv2", C=20, jitter=3, steps=10, refine=4, seed=[7, 8], progress=False)
    agree(pairs, [finish_one(net, image, seed) for image, seed in zip(images, (7, 8), strict=True)])


def test_a_list_of_one_is_a_list(net):
    for options in ({"seed": [0]}, {"image": [IMAGE]}):
        result = begin(net, **options).result()
        assert isinstance(result, list)
        assert len(result) == 1
    assert isinstance(begin(net).result(), cx.PreImage)


def test_a_batch_says_how_each_is_made(net, tmp_path):
    from PIL import Image

    paths = [str(tmp_path / f"{k}.png") for k in range(2)]
    for k, path in enumerate(paths):
        Image.fromarray(picture(k)).save(path)
    for result in cx.invert(net, paths, "conv2", C=20, steps=3, refine=1, seed=[1, 2], progress=False):
        again = eval(result.to_python(), {"cx": cx, "net": net})
        assert float((again.x - result.x).norm() / result.x.norm()) < 1e-3
    stack = np.stack([picture(k) for k in range(2)])
    for result in cx.invert(net, stack, "conv2", C=20, steps=3, refine=1, progress=False):
        again = eval(result.to_python(), {"cx": cx, "net": net, "image": stack})
        assert float((again.x - result.x).norm() / result.x.norm()) < 1e-3
    from_path = cx.invert(net, tmp_path / "0.png", "conv2", steps=3, refine=1, progress=False)
    assert torch.equal(eval(from_path.to_python(), {"cx": cx, "net": net}).x, from_path.x)


# the code


def test_code_replays_live_changes(net):
    run = begin(net, C=1 / 3, alpha=5.123456789, rate=0.0333, steps=14, refine=5)
    for frame in run.frames():
        if frame.step == 3:
            run.settings.update(C=123.456789, beta=1.75)
        if frame.step == 6:
            run.settings.update(jitter=6)
        if frame.step == 9:
            run.settings.update(C=1 / 7, alpha=2.5, rate=0.1)
        if frame.step == 15:  # refining
            run.settings.update(beta=2.9, jitter=2)
    again = eval(run.to_python(), {"cx": cx, "net": net, "image": IMAGE})
    assert torch.equal(again.x, run.x)
    assert np.array_equal(again.history, run.history)
    assert again.to_python() == run.to_python()


def test_code_of_a_change_before_the_first_step(net):
    run = begin(net)
    run.settings.update(C=80, jitter=5)
    finish(run)
    assert torch.equal(eval(run.to_python(), {"cx": cx, "net": net, "image": IMAGE}).x, run.x)


@pytest.mark.parametrize("stop_at", [3, 8, 10])
def test_code_of_an_unfinished_run(net, stop_at):
    run = begin(net)
    for frame in run.frames():
        if frame.step == stop_at:
            break
    assert torch.equal(eval(run.to_python(), {"cx": cx, "net": net, "image": IMAGE}).x, run.x)
    kept = run.x.clone()
    run.settings.update(C=77)
    finish(run)
    assert "77" in run.to_python()
    assert "77" not in run.to_python(step=stop_at)
    assert torch.equal(eval(run.to_python(step=stop_at), {"cx": cx, "net": net, "image": IMAGE}).x, kept)


def test_code_with_a_mask(net):
    mask = np.zeros((1, 1, 6))
    mask[..., :3] = 1
    run = begin(net, mask=mask)
    finish(run)
    plain = begin(net)
    finish(plain)
    assert not torch.equal(plain.x, run.x)
    assert torch.equal(eval(run.to_python(), {"cx": cx, "net": net, "image": IMAGE, "mask": mask}).x, run.x)


def test_code_of_a_result_of_a_loaded_network(on_cpu):
    net, image = cx.load("lenet", device="cpu"), cx.digit(3)
    result = cx.invert(net, image, "pool2", steps=20, refine=5, progress=False)
    again = eval(result.to_python(), {"cx": cx, "image": image})
    assert torch.equal(again.x, result.x)
    assert again.error == result.error


def test_a_schedule_is_checked_before_the_run(net, refused):
    refused(cx.SettingError, lambda: begin(net, schedule={5: {"beta": 0}}), "beta is 0")
    refused(cx.SettingError, lambda: begin(net, schedule={5: {"steps": 3}}), "'steps'")


# jitter in the middle of a run


@given(st.lists(st.integers(1, 12), min_size=1, max_size=4))
@settings(max_examples=25)
def test_another_jitter_keeps_the_centre(net, shifts):
    run = begin(net, steps=50, solver="adagrad")  # the first steps of another have no border
    run.advance()
    x = run.x.clone()
    for T in shifts:
        run._set_border(T - 1)
        assert run.canvas.shape[-2:] == (SIDE + T - 1, SIDE + T - 1)
        assert torch.equal(run.x, x)
        memory = [t for t in run.solver.state().values() if t.dim() > 1]
        assert len(memory) == 2
        assert all(t.shape == run.canvas.shape for t in memory)
    run.settings.update(jitter=shifts[-1])
    run.advance()
    assert run.canvas.shape[-1] == SIDE + shifts[-1] - 1


def test_a_grown_canvas_repeats_its_border(net):
    run = begin(net, jitter=1)
    x = run.x.clone()
    run._set_border(3)
    assert torch.equal(run.canvas[..., 0, 1:-2], x[..., 0, :])
    assert torch.equal(run.canvas[..., -1, 1:-2], x[..., -1, :])
    assert torch.equal(run.canvas[..., -2, -1], x[..., -1, -1])


# what a run reports


def test_history(net):
    run = begin(net, C=20)
    frames = finish(run)
    history = run.history
    assert history.dtype.names == ("step", "energy", "data", "alpha", "tv", "error")
    assert history["step"].tolist() == list(range(12))
    np.testing.assert_allclose(history["energy"], 20 * history["data"] + history["alpha"] + history["tv"], rtol=1e-5)
    np.testing.assert_allclose(history["error"], np.sqrt(history["data"]))
    assert history["error"].tolist() == pytest.approx([frame.error for frame in frames])
    assert np.array_equal(run.records(5)[:, 0], history[5:])
    many = begin(net, seed=[0, 1, 2])
    many.advance(), many.advance()
    assert many.history.shape == (2, 3)


def test_error_is_that_of_the_plain_module(net):
    run = begin(net)
    finish(run)
    with torch.no_grad():
        std = torch.tensor(net.pixels.std).view(1, 3, 1, 1)
        code, reference = (net.module[:3](x / std).double() for x in (run.x, net.pixels_of(IMAGE)))
    expected = float((code - reference).norm() / reference.norm())
    assert run.result().error == pytest.approx(expected, rel=1e-5)


def test_the_more_the_code_counts_the_nearer_it_comes(net):
    errors = []
    for C in (1, 300):
        run = begin(net, image=cx.photograph("cat"), C=C, steps=150, refine=20)
        finish(run)
        assert run.history["error"][0] > 0.9
        errors.append(run.result().error)
    assert errors[1] < 0.2 < errors[0] < 0.7


# what goes wrong


class Exploding(nn.Module):
    def forward(self, x):
        return torch.exp(30 * x)


def test_an_estimate_that_is_not_finite(refused):
    net = cx.Network(nn.Sequential(nn.Conv2d(3, 2, 3), Exploding()), size=12)
    image = np.full((12, 12, 3), (124, 116, 104), np.uint8)  # the mean: its own code is finite
    run = cx.Inversion(net, image, "1", steps=5, C=10)
    kept = run.canvas.clone()
    sentence = refused(cx.DivergedError, lambda: list(run.frames()), "no longer finite", "step 0", "C 10", "lower C")
    assert torch.equal(run.canvas, kept)
    assert len(run.history) == 0
    assert all(torch.isfinite(t).all() for t in run.solver.state().values())
    assert issubclass(cx.DivergedError, ArithmeticError)
    assert sentence.count(".") <= 2


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"steps": -1}, cx.SettingError, "steps is -1"),
        ({"steps": 2.5}, cx.SettingError, "steps is 2.5"),
        ({"refine": -1}, cx.SettingError, "refine is -1"),
        ({"seed": -1}, cx.SettingError, "seed is -1"),
        ({"seed": "a"}, cx.SettingError, "seed is 'a'"),
        ({"seed": []}, cx.SettingError, "seed is []"),
        ({"seed": [0, 1, 2], "image": [IMAGE, IMAGE]}, cx.SettingError, "2 images and 3 seeds"),
        ({"image": []}, cx.SettingError, "empty list"),
        ({"solver": "newton"}, cx.SettingError, "'adagrad'"),
        ({"mask": np.ones((2, 2))}, cx.SettingError, "8 x 6 x 6"),
        ({"mask": np.zeros(6)}, cx.LayerError, "zero under the mask"),
        ({"image": "missing.png"}, cx.ImageError, "'missing.png' does not exist"),
        ({"image": np.full((4, 4, 3), np.nan)}, cx.ImageError, "not finite"),
    ],
)
def test_wrong_arguments(net, refused, options, kind, words):
    refused(kind, lambda: begin(net, **options), words)


def test_wrong_layers(net, refused):
    refused(cx.LayerNotFound, lambda: cx.Inversion(net, IMAGE, "conv9"), "'conv9'", "did you mean 'conv")

    class Counts(nn.Module):
        def forward(self, x):
            return (x > 0).float()

    blind = cx.Network(nn.Sequential(nn.Conv2d(3, 2, 3), Counts()), size=12)
    refused(cx.LayerError, lambda: list(cx.Inversion(blind, IMAGE, "1").frames()), "no gradient")
    dead = cx.Network(nn.Sequential(nn.Conv2d(3, 2, 3), nn.Threshold(1e9, 0)), size=12)
    refused(cx.LayerError, lambda: cx.Inversion(dead, IMAGE, "relu1"), "zero")


def test_solvers_by_name(net):
    assert cx.solvers() == ["adagrad", "momentum", "nadam", "spectral"]
    for name in cx.solvers():
        assert begin(net, solver=name).advance().step == 1


# around a run


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("jitter", [1, 3])
def test_within_no_grad_and_inference_mode(net, mode, jitter):
    expected = cx.invert(net, IMAGE, "conv2", steps=3, refine=1, jitter=jitter, progress=False)
    with mode():
        fresh = cx.Network(net.module, size=SIDE, pixels=net.pixels)
        found = cx.invert(fresh, IMAGE, "conv2", steps=3, refine=1, jitter=jitter, progress=False)
    assert torch.equal(found.x, expected.x)


def test_a_run_begun_in_inference_mode_goes_on_outside(net):
    with torch.inference_mode():
        run = begin(net)
        run.advance()
    finish(run)
    expected = begin(net)
    finish(expected)
    assert torch.equal(run.x, expected.x)


class Luma(nn.Module):
    """Adds up the channels first: its gradient is an expanded tensor, which cannot be written in place."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)

    def forward(self, x):
        return self.conv(x.sum(1, keepdim=True))


@pytest.mark.parametrize("jitter", [1, 3])
def test_a_module_whose_gradient_is_expanded(jitter):
    result = cx.invert(cx.Network(Luma(), size=12), IMAGE, "conv1", steps=3, refine=1, jitter=jitter, progress=False)
    assert np.isfinite(result.error)


@pytest.mark.parametrize("first", [nn.ReLU(inplace=True), nn.Identity()])
def test_a_module_that_begins_in_place_or_with_nothing(first):
    net = cx.Network(nn.Sequential(first, nn.Conv2d(3, 4, 3)), size=12)
    for layer in net.layers:
        assert np.isfinite(cx.invert(net, IMAGE, layer, steps=3, refine=1, progress=False).error)


def test_both_ways_of_asking_agree(net):
    run = begin(net)
    finish(run)
    result = cx.invert(net, IMAGE, "conv2", C=20, jitter=3, steps=8, refine=4, progress=True)
    assert torch.equal(result.x, run.x)
    assert result.to_python() == run.result().to_python()
