"""The tensor operations of one forward pass as a graph: each with the operations whose results it takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

from .storage import storage_of

# Matrix products. A linear layer is any of these: it depends on the layout of what the layer is given, on whether its
# weights are trained, and on the version of PyTorch.
MATRIX_PRODUCTS = ("addmm", "mm", "linear", "bmm", "baddbmm")
PRODUCTS = ("convolution", "_convolution", *MATRIX_PRODUCTS)  # with weights


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
        self._writes: dict[int, list[Operation]] = {}  # by storage: what was written in place
        self._count = 0

    def of(self, tensor: torch.Tensor) -> Operation | None:
        """The operation that made a tensor; None if it does not depend on the input.

        Where parts of its storage were written later, through views, it is an operation "assembled" that takes all
        that was written.

        Parameters
        ----------
        tensor : torch.Tensor
            A tensor of the pass.
        """
        made = self._made.get(id(tensor))
        writes = self._writes.get(_storage(tensor), ())
        later = [one for one in writes if one is not made and (made is None or one.index > made.index)]
        if later:
            parts = (*later,) if made is None else (made, *later)
            made = self._made[id(tensor)] = self._operation("assembled", parts, {}, tensor, 0)
        return made

    def record(
        self, name: str, results: Sequence[torch.Tensor], args: tuple, kwargs: dict | None = None, writes: bool = False
    ) -> None:
        """Record an operation.

        Parameters
        ----------
        name : str
            Its name.
        results : sequence of torch.Tensor
            What it returned.
        args, kwargs : tuple and dict
            Its arguments.
        writes : bool
            Whether it wrote into its results in place.
        """

        def known(value: Any) -> Any:
            return value if not isinstance(value, torch.Tensor) else self.of(value) or value

        args, kwargs = tree_map(known, (tuple(args), kwargs or {}))
        for k, result in enumerate(results):
            made = self._made[id(result)] = self._operation(name, args, kwargs, result, k)
            if writes:
                self._writes.setdefault(_storage(result), []).append(made)

    def _operation(self, name: str, args: tuple, kwargs: dict, result: torch.Tensor, output: int) -> Operation:
        inputs = tuple(leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Operation))
        self._count += 1
        return Operation(name, args, kwargs, tuple(result.shape), output, self._count - 1, inputs)


def _storage(tensor: torch.Tensor) -> int:
    found = storage_of(tensor)
    return -id(tensor) if found is None else found
