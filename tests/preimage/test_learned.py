"""Learned inversion: one pass through a decoder, as a result like any other, and as the start of an optimisation."""

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.errors import LayerError, NetworkError, SettingError, WeightsError
from cnnexplore.generators import Decoder, Inverter, plan_for, weights_digest, write_inverter
from cnnexplore.network import as_maps


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 64, 5)
    )
    return cx.Network(module, size=32, name="small")


@pytest.fixture(scope="module")
def pictures():
    return list(np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8))


def inverter_of(net, layer):
    """An untrained inverter of a layer, with statistics other than 0 and 1."""
    torch.manual_seed(1)
    where = net.layers[layer]
    decoder = Decoder(plan_for(where.channels, where.size, (3, *net.size), width=4, hidden=6)).eval()
    values = {"mean": 0.1, "deviation": 0.7, "lower": 0.0, "upper": 2.0}
    statistics = {name: torch.full((where.channels,), value) for name, value in values.items()}
    return Inverter(
        decoder.requires_grad_(False), net.name, weights_digest(net), layer, "pixel", net.pixels, statistics
    )


@pytest.mark.parametrize("layer", ["relu2", "fc3"])
def test_it_is_one_pass_through_the_decoder(net, pictures, layer):
    """Against the decoder called by hand, and the error against its definition in float64."""
    inverter = inverter_of(net, layer)
    r = cx.invert(net, pictures[0], layer, method="learned", inverter=inverter)
    maps = as_maps(net.activations(pictures[0], layer), net.layers[layer])
    expected = inverter.decoder((maps - 0.1) / 0.7)
    torch.testing.assert_close(r.x, expected, rtol=1e-5, atol=1e-3)
    with torch.no_grad():
        found = net.probe(layer)(net.feed(expected))[layer].double()
    wanted = net.activations(pictures[0], layer).double()
    assert r.error == pytest.approx(float((found - wanted).norm() / wanted.norm()), rel=1e-4)
    assert len(r.history) == 0
    assert np.array_equal(r.picture, net.picture(expected))
    assert r.plot().axes[0].get_title().startswith(f"what {layer} keeps; relative error")


def test_a_list_is_a_batch(net, pictures):
    inverter = inverter_of(net, "relu2")
    many = cx.invert(net, pictures, "relu2", method="learned", inverter=inverter)
    for picture, one in zip(pictures, many, strict=True):
        alone = cx.invert(net, picture, "relu2", method="learned", inverter=inverter)
        torch.testing.assert_close(one.x, alone.x, rtol=1e-4, atol=1e-3)
    assert many[2].to_python() == "cx.invert(net, image, 'relu2', method='learned', inverter=inverter)[2]"


def test_the_optimisation_starts_from_it(net, pictures):
    inverter = inverter_of(net, "relu2")
    start = cx.invert(net, pictures[0], "relu2", method="learned", inverter=inverter)
    run = cx.Inversion(net, pictures[0], "relu2", init="learned", inverter=inverter, steps=3, refine=0, jitter=1)
    torch.testing.assert_close(run.x, start.x)
    first = run.advance()
    assert first.error == pytest.approx(start.error, rel=1e-4)
    given = cx.Inversion(net, pictures[0], "relu2", init=net.picture(start.x), steps=3, refine=0, jitter=1)
    assert (given.x - run.x).abs().max() < 60
    assert "init='learned', inverter=inverter" in run.to_python()


def test_a_file_of_ones_own(net, pictures, tmp_path):
    path = tmp_path / "mine.safetensors"
    write_inverter(inverter_of(net, "relu2"), path)
    r = cx.invert(net, pictures[0], "relu2", method="learned", inverter=path)
    assert r.to_python() == f"cx.invert(net, image, 'relu2', method='learned', inverter={str(path)!r})"
    image = pictures[0]
    again = eval(r.to_python(), {"cx": cx, "net": net, "image": image})
    assert torch.equal(again.x, r.x)
    with pytest.raises(LayerError, match="inverts relu2, not fc3; give that layer"):
        cx.invert(net, pictures[0], "fc3", method="learned", inverter=path)
    with pytest.raises(NetworkError, match="was trained for the weights of small"):
        cx.invert(cx.load("lenet"), cx.digit(3), "conv2", method="learned", inverter=path)
    with pytest.raises(WeightsError, match="there is no inverter file"):
        cx.invert(net, pictures[0], "relu2", method="learned", inverter=tmp_path / "none.safetensors")


def test_a_layer_without_one_is_told_where_there_are_some(net, pictures):
    """The sentence names layers that exist, and a command that the command line takes."""
    with pytest.raises(LayerError) as caught:
        cx.invert(cx.load("worldnet"), cx.photograph("cat"), "conv1", method="learned")
    sentence = str(caught.value)
    assert sentence.startswith("there is no learned inverter of conv1 of worldnet; there are some of ")
    for entry in cx.inverters():
        assert entry.layer in sentence
        assert entry.network in sentence
    assert "train one with cnnexplore train inverter --net worldnet --layer conv1 and give its file" in sentence
    with pytest.raises(LayerError, match=r"cnnexplore\.zoo\.training\.inverter\.train\(net, 'relu2', \.\.\.\)"):
        cx.Inversion(net, pictures[0], "relu2", init="learned")


def test_settings_without_an_effect_are_refused(net, pictures):
    inverter = inverter_of(net, "relu2")
    for more in ({"C": 3}, {"steps": 10}, {"seed": 1}, {"init": pictures[1]}, {"mask": np.ones(8)}, {"beta": 1}):
        with pytest.raises(SettingError, match=f"{next(iter(more))} has no effect with method='learned'"):
            cx.invert(net, pictures[0], "relu2", method="learned", inverter=inverter, **more)
    with pytest.raises(SettingError, match="inverter is used with init='learned'"):
        cx.invert(net, pictures[0], "relu2", inverter=inverter, steps=1)
    with pytest.raises(SettingError, match="method is 'learnt'; did you mean 'learned'"):
        cx.invert(net, pictures[0], "relu2", method="learnt")


def test_the_table_of_inverters_names_files_that_fit():
    rows = cx.inverters()
    assert repr(rows).count("\n") == len(rows)
    for row in rows:
        net = cx.load(row.network)
        assert net.layers[row.layer].name == row.layer
        assert 0 < row.image_error < 1.5
