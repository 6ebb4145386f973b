"""The memory of a tensor, by which tensors are known to share it."""

from __future__ import annotations

import torch


def storage_of(tensor: torch.Tensor) -> int | None:
    """A number that two tensors have in common if they share memory.

    Parameters
    ----------
    tensor : torch.Tensor
        Any tensor.

    Returns
    -------
    int or None
        None for a tensor that has no memory of its own: a sparse or opaque one, or one inside of torch.vmap.
    """
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):
        return None
