"""ExactSearch: the nearest vectors of a large set, exactly; most vectors are ruled out by lower bounds.

The squared distance of two vectors is at least that of their projections on some orthonormal axes plus the square of
the difference between the lengths of what the projections leave out. With few axes this bound is a matrix product for
all pairs; with more axes it is tighter, and computed for those that are left. The last ones are compared in full. All
bounds are lowered by more than rounding can change them, so that none of the nearest is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch.nn.functional import pad

from ..network.precision import full_precision

_COARSE, _FINE = 64, 256  # axes
_SAMPLE = 1500  # vectors that the axes are fitted to
_GROUP = 64  # vectors whose smallest bound is looked at first
_AMONG = 3  # times as many by the coarse bound as are wanted, and some more: the first near ones are among these
_MORE = 13
_NUMBERS = 1 << 23  # of float32 that a block has at most
_ROUNDING = 2.0**-24  # relative, of a number in float32
_LARGEST = 1e37  # square of a vector whose bounds are computed

Vectors = Callable[[torch.Tensor], torch.Tensor]
Nearest = tuple[torch.Tensor, torch.Tensor]


class _Described:
    """What the lower bounds of some vectors are computed from.

    Projections are computed in float64, so that rounding is that of what is kept, in float32. The bound of two vectors
    minus the `slack` of both is lower than their distance.

    parts: the vectors (N, n) float32, in parts. places: (N, P) float32, more coordinates, compared as they are.
    """

    def __init__(self, parts: Iterable[torch.Tensor], places: torch.Tensor, centre: torch.Tensor, axes: torch.Tensor):
        count, many = len(places), axes.shape[1]
        # Filled in parts: small tensors that were kept of each part would leave holes between the large ones.
        self.fine = places.new_empty(count, many)
        left, first = places.new_empty(count, 2), 0  # the lengths beside the coarse and the fine projection
        for part in parts:
            rows = slice(first, first + len(part))
            centred = part.double().sub_(centre)
            projected = centred @ axes
            square = torch.linalg.vecdot(centred, centred)
            for k, kept in enumerate((_COARSE, many)):
                left[rows, k] = (square - projected[:, :kept].square().sum(1)).clamp_min_(0).sqrt_()
            self.fine[rows] = projected
            first += len(part)
        self.places, self.rest = places, left[:, 1]
        self.coarse = torch.cat([self.fine[:, :_COARSE], left[:, :1], places], 1)
        self.square = self.coarse.square().sum(1)
        self.slack = 2 * (many + places.shape[1] + 64) * _ROUNDING * self.square

    @property
    def is_bounded(self) -> bool:
        """Whether squares are far from the largest number."""
        return bool(self.square.max() < _LARGEST)


class ExactSearch:
    """The nearest of many vectors by Euclidean distance, the same as by comparing every pair in float64.

    Of vectors at equal distances the one with the lowest number counts as nearer.

    Parameters
    ----------
    vectors : callable
        vectors(numbers) gives the vectors with these numbers, (K,) int64 -> (K, n) float32.
    places : torch.Tensor
        (N, P) float32, more coordinates of the N vectors, few.
    """

    def __init__(self, vectors: Vectors, places: torch.Tensor):
        self._vectors, self._device = vectors, places.device
        some = torch.randperm(len(places), generator=torch.Generator().manual_seed(0))[:_SAMPLE]
        self._centre, self._axes = _principal_axes(vectors(some.to(self._device)))
        numbers = torch.arange(len(places), device=self._device).split(max(1, _NUMBERS // 4 // len(self._centre)))
        self._known = _Described((vectors(part) for part in numbers), places, self._centre, self._axes)
        self._is_bounded = self._known.is_bounded
        self._copies = self._count_copies()

    def __len__(self) -> int:
        return len(self._known.square)

    def _count_copies(self) -> torch.Tensor:
        """(N,), how many equal vectors with lower numbers there are."""
        places = self._known.places
        copies = torch.zeros(len(self), dtype=torch.int64, device=self._device)
        keys = torch.cat([self._known.fine[:, :1], self._known.rest[:, None], places], 1)
        group, size = torch.unique(keys, dim=0, return_inverse=True, return_counts=True)[1:]
        order = group.argsort(stable=True)
        order = order[size[group[order]] > 1]
        if not len(order):
            return copies
        _, which, many = torch.unique_consecutive(group[order], return_inverse=True, return_counts=True)
        begin = (many.cumsum(0) - many)[which]
        first = order[begin]
        each = max(1, _NUMBERS // len(self._centre))
        same = [
            (self._vectors(one) == self._vectors(other)).all(1) & (places[one] == places[other]).all(1)
            for one, other in zip(order.split(each), first.split(each), strict=True)
        ]
        before = torch.cat(same).cumsum(0)
        copies[order] = torch.where(torch.cat(same), before - before[begin], 0)
        return copies

    @torch.no_grad()
    @full_precision()
    def nearest(self, vectors: torch.Tensor, places: torch.Tensor, count: int) -> Nearest:
        """The nearest of the known vectors for each of some vectors.

        Parameters
        ----------
        vectors : torch.Tensor
            (K, n) float32.
        places : torch.Tensor
            (K, P) float32.
        count : int
            How many, at most as many as are known.

        Returns
        -------
        numbers : torch.Tensor
            (K, count) int64, the nearest first.
        distances : torch.Tensor
            (K, count) float64, squared distances.
        """
        known = self._known
        # A vector of which enough copies come first is never among the nearest.
        cost = torch.where(self._copies < count, known.square - known.slack, torch.inf)
        more = -len(self) % _GROUP
        cost, coarse = pad(cost, (0, more), value=torch.inf), pad(known.coarse, (0, 0, 0, more)).T
        each = max(1, _NUMBERS // len(cost))
        found = [
            self._block(vectors[k : k + each], places[k : k + each], count, cost, coarse)
            for k in range(0, len(vectors), each)
        ]
        return torch.cat([one[0] for one in found]), torch.cat([one[1] for one in found])

    def _block(
        self, vectors: torch.Tensor, places: torch.Tensor, count: int, cost: torch.Tensor, coarse: torch.Tensor
    ) -> Nearest:
        parts = vectors.split(max(1, _NUMBERS // 4 // vectors.shape[1]))
        mine = _Described(parts, places, self._centre, self._axes)
        bounds = torch.addmm(cost, mine.coarse, coarse, alpha=-2).add_((mine.square - mine.slack)[:, None])
        if not (self._is_bounded and mine.is_bounded):
            bounds = torch.where(cost == torch.inf, cost, torch.zeros_like(bounds))
        error = 2 * (vectors.shape[1] + 16) * _ROUNDING  # relative, of a distance in float32
        least = bounds.view(len(vectors), _GROUP, -1).amin(1)
        member = torch.arange(_GROUP, device=self._device) * least.shape[1]
        among = _AMONG * count + _MORE
        # Some near ones give a limit: none of the nearest is farther.
        group = least.topk(min(among, least.shape[1]), largest=False)[1]
        column = (group[:, :, None] + member).flatten(1)
        bound, some = bounds.gather(1, column).topk(min(among, len(self)), largest=False)
        column = column.gather(1, some).clamp_max(len(self) - 1)
        row = torch.arange(len(vectors), device=self._device)[:, None].expand_as(column)
        tight = self._tighter(mine, row.flatten(), column.flatten()).view_as(column)
        column = column.gather(1, torch.where(bound == torch.inf, bound, tight).topk(count, largest=False)[1])
        apart = self._apart(vectors, mine, row[:, :count].flatten(), column.flatten(), torch.float32)
        limit = apart.view_as(column).amax(1) * (1 + error)
        # Pairs that may be nearer than the limit, and ever fewer of them.
        row, group = (least <= limit[:, None]).nonzero(as_tuple=True)
        column = group[:, None] + member
        keep = (bounds[row[:, None], column] <= limit[row, None]) & (column < len(self))
        row, column = row[:, None].expand_as(column)[keep], column[keep]
        tight = self._tighter(mine, row, column)
        near = _first_of_each_row(row, tight, count)
        apart = self._apart(vectors, mine, row[near], column[near], torch.float32)
        limit = torch.minimum(limit, apart.view(-1, count).amax(1) * (1 + error))
        keep = tight <= limit[row]
        row, column = row[keep], column[keep]
        apart = self._apart(vectors, mine, row, column, torch.float32)
        limit = apart[_first_of_each_row(row, apart, count)].view(-1, count)[:, -1] * (1 + error)
        keep = apart * (1 - error) <= limit[row]
        row, column = row[keep], column[keep]
        apart = self._apart(vectors, mine, row, column, torch.float64)
        order = column.argsort()
        order = order[_first_of_each_row(row[order], apart[order], count)]
        return column[order].view(-1, count), apart[order].view(-1, count)

    def _tighter(self, mine: _Described, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        """A lower bound of the squared distance of pairs, from all axes."""
        known, each = self._known, _NUMBERS // _FINE
        if not (self._is_bounded and mine.is_bounded):
            return torch.zeros(len(rows), dtype=torch.float32, device=self._device)
        found = known.square.new_empty(len(rows))
        for part, row, column in zip(found.split(each), rows.split(each), columns.split(each), strict=True):
            torch.sum((known.fine[column] - mine.fine[row]).square_(), 1, out=part)
            part += (known.rest[column] - mine.rest[row]).square_()
            part += (known.places[column] - mine.places[row]).square_().sum(1)
            part -= known.slack[column] + mine.slack[row]
        return found

    def _apart(
        self, vectors: torch.Tensor, mine: _Described, rows: torch.Tensor, columns: torch.Tensor, dtype: torch.dtype
    ) -> torch.Tensor:
        """The squared distance of pairs."""
        found = torch.empty(len(rows), dtype=dtype, device=self._device)
        each = max(1, _NUMBERS // 8 // vectors.shape[1])
        for part, row, column in zip(found.split(each), rows.split(each), columns.split(each), strict=True):
            apart = self._vectors(column).to(dtype).sub_(vectors[row])
            moved = self._known.places[column].to(dtype).sub_(mine.places[row])
            part.copy_(torch.linalg.vecdot(apart, apart)).add_(torch.linalg.vecdot(moved, moved))
        return found


def _first_of_each_row(rows: torch.Tensor, values: torch.Tensor, count: int) -> torch.Tensor:
    """The numbers of the pairs with the `count` smallest values of each row, which all have as many, by row."""
    order = values.argsort(stable=True)
    order = order[rows[order].argsort(stable=True)]
    begin = torch.unique_consecutive(rows[order], return_counts=True)[1].cumsum(0).roll(1)
    begin[0] = 0
    return order[begin[:, None] + torch.arange(count, device=rows.device)].flatten()


@torch.no_grad()
@full_precision()
def _principal_axes(sample: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean of some vectors (K, n), and orthonormal axes (n, D) along which they differ most, in that order."""
    centre = sample.double().mean(0)
    sample, many = (sample - centre).float(), min(_FINE, sample.shape[1])
    start = torch.randn(sample.shape[1], many, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    axes = torch.linalg.qr(start.to(sample))[0]
    for _ in range(2):
        seen = sample.T @ (sample @ axes)
        if not bool(seen.isfinite().all()):  # squares of the numbers are too large; any axes do
            return centre, torch.eye(len(centre), many, dtype=torch.float64, device=sample.device)
        axes = torch.linalg.qr(seen)[0]
    axes = torch.linalg.qr(axes.double())[0]
    parts = sample.double() @ axes
    return centre, axes @ torch.linalg.eigh(parts.T @ parts)[1].flip(1)
