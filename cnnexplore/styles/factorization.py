"""The non-negative factorisation of activations, from a start that is the same each time."""

from __future__ import annotations

import warnings

import numpy as np

_MAX_STEPS = 500
_LEAST = 1e-6  # of a weight of the start; smaller ones stay 0


def factorize(activations: np.ndarray, k: int, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """weights (N, k), components (k, D) and the relative error, by coordinate descent from a deterministic start."""
    if not activations.any():  # such as half of the images
        return np.zeros((len(activations), k), np.float32), np.zeros((k, activations.shape[1]), np.float32), 0.0
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # more steps would not change which topic is which
        solver = NMF(k, init="custom", max_iter=_MAX_STEPS)
        weights = solver.fit_transform(activations, **_start(activations, k, seed))
    error = float(solver.reconstruction_err_ / np.linalg.norm(activations))
    return weights.astype(np.float32), solver.components_.astype(np.float32), error


def _start(activations: np.ndarray, k: int, seed: int) -> dict[str, np.ndarray]:
    """Where the descent begins: from singular vectors, the halves of one sign that weigh more (NNDSVD).

    It is made here because older scikit-learn, with SciPy 1.18, makes one whose order of memory its solver refuses.
    """
    from sklearn.utils.extmath import randomized_svd

    left, values, right = randomized_svd(activations, k, random_state=seed)
    weights, components = np.zeros((len(left), k), activations.dtype), np.zeros_like(right, order="C")
    for j, (u, value, v) in enumerate(zip(left.T, values, right, strict=True)):
        halves = [(np.maximum(sign * u, 0), np.maximum(sign * v, 0)) for sign in (1, -1)]
        if j == 0:  # of one sign but for rounding
            halves = [(np.abs(u), np.abs(v))]
        sizes = [(np.linalg.norm(a), np.linalg.norm(b)) for a, b in halves]
        best = int(np.argmax([a * b for a, b in sizes]))
        (a, b), (size_a, size_b) = halves[best], sizes[best]
        if size_a * size_b > 0:
            weights[:, j] = a * np.sqrt(value * size_b / size_a)
            components[j] = b * np.sqrt(value * size_a / size_b)
    return {"W": np.where(weights < _LEAST, 0, weights), "H": np.where(components < _LEAST, 0, components)}
