"""A layer's filters in an order that says something: by shape, by class, by response."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..errors import SettingError

_MOST_ORDERED = 1000  # filters: beyond, the best order of a tree takes minutes


def similarity(filters: torch.Tensor) -> torch.Tensor:
    """How alike filters are: the correlation of every two, -1 to 1. filters: (K, C, h, w). Returns (K, K)."""
    flat = filters.flatten(1).double()
    flat = flat - flat.mean(1, keepdim=True)
    flat = flat / flat.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return (flat @ flat.T).clamp(-1, 1).to(filters.dtype)


def by_shape(filters: torch.Tensor) -> list[int]:
    """Filters so that neighbours look alike: the leaves of a tree of similarity, in their best order."""
    if len(filters) < 3:
        return list(range(len(filters)))
    from scipy.cluster.hierarchy import leaves_list

    return leaves_list(_tree(filters)).tolist()


def groups(filters: torch.Tensor, count: int) -> list[list[int]]:
    """Filters in at most `count` groups of similar shape; groups and their members in the order of `by_shape`.

    Raises SettingError if there are fewer filters than that.
    """
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= len(filters):
        raise SettingError(f"count is {count!r}; expected how many groups, 1 to {len(filters)}.")
    if len(filters) < 3:
        return [[k] for k in range(len(filters))] if count == len(filters) else [list(range(len(filters)))]
    from scipy.cluster.hierarchy import fcluster, leaves_list

    tree = _tree(filters)
    number = fcluster(tree, count, "maxclust")
    found: dict[int, list[int]] = {}
    for k in leaves_list(tree).tolist():
        found.setdefault(number[k], []).append(k)
    return list(found.values())


def _tree(filters: torch.Tensor) -> np.ndarray:
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    apart = 1 - similarity(filters.double()).cpu().numpy()
    apart = (apart + apart.T) / 2
    np.fill_diagonal(apart, 0)
    return linkage(squareform(apart.clip(0), checks=False), "average", optimal_ordering=len(apart) <= _MOST_ORDERED)


def class_means(responses: torch.Tensor, labels: Sequence[int]) -> torch.Tensor:
    """The mean response of each unit to the images of each class.

    responses: (N, K), or (N, K, h, w) of which the largest counts. labels: N numbers from 0. Returns (classes, K).
    """
    peaks, labels = _peaks(responses), torch.as_tensor(labels, device=responses.device)
    if labels.shape != peaks.shape[:1]:
        raise SettingError(f"{len(labels)} labels were given for {len(peaks)} images; expected one for each.")
    return torch.stack([peaks[labels == k].mean(0) for k in range(int(labels.max()) + 1)])


def by_class(responses: torch.Tensor, labels: Sequence[int]) -> dict[int, list[int]]:
    """Units by the class that they answer most: class -> units, the most selective first.

    responses, labels: as for `class_means`. A unit's selectivity is how far its mean response to the class stands out
    of those to all classes, in standard deviations.
    """
    means = class_means(responses, labels)
    best = means.argmax(0)
    outstanding = (means.amax(0) - means.mean(0)) / means.std(0).clamp(min=1e-12)
    order = outstanding.argsort(descending=True, stable=True).tolist()
    return {k: [unit for unit in order if int(best[unit]) == k] for k in range(len(means))}


def by_response(responses: torch.Tensor) -> list[int]:
    """Units by their largest response to any of the images, the strongest first. responses: as for `class_means`."""
    return _peaks(responses).amax(0).argsort(descending=True, stable=True).tolist()


def _peaks(responses: torch.Tensor) -> torch.Tensor:
    return responses.flatten(2).amax(2) if responses.dim() > 2 else responses
