"""AlexNet as Caffe defines it (two groups, response normalisation before pooling), and narrow versions of it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

WIDTHS = (96, 256, 384, 384, 256)


class ResponseNorm(nn.LocalResponseNorm):
    """Local response normalisation x / (k + alpha/n sum x^2)^beta over n channels, faster than torch's on CPUs.

    x: (N, C, H, W). It computes what torch's own layer does; its second derivatives are those of torch's.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _Normalised.apply(x, self.size, self.alpha / self.size, self.beta, self.k)


class _Normalised(torch.autograd.Function):
    """The sum over neighbouring channels as a 1 x 1 convolution with a banded matrix, fast in any memory layout."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, size: int, alpha: float, beta: float, k: float) -> torch.Tensor:
        steps = torch.arange(x.shape[1], device=x.device)
        ahead = steps[None, :] - steps[:, None]
        band = ((ahead >= -(size // 2)) & (ahead <= (size - 1) // 2)).to(x.dtype)[:, :, None, None]
        inverse = F.conv2d(x * x, band).mul_(alpha).add_(k).reciprocal_()
        scale = inverse.sqrt() * inverse.sqrt().sqrt_() if beta == 0.75 else inverse**beta
        ctx.save_for_backward(x, inverse, scale, band)
        ctx.factor, ctx.settings = -2 * alpha * beta, (size, alpha * size, beta, k)
        return x * scale

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None, None, None]:
        x, inverse, scale, band = ctx.saved_tensors
        if torch.is_grad_enabled():  # a derivative of this one is wanted, in which what was kept depends on x
            stock = F.local_response_norm(x, *ctx.settings)
            return torch.autograd.grad(stock, x, gradient, create_graph=True)[0], None, None, None, None
        neighbours = F.conv2d((gradient * x).mul_(scale).mul_(inverse), band.transpose(0, 1))
        return (gradient * scale).addcmul_(neighbours, x, value=ctx.factor), None, None, None, None


def alexnet(
    classes: int,
    widths: tuple[int, ...] = WIDTHS,
    hidden: int = 4096,
    first: tuple[int, int, int] = (11, 4, 0),
    alpha: float = 1e-4,
    round_up: bool = True,
    drop: float = 0.5,
) -> nn.Sequential:
    """conv1 ... fc8, prob; pool5 has 6 x 6 positions.

    widths: channels of conv1 to conv5. hidden: units of fc6 and fc7. first: kernel, stride and padding of conv1.
    alpha: of the response normalisation. round_up: poolings extend over the edge, as Caffe's do. drop: dropout rate.
    """

    def norm() -> ResponseNorm:
        return ResponseNorm(5, alpha=alpha, beta=0.75, k=1.0)

    def pool() -> nn.MaxPool2d:
        return nn.MaxPool2d(3, 2, ceil_mode=round_up)

    kernel, stride, padding = first
    one, two, three, four, five = widths
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, one, kernel, stride, padding),
            relu1=nn.ReLU(),
            norm1=norm(),
            pool1=pool(),
            conv2=nn.Conv2d(one, two, 5, padding=2, groups=2),
            relu2=nn.ReLU(),
            norm2=norm(),
            pool2=pool(),
            conv3=nn.Conv2d(two, three, 3, padding=1),
            relu3=nn.ReLU(),
            conv4=nn.Conv2d(three, four, 3, padding=1, groups=2),
            relu4=nn.ReLU(),
            conv5=nn.Conv2d(four, five, 3, padding=1, groups=2),
            relu5=nn.ReLU(),
            pool5=pool(),
            flatten=nn.Flatten(),
            fc6=nn.Linear(five * 6 * 6, hidden),
            relu6=nn.ReLU(),
            drop6=nn.Dropout(drop),
            fc7=nn.Linear(hidden, hidden),
            relu7=nn.ReLU(),
            drop7=nn.Dropout(drop),
            fc8=nn.Linear(hidden, classes),
            prob=nn.Softmax(1),
        )
    )


def caffe_alexnet(classes: int = 1000, hidden: int = 4096) -> nn.Sequential:
    """The published network for 3 x 227 x 227 (preimage2016, table 1)."""
    return alexnet(classes, hidden=hidden)


def caffenet(classes: int = 1000, hidden: int = 4096) -> nn.Sequential:
    """Caffe's reference network for 3 x 227 x 227: AlexNet with pooling before response normalisation."""
    parts = dict(caffe_alexnet(classes, hidden).named_children())
    order = list(parts)
    for norm in (order.index("norm1"), order.index("norm2")):
        order[norm : norm + 2] = reversed(order[norm : norm + 2])
    return nn.Sequential(OrderedDict((name, parts[name]) for name in order))


def world_alexnet(classes: int = 10) -> nn.Sequential:
    """The narrow AlexNet of worldnet, for 3 x 96 x 96."""
    return alexnet(classes, (48, 96, 128, 128, 96), 256, first=(7, 2, 3), alpha=1.0, drop=0.3)


def photo_alexnet(classes: int = 10) -> nn.Sequential:
    """The narrow AlexNet of photonet, for 3 x 128 x 128."""
    return alexnet(classes, (64, 160, 256, 256, 160), 512, first=(11, 2, 0), alpha=1.0, round_up=False, drop=0.3)
