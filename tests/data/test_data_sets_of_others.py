"""torchvision's, Hugging Face's and torch's data sets, arrays, tensors and loaders are taken wherever images are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset
from torchvision import datasets, transforms

import cnnexplore as cx
from cnnexplore.data import Images

ARRAYS = np.random.default_rng(0).integers(0, 256, (6, 12, 10, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return cx.Network(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 3)), size=12)


def same(net, images, labels=None, count=6):
    """What is read of a source is what is read of the arrays."""
    found = Images(images)
    assert len(found) == count
    x = torch.cat([x for _, x in found.batches(net, 4)])
    assert torch.equal(x, net.pixels_of(list(ARRAYS[:count])))
    if labels is not None:
        assert [found.item(k)[1] for k in range(count)] == labels
    return found


def test_arrays_tensors_and_loaders(net):
    tensors = torch.from_numpy(ARRAYS).movedim(3, 1)
    same(net, list(ARRAYS))
    same(net, ARRAYS)
    same(net, tensors)
    same(net, tensors.float() / 255)
    labelled = TensorDataset(tensors, torch.arange(6) % 3)
    same(net, labelled, [0, 1, 2, 0, 1, 2])
    same(net, DataLoader(labelled, batch_size=4, shuffle=True), [0, 1, 2, 0, 1, 2])
    same(net, Subset(labelled, [0, 1, 2]), [0, 1, 2], 3)


@pytest.fixture
def folder(tmp_path):
    for k, array in enumerate(ARRAYS):
        (tmp_path / "abc"[k // 2]).mkdir(exist_ok=True)
        Image.fromarray(array).save(tmp_path / "abc"[k // 2] / f"{k}.png")
    return tmp_path


def test_torchvision(net, folder):
    plain = datasets.ImageFolder(folder)
    for one in (plain, datasets.ImageFolder(folder, transforms.ToTensor()), DataLoader(plain), folder, str(folder)):
        assert same(net, one, [0, 0, 1, 1, 2, 2]).classes == ["a", "b", "c"]
    fake = datasets.FakeData(5, (3, 14, 14), 3)
    assert len(Images(fake)) == 5
    features = cx.features(net, fake, "relu1", cache=False, progress=False)
    assert features.labels.tolist() == [int(label) for _, label in fake]
    found = cx.top_patches(net, "conv1", 2, fake, k=3, progress=False)
    plain = cx.top_patches(net, "conv1", 2, [image for image, _ in fake], k=3, progress=False)
    assert np.array_equal(found.picture, plain.picture)


def test_an_own_data_set_of_dicts(net):
    class Own(Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, k):
            return {"id": k, "image": Image.fromarray(ARRAYS[k]), "label": k % 2}

    same(net, Own(), [0, 1, 0, 1, 0, 1])
    same(net, [{"image": one} for one in ARRAYS], [-1] * 6)


def test_hugging_face(net, tmp_path):
    peers = pytest.importorskip(
        "datasets", reason="the package 'datasets' is not installed: no test extra, as it is large"
    )
    features = peers.Features({
        "number": peers.Value("int64"), "photo": peers.Image(), "kind": peers.ClassLabel(names=["ant", "bee"]),
    })  # fmt: skip
    rows = {"number": [*range(6)], "photo": [Image.fromarray(one) for one in ARRAYS], "kind": [0, 1] * 3}
    made = peers.Dataset.from_dict(rows, features)
    assert same(net, made, [0, 1] * 3).classes == ["ant", "bee"]
    files = peers.Features({**features, "photo": peers.Image(decode=False)})
    same(net, peers.Dataset.from_dict(rows, files), [0, 1] * 3)
    with pytest.raises(cx.SettingError, match=r"dataset\['train'\]"):
        Images(peers.DatasetDict({"train": made, "test": made}))
    kept = [cx.features(net, made, "relu1", cache=tmp_path, progress=False) for _ in range(2)]
    assert kept[0].labels.tolist() == [0, 1] * 3
    assert np.array_equal(kept[0].activations, kept[1].activations)


def test_panels_and_the_explorer_offer_them(net):
    labelled = TensorDataset(torch.from_numpy(ARRAYS).movedim(3, 1), torch.arange(6))
    for given in (labelled, DataLoader(labelled), torch.from_numpy(ARRAYS).movedim(3, 1), ARRAYS):
        panel = cx.AttributionPanel(net, given)
        try:
            shown = panel.selection.value.image
            assert torch.equal(net.pixels_of(shown), net.pixels_of(ARRAYS[0]))
            assert len(panel.image_choices.given) == 6
        finally:
            panel.close()
    from cnnexplore.widgets.explorer.explorer import shelf_and_all

    shelf, source, _ = shelf_and_all(DataLoader(labelled))
    assert len(shelf) == len(source) == 6


def test_what_is_refused(net, refused, folder):
    address = "https://example.org/cat.jpg"
    for call in (
        lambda: cx.attribute(net, address), lambda: cx.attribute(net, [address, address]), lambda: Images(address),
        lambda: cx.top_patches(net, "conv1", 0, [address], progress=False), lambda: cx.AttributionPanel(net, address),
        lambda: cx.explore(net, [address]),
    ):  # fmt: skip
        refused(cx.ImageError, call, "https://", "path")

    class Endless(IterableDataset):
        def __iter__(self):
            yield ARRAYS[0]

    refused(cx.SettingError, lambda: Images(Endless()), "images")
    refused(cx.SettingError, lambda: Images(DataLoader(Endless())), "images")
    refused(cx.SettingError, lambda: Images([{"left": 1, "right": 2}]).item(0), "no image", "left, right")
    normalised = datasets.ImageFolder(
        folder, transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.2] * 3)])
    )
    refused(cx.ImageError, lambda: cx.top_patches(net, "conv1", 0, normalised, progress=False), "0..1")
