"""Decoded filters: each unit of a layer as a filter in the space of the image (decoding2015, section 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from ..errors import LayerError, SettingError
from ..network import Network, resolve_units
from ..network.graph import Operation
from .patch import Patch, is_map, of_whole
from .substitution import Decoded, substitute
from .unpooling import check

MEMORY = 256 * 2**20  # bytes that the maps of the units that are decoded at once may take


class Decoding:
    """A layer's units on their way to filters in image space, a few at a time.

    units: a channel, a list of channels, or None for all; each stands in the middle of its map. box: (top, left,
    bottom, right), the pixels of the network's input that the filters cover, both ends included.
    Raises LayerNotFound, LayerError for a layer that cannot be decoded, SettingError.
    """

    def __init__(self, net: Network, layer: str, units: int | Sequence[int] | None = None, unpool: str = "bilinear"):
        self.net, self.layer, self.unpool = net, net.layers[layer], check(unpool)
        self.units = resolve_units(net, self.layer, units)
        self.operation = net.operations()[self.layer.name]
        if self.layer.channels not in self.operation.shape[1:2]:
            raise LayerError(f"{layer} has no channels of its own in its second dimension; choose a layer that has.")
        first, elements = self._substituted(self.units[:1])
        self.box = (first.top, first.left, *(p + n - 1 for p, n in zip(first[1:], first.values.shape[2:], strict=True)))
        self.at_once = max(1, MEMORY // (4 * elements))

    def __len__(self) -> int:
        return len(self.units)

    def __iter__(self) -> Iterator[tuple[list[int], torch.Tensor]]:
        """Pairs (units, their filters (K, C, h, w)), in order."""
        for k in range(0, len(self.units), self.at_once):
            units = self.units[k : k + self.at_once]
            yield units, self._substituted(units).patch.values

    def start(self, units: list[int]) -> Patch:
        """1 for each unit, in the middle of its map."""
        shape = self.operation.shape
        values = torch.zeros(len(units), shape[1], device=self.net.device)
        values[range(len(units)), units] = 1
        if is_map(shape):
            return Patch(values[:, :, None, None], shape[2] // 2, shape[3] // 2)
        return Patch(values[:, None])

    @torch.no_grad()
    def _substituted(self, units: list[int]) -> Decoded:
        return substitute(self.operation, self.start(units), self.unpool, self.layer.name)


def decode(
    net: Network, layer: str, units: int | Sequence[int] | None = None, unpool: str = "bilinear"
) -> torch.Tensor:
    """A layer's units as filters in the space of the image: their convolution with it estimates their responses.

    units: a channel, a list of channels, or None for all. unpool: "nearest", "bilinear" or "bicubic". A unit stands in
    the middle of its map; its filter is as large as its receptive field, or as the part of it inside the image.
    Returns (K, C, h, w) in what the network is fed (`net.feed`), channels in its order; without biases.
    Raises LayerNotFound, LayerError for a layer that cannot be decoded, SettingError. Source: decoding2015, section 3.
    """
    return torch.cat([filters for _, filters in Decoding(net, layer, units, unpool)])


@torch.no_grad()
def decode_activation(net: Network, layer: str, code: torch.Tensor, unpool: str = "bilinear") -> torch.Tensor:
    """An image from a layer's code by substitution of every value.

    code: (N, C, h, w), or (N, K) where the layer has no spatial extent, as `net.activations` gives it. Returns
    (N, C, H, W) of the network's input size; its shape is meant, not its range. Raises LayerNotFound, LayerError for
    a layer that cannot be decoded, SettingError for a code of another shape. Source: decoding2015, equation 1.
    """
    name = net.layers[layer].name
    operation = net.operations()[name]
    code = torch.as_tensor(code, dtype=torch.float32, device=net.device)
    if tuple(code.shape[1:]) != tuple(operation.shape[1:]) or operation.shape[0] != 1:
        expected = " x ".join(map(str, operation.shape[1:]))
        raise SettingError(f"the code has shape {tuple(code.shape)}; expected N x {expected}, what {name} computes.")
    check(unpool)
    found = [_image(operation, part, unpool, name) for part in code.split(16)]
    return torch.cat(found)


def _image(operation: Operation, code: torch.Tensor, method: str, name: str) -> torch.Tensor:
    below, _ = substitute(operation, of_whole(code[:, None], operation.shape), method, name)
    out = code.new_zeros(len(code), *_input(operation).shape[1:])
    h, w = below.values.shape[2:]
    out[:, :, below.top : below.top + h, below.left : below.left + w] = below.values
    return out


def _input(operation: Operation) -> Operation:
    return next(one for one in operation.ancestors() if one.name == "input")
