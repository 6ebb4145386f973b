"""Scores of a map against a mask, and of a grouping against labels: functions of arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..errors import SettingError, brief_value
from ..network import Layer


def _map_and_mask(attribution: ArrayLike, mask: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    attribution, mask = np.asarray(attribution, np.float64), np.asarray(mask, bool)
    if attribution.shape != mask.shape or mask.ndim != 2:
        raise SettingError(
            f"an attribution of shape {attribution.shape} was scored against a mask of shape {mask.shape}; "
            "expected two arrays (H, W) of one size."
        )
    if not np.isfinite(attribution).all():
        raise SettingError("an attribution has values that are not finite; expected a finite map (H, W).")
    if mask.all() or not mask.any():
        raise SettingError("a mask covers nothing or all of the picture; expected an object and what is around it.")
    return attribution, mask


def pointing(attribution: ArrayLike, mask: ArrayLike, *, tolerance: float = 0) -> bool:
    """The pointing game: whether the largest value of a map lies in a mask.

    Parameters
    ----------
    attribution : array_like
        (H, W).
    mask : array_like
        (H, W), of booleans.
    tolerance : float
        How far from the mask, in pixels, the largest value may lie.

    Returns
    -------
    bool
        Where several pixels are largest, whether more than half of them lie in the mask.

    Raises
    ------
    SettingError
        For a map that is not finite or of another size, or a mask that covers nothing or everything.

    References
    ----------
    Zhang et al., Top-down neural attention by excitation backprop, 2016, section 4.1.
    """
    values, inside = _map_and_mask(attribution, mask)
    if tolerance:
        from scipy.ndimage import distance_transform_edt

        inside = distance_transform_edt(~inside) <= tolerance
    return bool(inside[values == values.max()].mean() > 0.5)


def mass_in_mask(attribution: ArrayLike, mask: ArrayLike) -> float:
    """The share of a map's positive values that lies in a mask.

    Parameters
    ----------
    attribution : array_like
        (H, W).
    mask : array_like
        (H, W), of booleans.

    Returns
    -------
    float
        0 to 1; the mask's own share of the area if no value is positive.

    Raises
    ------
    SettingError
        For a map that is not finite or of another size, or a mask that covers nothing or everything.
    """
    values, inside = _map_and_mask(attribution, mask)
    positive = values.clip(0)
    total = positive.sum()
    return float(positive[inside].sum() / total) if total > 0 else float(inside.mean())


def average_precision(attribution: ArrayLike, mask: ArrayLike) -> float:
    """The average precision of a map as a detector of the pixels of a mask.

    Parameters
    ----------
    attribution : array_like
        (H, W).
    mask : array_like
        (H, W), of booleans.

    Returns
    -------
    float
        0 to 1; chance is the mask's share of the area.

    Raises
    ------
    SettingError
        For a map that is not finite or of another size, or a mask that covers nothing or everything.
    """
    from sklearn.metrics import average_precision_score

    values, inside = _map_and_mask(attribution, mask)
    return float(average_precision_score(inside.ravel(), values.ravel()))


def iou(predicted: ArrayLike, truth: ArrayLike) -> float:
    """Intersection over union of two masks, over all of their pixels.

    Parameters
    ----------
    predicted, truth : array_like
        (H, W) or (N, H, W), of booleans.

    Returns
    -------
    float
        0 to 1; 0 if both are empty.

    Raises
    ------
    SettingError
        If the shapes differ.

    References
    ----------
    Bau et al., Network dissection, 2017, equation 2.
    """
    predicted, truth = np.asarray(predicted, bool), np.asarray(truth, bool)
    if predicted.shape != truth.shape:
        raise SettingError(f"masks of shapes {predicted.shape} and {truth.shape} were compared; expected one shape.")
    union = np.count_nonzero(predicted | truth)
    return float(np.count_nonzero(predicted & truth) / union) if union else 0.0


def groupings(found: ArrayLike, truth: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Two groupings as arrays, (N,). Raises SettingError if the lengths differ."""
    found, truth = np.asarray(found), np.asarray(truth)
    if found.shape != truth.shape or found.ndim != 1 or not len(found):
        raise SettingError(
            f"a grouping of shape {found.shape} was compared with labels of shape {truth.shape}; expected one number "
            "per image in both."
        )
    return found, truth


def rand_index(found: ArrayLike, truth: ArrayLike) -> float:
    """The adjusted Rand index of a grouping against labels.

    Parameters
    ----------
    found, truth : array_like
        (N,), one number per image.

    Returns
    -------
    float
        1 for the same grouping, 0 for chance.

    Raises
    ------
    SettingError
        If the lengths differ.

    References
    ----------
    Hubert and Arabie, Comparing partitions, 1985.
    """
    from sklearn.metrics import adjusted_rand_score

    groups, labels = groupings(found, truth)
    return float(adjusted_rand_score(labels, groups))


def purity(found: ArrayLike, truth: ArrayLike) -> float:
    """The share of images that have the most frequent label of their group.

    Parameters
    ----------
    found, truth : array_like
        (N,), one number per image.

    Returns
    -------
    float
        0 to 1.

    Raises
    ------
    SettingError
        If the lengths differ.
    """
    from sklearn.metrics.cluster import contingency_matrix

    groups, labels = groupings(found, truth)
    return float(contingency_matrix(labels, groups).max(0).sum() / len(groups))


def field_error(estimate: ArrayLike, layer: Layer) -> float:
    """The difference of an estimated receptive field's size from the closed formula's.

    Parameters
    ----------
    estimate : array_like
        (rows, columns) or one number, in pixels.
    layer : Layer
        The layer.

    Returns
    -------
    float
        In strides of the layer; the larger of both sides.

    Raises
    ------
    SettingError
        If the estimate is not positive.
    """
    sides = np.broadcast_to(np.asarray(estimate, np.float64), 2)
    if not (np.isfinite(sides).all() and (sides > 0).all()):
        raise SettingError(
            f"a receptive field of {brief_value(estimate)} was estimated; expected a positive size in pixels."
        )
    return float(np.max(np.abs(sides - layer.rf_size) / layer.rf_stride))
