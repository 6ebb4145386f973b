"""The salient part of an image: where the score of a class depends most on the pixels (intraclass2015, 5.2)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arguments import checked, fraction
from ..errors import SettingError
from ..network import Network, centre_crop, class_score_layer, resolve_unit, unit_gradient
from ..network.arguments import network


@checked(net=network, area=fraction("which part of the image to mark, between 0 and 1"))
def salient_part(net: Network, image: Any, target: int | str | None = None, *, area: float = 0.12) -> np.ndarray:
    """Find the part of an image that a class depends on most, as one region without holes.

    The absolute gradient of the score with respect to the pixels, its largest value over the colours, is smoothed and
    thresholded so that `area` of the network's input is above the threshold. The connected region with the largest sum
    is kept, closed, and its holes are filled.

    Parameters
    ----------
    net : Network
        A classifier.
    image : image
        What `Network.pixels_of` takes, one image of any size.
    target : int or str, optional
        The class, by number or label. Default: the predicted class.
    area : float
        The part of the input above the threshold, between 0 and 1.

    Returns
    -------
    np.ndarray
        (H, W) bool, of the image's own size.

    Raises
    ------
    SettingError
        If there is no such class, `area` is out of its range, or the score does not depend on the image.
    ImageError
        If the image cannot be read.

    References
    ----------
    Wei, Zhou, Torralba and Freeman, Understanding intra-class knowledge inside CNN, 2015, section 5.2.

    Examples
    --------
    >>> cx.salient_part(cx.load("worldnet"), cx.scene(7).image).shape
    (96, 96)
    """
    from scipy.ndimage import binary_fill_holes, gaussian_filter, label
    from skimage.morphology import closing, disk

    if not 0 < area < 1:
        raise SettingError(f"area is {area}; expected which part of the image to mark, between 0 and 1.")
    if isinstance(image, (list, tuple)):
        raise SettingError("a list of images was given; expected one.")
    rgb = net.pixels.read(image)
    layer = class_score_layer(net)
    units = None if target is None else [resolve_unit(net, layer, target)]
    slope = unit_gradient(net, layer.name, net.pixels_of(rgb), units)[0].float().abs().amax(0).cpu().numpy()
    if not slope.any():
        raise SettingError("the class's score does not depend on the image, so no part of it is salient; give a mask.")
    smooth = gaussian_filter(slope, max(slope.shape) / 20)
    regions, count = label(smooth >= np.quantile(smooth, 1 - area))
    largest = 1 + int(np.argmax([smooth[regions == k].sum() for k in range(1, count + 1)]))
    found = binary_fill_holes(closing(regions == largest, disk(max(1, max(slope.shape) // 16))))
    rows, columns = rgb.shape[1:]
    return enlarge(found, centre_crop((rows, columns), net.size), (rows, columns))


def enlarge(mask: np.ndarray, part: tuple[int, int, int, int], size: tuple[int, int]) -> np.ndarray:
    """A mask of a network's input in an image's own pixels, (H, W) bool; part: what the network sees of the image."""
    top, left, bottom, right = part
    rows = np.arange(bottom - top) * mask.shape[0] // (bottom - top)
    columns = np.arange(right - left) * mask.shape[1] // (right - left)
    whole = np.zeros(size, bool)
    whole[top:bottom, left:right] = mask[rows][:, columns]
    return whole
