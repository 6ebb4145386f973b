"""The pixels and the box of an object from a saliency map: GrabCut, seeded by quantiles of the map."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import SettingError, brief, brief_value


def grabcut(
    image: np.ndarray, saliency: np.ndarray, foreground: float = 0.95, background: float = 0.3, rounds: int = 1
) -> np.ndarray:
    """The object's pixels: the largest connected part of what GrabCut finds.

    Parameters
    ----------
    image : np.ndarray
        (H, W, 3) uint8.
    saliency : np.ndarray
        (H, W), high on the object.
    foreground : float
        Colours of the object are learnt from the pixels above this quantile of the (slightly blurred) saliency.
    background : float
        Colours of the surroundings are learnt from those below this one, which are never object.
    rounds : int
        How often the colours are learnt again from what was found.

    Returns
    -------
    np.ndarray
        (H, W) bool; empty if the saliency is flat.

    Raises
    ------
    SettingError
        If shapes or quantiles do not fit, or OpenCV is not installed.

    References
    ----------
    Simonyan et al., Deep inside convolutional networks, 2014, section 3.2; Rother et al., GrabCut, 2004.
    """
    image, saliency = np.ascontiguousarray(image, np.uint8), np.asarray(saliency, np.float64)
    if saliency.ndim == 2 and image.ndim == 3:
        image = _one_picture(image, *saliency.shape)
    if saliency.ndim != 2 or image.shape != (*saliency.shape, 3):
        raise SettingError(
            f"a map of shape {saliency.shape} does not belong to an image of shape {image.shape}; expected (H, W) and "
            "(H, W, 3)."
        )
    if not 0 < background < foreground < 1:
        raise SettingError(
            f"the quantiles are {brief_value(background)} and {brief_value(foreground)}; expected 0 < background < "
            "foreground < 1."
        )
    try:
        import cv2
    except ImportError as error:
        broken = "" if isinstance(error, ModuleNotFoundError) else f", and what is installed fails ({brief(error)})"
        raise SettingError(
            f'segmentation needs OpenCV{broken}; install it with: pip install "cnnexplore[segmentation]".'
        ) from error
    from scipy.ndimage import gaussian_filter, label

    smooth = gaussian_filter(saliency, max(saliency.shape) / 60)
    if smooth.min() == smooth.max():
        return np.zeros(saliency.shape, bool)  # a flat map has no object
    low, high = np.quantile(smooth, (background, foreground))
    seen, around = smooth >= high, smooth <= low
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    nothing: Any = None  # no rectangle
    # colours of the seeds alone: a picture that contains nothing else
    strip = np.ascontiguousarray(np.concatenate([image[around], image[seen]])[None])
    labels = np.repeat(np.array([cv2.GC_BGD, cv2.GC_FGD], np.uint8), [around.sum(), seen.sum()])[None].copy()
    if min(around.sum(), seen.sum()) < 5:  # as many as a model has colours
        return seen
    cv2.grabCut(strip, labels, nothing, *models, 3, cv2.GC_INIT_WITH_MASK)
    seeds = np.where(around, cv2.GC_BGD, np.where(seen, cv2.GC_PR_FGD, cv2.GC_PR_BGD)).astype(np.uint8)
    cv2.grabCut(image, seeds, nothing, *models, 1, cv2.GC_EVAL_FREEZE_MODEL)
    if (seeds == cv2.GC_PR_FGD).sum() >= 5 and rounds:
        cv2.grabCut(image, seeds, nothing, *models, rounds, cv2.GC_EVAL)
    parts, count = label(seeds == cv2.GC_PR_FGD)
    if not count:
        return seen
    return parts == 1 + np.bincount(parts.ravel())[1:].argmax()


def _one_picture(image: np.ndarray, h: int, w: int) -> np.ndarray:
    """The mean of the channels that a picture shows side by side, (H, W, 3); any other picture as it is."""
    rows, columns = image.shape[0] // max(h, 1), image.shape[1] // max(w, 1)
    if rows * columns <= 1 or image.shape != (rows * h, columns * w, 3):
        return image
    return image.reshape(rows, h, columns, w, 3).mean((0, 2)).astype(np.uint8)


def box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    """The bounding box of a mask.

    Parameters
    ----------
    mask : np.ndarray
        (H, W) bool.

    Returns
    -------
    tuple of int
        (top, left, bottom, right), half open; all 0 if the mask is empty.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0, 0, 0, 0
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
