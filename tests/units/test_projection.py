"""Projections of a unit's response onto the pixels: per pixel value, whatever the network's mean, std and order."""

import numpy as np
import torch

from cnnexplore.units.projection import project


def test_the_projection_is_the_derivative_by_the_pixel_value_in_rgb(uneven_pixels):
    net = uneven_pixels
    images = np.random.default_rng(0).integers(0, 256, (2, 12, 12, 3), dtype=np.uint8)
    x = net.pixels_of(list(images)).double()
    found = project(net, net.layers["conv2"], x, [1, 4], [(0, 1), (7, 2)], "gradient")

    rgb = torch.from_numpy(images).double().movedim(-1, 1).requires_grad_()
    mean, std = (torch.tensor(v, dtype=torch.float64).view(1, -1, 1, 1) for v in (net.pixels.mean, net.pixels.std))
    given = rgb.flip(1) if net.pixels.order == "BGR" else rgb
    maps = net.module[:3]((given - mean) / std)
    (maps[0, 1, 0, 1] + maps[1, 4, 7, 2]).backward()
    torch.testing.assert_close(found, rgb.grad, rtol=1e-10, atol=1e-15)
    assert found.abs().amax((1, 2, 3)).min() > 0
