"""Files of inverters: what is written is read again, and a damaged or hostile file is refused by a sentence."""

import json
import random

import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.errors import ExploreError, LayerError, NetworkError, WeightsError
from cnnexplore.generators import Decoder, Inverter, plan_for, read_inverter, weights_digest, write_inverter
from cnnexplore.network.tensor_file import read_safetensors, write_safetensors


def small_network(seed=0, labels=()):
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Conv2d(3, 5, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 256, 4))
    return cx.Network(module, size=32, pixels=cx.Pixels("BGR", (104, 117, 123)), name="small", labels=labels)


def small_inverter(net, layer="relu1"):
    torch.manual_seed(1)
    where = net.layers[layer]
    decoder = Decoder(plan_for(where.channels, where.size, (3, *net.size), width=4, hidden=6)).eval()
    for value in decoder.parameters():
        value.data = value.data.half().float()
    statistics = {
        name: torch.rand(where.channels) + k for k, name in enumerate(("mean", "deviation", "lower", "upper"))
    }
    errors = {"image": 0.25, "activation": 0.5}
    return Inverter(
        decoder.requires_grad_(False),
        net.name,
        weights_digest(net),
        layer,
        "pixel",
        net.pixels,
        statistics,
        errors,
        "x",
    )


@pytest.fixture
def written(tmp_path):
    net = small_network()
    inverter = small_inverter(net)
    write_inverter(inverter, tmp_path / "a.safetensors")
    return net, inverter, tmp_path / "a.safetensors"


def test_what_is_written_is_read_again(written, tmp_path):
    net, inverter, path = written
    again = read_inverter(path)
    activations = net.activations(torch.rand(3, 32, 32), "relu1")
    assert torch.equal(again.images(net, activations), inverter.images(net, activations))
    for name in ("network", "digest", "layer", "loss", "errors", "source", "pixels"):
        assert getattr(again, name) == getattr(inverter, name)
    write_inverter(again, tmp_path / "b.safetensors")
    assert (tmp_path / "b.safetensors").read_bytes() == path.read_bytes()


def test_it_belongs_to_the_weights_that_it_was_trained_for(written):
    net, inverter, _ = written
    inverter.check_network(small_network())
    assert weights_digest(net) != weights_digest(small_network(1))
    with pytest.raises(NetworkError, match=r"was trained for the weights of small at relu1.*cnnexplore train inverter"):
        inverter.images(small_network(1), net.activations(torch.rand(3, 32, 32), "relu1"))


def test_activations_of_another_shape_are_refused(written):
    _, inverter, _ = written
    with pytest.raises(LayerError, match="takes activations of 5 x 16 x 16; these are 5 x 4 x 4"):
        inverter(torch.zeros(1, 5, 4, 4))


def changed(path, out, tensors=None, drop=(), **metadata):
    found, known = read_safetensors(path)
    known = {**known, **metadata}
    kept = {name: value for name, value in {**found, **(tensors or {})}.items() if name not in drop}
    write_safetensors(kept, out, {name: value for name, value in known.items() if value is not None})
    return out


HUGE = '{"channels": 5, "map": [16, 16], "image": [3, 1024, 1024], "start": [16, 16], "doublings": 6, "width": 1024}'


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        ({"kind": "network"}, "holds no learned inverter"),
        ({"kind": None}, "holds no learned inverter"),
        ({"digest": None}, "has no 'digest' in its metadata"),
        ({"plan": "{}"}, "the plan of a decoder"),
        ({"plan": HUGE}, "expected"),
        ({"pixels": "{}"}, "pixels metadata"),
        ({"pixels": '{"order": "grey", "mean": [3]}'}, "contradict"),
        ({"loss": "hinge"}, "contradict"),
        ({"errors": "[1]"}, "its errors cannot be read"),
        ({"errors": '{"image": NaN}'}, "its errors cannot be read"),
        ({"layer": "relu1\n<script>"}, "no plain text"),
        ({"layer": "x" * 9000}, "no plain text"),
    ],
)
def test_metadata_that_are_wrong_are_refused(written, tmp_path, metadata, sentence):
    with pytest.raises(WeightsError, match=sentence):
        read_inverter(changed(written[2], tmp_path / "b.safetensors", **metadata))


def test_tensors_that_are_wrong_are_refused(written, tmp_path):
    path, out = written[2], tmp_path / "b.safetensors"
    name = next(iter(read_safetensors(path)[0]))
    value = read_safetensors(path)[0][name]
    for tensors, drop, sentence in (
        ({}, [name], "is missing"),
        ({"parts.other": value}, [], "is not of an inverter"),
        ({name: value[:1].contiguous()}, [], "expected"),
        ({name: torch.zeros_like(value, dtype=torch.int64)}, [], "expected"),
        ({name: torch.full_like(value, float("nan"))}, [], "not finite"),
        ({"statistics.deviation": torch.zeros(5)}, [], "no deviations and bounds"),
        ({"statistics.upper": torch.full((5,), -1.0)}, [], "no deviations and bounds"),
    ):
        with pytest.raises(WeightsError, match=sentence):
            read_inverter(changed(path, out, tensors, drop))


def test_a_missing_file_and_a_file_of_something_else_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="there is no inverter file"):
        read_inverter(tmp_path / "no.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        read_inverter(tmp_path / "text.safetensors")


def test_a_damaged_file_is_read_as_it_was_or_refused(written, tmp_path):
    """No byte that changes in the header leads to anything but a sentence."""
    data = bytearray(written[2].read_bytes())
    header = 8 + int.from_bytes(data[:8], "little")
    chance = random.Random(0)
    out, refused = tmp_path / "b.safetensors", 0
    for _ in range(150):
        bad = bytearray(data)
        for _ in range(chance.choice([1, 1, 3])):
            bad[chance.randrange(header)] = chance.randrange(256)
        out.write_bytes(bad if chance.random() < 0.8 else bad[: chance.randrange(len(bad))])
        try:
            read_inverter(out)
        except ExploreError:
            refused += 1
    assert refused > 50


def test_the_metadata_say_what_it_is(written):
    metadata = read_safetensors(written[2])[1]
    assert json.loads(metadata["errors"]) == {"image": 0.25, "activation": 0.5}
    assert metadata["network"] == "small"
    assert metadata["layer"] == "relu1"
