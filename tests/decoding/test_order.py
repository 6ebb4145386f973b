"""Thresholds, pictures, sorting and grouping of filters, on filters whose answer is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import cnnexplore as cx
from cnnexplore.decoding import by_class, by_response, by_shape, class_means, groups, pictures, similarity, threshold


def stripes(seed=0, each=5):
    """Filters of four directions in a shuffled order, with noise and other contrasts; which direction each has."""
    rows, columns = torch.meshgrid(torch.arange(9.0) - 4, torch.arange(9.0) - 4, indexing="ij")
    kinds = [rows, columns, rows + columns, rows - columns]
    generator = torch.Generator().manual_seed(seed)
    which = torch.arange(4).repeat(each)[torch.randperm(4 * each, generator=generator)]
    waves = torch.stack([torch.sin(kinds[k]) for k in which])[:, None]
    gain = 0.1 + 5 * torch.rand(len(which), 1, 1, 1, generator=generator)
    return gain * (waves + 0.1 * torch.randn(waves.shape, generator=generator)) + 0.3, which.tolist()


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
    assert torch.allclose(alike, similarity(3 * filters + 1), atol=1e-5)
    assert torch.allclose(alike.diagonal(), torch.ones(20))
    flat = [f.flatten().numpy() for f in filters]
    assert alike[3, 8] == pytest.approx(np.corrcoef(flat[3], flat[8])[0, 1], abs=1e-5)


def test_few_filters():
    filters, _ = stripes()
    assert by_shape(filters[:1]) == [0]
    assert groups(filters[:2], 1) == [[0, 1]]
    assert groups(filters[:2], 2) == [[0], [1]]
    assert sorted(by_shape(torch.zeros(4, 1, 3, 3))) == [0, 1, 2, 3]  # all dead


def test_by_class_and_response():
    labels = [0, 0, 1, 1, 2]
    responses = torch.tensor([[5.0, 0, 1], [5, 0, 1], [0, 3, 1], [0, 4, 1], [0, 0, 9]])
    assert class_means(responses, labels).tolist() == [[5, 0, 1], [0, 3.5, 1], [0, 0, 9]]
    assert by_class(responses, labels) == {0: [0], 1: [1], 2: [2]}
    assert by_response(responses) == [2, 0, 1]
    maps = responses[:, :, None, None] * torch.tensor([[1.0, -7], [0.5, 0.2]])
    assert by_class(maps, labels) == {0: [0], 1: [1], 2: [2]}


@given(st.floats(0, 1), st.integers(0, 20))
def test_a_threshold_keeps_what_is_strong(share, seed):
    filters = torch.randn(3, 2, 5, 5, generator=torch.Generator().manual_seed(seed))
    both = threshold(filters, share)
    assert set(both.unique().tolist()) <= {-1.0, 0.0, 1.0}
    assert torch.equal(threshold(filters, share, "positive") + threshold(filters, share, "negative"), both)
    for one, kept in zip(filters, both, strict=True):
        strong = one.abs() >= share * one.abs().max()
        assert torch.equal(kept != 0, strong)
        assert torch.equal(kept[strong], one[strong].sign())
        assert kept.abs().max() == 1


def test_pictures_are_grey_where_nothing_is():
    filters = torch.zeros(2, 3, 4, 5)
    filters[1, 0, 2, 3], filters[1, 1, 0, 0] = 2.0, -1.0
    shown = pictures(filters, cx.Pixels("BGR"))
    assert shown.shape == (2, 4, 5, 3)
    assert shown.dtype == np.uint8
    assert (shown[0] == 128).all()
    assert shown[1, 2, 3].tolist() == [128, 128, 255]  # the first channel is blue
    assert shown[1, 0, 0].tolist() == [128, 64, 128]
    assert pictures(filters[:, :1], cx.Pixels("grey"))[1, 2, 3].tolist() == [255] * 3


def test_what_is_wrong_gets_a_sentence(refused):
    filters, _ = stripes()
    for share in (-0.1, 1.5, "a", float("nan"), True):
        refused(cx.SettingError, lambda share=share: threshold(filters, share), "share")
    refused(cx.SettingError, lambda: threshold(filters, 0.3, "half"), "half", "positive")
    for count in (0, 21, 2.5):
        refused(cx.SettingError, lambda count=count: groups(filters, count), "groups")
    refused(cx.SettingError, lambda: class_means(torch.zeros(3, 2), [0, 1]), "2 labels", "3 images")
