"""The tensor operations of one forward pass as a graph: each with the operations whose results it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map


@dataclass(frozen=True, eq=False)
class Operation:
    """One ATen operation on something that depends on the input.

    Attributes
    ----------
    name : str
        Without overload and trailing underscore; "input" for the image itself.
    args, kwargs : tuple and dict
        Its arguments, with an Operation in the place of each tensor that depends on the input; weights as they are.
    shape : tuple of int
        The shape of its result.
    output : int
        Which result, of an operation with several.
    index : int
        Its place in the order of computation.
    inputs : tuple of Operation
        The operations in its arguments.
    """

    name: str
    args: tuple
    kwargs: dict[str, Any]
    shape: tuple[int, ...]
    output: int
    index: int
    inputs: tuple[Operation, ...] = field(repr=False)

    def ancestors(self) -> Iterator[Operation]:
        """This operation and all that it depends on, the last one computed first."""
        found, waiting = {self.index: self}, [self]
        while waiting:
            for one in waiting.pop().inputs:
                if one.index not in found:
                    found[one.index] = one
                    waiting.append(one)
        for index in sorted(found, reverse=True):
            yield found[index]


class Tape:
    """The operation that made each tensor of a pass. Tensors are found by identity, so the caller keeps them alive."""

    def __init__(self) -> None:
        self._made: dict[int, Operation] = {}
        self._count = 0

    def of(self, tensor: torch.Tensor) -> Operation | None:
        """The operation that made a tensor; None if it does not depend on the input."""
        return self._made.get(id(tensor))

    def record(self, name: str, results: Sequence[torch.Tensor], args: tuple, kwargs: dict | None = None) -> None:
        """Record an operation.

        Parameters
        ----------
        name : str
            Its name.
        results : sequence of torch.Tensor
            What it returned.
        args, kwargs : tuple and dict
            Its arguments.
        """

        def known(value: Any) -> Any:
            return self._made.get(id(value), value) if isinstance(value, torch.Tensor) else value

        args, kwargs = tree_map(known, (tuple(args), kwargs or {}))
        inputs = tuple(leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Operation))
        for k, result in enumerate(results):
            self._made[id(result)] = Operation(name, args, kwargs, tuple(result.shape), k, self._count, inputs)
            self._count += 1
