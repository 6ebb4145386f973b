"""An object's pixels and box from a saliency map: GrabCut seeded by the map's quantiles."""

from __future__ import annotations

import numpy as np

from ..errors import SettingError


def grabcut(image, saliency, foreground: float = 0.95, background: float = 0.3, rounds: int = 1) -> np.ndarray:
    """The object's pixels, (H, W) bool: the largest connected part of what GrabCut finds.

    image: (H, W, 3) uint8; saliency: (H, W), high on the object. Colours are learnt from the pixels above the
    quantile `foreground` of the (slightly blurred) saliency, and from those below the quantile `background`, which are
    never object. rounds: of learning the colours again from what was found.
    Raises SettingError, also where OpenCV is not installed.
    Source: Simonyan et al., Deep inside convolutional networks, 2014, section 3.2; Rother et al., GrabCut, 2004.
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
    if smooth.min() == smooth.max():
        return np.zeros(saliency.shape, bool)  # a flat map points at nothing
    low, high = np.quantile(smooth, (background, foreground))
    seen, around = smooth >= high, smooth <= low
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    # colours of the seeds alone: a picture that holds nothing else
    strip = np.ascontiguousarray(np.concatenate([image[around], image[seen]])[None])
    labels = np.repeat(np.uint8([cv2.GC_BGD, cv2.GC_FGD]), [around.sum(), seen.sum()])[None].copy()
    if min(around.sum(), seen.sum()) < 5:  # as many as a model has colours
        return seen
    cv2.grabCut(strip, labels, None, *models, 3, cv2.GC_INIT_WITH_MASK)
    seeds = np.where(around, cv2.GC_BGD, np.where(seen, cv2.GC_PR_FGD, cv2.GC_PR_BGD)).astype(np.uint8)
    cv2.grabCut(image, seeds, None, *models, 1, cv2.GC_EVAL_FREEZE_MODEL)
    if (seeds == cv2.GC_PR_FGD).sum() >= 5 and rounds:
        cv2.grabCut(image, seeds, None, *models, rounds, cv2.GC_EVAL)
    parts, count = label(seeds == cv2.GC_PR_FGD)
    if not count:
        return seen
    return parts == 1 + np.bincount(parts.ravel())[1:].argmax()


def box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) around a mask, half open; all 0 if it is empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0, 0, 0, 0
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
