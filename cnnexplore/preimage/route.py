"""Route: which way the passes of a run take through the network, and which pixels the run may change."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F

from ..errors import SettingError
from ..network import Masks, Network, through


class Route:
    """The way of each pass of a batch: as the network is, or through pathways (intraclass2015, equation 4).

    pathway: what has `masks(net)` and `code`, as cx.Pathway; a list of them, one per image; None: as it is.
    Called, gives a context for one pass. Raises SettingError, NetworkError, LayerError.
    """

    def __init__(self, net: Network, layer: str, pathway):
        self.pathways = list(pathway) if isinstance(pathway, (list, tuple)) else [pathway]
        for one in self.pathways:
            if one is not None and not (hasattr(one, "masks") and hasattr(one, "code")):
                raise SettingError(f"pathway is {type(one).__name__}; expected a cx.Pathway, or a list of them.")
        self.listed = isinstance(pathway, (list, tuple))
        self._net, self._layer = net, layer
        if self.listed and not self.pathways:
            raise SettingError("an empty list of pathways was given; expected at least one.")
        self._made: Callable[[], AbstractContextManager] = nullcontext
        if pathway is not None:
            masks = [Masks() if one is None else one.masks(net) for one in self.pathways]
            self._made = through(net, net.layers[layer].name, masks)

    def __call__(self) -> AbstractContextManager:
        return self._made()

    def alone(self, item: int) -> Route:
        """The way of one of a batch."""
        return Route(self._net, self._layer, self.pathways[item % len(self.pathways)])

    def code(self, item: int | None = None) -> dict[str, str]:
        """The Python of the pathway as an argument, by name; empty without one. item: which one of a batch."""
        if self.pathways == [None]:
            return {}
        if item is not None or not self.listed:
            one = self.pathways[(item or 0) % len(self.pathways)]
            return {} if one is None else {"pathway": one.code}
        return {"pathway": f"[{', '.join('None' if one is None else one.code for one in self.pathways)}]"}


def read_update_mask(update_mask, shape: torch.Size, device: torch.device) -> torch.Tensor:
    """An update mask as a tensor, (N or 1, 1, H, W), 0 to 1. update_mask: an array, (H, W) or (N, H, W).

    shape: (N, C, H, W) of the images. Raises SettingError.
    """
    try:
        mask = torch.as_tensor(update_mask, device=device).float()
    except (TypeError, ValueError, RuntimeError) as error:
        raise SettingError("update_mask is no mask; expected an array of numbers, 0 for a pixel that stays.") from error
    size = tuple(shape[-2:])
    if mask.dim() == 2:
        mask = mask[None]
    if mask.dim() != 3 or tuple(mask.shape[1:]) != size or len(mask) not in (1, shape[0]):
        raise SettingError(
            f"update_mask has shape {tuple(mask.shape)}; expected "
            f"{size[0]} x {size[1]}, one for all images or one each."
        )
    if not bool(((mask >= 0) & (mask <= 1)).all()):
        raise SettingError(
            "update_mask has numbers that are not from 0 to 1; expected 0 for a pixel that stays, 1 for one "
            "that may change."
        )
    if not bool((mask > 0).flatten(1).any(1).all()):
        raise SettingError("update_mask leaves no pixel to change; expected a mask above 0 where pixels may change.")
    return mask[:, None]


def fitted(t: torch.Tensor, before: int, after: int) -> torch.Tensor:
    """(..., H, W) with its border grown by repetition, or cut where the numbers are negative, on both axes."""
    cut = [max(-before, 0), max(-after, 0)]
    t = t[..., cut[0] : t.shape[-2] - cut[1], cut[0] : t.shape[-1] - cut[1]]
    return F.pad(t, [max(before, 0), max(after, 0)] * 2, mode="replicate").contiguous()
