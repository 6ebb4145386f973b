"""The catalogue: embedded networks and torchvision's, online and offline."""

import os
from urllib.error import HTTPError, URLError

import numpy as np
import pytest
import torch
from torchvision import models

import cnnexplore as cx
from cnnexplore.zoo.architectures import torchvision_classifiers as vision

FORMULAE = ["hog", "hog-bilinear", "dsift", "characters"]
SQUEEZENET_FILE = models.SqueezeNet1_1_Weights.DEFAULT.url.rsplit("/", 1)[-1]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """torch.hub's folder, empty; every download fails as if offline."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def unreachable(*args, **kwargs):
        raise URLError("Temporary failure in name resolution")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    monkeypatch.setattr("torch.hub.urlopen", unreachable)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


PAPERS = ["alexnet-caffe", "caffenet", "vgg-m", "vgg-vd-16"]
OURS = ["photonet", "photonet-robust", "worldnet", "worldnet-robust", "worldnet-styles", "lenet", "lenet-smooth"]


def test_the_table(hub):
    table = cx.networks()
    assert [entry.name for entry in table] == [*OURS, *FORMULAE, *PAPERS, *vision.names()]
    assert {"alexnet", "vgg16", "squeezenet1_0", "resnet18"} <= {entry.name for entry in table}
    ours, others = table[: len(OURS)], table[len(OURS) + len(FORMULAE) + len(PAPERS) :]
    assert all(entry.offline and 0 < entry.megabytes < 12 for entry in ours)
    assert "MNIST" in ours[-1].source
    formulae = table[len(OURS) : len(OURS) + len(FORMULAE)]
    assert all(entry.offline and entry.megabytes == 0 for entry in formulae)
    assert all(("VLFeat" in entry.source) == (entry.name != "characters") for entry in formulae)
    assert not any(entry.offline for entry in others)
    assert all(entry.source == "torchvision, ImageNet" and entry.megabytes > 1 for entry in others)
    lines = repr(table).splitlines()
    assert len(lines) == len(table)
    assert lines[0].split()[:2] == ["photonet", "offline"]
    (vgg,) = (line for line in lines if line.startswith("vgg16 "))
    assert vgg.split()[1:4] == ["download", "527.8", "MB"]
    assert max(map(len, lines)) <= 120


def test_all_names_of_the_table_build():
    """Every name has a convention and an architecture; one of each family is built."""
    for entry in cx.networks()[len(OURS) + len(FORMULAE) + len(PAPERS) :]:
        size, pixels, labels = vision.convention(entry.name)
        assert 200 <= size <= 600
        assert pixels.order == "RGB"
        assert len(labels) == 1000
    for name in ("shufflenet_v2_x0_5", "mnasnet0_5"):
        net = cx.load(name, weights="random", device="cpu")
        assert (net.name, len(net.labels), net.module.training) == (name, 1000, False)


def test_random_weights_are_always_the_same():
    a, b = (cx.load("squeezenet1_1", weights="random", device="cpu") for _ in range(2))
    assert all(torch.equal(p, q) for p, q in zip(a.module.parameters(), b.module.parameters(), strict=True))
    assert a.to_python() == "cx.load('squeezenet1_1', weights='random')"
    shipped, untrained = cx.load("lenet", device="cpu"), cx.load("lenet", weights="random", device="cpu")
    assert not torch.equal(shipped.module.conv1.weight, untrained.module.conv1.weight)
    assert untrained.pixels == shipped.pixels


def test_loading_leaves_torchs_randomness_alone(hub):
    torch.save(models.squeezenet1_1().state_dict(), hub / SQUEEZENET_FILE)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    cx.load("lenet", device="cpu")
    cx.load("lenet", weights="random", device="cpu")
    cx.load("squeezenet1_1", weights="random", device="cpu")
    cx.load("squeezenet1_1", weights=hub / SQUEEZENET_FILE, device="cpu")
    assert torch.equal(torch.get_rng_state(), before)
    cx.load("squeezenet1_1", device="cpu")
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_network(hub, refused):
    sentence = refused(
        cx.WeightsError, lambda: cx.load("squeezenet1_1"), "squeezenet1_1", "Temporary failure in name resolution",
        models.SqueezeNet1_1_Weights.DEFAULT.url, str(hub / SQUEEZENET_FILE), 'weights="random"',
    )  # fmt: skip
    assert "Traceback" not in sentence
    assert list(hub.iterdir()) == []


def test_a_server_error(hub, monkeypatch, refused):
    def forbidden(*args, **kwargs):
        raise HTTPError("https://example.org", 403, "Forbidden", {}, None)

    monkeypatch.setattr("torch.hub.urlopen", forbidden)
    refused(cx.WeightsError, lambda: cx.load("squeezenet1_1"), "Forbidden", str(hub / SQUEEZENET_FILE))


def test_the_file_that_the_sentence_names_is_taken(hub, capsys):
    module = models.squeezenet1_1()
    torch.save(module.state_dict(), hub / SQUEEZENET_FILE)
    net = cx.load("squeezenet1_1", device="cpu")
    for name, tensor in module.state_dict().items():
        assert torch.equal(net.module.state_dict()[name], tensor)
    assert net.to_python() == "cx.load('squeezenet1_1')"
    assert not net.module.training
    (entry,) = (entry for entry in cx.networks() if entry.name == "squeezenet1_1")
    assert entry.offline
    named = cx.load("squeezenet1_1", weights="IMAGENET1K_V1", device="cpu")
    assert named.to_python() == "cx.load('squeezenet1_1', weights='IMAGENET1K_V1')"


def test_a_wrong_file_at_that_place(hub, refused):
    (hub / SQUEEZENET_FILE).write_bytes(b"<html>not found</html>")
    refused(cx.WeightsError, lambda: cx.load("squeezenet1_1"), SQUEEZENET_FILE, "delete it")
    torch.save(models.squeezenet1_0().state_dict(), hub / SQUEEZENET_FILE)
    refused(cx.WeightsError, lambda: cx.load("squeezenet1_1"), SQUEEZENET_FILE, "delete it")


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_a_pickle_at_that_place_is_not_run(hub, tmp_path, refused):
    torch.save({**models.squeezenet1_1().state_dict(), "trap": Trap(tmp_path / "ran")}, hub / SQUEEZENET_FILE)
    refused(cx.WeightsError, lambda: cx.load("squeezenet1_1"), SQUEEZENET_FILE)
    assert not (tmp_path / "ran").exists()


def test_unknown_names(refused):
    refused(cx.NetworkError, lambda: cx.load("alexnett"), "'alexnett'", "did you mean 'alexnet'")
    refused(cx.NetworkError, lambda: cx.load("lenett"), "'lenet'")
    refused(cx.NetworkError, lambda: cx.load("vgg-16"), "'vgg16'")
    refused(cx.NetworkError, lambda: cx.load("qqqq"), "cx.networks()")
    refused(cx.WeightsError, lambda: cx.load("resnet18", weights="IMAGENET9K"), "IMAGENET9K")
    refused(cx.NetworkError, lambda: cx.load("lenet", device="gpu"), "'gpu'", "'cuda'")
    refused(cx.NetworkError, lambda: cx.load("lenet", device=None), "None", "'cuda'")


@pytest.mark.parametrize("device", ["cuda", "cuda:99", "mps", "xpu", "meta"])
def test_a_device_that_is_not_there(device, refused):
    """One sentence before anything is loaded, with what can be used here."""
    if device in ("cuda", "mps", "xpu") and getattr(torch, device).is_available():
        pytest.skip(f"there is a device {device!r} here.")
    sentence = refused(cx.NetworkError, lambda: cx.load("no such network", device=device), repr(device), "'cpu'")
    assert ("'cuda'" in sentence.split("what can is")[1]) == torch.cuda.is_available()
    assert issubclass(cx.NetworkError, ValueError)


def test_a_folder_of_the_same_name_is_not_a_file(tmp_path, monkeypatch):
    for name in ("lenet", "squeezenet1_1"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert cx.load("lenet", device="cpu").name == "lenet"
    assert cx.load("squeezenet1_1", weights="random", device="cpu").name == "squeezenet1_1"


def test_a_file_without_a_suffix(tmp_path, monkeypatch, refused):
    (tmp_path / "weights").write_bytes(b"...")
    monkeypatch.chdir(tmp_path)
    refused(cx.WeightsError, lambda: cx.load("weights"), "'weights'")


@pytest.mark.parametrize("name", ["lenet", "squeezenet1_1"])
def test_loaded_networks_predict(name):
    net = cx.load(name, weights="random", device="cpu")
    found = net.predict(np.zeros((30, 30), np.uint8), k=3)
    assert len(found) == 3
    assert all(label in net.labels for label, _ in found)
    assert sum(p for _, p in net.predict(np.zeros((30, 30)), k=2000)) == pytest.approx(1, abs=1e-4)
