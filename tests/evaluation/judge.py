"""Another network for scenes of the world, of another architecture than worldnet, which judges pictures of its classes.

Made by `python tests/evaluation/judge.py`: some minutes on one core.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

import cnnexplore as cx
from cnnexplore import world
from cnnexplore.zoo.training.precision import mixed_precision

FILE = Path(__file__).with_name("judge.safetensors")
PIXELS = cx.Pixels("RGB", (128.0, 128.0, 128.0), (64.0, 64.0, 64.0))


class Block(nn.Module):
    """Two 3 x 3 convolutions with normalisation, beside a shortcut of 1 x 1; the map is halved."""

    def __init__(self, before, after):
        super().__init__()
        self.long = nn.Sequential(
            nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after),
        )  # fmt: skip
        self.short = nn.Conv2d(before, after, 1, 2, bias=False)

    def forward(self, x):
        return (self.long(x) + self.short(x)).relu()


def module():
    """A residual network with a mean over the map: no large filters, no response normalisation, no hidden layers."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), Block(16, 24), Block(24, 48), Block(48, 96), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(96, len(world.CLASSES)),
    )  # fmt: skip


def judge():
    """The trained network."""
    found = module()
    found.load_state_dict(
        {name: value.float() if value.is_floating_point() else value for name, value in load_file(FILE).items()}
    )
    return cx.Network(found.eval(), size=96, pixels=PIXELS, labels=list(world.CLASSES), name="judge")


def train(images, labels, epochs=8, batch=64, seed=0):
    """Train on scenes (N, 3, 96, 96) uint8, mirrored at random, and write the file."""
    torch.manual_seed(seed)
    net = module().to(memory_format=torch.channels_last)
    steps = epochs * (len(images) // batch)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for epoch in range(epochs):
        for chosen in torch.randperm(len(images))[: len(images) // batch * batch].split(batch):
            x = PIXELS.feed(PIXELS.encode(torch.from_numpy(images[chosen.sort().values.numpy()]).float()))
            x = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x).contiguous(
                memory_format=torch.channels_last
            )
            with mixed_precision(torch.device("cpu")):
                scores = net(x)
            wanted = torch.from_numpy(labels[chosen.sort().values.numpy()])
            loss = nn.functional.cross_entropy(scores.float(), wanted, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(epoch, float(loss.detach()), flush=True)
    state = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in net.state_dict().items()
    }
    save_file(state, FILE)


def accuracy(n=500):
    """The share of held-out scenes that the judge names correctly."""
    scenes, net = world.dataset(n, world.HELD_OUT_SEED), judge()
    right = 0
    for k in range(0, n, 50):
        rows = [scenes[i] for i in range(k, min(k + 50, n))]
        with torch.no_grad():
            scores = net.module(net.feed(net.pixels_of([row[0] for row in rows])))
        right += sum(int(a) == row[1] for a, row in zip(scores.argmax(1), rows, strict=True))
    return right / n


if __name__ == "__main__":
    import numpy as np

    scenes = world.dataset(8192, 20_170)
    rows = [scenes[k] for k in range(len(scenes))]
    train(np.stack([row[0].numpy() for row in rows]), scenes.labels)
    print(accuracy())
