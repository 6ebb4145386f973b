"""The field's scores of a picture or a grouping against the truth: plain functions of arrays."""

from __future__ import annotations

import numpy as np

from ..errors import SettingError


def _map_and_mask(attribution, mask) -> tuple[np.ndarray, np.ndarray]:
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


def pointing(attribution, mask, tolerance: float = 0) -> bool:
    """The pointing game: does the map's largest value lie in the mask, or within `tolerance` pixels of it?

    attribution, mask: (H, W). Where several pixels are largest, the share of them that hit must exceed one half.
    Raises SettingError for maps that are not finite or of another size.
    Source: Zhang et al., Top-down neural attention by excitation backprop, 2016, section 4.1.
    """
    attribution, mask = _map_and_mask(attribution, mask)
    if tolerance:
        from scipy.ndimage import distance_transform_edt

        mask = distance_transform_edt(~mask) <= tolerance
    return bool(mask[attribution == attribution.max()].mean() > 0.5)


def mass_in_mask(attribution, mask) -> float:
    """The share of a map's positive values that lies in the mask, 0 to 1; the mask's own area if there are none.

    attribution, mask: (H, W). Raises SettingError as `pointing` does.
    """
    attribution, mask = _map_and_mask(attribution, mask)
    positive = attribution.clip(0)
    whole = positive.sum()
    return float(positive[mask].sum() / whole) if whole > 0 else float(mask.mean())


def average_precision(attribution, mask) -> float:
    """The average precision of a map as a detector of the mask's pixels, 0 to 1; chance is the mask's area.

    attribution, mask: (H, W). Raises SettingError as `pointing` does.
    """
    from sklearn.metrics import average_precision_score

    attribution, mask = _map_and_mask(attribution, mask)
    return float(average_precision_score(mask.ravel(), attribution.ravel()))


def iou(predicted, truth) -> float:
    """Intersection over union of two masks of one shape, over all their pixels; 0 if both are empty.

    predicted, truth: boolean arrays, (H, W) or (N, H, W). Raises SettingError if the shapes differ.
    Source: Bau et al., Network dissection, 2017, equation 2.
    """
    predicted, truth = np.asarray(predicted, bool), np.asarray(truth, bool)
    if predicted.shape != truth.shape:
        raise SettingError(f"masks of shapes {predicted.shape} and {truth.shape} were compared; expected one shape.")
    union = np.count_nonzero(predicted | truth)
    return float(np.count_nonzero(predicted & truth) / union) if union else 0.0


def _groupings(found, truth) -> tuple[np.ndarray, np.ndarray]:
    found, truth = np.asarray(found), np.asarray(truth)
    if found.shape != truth.shape or found.ndim != 1 or not len(found):
        raise SettingError(
            f"a grouping of shape {found.shape} was compared with labels of shape {truth.shape}; expected one number "
            "per image in both."
        )
    return found, truth


def rand_index(found, truth) -> float:
    """The adjusted Rand index of a grouping against labels: 1 the same, 0 chance.

    found, truth: (N,). Raises SettingError if the lengths differ. Source: Hubert and Arabie, 1985.
    """
    from sklearn.metrics import adjusted_rand_score

    found, truth = _groupings(found, truth)
    return float(adjusted_rand_score(truth, found))


def purity(found, truth) -> float:
    """The share of images that carry the commonest label of their group, 0 to 1.

    found, truth: (N,). Raises SettingError if the lengths differ.
    """
    from sklearn.metrics.cluster import contingency_matrix

    found, truth = _groupings(found, truth)
    return float(contingency_matrix(truth, found).max(0).sum() / len(found))


def field_error(estimate, layer) -> float:
    """How far an estimated receptive field's size is from the closed formula's, in strides; the worse of both sides.

    estimate: (rows, columns) or one number, in pixels; layer: a `Layer`. Raises SettingError if it is not positive.
    """
    sides = np.broadcast_to(np.asarray(estimate, np.float64), 2)
    if not (np.isfinite(sides).all() and (sides > 0).all()):
        raise SettingError(f"a receptive field of {estimate} was estimated; expected a positive size in pixels.")
    return float(np.max(np.abs(sides - layer.rf_size) / layer.rf_stride))
