"""An image decoded from a layer's whole activation, by substitution of every value (decoding2015, equation 1)."""

from __future__ import annotations

import numpy as np
import torch

from ..arguments import array, checked, choice
from ..errors import SettingError
from ..network import Layer, Network
from ..network.arguments import layer_name, network
from ..network.graph import Operation
from ..network.precision import full_precision
from .filters import in_rgb
from .patch import patch_of_activations, shape_of_one
from .substitution import substitute
from .unpooling import METHODS

_BATCH = 16


@full_precision()
@torch.no_grad()
@checked(net=network, layer=layer_name, unpool=choice(METHODS))
def decode_activation(
    net: Network, layer: str, activation: torch.Tensor | np.ndarray, *, unpool: str = "bilinear"
) -> np.ndarray:
    """Decode a layer's activation to an image by substitution of every value.

    The sum of the units' decoded filters, each at its position and times its value. The pattern counts, not its range.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The layer's name.
    activation : torch.Tensor or np.ndarray
        (N, K, h, w), or (N, K) where the layer has no map, as `Network.activations` gives it.
    unpool : {"bilinear", "nearest", "bicubic"}
        How a map is carried up through a pooling.

    Returns
    -------
    np.ndarray
        (N, 3 or 1, H, W) float32 of the network's input size, in RGB order.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    LayerError
        If the layer cannot be decoded, because it is computed with an operation that has no rule.
    SettingError
        If the activation has another shape than the layer's, or `unpool` is unknown.

    References
    ----------
    Rafegas and Vanrell, Understanding learned CNN features through filter decoding with substitution, 2015, equation 1.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> net = cx.load("lenet-smooth")
    >>> cx.decode_activation(net, "conv2", net.activations(cx.digit(3), "conv2")).shape
    (1, 1, 28, 28)
    """
    where = net.layers[layer]
    name, operation = where.name, net.operations()[where.name]
    shape = shape_of_one(where, operation.shape)
    expected = " x ".join(map(str, shape))
    numbers = array("activation", activation, f"N x {expected} finite numbers, what {name} computes")
    values = torch.from_numpy(numbers).to(net.device)
    if tuple(values.shape[1:]) != shape:
        raise SettingError(
            f"the activation has shape {tuple(values.shape)}; expected N x {expected}, what {name} computes."
        )
    found = [_image(operation, part, unpool, where) for part in values.split(_BATCH)]
    return in_rgb(torch.cat(found), net.pixels)


def _image(operation: Operation, activation: torch.Tensor, method: str, layer: Layer) -> torch.Tensor:
    patch = patch_of_activations(activation, layer, operation.shape)
    below, _ = substitute(operation, patch, method, layer.name)
    image = next(one for one in operation.ancestors() if one.name == "input")
    out = activation.new_zeros(len(activation), *image.shape[1:])
    h, w = below.values.shape[2:]
    out[:, :, below.top : below.top + h, below.left : below.left + w] = below.values
    return out
