"""The key part of an object: where a class's score depends most on the pixels (intraclass2015, section 5.2)."""

from __future__ import annotations

import numpy as np

from ..errors import SettingError
from ..network import Network, class_score_layer, read_image, resolve_unit, seen_part, unit_gradient


def salient_part(net: Network, image, target=None, area: float = 0.12) -> np.ndarray:
    """The pixels on which a class depends most, without holes: (H, W) bool, of the image's own size.

    |d fc8_t / dI|, the largest over the channels, is smoothed and cut at a threshold so that `area` of the network's
    input is above it; of that the part with the largest sum is kept and its holes are filled.
    target: a class's number or label (default: the predicted one). Raises SettingError, ImageError.
    Source: intraclass2015, section 5.2.
    """
    from scipy.ndimage import binary_fill_holes, gaussian_filter, label
    from skimage.morphology import closing, disk

    if isinstance(area, bool) or not isinstance(area, (int, float)) or not 0 < area < 1:
        raise SettingError(f"area is {area!r}; expected which part of the image to mark, between 0 and 1.")
    if isinstance(image, (list, tuple)):
        raise SettingError("a list of images was given; expected one.")
    rgb = read_image(image)
    layer = class_score_layer(net)
    units = None if target is None else [resolve_unit(net, layer, target)]
    slope = unit_gradient(net, layer.name, net.pixels_of(rgb), units)[0].float().abs().amax(0).cpu().numpy()
    if not slope.any():
        raise SettingError("the class's score does not depend on the image, so no part of it stands out; give a mask.")
    smooth = gaussian_filter(slope, max(slope.shape) / 20)
    parts, count = label(smooth >= np.quantile(smooth, 1 - area))
    largest = 1 + int(np.argmax([smooth[parts == k].sum() for k in range(1, count + 1)]))
    found = binary_fill_holes(closing(parts == largest, disk(max(1, max(slope.shape) // 16))))
    top, left, bottom, right = seen_part(tuple(rgb.shape[1:]), net.size)
    rows = np.arange(bottom - top) * net.size[0] // (bottom - top)
    columns = np.arange(right - left) * net.size[1] // (right - left)
    mask = np.zeros(rgb.shape[1:], bool)
    mask[top:bottom, left:right] = found[rows][:, columns]
    return mask
