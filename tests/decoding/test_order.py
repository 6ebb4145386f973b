"""Thresholds, pictures, sorting and grouping of filters, on filters whose answer is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import cnnexplore as cx
from cnnexplore import drawing
from cnnexplore.decoding import by_class, by_response, by_shape, class_means, groups, similarity, threshold


def stripes(seed=0, each=5):
    """Filters of four directions in a shuffled order, with noise and other contrasts; which direction each has."""
    rows, columns = torch.meshgrid(torch.arange(9.0) - 4, torch.arange(9.0) - 4, indexing="ij")
    kinds = [rows, columns, rows + columns, rows - columns]
    generator = torch.Generator().manual_seed(seed)
    which = torch.arange(4).repeat(each)[torch.randperm(4 * each, generator=generator)]
    waves = torch.stack([torch.sin(kinds[k]) for k in which])[:, None]
    gain = 0.1 + 5 * torch.rand(len(which), 1, 1, 1, generator=generator)
    return (gain * (waves + 0.1 * torch.randn(waves.shape, generator=generator)) + 0.3).numpy(), which.tolist()


@pytest.mark.parametrize("seed", range(3))
def test_filters_of_one_shape_stand_together(seed):
    filters, which = stripes(seed)
    found = groups(filters, 4)
    assert sorted(k for group in found for k in group) == list(range(20))
    assert all(len({which[k] for k in group}) == 1 for group in found)
    order = by_shape(filters)
    assert sorted(order) == list(range(20))
    assert sum(which[a] != which[b] for a, b in pairwise(order)) == 3
    assert [k for group in found for k in group] == order


def test_similarity_knows_no_contrast():
    filters, _ = stripes()
    alike = similarity(filters)
    assert np.allclose(alike, similarity(3 * filters + 1), atol=1e-5)
    assert np.allclose(alike.diagonal(), 1)
    flat = [f.flatten() for f in filters]
    assert alike[3, 8] == pytest.approx(np.corrcoef(flat[3], flat[8])[0, 1], abs=1e-5)


def test_few_filters():
    filters, _ = stripes()
    assert by_shape(filters[:1]) == [0]
    assert groups(filters[:2], 1) == [[0, 1]]
    assert groups(filters[:2], 2) == [[0], [1]]
    assert sorted(by_shape(np.zeros((4, 1, 3, 3), np.float32))) == [0, 1, 2, 3]  # all dead


def test_by_class_and_response():
    labels = [0, 0, 1, 1, 2]
    responses = np.array([[5.0, 0, 1], [5, 0, 1], [0, 3, 1], [0, 4, 1], [0, 0, 9]])
    assert class_means(responses, labels).tolist() == [[5, 0, 1], [0, 3.5, 1], [0, 0, 9]]
    assert by_class(responses, labels) == {0: [0], 1: [1], 2: [2]}
    assert by_response(responses) == [2, 0, 1]
    maps = responses[:, :, None, None] * np.array([[1.0, -7], [0.5, 0.2]])
    assert by_class(maps, labels) == {0: [0], 1: [1], 2: [2]}


@given(st.floats(0, 1), st.integers(0, 20))
def test_a_threshold_keeps_what_is_strong(share, seed):
    filters = np.random.default_rng(seed).normal(size=(3, 2, 5, 5)).astype(np.float32)
    both = threshold(filters, share)
    assert set(np.unique(both)) <= {-1.0, 0.0, 1.0}
    assert np.array_equal(threshold(filters, share, "positive") + threshold(filters, share, "negative"), both)
    for one, kept in zip(filters, both, strict=True):
        strong = np.abs(one) >= share * np.abs(one).max()
        assert np.array_equal(kept != 0, strong)
        assert np.array_equal(kept[strong], np.sign(one[strong]))
        assert np.abs(kept).max() == 1


def test_pictures_are_grey_where_nothing_is():
    module = nn.Conv2d(3, 2, (4, 5), bias=False)
    with torch.no_grad():
        module.weight.zero_()
        module.weight[1, 0, 2, 3], module.weight[1, 1, 0, 0] = 2.0, -1.0
    found = cx.decode(
        cx.Network(nn.Sequential(module), size=12, pixels=cx.Pixels("BGR", (10, 20, 30), (2, 3, 4))), "conv1"
    )
    assert np.array_equal(found.filters, module.weight.detach().numpy()[:, ::-1])
    shown = found.pictures()
    assert shown.shape == (2, 4, 5, 3)
    assert shown.dtype == np.uint8
    assert (shown[0] == 128).all()
    assert shown[1, 2, 3].tolist() == [128, 128, 255]  # the network's first channel is blue
    assert shown[1, 0, 0].tolist() == [128, 64, 128]
    assert drawing.signed_picture(found.filters[:, :1])[1].shape == (4, 5, 3)
    assert np.array_equal(found.picture, drawing.tiles(shown, 2))


def test_what_is_wrong_gets_a_sentence(refused):
    filters, _ = stripes()
    for share in (-0.1, 1.5, "a", float("nan"), True):
        refused(cx.SettingError, lambda share=share: threshold(filters, share), "share")
    refused(cx.SettingError, lambda: threshold(filters, 0.3, "half"), "half", "positive")
    for count in (0, 21, 2.5):
        refused(cx.SettingError, lambda count=count: groups(filters, count), "groups")
    refused(cx.SettingError, lambda: class_means(np.zeros((3, 2)), [0, 1]), "2 labels", "3 images")
