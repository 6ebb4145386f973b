"""VGG-M and VGG-VD-16 with the published layer names, for 3 x 224 x 224."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from .alexnet import ResponseNorm


def _classifier(parts: OrderedDict[str, nn.Module], features: int, hidden: int, classes: int) -> nn.Sequential:
    """The parts followed by fc6 ... fc8, prob."""
    parts.update(
        flatten=nn.Flatten(),
        fc6=nn.Linear(features, hidden),
        relu6=nn.ReLU(),
        drop6=nn.Dropout(),
        fc7=nn.Linear(hidden, hidden),
        relu7=nn.ReLU(),
        drop7=nn.Dropout(),
        fc8=nn.Linear(hidden, classes),
        prob=nn.Softmax(1),
    )
    return nn.Sequential(parts)


def vgg_m(classes: int = 1000, hidden: int = 4096) -> nn.Sequential:
    """preimage2016, table 2: wider than AlexNet, with smaller filters; poolings extend over the edge (26 -> 13)."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    channels = 3
    rows = ((96, 7, 2, 0), (256, 5, 2, 1), (512, 3, 1, 1), (512, 3, 1, 1), (512, 3, 1, 1))
    for k, (width, kernel, stride, padding) in enumerate(rows, 1):
        parts[f"conv{k}"] = nn.Conv2d(channels, width, kernel, stride, padding)
        parts[f"relu{k}"] = nn.ReLU()
        if k <= 2:
            parts[f"norm{k}"] = ResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
        if k in (1, 2, 5):
            parts[f"pool{k}"] = nn.MaxPool2d(3, 2, ceil_mode=True)
        channels = width
    return _classifier(parts, 512 * 6 * 6, hidden, classes)


def vgg_vd_16(classes: int = 1000, hidden: int = 4096) -> nn.Sequential:
    """preimage2016, table 3: thirteen 3 x 3 convolutions in five blocks, no normalisation."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    channels = 3
    for block, (width, depth) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1):
        for k in range(1, depth + 1):
            parts[f"conv{block}_{k}"] = nn.Conv2d(channels, width, 3, padding=1)
            parts[f"relu{block}_{k}"] = nn.ReLU()
            channels = width
        parts[f"pool{block}"] = nn.MaxPool2d(2, 2)
    return _classifier(parts, 512 * 7 * 7, hidden, classes)
