"""How the passes of a run go through the network: as it is, or each image through a pathway of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

from ..errors import SettingError
from ..network import Network

_MOST = 10_000  # pathways of a batch


@runtime_checkable
class PassModifier(Protocol):
    """An object that changes how an image passes through a network, such as `cx.Pathway` (intraclass2015, eq. 4)."""

    def pass_context(self, net: Network, layer: str, pathways: Sequence[Any]) -> Callable[[], AbstractContextManager]:
        """A function that makes the context for each pass of a batch up to `layer`.

        Parameters
        ----------
        net : Network
            The network that runs inside.
        layer : str
            The layer at which the passes end.
        pathways : sequence
            One object of this kind per image of the batch; None leaves the network as it is.
        """

    def to_python(self) -> str:
        """The Python that makes this object again."""


class Pathways:
    """The pathways of the passes of a batch; called, gives the context for one pass.

    Parameters
    ----------
    net : Network
        The network of the run.
    layer : str
        The layer at which the passes end.
    pathway : PassModifier, list of them, or None
        One for all images, or one per image (None among them leaves the network as it is).

    Raises
    ------
    SettingError
        If something else was given, or an empty list.
    NetworkError, LayerError
        If the pathway does not fit the network or acts after the layer.
    """

    def __init__(self, net: Network, layer: str, pathway: PassModifier | Sequence[PassModifier | None] | None) -> None:
        self.listed = isinstance(pathway, (list, tuple))
        if isinstance(pathway, Sequence) and len(pathway) > _MOST:
            raise SettingError(f"pathway has {len(pathway)} items; expected at most {_MOST} pathways.")
        self.each: list[PassModifier | None] = list(pathway) if isinstance(pathway, Sequence) else [pathway]
        for one in self.each:
            if one is not None and not isinstance(one, PassModifier):
                raise SettingError(f"pathway is {type(one).__name__}; expected a cx.Pathway, or a list of them.")
        if not self.each:
            raise SettingError("an empty list of pathways was given; expected at least one.")
        self._net, self._layer = net, layer
        _ = self._context  # what does not fit is said now

    @cached_property
    def _context(self) -> Callable[[], AbstractContextManager]:
        first = next((one for one in self.each if one is not None), None)
        if first is None:
            return nullcontext
        return first.pass_context(self._net, self._net.layers[self._layer].name, self.each)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_context"}  # a function in a function

    def __call__(self) -> AbstractContextManager:
        return self._context()

    @property
    def any(self) -> bool:
        """Whether an image goes through a pathway."""
        return self.each.count(None) < len(self.each)

    def item(self, k: int) -> Pathways:
        """The pathway of the k-th image of the batch alone."""
        return Pathways(self._net, self._layer, self.each[k % len(self.each)])

    def to_python(self) -> str:
        """The Python of the argument `pathway`; empty without one."""
        if self.each == [None]:
            return ""
        if not self.listed:
            return "" if self.each[0] is None else self.each[0].to_python()
        return f"[{', '.join('None' if one is None else one.to_python() for one in self.each)}]"
