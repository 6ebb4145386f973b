"""What panels look at: one frozen value that is replaced as a whole, and the holder that panels share."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from ...network import Layer, Network

EACH_STYLE = -1  # the style that stands for all of them, one beside the next


@dataclass(frozen=True, eq=False)
class Selection:
    """A network and what of it is looked at; always consistent.

    Attributes
    ----------
    net : Network, optional
        None only before a panel has chosen one.
    image : object
        Anything that `Network.pixels_of` takes, or None.
    image_python : str
        The Python that makes the image.
    layer : str
        The name of a layer of the network.
    unit : int, optional
        A unit of the layer.
    position : tuple of int, optional
        (row, column) of the layer's map.
    target : int, optional
        The number of a class; None: any.
    styles : ClassStyles, optional
        The known styles of the network's classes.
    style : int, optional
        The number of one of the class's styles, `EACH_STYLE`, or None for the whole class.
    """

    net: Network | None = None
    image: Any = None
    image_python: str = "image"
    layer: str = ""
    unit: int | None = None
    position: tuple[int, int] | None = None
    target: int | None = None
    styles: Any = None
    style: int | None = None

    def __post_init__(self) -> None:
        if self.net is not None:
            self.net.layers[self.layer]  # raises LayerNotFound with what is there

    def changed(self, **changes: Any) -> Selection:
        """A copy with other values; what no longer fits is taken back.

        Another layer has other units and positions; another network has a layer in the middle unless one is given, and
        other classes and styles if its labels are others.

        Parameters
        ----------
        **changes
            Fields by name.

        Returns
        -------
        Selection
        """
        net: Network | None = changes.get("net", self.net)
        if net is None:
            return replace(self, **changes)
        if net is not self.net and "layer" not in changes and self.layer not in net.layers:
            changes["layer"] = middle_layer(net).name
        if net is not self.net or changes.get("layer", self.layer) != self.layer:
            changes = {"unit": None, "position": None, **changes}
        if self.net is not None and net.labels != self.net.labels:
            changes = {"target": None, "style": None, **changes}
        return replace(self, **changes)

    def differences(self, other: Selection) -> set[str]:
        """The names of the fields in which two selections differ; images, networks and styles by identity."""
        identical = ("net", "image", "styles")
        return {
            name
            for name in (f.name for f in fields(self))
            if (a := getattr(self, name)) is not (b := getattr(other, name)) and (name in identical or a != b)
        }


Listener = Callable[[Selection, Selection], None]


class SharedSelection:
    """Holds the selection of one or more panels; each change is reported once, when it is complete.

    Parameters
    ----------
    value : Selection, optional
        What is selected at first.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> from cnnexplore.widgets.live.selection import SharedSelection
    >>> shared = SharedSelection()
    >>> shared.set(net=cx.load("lenet"), layer="conv2", unit=3)
    >>> shared.observe(lambda old, new: print(old.unit, "->", new.unit, sorted(new.differences(old))))
    >>> shared.set(layer="conv1")
    3 -> None ['layer', 'unit']
    """

    def __init__(self, value: Selection | None = None):
        self.value = value or Selection()
        self._listeners: list[Listener] = []
        self._changes: deque[tuple[Selection, Selection]] = deque()
        self._reporting = False
        self._lock = threading.RLock()

    def set(self, **changes: Any) -> None:
        """Change some fields at once.

        Parameters
        ----------
        **changes
            Fields of `Selection` by name.

        Raises
        ------
        LayerNotFound
            If the network has no such layer; nothing is changed then.
        """
        with self._lock:
            old, new = self.value, self.value.changed(**changes)
            if not new.differences(old):
                return
            self.value = new
            self._changes.append((old, new))
            if self._reporting:  # a listener changed it: that is reported to all after this change
                return
            self._reporting = True
        self._report()

    def _report(self) -> None:
        """Tell the listeners, without the lock: they may wait for threads that change the selection, too."""
        while True:
            with self._lock:
                if not self._changes:
                    self._reporting = False
                    return
                change = self._changes.popleft()
            try:
                for listener in list(self._listeners):
                    listener(*change)
            except BaseException:
                with self._lock:
                    self._reporting = False
                raise

    def observe(self, listener: Listener) -> None:
        """Have a function called with the old and the new selection after each change."""
        self._listeners.append(listener)

    def unobserve(self, listener: Listener) -> None:
        """Take back `observe`; a listener that is not there is ignored."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def __getattr__(self, name: str) -> Any:
        """The fields of the selection, for reading."""
        if name.startswith("_") or name == "value":
            raise AttributeError(name)
        return getattr(self.value, name)


def middle_layer(net: Network) -> Layer:
    """The layer in the middle of those with a map: one that gives a good first picture."""
    names = [name for name, layer in net.layers.items() if layer.has_map and "/" not in name]
    return net.layers[names[len(names) // 2]] if names else next(iter(net.layers.values()))
