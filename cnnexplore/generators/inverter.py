"""Learned inverters: a decoder with the layer that it inverts and the statistics of that layer's activations."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F

from ..errors import LayerError, NetworkError
from ..network import Layer, Network, Pixels, as_maps
from ..network.precision import full_precision
from .decoder import Decoder

STATISTICS = ("mean", "deviation", "lower", "upper")


def weights_digest(net: Network) -> str:
    """A digest of a network's weights, buffers, input size and pixel convention.

    The same on every machine and with every version of Python, so that a file can name the network it was made for.

    Parameters
    ----------
    net : Network
        The network.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((net.size, net.pixels.to_json())).encode())
    for name, value in net.module.state_dict().items():
        if isinstance(value, torch.Tensor) and value.layout == torch.strided and not value.is_meta:
            numbers = value.detach().cpu()
            numbers = (numbers.float() if numbers.is_floating_point() else numbers).contiguous()
            digest.update(repr((name, tuple(value.shape))).encode() + numbers.reshape(-1).numpy().tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Inverter:
    """A decoder from the activations of one layer of one network to images.

    Attributes
    ----------
    decoder : Decoder
        In evaluation mode, without gradients of its weights.
    network : str
        The name of the network.
    digest : str
        What `weights_digest` gives for it.
    layer : str
        The layer.
    loss : str
        What it was trained by: "pixel", "feature" or "adversarial".
    pixels : Pixels
        The pixel convention of its images: that of the network.
    statistics : dict of torch.Tensor
        (C,) each, of the layer's units over the training images: "mean", "deviation", and the bounds of a code,
        "lower" and "upper": the mean less and plus three deviations, the lower one 0 where no activation is negative.
    errors : dict of float
        Measured on images that were left out: "image" is ||x' - x|| / ||x|| of pixels with the mean subtracted,
        "activation" is ||Phi(x') - Phi(x)|| / ||Phi(x)||, means over the images.
    source : str
        The command that trained it.
    """

    decoder: Decoder = field(repr=False)
    network: str
    digest: str = field(repr=False)
    layer: str
    loss: str
    pixels: Pixels = field(repr=False)
    statistics: Mapping[str, torch.Tensor] = field(repr=False)
    errors: Mapping[str, float] = field(default_factory=dict)
    source: str = field(default="", repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of its images."""
        return self.decoder.plan.image[1:]

    def to(self, device: torch.device) -> Inverter:
        """The inverter on a device; itself where it is there already."""
        if self.statistics["mean"].device == device:
            return self
        moved = {name: value.to(device) for name, value in self.statistics.items()}
        decoder = Decoder(self.decoder.plan).eval().requires_grad_(False)
        decoder.load_state_dict(self.decoder.state_dict())
        return Inverter(
            decoder.to(device), self.network, self.digest, self.layer, self.loss, self.pixels, moved, self.errors,
            self.source,
        )  # fmt: skip

    def standardised(self, maps: torch.Tensor) -> torch.Tensor:
        """Activations as the decoder takes them.

        Parameters
        ----------
        maps : torch.Tensor
            (N, C, h, w).
        """
        mean, deviation = (self.statistics[name].view(1, -1, 1, 1) for name in ("mean", "deviation"))
        return (maps - mean) / deviation

    def __call__(self, maps: torch.Tensor) -> torch.Tensor:
        """Images of activations; gradients flow through it.

        Parameters
        ----------
        maps : torch.Tensor
            (N, C, h, w) activations of the layer, as `as_maps` gives them.

        Returns
        -------
        torch.Tensor
            (N, channels, H, W), 0..255 with the mean subtracted.

        Raises
        ------
        LayerError
            If they are of another shape.
        """
        expected = (self.decoder.plan.channels, *self.decoder.plan.map)
        if tuple(maps.shape[1:]) != expected:
            found, wanted = (" x ".join(map(str, shape)) for shape in (tuple(maps.shape[1:]), expected))
            raise LayerError(f"the inverter of {self.layer} takes activations of {wanted}; these are {found}.")
        return self.decoder(self.standardised(maps.float()))

    def images(self, net: Network, activations: torch.Tensor) -> torch.Tensor:
        """Images of a network's own activations, in one forward pass.

        Parameters
        ----------
        net : Network
            The network that the inverter belongs to.
        activations : torch.Tensor
            (N, ...) as a `Probe` gives them.

        Returns
        -------
        torch.Tensor
            (N, C, H, W) in the network's units.

        Raises
        ------
        NetworkError
            If it was trained for another network.
        """
        self.check_network(net)
        with torch.no_grad(), full_precision():
            return self.to(net.device)(as_maps(activations, net.layers[self.layer])).to(torch.float32)

    def check_network(self, net: Network) -> None:
        """Raise NetworkError unless the inverter was trained for these weights."""
        if self.digest != weights_digest(net):
            raise NetworkError(
                f"this inverter was trained for the weights of {self.network} at {self.layer}, and {net.name} has "
                f"others; train one with cnnexplore train inverter --net NAME --layer {self.layer}."
            )


def shape_of(net: Network, layer: Layer) -> tuple[int, tuple[int, int], tuple[int, int, int]]:
    """What `plan_for` takes of a layer: its units, its map and the image."""
    return layer.channels, layer.size, (net.pixels.channels, *net.size)


def for_network(x: torch.Tensor, pixels: Pixels, net: Network) -> torch.Tensor:
    """Images in one pixel convention as another network takes them; gradients flow through it.

    Parameters
    ----------
    x : torch.Tensor
        (N, C, H, W) in units of `pixels`.
    pixels : Pixels
        The convention of the images.
    net : Network
        The network that takes them: their colours are converted, and they are resized to its input.

    Returns
    -------
    torch.Tensor
        (N, C, H, W) in the network's units.
    """
    if pixels != net.pixels:
        rgb = x + x.new_tensor(pixels.mean).view(1, -1, 1, 1)
        if pixels.order == "BGR":
            rgb = rgb.flip(1)
        x = net.pixels.encode(rgb.expand(-1, net.pixels.image_channels, -1, -1))
    if x.shape[-2:] != net.size:
        x = F.interpolate(x, net.size, mode="bilinear", align_corners=False, antialias=True)
    return x
