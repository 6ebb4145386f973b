"""Networks that answer otherwise each time, such as those whose dropout stays on: a warning, once per network."""

from __future__ import annotations

import warnings
import weakref

import torch

from ..errors import ExploreWarning
from .network import Network
from .probe import Probe

_CHECKED: weakref.WeakSet[Network] = weakref.WeakSet()
_ROUNDING = 1e-3  # two passes may differ by this share of the largest activation where a device adds in any order


def warn_if_answers_vary(net: Network, probe: Probe, fed: torch.Tensor, layer: str) -> None:
    """Warn if two passes of the same images differ, once per network; random numbers drawn afterwards are the same.

    Parameters
    ----------
    net : Network
        The network.
    probe : Probe
        A probe of the layer.
    fed : torch.Tensor
        The module's input.
    layer : str
        The layer whose activations are compared.
    """
    if net in _CHECKED:
        return
    _CHECKED.add(net)
    fed = fed.detach()[:1]
    with torch.random.fork_rng([fed.device] if fed.is_cuda else []), torch.no_grad():
        one, other = (probe(fed)[layer].double() for _ in range(2))
    largest, apart = float(one.abs().max()), float((one - other).abs().max()) if one.shape == other.shape else 1.0
    if apart > _ROUNDING * largest:
        warnings.warn(
            f"{net.name} gives {layer} otherwise each time for the same image, by {apart / (largest or 1):.0%} of its "
            "largest activation, as with dropout that stays on in evaluation mode; what is computed from it varies.",
            ExploreWarning,
            stacklevel=3,
        )
