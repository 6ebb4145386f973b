"""The class selectivity of units: how much more a unit answers to its best class than to the others."""

from __future__ import annotations

import numpy as np
import torch


class ClassMeans:
    """The mean response of units to the images of each class; images without a label do not count.

    The response to an image is the mean over positions of the activations above 0.

    Parameters
    ----------
    units : int
        How many units.
    """

    def __init__(self, units: int):
        self._sums: dict[int, np.ndarray] = {}
        self._counts: dict[int, int] = {}
        self._units = units

    def add(self, maps: torch.Tensor, labels: np.ndarray) -> None:
        """Count a batch.

        Parameters
        ----------
        maps : torch.Tensor
            (N, units, h, w) activations.
        labels : np.ndarray
            (N,) int, -1 for none.
        """
        means = maps.float().clamp_min(0).mean((2, 3)).double().cpu().numpy()
        for label in np.unique(labels[labels >= 0]).tolist():
            rows = means[labels == label]
            self._sums[label] = self._sums.get(label, 0) + rows.sum(0)
            self._counts[label] = self._counts.get(label, 0) + len(rows)

    def selectivity(self) -> tuple[np.ndarray, np.ndarray]:
        """Each unit's class selectivity index, (units,) from 0 to 1, and its best class, (units,) int.

        With the mean response m to the best class and the mean m' of the mean responses to all other classes, it is
        (m - m') / (m + m'). Not a number, and -1, for fewer than two classes or a unit that never responds.

        References
        ----------
        Morcos, Barrett, Rabinowitz and Botvinick, On the importance of single directions for generalization, 2018.
        """
        labels = sorted(self._sums)
        if len(labels) < 2:
            return np.full(self._units, np.nan), np.full(self._units, -1)
        means = np.stack([self._sums[label] / self._counts[label] for label in labels])
        best = means.argmax(0)
        most = means.max(0)
        others = (means.sum(0) - most) / (len(labels) - 1)
        alive = most > 0
        index = np.where(alive, (most - others) / np.where(alive, most + others, 1), np.nan)
        return index, np.where(alive, np.array(labels)[best], -1)
