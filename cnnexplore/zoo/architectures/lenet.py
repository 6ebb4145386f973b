"""LeNet as MatConvNet's MNIST example defines it."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn


def lenet(classes: int = 10) -> nn.Sequential:
    """20 @ 5x5, pool, 50 @ 5x5, pool, 500 @ 4x4, relu, 10 @ 1x1, softmax for 1 x 28 x 28 (decoding2015, section 4)."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 20, 5),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(20, 50, 5),
            pool2=nn.MaxPool2d(2),
            conv3=nn.Conv2d(50, 500, 4),
            relu3=nn.ReLU(),
            conv4=nn.Conv2d(500, classes, 1),
            prob=nn.Softmax(1),
        )
    )
