"""The salient part against its formula, written out, for a network whose pixels have another std in each channel."""

import numpy as np
import torch
from scipy import ndimage
from skimage.morphology import closing, disk

import cnnexplore as cx


def literal(net, image, target, area):
    """|d score / d I|, the largest over the channels, smoothed, cut at a quantile; the part with the largest sum."""
    rgb = torch.from_numpy(image).double().movedim(-1, 0)[None].requires_grad_()
    mean, std = (torch.tensor(v, dtype=torch.float64).view(1, -1, 1, 1) for v in (net.pixels.mean, net.pixels.std))
    given = rgb.flip(1) if net.pixels.order == "BGR" else rgb
    net.module((given - mean) / std)[0, target].backward()
    smooth = ndimage.gaussian_filter(rgb.grad[0].abs().amax(0).numpy(), 12 / 20)
    left = [tuple(place) for place in np.argwhere(smooth >= np.quantile(smooth, 1 - area))]
    parts = []
    while left:
        part, waiting = [], [left.pop()]
        while waiting:
            row, column = waiting.pop()
            part.append((row, column))
            near = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
            waiting += [place for place in near if place in left]
            left = [place for place in left if place not in near]
        parts.append(part)
    mask = np.zeros(smooth.shape, bool)
    mask[tuple(np.transpose(max(parts, key=lambda part: sum(smooth[place] for place in part))))] = True
    return ndimage.binary_fill_holes(closing(mask, disk(1)))


def test_the_salient_part_by_its_formula(uneven_pixels):
    for seed in range(4):
        image = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
        found = cx.salient_part(uneven_pixels, image, seed, area=0.2)
        assert np.array_equal(found, literal(uneven_pixels, image, seed, 0.2))
