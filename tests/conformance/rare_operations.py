"""Odd modules for the table, with operations that few networks have."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Base(nn.Module):
    """A convolution and a classifier of five."""

    def __init__(self, maps: int = 8) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 2, 1)
        self.fc = nn.Linear(maps, 5)

    def maps(self, x):
        return F.relu(self.conv1(x))

    def forward(self, x):
        return self.fc(self.after(self.maps(x)).mean((2, 3)))

    def after(self, maps):
        return maps


class Fourier(Base):
    """Multiplies the spectrum of the maps, as global filter networks do."""

    def __init__(self):
        super().__init__()
        self.spectrum = nn.Parameter(0.1 * torch.randn(8, 12, 7, 2))

    def after(self, maps):
        product = torch.fft.rfft2(maps, norm="ortho") * torch.view_as_complex(self.spectrum)
        return F.relu(torch.fft.irfft2(product, s=maps.shape[-2:], norm="ortho"))


class Deformable(Base):
    """A convolution whose places depend on the maps."""

    def __init__(self):
        from torchvision.ops import DeformConv2d

        super().__init__()
        self.offset = nn.Conv2d(8, 18, 3, padding=1)
        nn.init.normal_(self.offset.weight, std=1e-3)
        self.deformed = DeformConv2d(8, 8, 3, padding=1)

    def after(self, maps):
        return F.relu(self.deformed(maps, self.offset(maps)))


class SpatialTransformer(Base):
    """Turns and scales the maps by what it sees in them."""

    def __init__(self):
        super().__init__()
        self.place = nn.Linear(8 * 16, 6)
        nn.init.normal_(self.place.weight, std=1e-4)
        self.place.bias.data = torch.tensor([0.8, 0.1, 0.1, -0.1, 0.8, 0.0])

    def after(self, maps):
        turned = self.place(F.adaptive_avg_pool2d(maps, 4).flatten(1)).view(-1, 2, 3)
        return F.grid_sample(maps, F.affine_grid(turned, maps.size(), align_corners=False), align_corners=False)


class RowsInTurn(nn.Module):
    """A recurrent network reads the rows."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)
        self.rows = nn.LSTM(4 * 12, 16, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(32, 5)

    def forward(self, x):
        found, _ = self.rows(F.relu(self.conv(x)).permute(0, 2, 1, 3).flatten(2))
        return self.fc(found[:, -1])


class Complex(nn.Module):
    """Complex numbers inside."""

    def __init__(self):
        super().__init__()
        self.real, self.imaginary = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
        self.fc = nn.Linear(4, 5)

    def forward(self, x):
        return self.fc(torch.complex(self.real(x), self.imaginary(x)).abs().mean((2, 3)))


class Maxout(Base):
    """The larger of two channels each."""

    def __init__(self):
        super().__init__(maps=4)

    def after(self, maps):
        return maps.unflatten(1, (4, 2)).amax(2)


class Doubled(Base):
    """Keeps both signs of each channel."""

    def __init__(self):
        super().__init__(maps=16)

    def maps(self, x):
        maps = self.conv1(x)
        return F.relu(torch.cat([maps, -maps], 1))


class Clustered(Base):
    """Distances to cluster centres, weighted by softly assigned positions."""

    def __init__(self):
        super().__init__(maps=32)
        self.assign, self.centres = nn.Conv2d(8, 4, 1), nn.Parameter(torch.randn(4, 8))

    def forward(self, x):
        maps = self.maps(x)
        share = self.assign(maps).flatten(2).softmax(1)
        found = torch.einsum("nkp,ncp->nkc", share, maps.flatten(2)) - share.sum(-1)[..., None] * self.centres
        return self.fc(F.normalize(found.flatten(1)))


class ClassToken(nn.Module):
    """A transformer of torch's own, which reads the classes off a token."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        nn.init.normal_(self.patches.weight, std=1e-3)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder, self.token = nn.TransformerEncoder(layer, 2), nn.Parameter(torch.randn(1, 1, 8))
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        return self.fc(self.encoder(torch.cat([self.token.expand(len(x), -1, -1), tokens], 1))[:, 0])


class Routed(Base):
    """One of two classifiers, by what it sees."""

    def __init__(self):
        super().__init__()
        self.other, self.gate = nn.Linear(8, 5), nn.Linear(8, 2)

    def forward(self, x):
        found = self.maps(x).mean((2, 3))
        way = self.gate(found).argmax(1)
        return torch.stack([(self.other if k else self.fc)(one) for one, k in zip(found, way, strict=True)])


class OneByOne(Base):
    """A loop over the images of a batch."""

    def forward(self, x):
        return torch.cat([super(OneByOne, self).forward(one[None]) for one in x])


class Ensemble(nn.Module):
    """Several networks at once, by torch.vmap."""

    def __init__(self):
        super().__init__()
        self.weights, self.fc = nn.Parameter(0.1 * torch.randn(3, 6, 3, 3, 3)), nn.Linear(6, 5)

    def forward(self, x):
        return self.fc(torch.vmap(lambda w: F.relu(F.conv2d(x, w)).mean((2, 3)))(self.weights).mean(0))


class ModulesInVmap(nn.Module):
    """One module with several sets of weights, by torch.vmap and torch.func.functional_call."""

    def __init__(self):
        super().__init__()
        self.conv, self.branch, self.fc = nn.Conv2d(3, 8, 5, 2), nn.Conv2d(8, 6, 3), nn.Linear(6, 5)

    def forward(self, x):
        found = F.relu(self.conv(x))
        weights = {name: torch.stack([w, -w]) for name, w in self.branch.named_parameters()}
        both = torch.vmap(lambda w: F.relu(torch.func.functional_call(self.branch, w, (found,))))(weights)
        return self.fc(both.sum(0).mean((2, 3)))


class OwnGradient(nn.Module):
    """Its input is moved along a gradient of its own, by torch.func.grad, through a strided convolution."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 5, 2), nn.Linear(8, 5)

    def forward(self, x):
        return self.fc(F.relu(self.conv(x + self.gradient(x))).mean((2, 3)))

    def gradient(self, x):
        return torch.func.grad(lambda z: F.softplus(self.conv(z)).sum())(x)


class AutogradInside(OwnGradient):
    """The same by torch.autograd.grad, as energy-based models do it."""

    def gradient(self, x):
        with torch.enable_grad():
            free = x if x.requires_grad else x.detach().requires_grad_()
            return torch.autograd.grad(F.softplus(self.conv(free)).sum(), free, create_graph=True)[0]


class Hyper(Base):
    """The weights of its classifier depend on the image."""

    def __init__(self):
        super().__init__(maps=5 * 8)
        self.fc = nn.Linear(8, 5 * 8)

    def forward(self, x):
        found = self.maps(x).mean((2, 3))
        return torch.bmm(self.fc(found).unflatten(1, (5, 8)), found[..., None]).squeeze(-1)


class LowRank(Base):
    """A classifier with an update of low rank, added when it is called."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Parameter(0.1 * torch.randn(2, 8)), nn.Parameter(0.1 * torch.randn(5, 2))

    def forward(self, x):
        return F.linear(self.maps(x).mean((2, 3)), self.fc.weight + self.up @ self.down, self.fc.bias)


class Folded(Base):
    """Takes patches apart and adds them up again."""

    def after(self, maps):
        patches = F.unfold(maps, 4, stride=2)
        return F.fold(patches * patches.std(1, keepdim=True), maps.shape[-2:], 4, stride=2)


class Winners(Base):
    """Of each position, the largest channel alone."""

    def after(self, maps):
        return torch.where(maps == maps.amax(1, keepdim=True), maps, torch.zeros_like(maps))


class Strongest(Base):
    """The mean of the five largest positions."""

    def forward(self, x):
        return self.fc(self.maps(x).flatten(2).topk(5, -1).values.mean(-1))


class Generalised(Base):
    """Pooling by a power mean."""

    def forward(self, x):
        return self.fc(self.maps(x).clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3))


class Volume(nn.Module):
    """Colours as the depth of a three-dimensional convolution."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv3d(1, 4, 3, padding=(0, 1, 1)), nn.Linear(4, 5)

    def forward(self, x):
        return self.fc(F.relu(self.conv(x[:, None])).mean((2, 3, 4)))


class InLine(Base):
    """Positions in a row, through a convolution of one dimension."""

    def __init__(self):
        super().__init__()
        self.line = nn.Conv1d(8, 8, 3, padding=1)

    def forward(self, x):
        return self.fc(F.relu(self.line(self.maps(x).flatten(2))).mean(2))


class Rounded(Base):
    """The sign of each number, with the gradient of none (a straight-through estimator)."""

    def after(self, maps):
        return maps + (torch.sign(maps - 1) - maps).detach()


class Recomputed(Base):
    """Computes its maps again for the gradient."""

    def forward(self, x):
        from torch.utils.checkpoint import checkpoint

        return self.fc(checkpoint(self.maps, x, use_reentrant=False).mean((2, 3)))


class Averaged(torch.optim.swa_utils.AveragedModel):
    """The mean of the weights of a training."""

    def __init__(self):
        super().__init__(Base())


MODULES = (
    Fourier, Deformable, SpatialTransformer, RowsInTurn, Complex, Maxout, Doubled, Clustered, ClassToken, Routed,
    OneByOne, Ensemble, ModulesInVmap, Hyper, LowRank, Folded, Winners, Strongest, Generalised, Volume, InLine, Rounded,
    Recomputed, Averaged, OwnGradient, AutogradInside,
)  # fmt: skip
