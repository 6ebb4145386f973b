"""Parameterizations: what an image is made of, when a run does not move the pixels themselves."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import torch

from ..network import Network
from .colours import colour_mixtures, mixed_by, photographs

_DARK = 0.02  # the darkest value of a photograph that counts, as a share of the range; one minus it the lightest


class Parameterization(ABC):
    """Images as a function of other numbers, their code, which the solver moves in place of pixels."""

    name: str

    @abstractmethod
    def to(self, device: torch.device) -> Parameterization:
        """The same on a device.

        Parameters
        ----------
        device : torch.device
            The device.
        """

    @abstractmethod
    def start(self, generators: list[torch.Generator]) -> torch.Tensor:
        """The first code, one image per generator, on the CPU so that a seed means the same on every device.

        Parameters
        ----------
        generators : list of torch.Generator
            One per image.
        """

    @abstractmethod
    def image(self, code: torch.Tensor) -> torch.Tensor:
        """The images of a code, (N, C, H, W) in the network's units; differentiable.

        Parameters
        ----------
        code : torch.Tensor
            (N, ...).
        """

    @abstractmethod
    def code(self, x: torch.Tensor) -> torch.Tensor:
        """The code whose images are nearest to given ones.

        Parameters
        ----------
        x : torch.Tensor
            (N, C, H, W) in the network's units.
        """


class Fourier(Parameterization):
    """Colours and frequencies that are independent in photographs; low frequencies move first (lucid).

    The code holds the Fourier coefficients of each mixture of colours, divided by 1 / frequency, the typical strength
    in photographs. A sigmoid keeps the colours of pixels in their range.

    Parameters
    ----------
    net : Network
        Whose pixel convention the images have.
    size : tuple of int
        (H, W) of the images.
    images : list, folder, data set or Images, optional
        What the mixtures of colours are measured on; None for the bundled images.

    References
    ----------
    C. Olah, A. Mordvintsev, L. Schubert, Feature visualization, Distill 2017.
    """

    name = "fourier"

    def __init__(self, net: Network, size: tuple[int, int], images: Any = None) -> None:
        self.size = size
        self.mixtures = colour_mixtures(net, images)
        self.mean = torch.tensor(net.pixels.mean, dtype=torch.float32).view(1, -1, 1, 1)
        self.strength = typical_strength(size)

    def to(self, device: torch.device) -> Fourier:
        """The same on a device."""
        self.mixtures, self.mean, self.strength = (t.to(device) for t in (self.mixtures, self.mean, self.strength))
        return self

    def start(self, generators: list[torch.Generator]) -> torch.Tensor:
        shape = (self.mean.shape[1], *self.strength.shape, 2)
        return torch.stack([0.01 * torch.randn(shape, generator=g, dtype=torch.float32) for g in generators])

    def image(self, code: torch.Tensor) -> torch.Tensor:
        spectrum = torch.view_as_complex(code.contiguous()) * self.strength
        mixed = torch.fft.irfft2(spectrum, s=self.size, norm="ortho") / 4  # so strong that a step is well seen
        return 255 * torch.sigmoid(mixed_by(self.mixtures, mixed)) - self.mean

    def code(self, x: torch.Tensor) -> torch.Tensor:
        shown = ((x + self.mean) / 255).clamp(_DARK, 1 - _DARK)
        mixed = mixed_by(torch.linalg.inv(self.mixtures), torch.logit(shown))
        return torch.view_as_real(4 * torch.fft.rfft2(mixed, norm="ortho") / self.strength).contiguous()


class FourierPhase(Parameterization):
    """Phases of the Fourier coefficients; their magnitudes are the mean of photographs and stay (MACO).

    Parameters
    ----------
    net : Network
        Whose pixel convention the images have.
    size : tuple of int
        (H, W) of the images.
    images : list, folder, data set or Images, optional
        What magnitudes and mixtures of colours are measured on; None for the bundled images.

    References
    ----------
    T. Fel et al., Unlocking feature visualization for deeper networks with magnitude constrained optimization,
    NeurIPS 2023.
    """

    name = "phase"

    def __init__(self, net: Network, size: tuple[int, int], images: Any = None) -> None:
        self.size = size
        self.mixtures = colour_mixtures(net, images)
        self.mean = torch.tensor(net.pixels.mean, dtype=torch.float32).view(1, -1, 1, 1)
        self.magnitude = mean_magnitude(net, size, self.mixtures, images)

    def to(self, device: torch.device) -> FourierPhase:
        """The same on a device."""
        self.mixtures, self.mean, self.magnitude = (t.to(device) for t in (self.mixtures, self.mean, self.magnitude))
        return self

    def start(self, generators: list[torch.Generator]) -> torch.Tensor:
        shape = self.magnitude.shape
        return torch.stack(
            [math.pi * (2 * torch.rand(shape, generator=g, dtype=torch.float32) - 1) for g in generators]
        )

    def image(self, code: torch.Tensor) -> torch.Tensor:
        spectrum = torch.polar(self.magnitude.expand(code.shape), code)
        mixed = torch.fft.irfft2(spectrum, s=self.size, norm="ortho")
        colours = mixed_by(self.mixtures, mixed)
        grey = torch.logit((self.mean / 255).clamp(_DARK, 1 - _DARK))
        return 255 * torch.sigmoid(4 / 255 * colours + grey) - self.mean  # of slope 1 at mid-grey

    def code(self, x: torch.Tensor) -> torch.Tensor:
        mixed = mixed_by(torch.linalg.inv(self.mixtures), x)
        return torch.angle(torch.fft.rfft2(mixed, norm="ortho"))


def typical_strength(size: tuple[int, int]) -> torch.Tensor:
    """1 / frequency in cycles per pixel, (H, W // 2 + 1); of the mean that of one cycle per image."""
    rows = torch.fft.fftfreq(size[0], dtype=torch.float64)[:, None]
    columns = torch.fft.rfftfreq(size[1], dtype=torch.float64)
    return (1 / (rows**2 + columns**2).sqrt().clamp_min(1 / max(size))).float()


def mean_magnitude(net: Network, size: tuple[int, int], mixtures: torch.Tensor, images: Any = None) -> torch.Tensor:
    """The mean magnitude of the Fourier coefficients of images and their mirror images, (C, H, W // 2 + 1)."""
    x = torch.nn.functional.interpolate(
        photographs(net, images), size=size, mode="bilinear", antialias=True, align_corners=False
    )
    mixed = mixed_by(torch.linalg.inv(mixtures), x)
    both = torch.cat([mixed, mixed.flip(3)])
    return torch.fft.rfft2(both, norm="ortho").abs().mean(0)
