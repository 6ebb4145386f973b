"""Maximisation with a generator as its prior: the published step, its bounds, and what it does for units."""

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.errors import NetworkError, SettingError
from cnnexplore.generators import Decoder, Inverter, plan_for, weights_digest, write_inverter
from cnnexplore.network import as_maps
from cnnexplore.preimage import GeneratorMaximization
from cnnexplore.preimage.generated import next_code


def small_network(size=32, pixels=None, seed=0):
    torch.manual_seed(seed)
    side = -(-size // 4)
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(8 * side * side, 10), nn.ReLU(), nn.Linear(10, 5),
    )  # fmt: skip
    return cx.Network(module, size=size, pixels=pixels, name="small", labels=list("abcde"))


@pytest.fixture(scope="module")
def net():
    return small_network()


@pytest.fixture(scope="module")
def generator(net):
    torch.manual_seed(1)
    decoder = Decoder(plan_for(10, (1, 1), (3, 32, 32), width=4, hidden=12, slope=0.3)).eval()
    for value in decoder.parameters():
        value.data = (2 * value.data).half().float()
    statistics = {
        "mean": torch.linspace(0, 2, 10), "deviation": torch.linspace(0.5, 1, 10), "lower": torch.zeros(10),
        "upper": torch.linspace(0, 2, 10) + 3 * torch.linspace(0.5, 1, 10),
    }  # fmt: skip
    return Inverter(
        decoder.requires_grad_(False), "small", weights_digest(net), "relu3", "adversarial", net.pixels, statistics
    )


def literal_maximization(net, generator, unit, steps, code, start=8.0, end=1e-10, decay=0.99):
    """act_max.py of DGN-AM in float64, one step after the other; the code's unit is the mean bound over 11.9."""
    encoder = nn.Sequential(*net.module).double()
    decoder = generator.decoder.double()
    mean, deviation = (generator.statistics[k].double().view(1, -1, 1, 1) for k in ("mean", "deviation"))
    upper = generator.statistics["upper"].double().view(1, -1, 1, 1)
    unit_of_code = float(generator.statistics["upper"].double().mean()) / 11.9
    std = torch.tensor(net.pixels.std).double().view(1, -1, 1, 1)
    code = code.double().clone()
    seen = []
    for step in range(steps):
        rate = start + (end - start) * step / steps
        free = code.clone().requires_grad_()
        parts = decoder.parts((free - mean) / deviation) * 64.0
        image = parts.detach().clone().requires_grad_()
        activation = encoder(image / std)[0, unit]
        (g,) = torch.autograd.grad(activation, image)
        d = rate * g / g.abs().mean()
        (h,) = torch.autograd.grad(parts, free, d)
        seen.append((float(activation.detach()), image.detach().clone()))
        code = code + rate * unit_of_code * h / h.abs().mean()
        code = torch.minimum(torch.maximum(code, torch.zeros_like(code)), upper)
        code = code * decay
    generator.decoder.float()
    net.module.float()
    return seen, code


def test_a_run_is_the_published_algorithm(net, generator):
    run = GeneratorMaximization(net, "fc4", 3, generator=generator, steps=12, M=2.0, seed=4)
    first = run.code.clone()
    frames = list(run.frames())
    images = [frame.x.clone() for frame in frames]
    seen, code = literal_maximization(net, generator, 3, 12, first)
    for step, (activation, image) in enumerate(seen):
        assert run.history["response"][step] == pytest.approx(activation / 2, rel=1e-3, abs=1e-4)
        torch.testing.assert_close(images[step].double(), image, rtol=1e-3, atol=0.05)
    torch.testing.assert_close(run.code.double(), code, rtol=1e-3, atol=1e-3)
    result = run.result()
    assert result.activation == pytest.approx(seen[-1][0], rel=1e-3)  # of the last image, before its own update
    assert result.response == pytest.approx(result.activation / 2)
    assert seen[-1][0] > seen[0][0]
    assert result.generator == "relu3 of small"


def test_the_first_code_is_noise_of_the_published_size(net, generator):
    run = GeneratorMaximization(net, "fc4", 0, generator=generator, steps=0, seed=7)
    noise = torch.randn(10, 1, 1, generator=torch.Generator().manual_seed(7))
    torch.testing.assert_close(run.code[0], noise * (float(generator.statistics["upper"].mean()) / 11.9))


def test_a_step_stays_in_its_bounds_and_leaves_what_has_no_gradient():
    code = torch.tensor([[0.5, 1.0], [0.5, 1.0], [0.5, 1.0]]).view(3, 2, 1, 1)
    direction = torch.tensor([[3.0, -1.0], [0.0, 0.0], [float("nan"), 1.0]]).view(3, 2, 1, 1)
    bounds = torch.zeros(1, 2, 1, 1), torch.tensor([1.0, 4.0]).view(1, 2, 1, 1)
    moved = next_code(code, direction, 2.0, bounds, 0.9).flatten(1)
    torch.testing.assert_close(moved[0], torch.tensor([0.9, 0.0]))  # 0.5 + 2 x 1.5 to 1; 1 - 2 x 0.5 to 0
    assert moved[1:].tolist() == [[0.5, 1.0], [0.5, 1.0]]


@pytest.mark.parametrize("bound", [0.5, 3.0])
def test_the_code_never_leaves_its_bounds(net, generator, bound):
    run = GeneratorMaximization(
        net, "fc4", [0, 1], generator=generator, steps=6, settings={"bound": bound, "code_rate": 5}
    )
    known = generator.statistics
    upper = (known["mean"] + bound * known["deviation"]).view(1, -1, 1, 1)
    for _ in run.frames():
        assert (run.code >= 0).all()
        assert (run.code <= upper + 1e-6).all()


def test_a_batch_is_what_each_is_alone(net, generator):
    many = cx.maximize(net, "fc4", ["a", "c"], prior="generator", generator=generator, steps=4, progress=False)
    for label, one in zip(["a", "c"], many, strict=True):
        alone = cx.maximize(net, "fc4", label, prior="generator", generator=generator, steps=4, progress=False)
        torch.testing.assert_close(one.x, alone.x, rtol=1e-3, atol=1e-1)
        assert one.about == f"unit {'abcde'.index(label)} of fc4 ({label})"


def test_units_of_maps_and_directions(net, generator):
    """A unit of a map counts in the middle, or where it is put; its activation is that of the network."""
    for position, place in ((None, (4, 4)), ((2, 5), (2, 5))):
        r = cx.maximize(
            net, "conv2", 3, prior="generator", generator=generator, steps=5, position=position, progress=False
        )
        with torch.no_grad():
            maps = as_maps(net.probe("conv2")(net.feed(r.x))["conv2"], net.layers["conv2"])
        assert r.activation == pytest.approx(float(maps[0, 3, place[0], place[1]]), rel=1e-3, abs=1e-4)
    direction = np.zeros(5, np.float32)
    direction[[1, 2]] = 1, -1
    r = cx.maximize(net, "fc4", direction=direction, prior="generator", generator=generator, steps=3, progress=False)
    assert r.about == "the given direction at fc4"


def test_a_silent_unit_gets_another_first_code(net, generator):
    """Units behind a ReLU that are off for the first image have no gradient; the run still begins somewhere."""
    responses = []
    for unit in range(8):
        run = GeneratorMaximization(net, "relu2", unit, generator=generator, steps=10, M=1.0)
        run.finish(progress=False)
        responses.append(run.history["response"].max())
    assert sum(value > 0 for value in responses) >= 6


def test_steering(net, generator):
    run = GeneratorMaximization(net, "fc4", 1, generator=generator, steps=6, M=1.0)
    for frame in run.frames():
        if frame.step == 3:
            run.settings.update(decay=0.5)
    assert run.changes == {3: {"decay": 0.5}}
    line = run.result().to_python()
    assert "schedule={3: {'decay': 0.5}}" in line
    again = eval(line, {"cx": cx, "net": net, "generator": generator})
    assert torch.equal(again.x, run.x)
    with pytest.raises(SettingError, match="decay is 2"):
        run.settings.update(decay=2)


def test_another_network_of_other_size_and_colours(generator):
    """Its gradient passes through the conversion of the image: the response rises there, too."""
    other = small_network(40, cx.Pixels("BGR", (104, 117, 123), (50, 50, 50)), seed=3)
    r = cx.maximize(other, "fc4", 2, prior="generator", generator=generator, steps=20, M=1.0, progress=False)
    assert r.x.shape == (1, 3, 40, 40)
    assert r.history["response"][-1] > r.history["response"][0]
    with torch.no_grad():
        found = float(other.module(other.feed(r.x))[0, 2])
    assert r.activation == pytest.approx(found, rel=1e-3)


def test_a_file_of_ones_own(net, generator, tmp_path):
    path = tmp_path / "mine.safetensors"
    write_inverter(generator, path)
    r = cx.maximize(net, "fc4", 0, prior="generator", generator=path, steps=2, progress=False)
    assert f"generator={str(path)!r}" in r.to_python()
    assert torch.equal(eval(r.to_python(), {"cx": cx, "net": net}).x, r.x)
    assert r.picture.shape == (32, 32, 3)
    assert r.plot().axes[1].get_ylabel() == "response, in units of M"


def test_what_is_missing_or_without_effect_is_said(net, generator):
    with pytest.raises(NetworkError, match=r"small has no generator; there are those of .*cnnexplore train inverter"):
        cx.maximize(net, "fc4", 0, prior="generator")
    with pytest.raises(NetworkError, match="'worldnat' has no generator"):
        cx.maximize(net, "fc4", 0, prior="generator", generator="worldnat")
    with pytest.raises(SettingError, match="generator is used with prior='generator'"):
        cx.maximize(net, "fc4", 0, generator=generator)
    with pytest.raises(SettingError, match="C has no effect with prior='generator'"):
        cx.maximize(net, "fc4", 0, prior="generator", generator=generator, C=3)
    with pytest.raises(SettingError, match="did you mean"):
        cx.maximize(net, "fc4", 0, prior="nature")
    with pytest.raises(SettingError, match="cannot change while a run goes on"):
        cx.maximize(net, "fc4", 0, prior="generator", generator=generator, settings={"C": 1})
