"""The gradient of batch normalisation does not depend on how its own gradient lies in memory."""

import numpy as np
import torch
from torch import nn

import cnnexplore as cx


class NormalisedTokens(nn.Module):
    """Batch normalisation, then tokens; a view before it keeps the maps in the usual order of memory."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 6, 4, 4), nn.BatchNorm2d(6)
        self.layer_norm, self.fc = nn.LayerNorm(6), nn.Linear(6, 5)

    def forward(self, x):
        maps = self.conv(x)
        maps = self.norm(maps.view(len(x), -1).view(maps.shape))
        tokens = maps.flatten(2).transpose(1, 2)
        return (self.fc(self.layer_norm(tokens)).tanh() * torch.arange(tokens.shape[1]).view(-1, 1)).sum(1)


def test_batch_normalisation_before_tokens():
    torch.manual_seed(0)
    module = NormalisedTokens().eval()
    net = cx.Network(module, 24)
    image = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    fed = net.feed(net.pixels_of(image)).contiguous().expand(2, -1, -1, -1).clone().requires_grad_()
    (slope,) = torch.autograd.grad(module(fed)[0, 1], fed)  # of two images: of one, torch's own is wrong
    expected = slope[0] / torch.tensor(net.pixels.std).view(-1, 1, 1)
    raw = torch.from_numpy(cx.attribute(net, image, 1).raw)
    torch.testing.assert_close(raw, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
