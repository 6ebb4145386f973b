"""Origins: the part of the image that each element of each tensor of a forward pass depends on, and its centre."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .storage import storage_of

# Columns of the table: per axis (rows, then columns) the centre, the first and last pixel seen, and the stride; then
# another centre, of a product of two placed tensors, such as queries and keys.
CENTRE, LOW, HIGH, STRIDE, OTHER = (0, 4), (1, 5), (2, 6), (3, 7), (8, 9)
_WIDTH = 10
_NOTHING = (float("nan"), float("inf"), float("-inf"), 1.0) * 2 + (float("nan"),) * 2
_MOST_PAIRS = 2_000_000  # a product of more pairs keeps the centre of its first factor only


@dataclass(frozen=True)
class _Compact:
    """The entries of one tensor that has a storage for itself, with a size of 1 where they do not vary."""

    entries: torch.Tensor
    size: torch.Size
    stride: tuple[int, ...]
    offset: int

    def fits(self, tensor: torch.Tensor) -> bool:
        place = (tensor.shape, tensor.stride(), tensor.storage_offset())
        return place == (self.size, self.stride, self.offset)


class Origins:
    """What is known of the elements of all tensors of a pass.

    Each element has an entry of a table of fields; entry 0 belongs to elements that do not depend on the image. Entries
    are stored by storage, so that a view shares them with its base and a write through one is seen by the other.

    Parameters
    ----------
    image : torch.Tensor
        (1, C, H, W), the input of the pass.
    """

    def __init__(self, image: torch.Tensor):
        self._table = torch.tensor([_NOTHING], dtype=torch.float64)
        self._count = 1
        self._stored: dict[int, torch.Tensor | _Compact] = {}  # by storage
        self._alive: list[torch.Tensor] = []  # storages stay unique while their tensors live
        self.size = (image.shape[2], image.shape[3])
        rows = torch.arange(self.size[0], dtype=torch.float64)[:, None].expand(self.size)
        columns = torch.arange(self.size[1], dtype=torch.float64)[None].expand(self.size)
        one, none = torch.ones(self.size, dtype=torch.float64), torch.full(self.size, float("nan"), dtype=torch.float64)
        fields = torch.stack([rows, rows, rows, one, columns, columns, columns, one, none, none], -1)
        self.write(image, self.add(fields)[None, None])

    # the table

    def add(self, fields: torch.Tensor) -> torch.Tensor:
        """New entries of the table.

        Parameters
        ----------
        fields : torch.Tensor
            (..., 10) float64.

        Returns
        -------
        torch.Tensor
            (...) float32, the entries' numbers; 0 where nothing of the image is seen.
        """
        flat = fields.reshape(-1, _WIDTH)
        seen = flat[:, LOW[0]] <= flat[:, HIGH[0]]
        first = self._count
        if first + len(flat) >= 2**24:  # beyond, float32 has no more whole numbers
            raise MemoryError("the module has too many different receptive fields")
        while first + len(flat) > len(self._table):
            self._table = torch.cat([self._table, torch.empty_like(self._table)])
        self._table[first : first + len(flat)] = flat
        self._count += len(flat)
        numbers = torch.arange(first, self._count, dtype=torch.float32).masked_fill_(~seen, 0)
        return numbers.view(fields.shape[:-1])

    def fields(self, entries: torch.Tensor) -> torch.Tensor:
        """The fields (..., 10) of entries (...)."""
        return self._table[entries.long()]

    # the tensors

    def knows(self, tensor: torch.Tensor) -> bool:
        """Whether the storage of a tensor has entries, so that the tensor may depend on the image.

        A tensor without elements, such as the boxes of a detector that finds nothing, depends on nothing.
        """
        return tensor.layout == torch.strided and tensor.numel() > 0 and storage_of(tensor) in self._stored

    def depends(self, tensor: torch.Tensor) -> bool:
        """Whether some element of a tensor depends on the image."""
        return self.knows(tensor) and bool(compress(self.of(tensor)).any())

    def of(self, tensor: torch.Tensor) -> torch.Tensor:
        """The entries of a tensor's elements, of the tensor's shape; not to be written to."""
        key = storage_of(tensor)
        if key is None:
            raise KeyError("a tensor without memory of its own has no entries.")
        stored = self._stored[key]
        if isinstance(stored, _Compact):
            if stored.fits(tensor):
                return stored.entries.expand(tensor.shape)
            stored = self._in_full(key, tensor)
        return stored.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())

    def _in_full(self, key: int, tensor: torch.Tensor) -> torch.Tensor:
        """One entry for each element of a tensor's storage."""
        known = self._stored.get(key)
        if isinstance(known, torch.Tensor):
            return known
        full = torch.zeros(tensor.untyped_storage().nbytes() // tensor.element_size(), dtype=torch.float32)
        if known is not None:
            full.as_strided(known.size, known.stride, known.offset).copy_(known.entries)
        self._stored[key] = full
        return full

    def write(self, tensor: torch.Tensor, entries: torch.Tensor) -> None:
        """Set the entries of a tensor.

        Parameters
        ----------
        tensor : torch.Tensor
            The tensor.
        entries : torch.Tensor
            Entries of a shape that expands to that of the tensor.
        """
        key = storage_of(tensor)
        if key is None or tensor.layout != torch.strided or not tensor.numel():
            return
        known = self._stored.get(key)
        if known is None:
            self._alive.append(tensor)
        if known is None or (isinstance(known, _Compact) and known.fits(tensor)):
            small = compress(entries.expand(tensor.shape)).clone()
            self._stored[key] = _Compact(small, tensor.shape, tensor.stride(), int(tensor.storage_offset()))
        else:
            full = self._in_full(key, tensor)
            full.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset()).copy_(entries)

    # combining

    def combine(self, entries: torch.Tensor, dims: Sequence[int]) -> torch.Tensor:
        """What depends on all elements along some dimensions: the union of what they see.

        The centre is that of the elements that see least; of several, the mean. Elements whose centre stays nearly the
        same along the other dimensions do not count beside those whose centre moves: where a mean over all positions
        gates a map, the map's centres stay.

        Parameters
        ----------
        entries : torch.Tensor
            Entries.
        dims : sequence of int
            The dimensions.

        Returns
        -------
        torch.Tensor
            Entries with a size of 1 along these dimensions.
        """
        shape = entries.shape
        along = sorted({d % entries.dim() for d in dims}) if entries.dim() else []
        small = compress(entries)
        along_small = [d for d in along if small.shape[d] > 1]
        if not along_small:
            return small.expand([1 if d in along else n for d, n in enumerate(shape)])
        rest = [d for d in range(small.dim()) if d not in along_small]
        rows = small.permute(*along_small, *rest).reshape(math.prod(small.shape[d] for d in along_small), -1)
        changed = torch.cat([torch.ones(1, dtype=torch.bool), (rows[1:] != rows[:-1]).any(1)])
        rows = rows[changed]
        most = max(1, 4_000_000 // len(rows))
        still = self._still(rows)
        parts = [self._union(self.fields(rows[:, k : k + most]), still) for k in range(0, rows.shape[1], most)]
        merged = self.add(torch.cat(parts) if parts else torch.empty(0, _WIDTH, dtype=torch.float64))
        merged = merged.view([1 if d in along_small else small.shape[d] for d in range(small.dim())])
        return merged.expand([1 if d in along else n for d, n in enumerate(shape)])

    def _still(self, rows: torch.Tensor) -> torch.Tensor:
        """(2, K): along each axis, which of K rows of entries have centres that move little although another's move."""
        moved = torch.zeros(2, len(rows), dtype=torch.float64)
        most = max(1, 4_000_000 // max(1, rows.shape[1]))
        for k in range(0, len(rows), most) if rows.shape[1] > 1 else ():
            centres = self.fields(rows[k : k + most])[..., list(CENTRE)]
            low, high = (centres.nan_to_num(sign * float("inf")).mul(sign).amin(1).mul(sign) for sign in (1, -1))
            moved[:, k : k + most] = (high - low).clamp(min=0).T
        return moved < 0.5 * moved.amax(1, keepdim=True)

    @staticmethod
    def _union(fields: torch.Tensor, still: torch.Tensor) -> torch.Tensor:
        """(K, M, 10) -> (M, 10); along each axis without the centres of those that are still."""
        out = fields.new_full(fields.shape[1:], float("nan"))
        for a in (0, 1):
            out[:, LOW[a]], out[:, HIGH[a]] = fields[..., LOW[a]].amin(0), fields[..., HIGH[a]].amax(0)
        sides = [fields[..., HIGH[a]] - fields[..., LOW[a]] + 1 for a in (0, 1)]
        seen = (sides[0] > 0) & (sides[1] > 0)
        size = sides[0] * sides[1]
        for a in (0, 1):
            placed = seen & ~fields[..., CENTRE[a]].isnan()
            moving = placed & ~still[a][:, None]
            placed = torch.where(moving.any(0), moving, placed)
            area = torch.where(placed, size, float("inf"))
            best = placed & (area <= area.amin(0) * (1 + 1e-9))
            chosen = torch.where(best.any(0), best, seen)
            count = chosen.sum(0)
            for column in (CENTRE[a], STRIDE[a]):
                out[:, column] = torch.where(chosen, fields[..., column], 0).sum(0) / count
        return out

    def merge(self, *entries: torch.Tensor) -> torch.Tensor:
        """What depends on several tensors element by element, with broadcasting."""
        shape = np.broadcast_shapes(*(one.shape for one in entries))
        small = [compress(one.expand(shape)) for one in entries]
        if all(one.shape == small[0].shape and torch.equal(one, small[0]) for one in small[1:]):
            return small[0].expand(shape)
        small = list(torch.broadcast_tensors(*small))
        return self.combine(torch.stack(small), [0])[0].expand(shape)

    def seeing(self, entries: torch.Tensor, dims: Sequence[int]) -> torch.Tensor:
        """Elements that keep their centres but see all that the elements along some dimensions see."""
        small = compress(entries)
        fields, wide = self.fields(small), self.fields(self.combine(small, dims))
        for column in (*LOW, *HIGH):
            fields[..., column] = wide[..., column].expand(small.shape)
        return self.add(fields).expand(entries.shape)

    def varies(self, entries: torch.Tensor, dim: int, columns: Sequence[int] = CENTRE) -> bool:
        """Whether the centres, or other columns, differ along a dimension."""
        small = compress(entries)
        if small.dim() == 0 or small.shape[dim] < 2:
            return False
        values = self.fields(small)[..., list(columns)].nan_to_num(-1e9)
        dim = dim % small.dim()
        return bool((values != values.narrow(dim, 0, 1)).any())

    def product(self, a: torch.Tensor | None, b: torch.Tensor | None) -> torch.Tensor:
        """A matrix product (..., n, k) x (..., k, m).

        Where one factor's centres do not vary along k, the product has them: an attention matrix has those of its
        queries, and so has what it is multiplied with. Where neither varies, both are kept.

        Parameters
        ----------
        a, b : torch.Tensor or None
            Entries of the factors, None for one that does not depend on the image.

        Returns
        -------
        torch.Tensor
            Entries that expand to (..., n, m).
        """
        if a is None or b is None:
            assert a is not None or b is not None
            return self.combine(a, [-1]) if a is not None else self.combine(b, [-2])  # type: ignore[arg-type]  # one of the two is given
        left, right = compress(self.settled(a, -1)), compress(self.settled(b, -2))
        moves = self.varies(left, -1), self.varies(right, -2)
        left, right = self.fields(compress(self.combine(left, [-1]))), self.fields(compress(self.combine(right, [-2])))
        if max(left[..., 0].numel(), 1) * max(right[..., 0].numel(), 1) > _MOST_PAIRS:
            right = self.fields(self.combine(self.add(right), range(right.dim() - 1)))
        shape = np.broadcast_shapes(left.shape, right.shape)
        left, right = left.expand(shape).clone(), right.expand(shape)
        for a_axis in (0, 1):
            left[..., LOW[a_axis]] = torch.minimum(left[..., LOW[a_axis]], right[..., LOW[a_axis]])
            left[..., HIGH[a_axis]] = torch.maximum(left[..., HIGH[a_axis]], right[..., HIGH[a_axis]])
        if moves[0] and not moves[1]:
            for column in (*CENTRE, *STRIDE):
                left[..., column] = right[..., column]
        elif moves[0] == moves[1]:
            for k in (0, 1):
                left[..., OTHER[k]] = right[..., CENTRE[k]]
            n, m = ((one != one.narrow(d, 0, 1)).any() for one, d in ((left[..., 0], -2), (right[..., 0], -1)))
            n = n or (left[..., 4] != left[..., 4].narrow(-2, 0, 1)).any()
            m = m or (right[..., 4] != right[..., 4].narrow(-1, 0, 1)).any()
            if m and not n:
                left = _swapped(left)
        return self.add(left)

    def settled(self, entries: torch.Tensor, dim: int) -> torch.Tensor:
        """Entries with their other centres, where those do not vary along a dimension and the first ones do.

        Parameters
        ----------
        entries : torch.Tensor
            Entries, such as those of a product of keys and queries.
        dim : int
            The dimension that is summed over next.
        """
        small = compress(entries)
        fields = self.fields(small)
        known = not bool(fields[..., OTHER[0]].isnan().all())
        if known and self.varies(small, dim) and not self.varies(small, dim, OTHER):
            return self.add(_swapped(fields)).expand(entries.shape)
        return entries


def _swapped(fields: torch.Tensor) -> torch.Tensor:
    out = fields.clone()
    for k in (0, 1):
        out[..., CENTRE[k]], out[..., OTHER[k]] = fields[..., OTHER[k]], float("nan")
    return out


def compress(entries: torch.Tensor) -> torch.Tensor:
    """The same entries with a size of 1 along each dimension on which they do not depend."""
    for d in range(entries.dim()):
        if entries.shape[d] > 1:
            first = entries.narrow(d, 0, 1)
            if entries.stride(d) == 0 or bool((entries == first).all()):
                entries = first
    return entries
