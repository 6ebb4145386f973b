"""One 1 x 1 convolution on a map in four layouts: plain maps, channels last, tokens, tokens with a class token."""

import torch
from torch import nn

import cnnexplore as cx

SIZE, C = 24, 6


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.up, self.fc = nn.Conv2d(3, C, 4, 4), nn.Linear(C, 10), nn.Linear(10, 3)
        self.token = nn.Parameter(torch.randn(1, 1, C))

    def mixed(self, x):
        return nn.functional.conv2d(self.stem(x), self.up.weight[:, :, None, None], self.up.bias)

    def forward(self, x):
        return self.fc(self.mixed(x).relu().mean((2, 3)))


class ChannelsLast(Plain):
    def forward(self, x):
        return self.fc(self.up(self.stem(x).permute(0, 2, 3, 1)).relu().mean((1, 2)))


class Tokens(Plain):
    def forward(self, x):
        return self.fc(self.up(self.stem(x).flatten(2).transpose(1, 2)).relu().mean(1))


class WithAClassToken(Plain):
    def forward(self, x):
        tokens = self.stem(x).flatten(2).transpose(1, 2)
        return self.fc(self.up(torch.cat([self.token.expand(len(x), -1, -1), tokens], 1)).relu()[:, 1:].mean(1))


def network(kind):
    with torch.random.fork_rng():
        return cx.Network(kind().eval(), size=SIZE, labels=["ant", "bee", "cat"], name=kind.__name__)


OTHERS = [ChannelsLast, Tokens, WithAClassToken]
