"""Decoders: the shapes that they are planned for, and the normalisation that is folded into their weights."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnexplore.errors import ExploreError, WeightsError
from cnnexplore.generators import Decoder, Plan, folded, plan_for


@settings(deadline=None, max_examples=30)
@given(
    map_size=st.sampled_from([(1, 1), (6, 6), (5, 7), (13, 9), (1, 4), (30, 30)]),
    image=st.tuples(st.sampled_from([1, 3, 5]), st.integers(16, 130), st.integers(16, 130)),
    resolution=st.sampled_from([16, 96]),
)
def test_a_decoder_of_any_layer_makes_images_of_the_input_size(map_size, image, resolution):
    plan = plan_for(7, map_size, image, resolution=resolution, width=4, hidden=8)
    decoder = Decoder(plan).eval()
    with torch.no_grad():
        made = decoder(torch.randn(2, 7, *map_size))
    assert tuple(made.shape) == (2, *image)
    assert sum(value.numel() for value in decoder.parameters()) == pytest.approx(plan.numbers, rel=0.5)
    side = max(plan.start) << plan.doublings
    assert side <= max(resolution * 1.5, max(map_size))
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize("map_size", [(1, 1), (6, 6)])
def test_folding_changes_nothing(map_size):
    torch.manual_seed(0)
    trained = Decoder(plan_for(9, map_size, (3, 48, 48), width=6, hidden=10), normalised=True)
    for _ in range(3):  # statistics other than the first ones
        trained(2 * torch.randn(8, 9, *map_size) + 1)
    x = torch.randn(4, 9, *map_size)
    plain = folded(trained)
    assert not any("bn" in name for name in plain.state_dict())
    torch.testing.assert_close(plain(x), trained.eval()(x), rtol=1e-4, atol=1e-3)


def test_the_published_shape_is_a_special_case():
    plan = plan_for(4096, (1, 1), (3, 256, 256), resolution=256)
    assert plan.start == (4, 4)
    assert plan.doublings == 6


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "null", '{"channels": 3}', "[" * 100_000,
        '{"channels": 3, "map": [1, 1], "image": [3, 9], "start": [1, 1], "doublings": 1}',
        '{"channels": 3, "map": [1, 1], "image": [3, 96, 96], "start": [3, 3], "doublings": 40}',
        '{"channels": 3, "map": [6, 6], "image": [3, 96, 96], "start": [3, 3], "doublings": 4}',
        '{"channels": 1e9, "map": [1, 1], "image": [3, 96, 96], "start": [3, 3], "doublings": 4}',
        '{"channels": 60000, "map": [1, 1], "image": [3, 96, 96], "start": [3, 3], "doublings": 4, "hidden": 16000}',
        '{"channels": 3, "map": [1, 1], "image": [3, 96, 96], "start": [3, 3], "doublings": 4, "wide": 4}',
    ],
)  # fmt: skip
def test_a_wrong_plan_is_refused(text):
    with pytest.raises(WeightsError, match="plan of a decoder") as caught:
        Plan.from_json(text)
    assert isinstance(caught.value, ExploreError)
