"""Two responses side by side: the network's, and that of a convolution with the decoded filters (figure 3, table 1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F

from ..errors import SettingError
from ..network import Layer, Network
from .filters import Decoding

_BATCH = 100  # images at a time
_AT_ONCE = 1 << 24  # numbers that the windows of a convolution may take


@dataclass(frozen=True)
class Comparison:
    """What a layer's units answer to images, and what their decoded filters do.

    network, filters: (N, K, h, w), position by position. units: the K channels.
    """

    layer: Layer
    units: list[int]
    unpool: str
    network: torch.Tensor = field(repr=False)
    filters: torch.Tensor = field(repr=False)

    @property
    def errors(self) -> torch.Tensor:
        """The mean square difference of each image's two responses, each with its contrast normalised (N,)."""
        return errors(self.network, self.filters)

    def top(self, unit: int, k: int = 4) -> tuple[list[int], list[int]]:
        """The images that a unit answers most: by the network, and by its decoded filter (figure 4 d).

        Raises SettingError for a unit that was not compared.
        """
        if unit not in self.units:
            raise SettingError(f"unit {unit!r} was not compared; expected one of {self.units[:20]}.")
        place = self.units.index(unit)
        return tuple(
            maps[:, place].flatten(1).amax(1).topk(min(k, len(maps))).indices.tolist()
            for maps in (self.network, self.filters)
        )


def contrast(maps: torch.Tensor) -> torch.Tensor:
    """The single contrast normalisation of each response: its range becomes 0 to 1. (N, K, h, w).

    A response is a unit's map; where units have one position only, it is the row of all units.
    """
    dims = (2, 3) if maps.shape[2] * maps.shape[3] > 1 else (1, 2, 3)
    low, high = maps.amin(dims, keepdim=True), maps.amax(dims, keepdim=True)
    return (maps - low) / (high - low).clamp(min=torch.finfo(maps.dtype).tiny)


def errors(network: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    """Mean(|| CNN(I, l, k) - I * df ||^2) over all units and positions, after `contrast` of each side: (N,).

    network, filters: (N, K, h, w). Source: decoding2015, equation 3.
    """
    return (contrast(network) - contrast(filters)).square().flatten(1).mean(1)


def compare(
    net: Network, layer: str, images, units: int | Sequence[int] | None = None, unpool: str = "bilinear"
) -> Comparison:
    """The responses of a layer's units to images beside those of their decoded filters.

    images: one or a list, as `Network.pixels_of` takes them. Raises what `Decoding` and `pixels_of` raise.
    """
    decoding = Decoding(net, layer, units, unpool)
    filters = torch.cat([some for _, some in decoding])
    parts = [
        (code[decoding.layer.name][:, decoding.units], filter_responses(decoding, filters, x))
        for x, code in codes(net, [layer], images)
    ]
    network, convolved = (torch.cat(maps) for maps in zip(*parts, strict=True))
    return Comparison(decoding.layer, decoding.units, unpool, network, convolved)


def codes(net: Network, layers: Sequence[str], images) -> Iterator[tuple[torch.Tensor, dict[str, torch.Tensor]]]:
    """For some images at a time, what the network is fed (N, C, H, W) and by layer name its code (N, K, h, w)."""
    probe = net.probe(*layers)
    several = images if isinstance(images, (list, tuple)) or getattr(images, "ndim", 0) == 4 else [images]
    for first in range(0, max(1, len(several)), _BATCH):  # none at all gets its sentence
        with torch.no_grad():
            x = net.feed(net.pixels_of(several[first : first + _BATCH]))
            found = probe(x)
        yield x, {name: as_maps(code.float()) for name, code in found.items()}


def as_maps(code: torch.Tensor) -> torch.Tensor:
    """(N, K, h, w), also where a code has no spatial extent."""
    return code if code.dim() == 4 else code.flatten(1)[:, :, None, None]


@torch.no_grad()
def filter_responses(decoding: Decoding, filters: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The convolution of images with decoded filters where the layer's units are.

    filters: (K, C, h, w), those of the decoding. x: (N, C, H, W) as the network is fed. Returns (N, K, *layer.size).
    """
    layer, (h, w) = decoding.layer, filters.shape[2:]
    stride = [max(1, round(s)) if n > 1 else 1 for s, n in zip(layer.rf_stride, layer.size, strict=True)]
    first = [decoding.box[a] - (layer.size[a] // 2) * stride[a] for a in (0, 1)]  # where unit (0, 0)'s filter begins
    last = [first[a] + (layer.size[a] - 1) * stride[a] + (h, w)[a] for a in (0, 1)]
    shown = F.pad(x, (-first[1], last[1] - x.shape[3], -first[0], last[0] - x.shape[2]))
    windows = layer.size[0] * layer.size[1] * filters[0].numel()  # of one image
    step = max(1, _AT_ONCE // windows)
    return torch.cat([F.conv2d(some, filters.to(x), stride=stride) for some in shown.split(step)])
