"""Network dissection as the paper states it, pixel by pixel in float64: a slow oracle."""

from __future__ import annotations

import numpy as np


def interpolated(grid, centres, size):
    """A map (h, w) at the pixels of an image, bilinear between the centres, constant outside; a loop over pixels."""
    out = np.zeros(size)
    for y in range(size[0]):
        for x in range(size[1]):
            place = []
            for pixel, middle in ((y, centres[0]), (x, centres[1])):
                k = int(np.searchsorted(middle, pixel, "right")) - 1
                if k < 0:
                    place.append((0, 0, 0.0))
                elif k >= len(middle) - 1:
                    place.append((len(middle) - 1, len(middle) - 1, 0.0))
                else:
                    place.append((k, k + 1, (pixel - middle[k]) / (middle[k + 1] - middle[k])))
            (a, b, s), (c, d, t) = place
            top = grid[a, c] * (1 - t) + grid[a, d] * t
            out[y, x] = top * (1 - s) + (grid[b, c] * (1 - t) + grid[b, d] * t) * s
    return out


def literal_dissection(maps, centres, size, masks, quantile):
    """Thresholds, and {(unit, concept): (intersection, activation, truth, iou)}.

    maps: (N, U, h, w). centres: of the rows and of the columns of the map. masks: for each image, concept -> (H, W) of
    bool, or True.
    """
    maps = np.asarray(maps, np.float64)
    units = maps.shape[1]
    thresholds = np.array([np.quantile(maps[:, u], 1 - quantile, method="inverted_cdf") for u in range(units)])
    concepts = sorted({name for one in masks for name in one})
    whole = [{name: np.broadcast_to(mask, size) for name, mask in one.items()} for one in masks]
    found = {}
    active = [
        [interpolated(maps[n, u], centres, size) > thresholds[u] + 1e-12 * abs(thresholds[u]) for u in range(units)]
        for n in range(len(maps))
    ]
    for concept in concepts:
        category = concept.split("/")[0]
        truth = sum(int(one[concept].sum()) for one in whole if concept in one)
        for u in range(units):
            intersection = activation = 0
            for n, one in enumerate(whole):
                if concept in one:
                    intersection += int((active[n][u] & one[concept]).sum())
                if any(name.split("/")[0] == category and mask.any() for name, mask in one.items()):
                    activation += int(active[n][u].sum())
            union = activation + truth - intersection
            found[u, concept] = (intersection, activation, truth, intersection / union if union else 0.0)
    return thresholds, found
