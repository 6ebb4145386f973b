"""Units through training: against looking at every checkpoint and every image by itself."""

import csv

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.data import Images
from cnnexplore.units import evolution_stream
from cnnexplore.zoo.history import checkpoints_of

SIDE = 20
IMAGES = list(np.random.default_rng(0).integers(0, 256, (9, SIDE, SIDE, 3), dtype=np.uint8))
LABELLED = [(image, k % 3) for k, image in enumerate(IMAGES)]


def network(seed, units=5):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Conv2d(3, 4, 5), nn.ReLU(), nn.Conv2d(4, units, 3), nn.ReLU())
    return cx.Network(module, size=SIDE, pixels=cx.Pixels("BGR", (100, 110, 120), (50, 60, 70)), name=f"seed {seed}")


@pytest.fixture(scope="module")
def nets():
    return [network(seed) for seed in range(3)]


@pytest.mark.parametrize("same_image", [False, True])
def test_each_checkpoint_by_itself(nets, same_image):
    found = cx.evolution(nets, "relu2", [4, 1], LABELLED, same_image=same_image, batch=4, progress=False)
    assert found.checkpoints == [net.name for net in nets]
    last = torch.cat([nets[-1].activations(image, "relu2") for image in IMAGES])[:, [4, 1]].flatten(2).amax(2)
    for t, net in enumerate(nets):
        maps = torch.cat([net.activations(image, "relu2") for image in IMAGES])
        for j, unit in enumerate([4, 1]):
            peaks = maps[:, unit].flatten(1).amax(1)
            image = int(last[:, j].argmax()) if same_image else int(peaks.argmax())
            assert found.indices[t, j] == image
            assert found.values[t, j] == pytest.approx(float(peaks[image]), rel=1e-5)
            row, column = found.positions[t, j]
            assert float(maps[image, unit, row, column]) == pytest.approx(float(peaks[image]), rel=1e-5)
            means = [maps[label::3, unit].mean((1, 2)).mean() for label in range(3)]
            best = int(np.argmax(means))
            others = np.mean([m for k, m in enumerate(means) if k != best])
            assert found.preferred[t, j] == best
            assert found.selectivity[t, j] == pytest.approx(
                float((means[best] - others) / (means[best] + others)), rel=1e-4
            )
            if not same_image:
                top = cx.top_patches(net, "relu2", unit, IMAGES, k=1, progress=False)
                assert np.array_equal(found.patches[t][j], top.patches()[0])
                assert np.array_equal(found.projections[t][j], top.projections()[0])
            assert np.array_equal(found.filters[t][j], cx.decode(net, "relu2", unit, progress=False).pictures()[0])


def test_a_unit_of_one_class_has_selectivity_one_and_a_dead_one_none():
    module = nn.Sequential(nn.Conv2d(1, 3, 1))
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([1.0, -1.0, 0.0]).view(3, 1, 1, 1))
        module[0].bias.copy_(torch.tensor([0.0, 0.0, 0.5]))
    net = cx.Network(module, size=8, pixels=cx.Pixels("grey", (128,)))
    images = [(np.full((8, 8), level, np.uint8), label) for level, label in ((228, 0), (128, 1), (128, 2))]
    found = cx.evolution([net], "conv1", [0, 1, 2], images, progress=False)
    assert found.selectivity[0, 0] == pytest.approx(1, abs=1e-5)
    assert found.preferred[0].tolist() == [0, -1, 0]
    assert np.isnan(found.selectivity[0, 1])
    assert found.selectivity[0, 2] == pytest.approx(0, abs=1e-5)
    assert np.isnan(cx.evolution([net], "conv1", 0, [image for image, _ in images], progress=False).selectivity).all()


def test_the_checkpoints_that_ship():
    scenes = cx.world.dataset(10, 1)
    stream = evolution_stream("worldnet", "conv1", [3, 7], scenes)
    first, second = next(stream), next(stream)
    assert (len(first), len(second), second.total) == (1, 2, 12)
    assert second.checkpoints == ["step 0", "step 1"]
    assert [one.label for one in checkpoints_of(cx.load("worldnet"))][-3:] == ["step 500", "step 1000", "trained"]
    changes = np.abs(first.filters[0][0].astype(int) - second.filters[1][0]).mean()
    assert changes > 0
    assert second.classes == list(cx.world.CLASSES)


def test_checkpoints_of_files_and_names(tmp_path, nets):
    from cnnexplore.zoo.training.recipe import write

    plain = cx.load("worldnet@0", device="cpu")
    weights = plain.module.state_dict()
    for step in (20, 3, 100):
        write(
            weights, tmp_path / f"mine-{step}.safetensors", "worldnet", plain.pixels, 96, plain.labels, lambda m: "here"
        )
    (tmp_path / "notes.txt").write_text("no weights")
    assert [one.label for one in checkpoints_of(tmp_path)] == ["mine-3", "mine-20", "mine-100"]
    assert checkpoints_of(str(tmp_path))[0].load().name == "mine-3"
    mixed = checkpoints_of({"start": tmp_path / "mine-3.safetensors", "end": nets[0]})
    assert [one.label for one in mixed] == ["start", "end"]
    assert mixed[1].load() is nets[0]


def test_what_cannot_be_followed_is_refused(nets, refused, tmp_path):
    scenes = cx.world.dataset(3, 1)
    refused(cx.LayerNotFound, lambda: cx.evolution("worldnet", "fc7", 0, scenes, progress=False), "pool5", "complete")
    refused(cx.NetworkError, lambda: cx.evolution("lenet", "conv2", 0, IMAGES, progress=False), "'worldnet'")
    refused(cx.NetworkError, lambda: cx.evolution(tmp_path, "conv2", 0, IMAGES, progress=False), "a folder of weights")
    refused(cx.NetworkError, lambda: cx.evolution([], "conv2", 0, IMAGES, progress=False), "a list of networks")
    refused(
        cx.NetworkError, lambda: cx.evolution([nets[0], 3], "conv2", 0, IMAGES, progress=False), "a checkpoint is 3"
    )
    other = [network(0, units=6), nets[1]]
    refused(cx.NetworkError, lambda: cx.evolution(other, "conv2", 0, IMAGES, progress=False), "has 6 units")
    refused(cx.SettingError, lambda: cx.evolution(nets, "conv2", 5, IMAGES, progress=False), "units 0 to 4")


def test_a_table_and_a_picture(nets, tmp_path):
    found = cx.evolution(nets, "conv2", 2, Images(LABELLED), rule="gradient", progress=False)
    found.save(tmp_path / "a.csv")
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert [row["checkpoint"] for row in rows] == found.checkpoints
    assert [float(row["response"]) for row in rows] == pytest.approx(found.values[:, 0].tolist())
    assert found.picture.shape[2] == 3
    assert found.describe(0, 0).startswith(f"response {found.values[0, 0]:.3g}, image {found.indices[0, 0]}, class ")
    assert found.to_python() == "cx.evolution(checkpoints, 'conv2', 2, images, rule='gradient')"
