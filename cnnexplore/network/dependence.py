"""Dependence: which positions of a layer's map depend on which pixels, measured with pixels that are not a number."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .copying import weight_sharing_copy
from .network import Network
from .precision import without_cudnn
from .probe import Probe
from .upsample import as_maps


@torch.inference_mode(False)
def dependent_positions(
    net: Network, fed: torch.Tensor, layers: Sequence[str], masks: torch.Tensor, batch: int = 8
) -> dict[str, torch.Tensor]:
    """The positions of layers' maps that some pixels of an image can change.

    The pixels become not a number (NaN), and so does all that is computed from them by sums, products, maxima and
    smooth functions, whatever the weights are. Where a comparison ends that, a position counts as soon as its
    activations differ from those of the image.

    Parameters
    ----------
    net : Network
        The network.
    fed : torch.Tensor
        (1, C, H, W) one image as the module takes it.
    layers : sequence of str
        The names of the layers.
    masks : torch.Tensor
        (K, H, W) bool, K sets of pixels.
    batch : int
        How many sets are computed at once.

    Returns
    -------
    dict of str to torch.Tensor
        (K, h, w) bool by layer name; True where a unit depends on one of the pixels, or may.

    Raises
    ------
    LayerNotFound
        If there is no such layer.
    """
    probe = _full_precision_probe(net, layers)
    fed = fed if fed.dtype == torch.float64 else fed.float()
    found: dict[str, list[torch.Tensor]] = {net.layers[name].name: [] for name in layers}
    # cuDNN's fast convolutions compute tiles of pixels together, and NaN would fill the tile.
    with torch.no_grad(), without_cudnn():
        base = probe(fed)
        for k in range(0, len(masks), batch):
            some = masks[k : k + batch, None].to(fed.device)
            images = torch.where(some, torch.full_like(fed, torch.nan), fed)
            computed = probe(images.contiguous(memory_format=net.memory_format))
            for name, rows in found.items():
                rows.append(_changed(computed[name], base[name], net, name))
    return {name: torch.cat(rows) for name, rows in found.items()}


def _full_precision_probe(net: Network, layers: Sequence[str]) -> Probe:
    """A probe in float32, as instructions for shorter numbers multiply a neighbour by zero, which keeps NaN."""
    if net.dtype in (torch.float32, torch.float64):
        return net.probe(*layers)
    wanted = [net.layers[name] for name in layers]
    module = weight_sharing_copy(net.module).float()
    return Probe(module, wanted, max(wanted, key=net.layers.depth), net._traced.in_place, net._traced.batches)


def _changed(activations: torch.Tensor, base: torch.Tensor, net: Network, name: str) -> torch.Tensor:
    maps, before = (as_maps(_real(one), net.layers[name]) for one in (activations, base))
    return ~((maps - before).abs_().amax(1) <= rounding(before))  # NaN is not less than anything


def _real(activations: torch.Tensor) -> torch.Tensor:
    return activations if activations.is_floating_point() else activations.double()


def rounding(activations: torch.Tensor, factor: float = 32) -> torch.Tensor:
    """By how much activations may differ that are computed in another order: some units in the last place.

    Parameters
    ----------
    activations : torch.Tensor
        The activations.
    factor : float
        How many units in the last place of the largest of them.

    Returns
    -------
    torch.Tensor
        A number.
    """
    return factor * torch.finfo(activations.dtype).eps * activations.detach().abs().amax()
