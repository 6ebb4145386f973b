"""Crops of a canvas with a border, one for each image, and what goes back from them."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from cnnexplore.preimage.canvas import Canvas


@given(st.integers(0, 1000), st.integers(1, 4), st.integers(0, 5), st.integers(1, 6), st.integers(1, 6))
def test_crops_and_their_gradient_are_those_of_slices(seed, batch, border, height, width):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, 3, height + border, width + border, generator=generator)
    canvas = Canvas(x, (height, width))
    offsets = torch.randint(0, border + 1, (batch, 2), generator=generator)
    slope = torch.randn(batch, 3, height, width, generator=generator)
    if seed % 2:
        slope = slope.contiguous(memory_format=torch.channels_last)
    if seed % 3 == 0:
        slope = slope[:, :, :1, :1].expand(slope.shape)
    given = offsets if seed % 5 < 2 else offsets.tolist()
    crop, spread = canvas.crop(x, given), canvas.spread(slope, given, 2.5)
    literal = np.zeros(x.shape, np.float32)
    for k, (top, left) in enumerate(offsets.tolist()):
        box = (k, slice(None), slice(top, top + height), slice(left, left + width))
        assert np.array_equal(crop[k].numpy(), x[box].numpy())
        literal[box] = 2.5 * slope[k].numpy()
    assert np.array_equal(spread.numpy(), literal)


@given(st.integers(0, 7), st.integers(1, 6))
def test_the_centre_is_the_middle_crop(border, side):
    x = torch.arange(2.0 * (side + border) ** 2).view(2, 1, side + border, side + border)
    canvas = Canvas(x, (side, side))
    middle = torch.tensor([[border // 2, border // 2]] * 2)
    assert torch.equal(canvas.centre, canvas.crop(x, middle))
    assert canvas.centre.is_contiguous()
