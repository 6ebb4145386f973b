"""The exact search beside every pair compared in float64, also where rounding, ties or equal vectors could mislead."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnexplore.styles import exact_search
from cnnexplore.styles.exact_search import ExactSearch


def literal(known, mine, known_places, my_places, count):
    """The numbers and squared distances of the nearest, one pair after the other; the lower number first if equal."""
    numbers, distances = [], []
    for one, here in zip(mine.double().numpy(), my_places.double().numpy(), strict=True):
        squares = [
            float(((other - one) ** 2).sum() + ((there - here) ** 2).sum())
            for other, there in zip(known.double().numpy(), known_places.double().numpy(), strict=True)
        ]
        order = sorted(range(len(squares)), key=lambda k: (squares[k], k))[:count]
        numbers.append(order)
        distances.append([squares[k] for k in order])
    return np.array(numbers), np.array(distances)


def search(known, mine, count, known_places=None, my_places=None):
    known_places = known.new_zeros(len(known), 0) if known_places is None else known_places
    my_places = mine.new_zeros(len(mine), 0) if my_places is None else my_places
    found = ExactSearch(lambda numbers: known[numbers], known_places).nearest(mine, my_places, count)
    numbers, squares = literal(known, mine, known_places, my_places, count)
    # Where float64 itself cannot tell two distances apart, either of them may come first.
    assert np.allclose(found[1].numpy(), squares, rtol=1e-12, atol=0)
    differ = found[0].numpy() != numbers
    if differ.any():
        mine, known = mine.double().numpy(), known.double().numpy()
        rows = np.nonzero(differ)[0]
        places = (known_places.double().numpy()[found[0][differ]] - my_places.double().numpy()[rows]) ** 2
        again = ((known[found[0][differ]] - mine[rows]) ** 2).sum(1) + places.sum(1)
        assert np.allclose(again, squares[differ], rtol=1e-12, atol=0)
    return found[0].numpy(), numbers


kinds = st.sampled_from(["smooth", "near ties", "copies", "constant", "grid"])


@settings(max_examples=60, deadline=None)
@given(kinds, st.integers(1, 300), st.integers(1, 400), st.integers(1, 12), st.sampled_from([0.0, 1e3, 1e6]),
       st.sampled_from([1e-3, 1.0, 60.0]), st.integers(0, 10**6), st.booleans())  # fmt: skip
def test_the_same_as_every_pair_in_float64(kind, many, numbers, count, offset, size, seed, placed):
    made = torch.Generator().manual_seed(seed)
    axes = torch.randn(6, numbers, generator=made)
    known, mine = torch.randn(many, 6, generator=made) @ axes, torch.randn(5, 6, generator=made) @ axes
    known += 0.2 * torch.randn(known.shape, generator=made)
    if kind == "near ties":  # in every vector the last bits of the first one are changed
        known = known[:1] + 1e-7 * torch.randn(known.shape, generator=made).round()
        mine = mine * 0 + known[:1] + 1e-3 * torch.randn(mine.shape, generator=made)
    elif kind == "copies":
        known = known[torch.randint(0, max(1, many // 5), (many,), generator=made)]
        mine[:2] = known[-1]
    elif kind == "constant":
        known, mine = known[:, :1].round().expand(-1, numbers).clone(), mine[:, :1].expand(-1, numbers).clone()
    elif kind == "grid":  # whole numbers: distances are exact, and many are equal
        known, mine = known.round().clamp(-1, 1), mine.round().clamp(-1, 1)
    known, mine = (known * size + offset), (mine * size + offset)
    places = [torch.randint(0, 40, (n, 2), generator=made).float() * size for n in (many, 5)] if placed else []
    found, expected = search(known, mine, min(count, many), *places)
    if kind in ("copies", "constant", "grid") and size == 1.0:  # float64 is exact here, or copies are equal in it
        assert np.array_equal(found, expected)


def test_huge_numbers_have_a_nearest_too():
    made = torch.Generator().manual_seed(0)
    known, mine = (1e25 * torch.randn(n, 30, generator=made) for n in (80, 3))
    search(known, mine, 4)
    search(known * 1e-25, mine, 2)
    search(known, mine * 1e-25, 2)


def test_blocks_do_not_matter(monkeypatch):
    made = torch.Generator().manual_seed(1)
    axes = torch.randn(8, 500, generator=made)
    known, mine = (torch.randn(n, 8, generator=made) @ axes for n in (700, 40))
    known[400:500] = known[:100]
    whole = search(known, mine, 7)[0]
    monkeypatch.setattr(exact_search, "_NUMBERS", 4096)
    assert np.array_equal(search(known, mine, 7)[0], whole)


def test_the_bounds_are_below_the_distance():
    made = torch.Generator().manual_seed(2)
    axes = torch.randn(20, 900, generator=made)
    known = torch.randn(200, 20, generator=made) @ axes + torch.randn(200, 900, generator=made)
    known[100:] = known[:100] + 1e-4 * torch.randn(100, 900, generator=made)
    found = ExactSearch(lambda numbers: known[numbers], known.new_zeros(200, 0))
    described = found._known
    rows, columns = (one.flatten() for one in torch.meshgrid(torch.arange(200), torch.arange(200), indexing="ij"))
    true = (known[rows].double() - known[columns]).square().sum(1)
    assert (found._tighter(described, rows, columns) <= true).all()
    coarse = (described.coarse[rows].double() - described.coarse[columns]).square().sum(1)
    assert (coarse - described.slack[rows] - described.slack[columns] <= true).all()
    assert float((found._tighter(described, rows, columns) / true)[rows != columns].median()) > 0.8


def test_few_are_compared_in_full(monkeypatch):
    """The bounds rule out nearly all: otherwise the search would be right, and slow."""
    made, compared = torch.Generator().manual_seed(3), []
    spectrum = torch.arange(1, 1201) ** -0.8
    known, mine = (torch.randn(n, 1200, generator=made) * spectrum for n in (4000, 30))
    plain = ExactSearch._apart
    monkeypatch.setattr(ExactSearch, "_apart", lambda self, *a: compared.append(len(a[2])) or plain(self, *a))
    search(known, mine, 1)
    assert sum(compared) <= 30 * 4000 / 20


@pytest.mark.gpu
def test_a_gpu_finds_the_same():
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device here.")
    made = torch.Generator().manual_seed(4)
    axes = torch.randn(8, 500, generator=made)
    known, mine = (torch.randn(n, 8, generator=made) @ axes for n in (700, 40))
    known[400:500] = known[:100]
    places = [torch.randint(0, 9, (n, 2), generator=made).float() for n in (700, 40)]
    expected = literal(known, mine, *places, 7)[0]
    there = known.cuda()
    found = ExactSearch(lambda numbers: there[numbers], places[0].cuda()).nearest(mine.cuda(), places[1].cuda(), 7)
    assert np.array_equal(found[0].cpu().numpy(), expected)
