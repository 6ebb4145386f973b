"""Random rotations of the basis of a layer's units, whole and in part: the null of network dissection."""

from __future__ import annotations

import numpy as np

from ..arguments import checked, number, small_seed, whole


@checked(units=whole(1, 20_000, "how many units"), power=number(0, 1, "a power"), seed=small_seed)
def random_rotation(units: int, power: float = 1.0, seed: int = 0) -> np.ndarray:
    """Draw a rotation from the uniform distribution over all of them, or a power of it.

    Parameters
    ----------
    units : int
        The number of dimensions.
    power : float
        0 is the identity, 1 the whole rotation; between them, its planes are rotated by a part of their angles.
    seed : int
        Of the draw.

    Returns
    -------
    np.ndarray
        (units, units) float64, orthogonal with determinant 1.

    References
    ----------
    Bau et al., Network dissection, 2017, section 3.2. Mezzadri, How to generate random matrices from the classical
    compact groups, 2007.

    Examples
    --------
    >>> from cnnexplore.units import random_rotation
    >>> half = random_rotation(4, 0.5)
    >>> bool(np.allclose(half @ half, random_rotation(4)))
    True
    """
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((units, units)))
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)  # else the draw is not uniform
    if np.linalg.det(q) < 0:
        q[:, 0] = -q[:, 0]
    return q if power == 1 else _power(q, power)


def _power(rotation: np.ndarray, power: float) -> np.ndarray:
    """A rotation by a part of the angle in each of its planes, which the real Schur form shows."""
    from scipy.linalg import schur

    form, basis = schur(rotation, output="real")
    n = len(form)
    out, reflected, k = np.eye(n), [], 0
    while k < n:
        if k + 1 < n and abs(form[k + 1, k]) > 1e-8:
            _turn(out, k, k + 1, power * np.arctan2(form[k + 1, k], form[k, k]))
            k += 2
        else:
            if form[k, k] < 0:
                reflected.append(k)
            k += 1
    for a, b in zip(reflected[::2], reflected[1::2], strict=True):  # two reflections are half a turn of their plane
        _turn(out, a, b, power * np.pi)
    return basis @ out @ basis.T


def _turn(matrix: np.ndarray, a: int, b: int, angle: float) -> None:
    c, s = np.cos(angle), np.sin(angle)
    matrix[a, a], matrix[b, b], matrix[b, a], matrix[a, b] = c, c, s, -s
