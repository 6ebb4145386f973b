"""Scores against values worked out by hand, and against what must hold for any map or grouping."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import cnnexplore as cx
from cnnexplore.evaluation import measures
from cnnexplore.network import Layer

MASK = np.zeros((4, 4), bool)
MASK[1:3, 1:3] = True

maps = hnp.arrays(np.float64, (4, 4), elements=st.floats(-10, 10, width=32))
groups = hnp.arrays(np.int64, 12, elements=st.integers(0, 3))


def test_pointing_by_hand():
    point = np.zeros((4, 4))
    point[1, 2] = 1
    assert measures.pointing(point, MASK)
    point[0, 0] = 2
    assert not measures.pointing(point, MASK)
    assert measures.pointing(point, MASK, tolerance=1.5)
    assert not measures.pointing(np.ones((4, 4)), MASK)  # a flat map points nowhere


def test_mass_by_hand():
    values = np.where(MASK, 3.0, 1.0)
    assert measures.mass_in_mask(values, MASK) == 12 / 24
    assert measures.mass_in_mask(np.where(MASK, 1.0, -5.0), MASK) == 1
    assert measures.mass_in_mask(np.zeros((4, 4)), MASK) == 0.25


def test_average_precision_by_hand():
    assert measures.average_precision(MASK.astype(float), MASK) == 1
    assert measures.average_precision(np.ones((4, 4)), MASK) == 0.25
    ranked = np.arange(16, 0, -1.0).reshape(4, 4)  # the mask's pixels come 6th, 7th, 10th and 11th
    expected = (1 / 6 + 2 / 7 + 3 / 10 + 4 / 11) / 4
    assert measures.average_precision(ranked, MASK) == pytest.approx(expected)


def test_iou_by_hand():
    other = np.zeros((4, 4), bool)
    other[1:3, 2:4] = True
    assert measures.iou(other, MASK) == 2 / 6
    assert measures.iou(MASK, MASK) == 1
    assert measures.iou(~MASK & False, ~MASK & False) == 0


def test_groupings_by_hand():
    truth = ["dome", "dome", "spire", "spire", "spire", "dome"]
    assert measures.rand_index([5, 5, 2, 2, 2, 5], truth) == 1
    assert measures.purity([0, 0, 1, 1, 0, 0], truth) == 5 / 6
    # pairs together in both 4, in the one 7, in the other 6, of 15: (3 - 42/15) / (13/2 - 42/15)
    assert measures.rand_index([0, 0, 1, 1, 0, 0], truth) == pytest.approx((4 - 42 / 15) / (6.5 - 42 / 15))


def test_a_field_is_compared_with_the_closed_formula():
    layer = Layer("conv", "conv", "Conv2d", 1, (9, 9), (11.0, 11.0), (4.0, 2.0), (5.0, 5.0))
    assert measures.field_error(11, layer) == 0
    assert measures.field_error((15, 11), layer) == 1
    assert measures.field_error((11, 8), layer) == 1.5


@given(maps, st.floats(0.1, 10))
def test_scores_do_not_depend_on_a_maps_scale(values, scale):
    values = np.round(values, 3)
    for score in (measures.pointing, measures.mass_in_mask, measures.average_precision):
        once, scaled = score(values, MASK), score(values * scale, MASK)
        assert 0 <= once <= 1
        assert scaled == pytest.approx(once)


@given(groups, groups, st.permutations([0, 1, 2, 3]))
def test_scores_do_not_depend_on_what_groups_are_called(found, truth, names):
    renamed = np.asarray(names)[found]
    assert measures.rand_index(found, truth) == pytest.approx(measures.rand_index(renamed, truth))
    assert measures.purity(found, truth) == pytest.approx(measures.purity(renamed, truth))
    assert measures.purity(truth, truth) == 1


def test_wrong_input_gets_a_sentence(refused):
    bad = np.full((4, 4), np.nan)
    layer = Layer("conv", "conv", "Conv2d", 1, (9, 9), (11.0, 11.0), (4.0, 4.0), (5.0, 5.0))
    for score in (measures.pointing, measures.mass_in_mask, measures.average_precision):
        refused(cx.SettingError, lambda score=score: score(bad, MASK), "not finite")
        refused(cx.SettingError, lambda score=score: score(np.ones((4, 5)), MASK), "(4, 5)", "(4, 4)")
        refused(cx.SettingError, lambda score=score: score(np.ones((4, 4)), MASK & False), "nothing or all")
    refused(cx.SettingError, lambda: measures.iou(MASK, MASK[:2]), "one shape")
    refused(cx.SettingError, lambda: measures.rand_index([1, 2], [1]), "one number per image")
    refused(cx.SettingError, lambda: measures.purity([], []), "one number per image")
    refused(cx.SettingError, lambda: measures.field_error(0, layer), "positive size")
