"""Weights files: self-describing ones load by path alone; others raise WeightsError, and no code is run."""

import json
import os

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import cnnexplore as cx
from cnnexplore.zoo.architectures.lenet import lenet
from cnnexplore.zoo.training.lenet import PIXELS

pytestmark = pytest.mark.usefixtures("on_cpu")

METADATA = {
    "architecture": "lenet",
    "pixels": PIXELS.to_json(),
    "input_size": "28",
    "labels": json.dumps(["nil", "one", "two"]),
    "source": "a test",
    "license": "MIT",
}


@pytest.fixture(scope="module")
def tensors():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(8)
        return {name: t.clone() for name, t in lenet(3).state_dict().items()}


@pytest.fixture
def write(tmp_path, tensors):
    """Writes a file whose tensors or metadata are changed (None: left out); gives its path."""

    def write(change=None, metadata=None, name="mine.safetensors"):
        chosen = {k: v for k, v in (tensors | (change or {})).items() if v is not None}
        about = {k: v for k, v in (METADATA | (metadata or {})).items() if v is not None}
        save_file(chosen, tmp_path / name, about)
        return tmp_path / name

    return write


def same_weights(net, tensors):
    return all(torch.equal(t, tensors[name]) for name, t in net.module.state_dict().items())


def test_a_file_that_describes_itself(write, tensors):
    path = write()
    for given in (path, str(path), os.fspath(path)):
        net = cx.load(given, device="cpu")
        assert same_weights(net, tensors)
        assert net.name == "mine"
        assert net.labels == ["nil", "one", "two"]
        assert net.size == (28, 28)
        assert net.pixels == PIXELS
        assert not net.module.training
        assert list(net.layers) == ["conv1", "pool1", "conv2", "pool2", "conv3", "relu3", "conv4", "prob"]
    assert net.to_python() == f"cx.load({str(path)!r})"
    assert same_weights(eval(net.to_python(), {"cx": cx}), tensors)


def test_half_precision_is_read_as_float32(write, tensors):
    net = cx.load(write({name: t.half() for name, t in tensors.items()}), device="cpu")
    assert {t.dtype for t in net.module.state_dict().values()} == {torch.float32}
    assert same_weights(net, {name: t.half().float() for name, t in tensors.items()})


def test_widths_of_an_alexnet_come_from_its_file(shared, tmp_path):
    """fc6 and fc7 of the shared file are narrower than the paper's."""
    net = cx.load(shared / "weights" / "alexnet-imagenette.safetensors", device="cpu")
    assert net.module.fc6.out_features == 1024
    assert len(net.labels) == 20
    assert net.pixels == cx.Pixels("BGR", (104, 117, 123))


@pytest.mark.parametrize("key", ["architecture", "pixels", "input_size", "labels"])
def test_missing_metadata(write, refused, key):
    path = write(metadata={key: None})
    refused(cx.WeightsError, lambda: cx.load(path), "'mine.safetensors'", f"no {key!r}", "weights=")


def test_no_metadata_at_all(tmp_path, tensors, refused):
    save_file(tensors, tmp_path / "bare.safetensors")
    refused(cx.WeightsError, lambda: cx.load(tmp_path / "bare.safetensors"), "'architecture'")


@pytest.mark.parametrize(
    ("metadata", "kind", "words"),
    [
        ({"architecture": "lenett"}, cx.NetworkError, "'lenett' is unknown"),
        ({"labels": "nil, one"}, cx.WeightsError, "JSON list"),
        ({"labels": "3"}, cx.WeightsError, "JSON list"),
        ({"input_size": "large"}, cx.WeightsError, "number"),
        ({"input_size": "0"}, cx.WeightsError, "input_size 0"),
        ({"input_size": "-28"}, cx.WeightsError, "input_size"),
        ({"input_size": "1000000"}, cx.WeightsError, "input_size"),
        ({"pixels": "{}"}, cx.WeightsError, "pixels"),
        ({"pixels": '{"order": "grey", "mean": [1, 2]}'}, cx.WeightsError, "mean"),
        ({"labels": '["a", "b", "c", "d"]'}, cx.WeightsError, "'conv4.weight'"),
    ],
)
def test_wrong_metadata(write, refused, metadata, kind, words):
    path = write(metadata=metadata)
    refused(kind, lambda: cx.load(path), words)


def test_tensors_that_do_not_fit(write, refused):
    path = write({"conv2.weight": torch.zeros(50, 20, 3, 3)})
    refused(cx.WeightsError, lambda: cx.load(path), "mine.safetensors", "'conv2.weight'", "(50, 20, 3, 3)",
            "(50, 20, 5, 5)")  # fmt: skip
    path = write({"conv2.bias": None})
    refused(cx.WeightsError, lambda: cx.load(path), "'conv2.bias'", "missing", "(50,)")
    path = write({"conv9.bias": torch.zeros(3)})
    refused(cx.WeightsError, lambda: cx.load(path), "'conv9.bias'")
    for bad in (float("nan"), float("inf")):
        path = write({"conv1.bias": torch.full((20,), bad)})
        refused(cx.WeightsError, lambda path=path: cx.load(path), "'conv1.bias'", "not finite")


def test_files_that_are_cut_short_or_something_else(write, tmp_path, refused):
    path = write()
    whole = path.read_bytes()
    for length in (0, 4, 8, 40, 400, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        refused(cx.WeightsError, lambda: cx.load(path), "'mine.safetensors'", "not a whole safetensors file")
    path.write_bytes(b"\xff" * 2000)
    refused(cx.WeightsError, lambda: cx.load(path), "not a whole")
    folder = tmp_path / "folder.safetensors"
    folder.mkdir()
    refused(cx.WeightsError, lambda: cx.load(folder), "no weights file")
    refused(cx.WeightsError, lambda: cx.load(tmp_path / "none.safetensors"), "no weights file", "none.safetensors")
    refused(cx.WeightsError, lambda: cx.load("none.pth"), "no weights file")
    assert issubclass(cx.WeightsError, ValueError)


def test_a_file_brings_its_own_weights(write, refused):
    path = write()
    refused(cx.WeightsError, lambda: cx.load(path, weights="random"), "weights=")


# weights= for a named architecture


def test_weights_from_a_file(write, tmp_path, tensors, refused):
    ten = lenet(10).state_dict()
    torch.save(ten, tmp_path / "ten.pth")
    torch.save({"state_dict": ten, "epoch": 3}, tmp_path / "checkpoint.pt")
    save_file(ten, tmp_path / "ten.safetensors")
    for name in ("ten.pth", "checkpoint.pt", "ten.safetensors"):
        net = cx.load("lenet", weights=tmp_path / name, device="cpu")
        assert same_weights(net, ten)
        assert net.name == "lenet"
        assert net.labels == [str(k) for k in range(10)]
        assert same_weights(eval(net.to_python(), {"cx": cx}), ten)
    refused(cx.WeightsError, lambda: cx.load("lenet", weights=write()), "'conv4.weight'", "(3, 500, 1, 1)", "(10, 5")
    refused(cx.WeightsError, lambda: cx.load("lenet", weights=tmp_path / "none.pth"), "no weights file")
    refused(cx.WeightsError, lambda: cx.load(tmp_path / "ten.pth"), "which network", "weights=")


class Trap:
    """A pickle that makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_a_pickle_is_refused_and_not_run(tmp_path, refused):
    mark = tmp_path / "ran"
    for content in ({"conv1.weight": Trap(mark)}, Trap(mark)):
        torch.save(content, tmp_path / "evil.pth")
        refused(cx.WeightsError, lambda: cx.load("lenet", weights=tmp_path / "evil.pth"), "'evil.pth'", "running code")
        assert not mark.exists()
    torch.load(tmp_path / "evil.pth", weights_only=False)  # the trap does work
    assert mark.exists()


@pytest.mark.parametrize("content", [5, [torch.zeros(3)], {}, {"a": 3}, {"state_dict": {}}, torch.zeros(3)])
def test_files_without_a_state_dict(tmp_path, refused, content):
    torch.save(content, tmp_path / "odd.pth")
    refused(cx.WeightsError, lambda: cx.load("lenet", weights=tmp_path / "odd.pth"), "'odd.pth'", "state dict")


def test_a_text_as_pth(tmp_path, refused):
    (tmp_path / "text.pth").write_text("no weights here")
    refused(cx.WeightsError, lambda: cx.load("lenet", weights=tmp_path / "text.pth"), "'text.pth'")


def test_shared_weights_are_readable_as_they_are(shared):
    """The tensors of the module are those of the file."""
    path = shared / "weights" / "squeezenet1_0-imagenet.safetensors"
    net, raw = cx.load(path, device="cpu"), load_file(path)
    state = net.module.state_dict()
    assert set(raw) == set(state)
    assert all(np.array_equal(raw[name].float().numpy(), state[name].numpy()) for name in raw)
