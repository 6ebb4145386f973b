"""An object's pixels and box from a saliency map: GrabCut seeded by the map's quantiles."""

from __future__ import annotations

import numpy as np

from ..errors import SettingError


def grabcut(image, saliency, foreground: float = 0.95, background: float = 0.3, rounds: int = 5) -> np.ndarray:
    """The object's pixels, (H, W) bool: the largest connected part of what GrabCut finds.

    image: (H, W, 3) uint8; saliency: (H, W), high on the object. Colours are learnt from the pixels above the
    quantile `foreground` of the saliency, and from the others; those below the quantile `background` are never object.
    Raises SettingError, also where OpenCV is not installed. Source: Simonyan et al., Deep inside convolutional networks,
    2014, section 3.2; Rother et al., GrabCut, 2004.
    """
    image, saliency = np.ascontiguousarray(image, np.uint8), np.asarray(saliency, np.float64)
    if saliency.ndim != 2 or image.shape != (*saliency.shape, 3):
        raise SettingError(
            f"a map of shape {saliency.shape} does not belong to an image of shape {image.shape}; expected (H, W) and "
            "(H, W, 3)."
        )
    if not 0 < background < foreground < 1:
        raise SettingError(
            f"the quantiles are {background!r} and {foreground!r}; expected 0 < background < foreground < 1."
        )
    try:
        import cv2
    except ImportError as error:
        raise SettingError(
            'segmentation needs OpenCV; install it with: pip install "cnnexplore[segmentation]".'
        ) from error
    from scipy.ndimage import gaussian_filter, label

    smooth = gaussian_filter(saliency, max(saliency.shape) / 60)
    low, high = np.quantile(smooth, (background, foreground))
    seeds = np.full(saliency.shape, cv2.GC_PR_BGD, np.uint8)
    seeds[smooth <= low] = cv2.GC_BGD
    seeds[smooth >= high] = cv2.GC_PR_FGD
    if (seeds == cv2.GC_PR_FGD).all() or smooth.min() == smooth.max():
        return np.zeros(saliency.shape, bool)  # a flat map points at nothing
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(image, seeds, None, *models, rounds, cv2.GC_INIT_WITH_MASK)
    parts, count = label((seeds == cv2.GC_FGD) | (seeds == cv2.GC_PR_FGD))
    if not count:
        return smooth >= high
    return parts == 1 + np.bincount(parts.ravel())[1:].argmax()


def box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) around a mask, half open; all 0 if it is empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0, 0, 0, 0
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
