"""What a layer is computed from: the tensor operations of one forward pass, each with the ones that feed it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch.utils._pytree import tree_leaves, tree_map


@dataclass(frozen=True, eq=False)
class Operation:
    """One ATen operation on something that depends on the input.

    name: without overload and trailing underscore; "input" for the image itself. args, kwargs: as it was called, with
    an Operation in the place of every tensor that depends on the input, all other tensors (weights) as they are.
    shape: of its result. output: which result, of an operation that has several. index: the order of computation.
    """

    name: str
    args: tuple
    kwargs: dict
    shape: tuple[int, ...]
    output: int
    index: int
    inputs: tuple[Operation, ...] = field(repr=False)

    def ancestors(self) -> Iterator[Operation]:
        """This operation and all that it depends on, the latest first."""
        found, waiting = {self.index: self}, [self]
        while waiting:
            for one in waiting.pop().inputs:
                if one.index not in found:
                    found[one.index] = one
                    waiting.append(one)
        for index in sorted(found, reverse=True):
            yield found[index]


class Tape:
    """Which operation made each tensor of a pass. Tensors are known by identity: the caller keeps them alive."""

    def __init__(self):
        self._made: dict[int, Operation] = {}
        self._count = 0

    def of(self, tensor: torch.Tensor) -> Operation | None:
        return self._made.get(id(tensor))

    def record(self, name: str, results: Sequence[torch.Tensor], args: tuple, kwargs: dict | None = None) -> None:
        """The results are what the named operation makes of the arguments."""

        def known(value):
            return self._made.get(id(value), value) if isinstance(value, torch.Tensor) else value

        args, kwargs = tree_map(known, (tuple(args), kwargs or {}))
        inputs = tuple(leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Operation))
        for k, result in enumerate(results):
            self._made[id(result)] = Operation(name, args, kwargs, tuple(result.shape), k, self._count, inputs)
            self._count += 1
