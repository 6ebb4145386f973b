"""SIGKILL at random moments of long work, which is then begun again: the files have the same bytes at the end."""

from __future__ import annotations

import pytest
from killing import forks, kill_and_resume

FEATURES = """
import cnnexplore as cx

net, digits = cx.load("lenet"), [cx.digit(k % 10) for k in range(80)]
cx.features(net, digits[:4], "conv2", cache=False, batch=2, progress=False)

def work(folder):
    found = cx.features(net, digits, "conv2", cache=folder, batch=2, progress=False)
    assert len(found) == 80
"""
TABLE = """
import cnnexplore as cx

net, digits = cx.load("lenet"), [cx.digit(1), cx.digit(8)]
settings = {"layers": ["conv1", "conv2"], "weights": (1, 100), "steps": 3, "solvers": ["adagrad"], "progress": False}
net.layers

def work(folder):
    table = cx.figure("preimage2016.table5", net, digits, log=folder / "log", **settings)
    table.save(folder / "table.csv")
"""
LENET = """
import torch
from cnnexplore.zoo.training import lenet

def mnist(root, train, download, pixels=lenet.PIXELS):
    generator = torch.Generator().manual_seed(int(train))
    count = 256 if train else 64
    return torch.rand(count, 1, 28, 28, generator=generator) - 0.5, torch.arange(count) % 2

lenet._mnist = mnist

def work(folder):
    lenet.train("anywhere", folder / "net.safetensors", epochs=5, seed=5)
"""
RECIPE = """
import torch
import cnnexplore as cx
from cnnexplore.zoo.architectures.alexnet import alexnet
from cnnexplore.zoo.training import recipe

def batches(epoch):
    generator = torch.Generator().manual_seed(epoch)
    while True:
        labels = torch.randint(0, 3, (6,), generator=generator)
        yield torch.randn(6, 3, 96, 96, generator=generator) + labels.view(-1, 1, 1, 1), labels

def work(folder):
    torch.manual_seed(1)
    plain = alexnet(3, widths=(4, 8, 8, 8, 6), hidden=12, first=(7, 2, 3), alpha=1.0, drop=0.2)
    how = recipe.Recipe(epochs=5, steps=3, seed=3)
    weights, losses = recipe.fit(plain, batches, cx.Pixels("RGB"), how, folder / "net.checkpoint")
    torch.save([weights, losses], folder / "net.pth")
"""
# A checkpoint is no result: the text in it is pickled another way after it was read.
WORK = {
    "features": (FEATURES, "**/*"),
    "table": (TABLE, "*"),
    "lenet": (LENET, "*.safetensors"),
    "recipe": (RECIPE, "*.pth"),
}


@forks
@pytest.mark.parametrize("kills", [pytest.param(6, marks=pytest.mark.slow), pytest.param(50, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", WORK)
def test_killed_work_ends_with_the_same_bytes(tmp_path, name, kills):
    source, product = WORK[name]
    found = kill_and_resume(source, tmp_path, kills, product)
    assert found.kills == kills
    assert found.states > 2  # some were in the middle of the work
