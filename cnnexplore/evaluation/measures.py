"""Scores of a map against a mask, and of a grouping against labels: functions of arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import array
from ..errors import SettingError, brief_value
from ..network import Layer


def mask_of(mask: ArrayLike) -> np.ndarray:
    """A mask as an array of booleans; what is no number is refused. Raises SettingError."""
    if isinstance(mask, np.ndarray) and mask.dtype == bool:
        return mask
    return array("a mask", mask, "booleans, (H, W)") != 0


def _map_and_mask(attribution: ArrayLike, mask: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    attribution = array("an attribution", attribution, "a finite map (H, W)", dtype=np.float64)
    mask = mask_of(mask)
    if attribution.shape != mask.shape or mask.ndim != 2:
        raise SettingError(
            f"an attribution of shape {attribution.shape} was scored against a mask of shape {mask.shape}; "
            "expected two arrays (H, W) of one size."
        )
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
    predicted, truth = mask_of(predicted), mask_of(truth)
    if predicted.shape != truth.shape:
        raise SettingError(f"masks of shapes {predicted.shape} and {truth.shape} were compared; expected one shape.")
    union = np.count_nonzero(predicted | truth)
    return float(np.count_nonzero(predicted & truth) / union) if union else 0.0


def _groups(value: ArrayLike) -> np.ndarray:
    """Whole numbers, or names, as an array."""
    try:
        if isinstance(value, (list, tuple, np.ndarray)) and len(value) and all(isinstance(one, str) for one in value):
            return np.asarray(value, str)
    except TypeError:  # an array of no dimension
        pass
    what = "a whole number or a name for each image"
    found = array("a grouping", value, what, dtype=np.float64)
    if (found % 1 != 0).any() or np.abs(found).max(initial=0) > 1e9:
        raise SettingError(f"a grouping has numbers that are not whole; expected {what}.")
    return found.astype(int)


def groupings(found: ArrayLike, truth: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Two groupings as arrays, (N,). Raises SettingError if the lengths differ."""
    found, truth = _groups(found), _groups(truth)
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
    sides = array("a receptive field", estimate, "a positive size in pixels, or (rows, columns)", dtype=np.float64)
    if sides.shape not in ((), (1,), (2,)) or not (sides > 0).all():
        raise SettingError(
            f"a receptive field of {brief_value(estimate)} was estimated; expected a positive size in pixels."
        )
    return float(np.max(np.abs(sides - layer.rf_size) / layer.rf_stride))
