"""FilterGallery: thumbnails of a layer's decoded filters, filled in as they are decoded, in several orders."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from ... import drawing
from ...data import bundled_images
from ...decoding import Decoder, by_class, by_shape, threshold
from ...decoding.filters import in_rgb
from ...decoding.responses import activations
from ...network import Layer, Network, has_class_units
from ..live.runner import Runner
from ..live.task import Pausable
from ..views.unit_grid import UnitGrid
from .unit_gallery import by_interest, captions, thumbnail_side

ORDERS = {
    "by response": "the units that respond most to the bundled images come first",
    "by shape": "filters that look alike stand together",
    "by class": "units that respond to images of one class stand together",
    "as numbered": "as the layer has them",
}
_AT_ONCE = 32  # filters between two pictures, at most
_SIDE = 96  # pixels of a filter that is kept
_KEPT = 4  # layers whose filters are kept


class DecodedUnits(NamedTuple):
    """Some units with their decoded filters, made small, and what they belong to: (network, layer, unpooling)."""

    where: tuple[Network, str, str]
    units: list[int]
    filters: np.ndarray


class DecodingTask(Pausable):
    """The decoded filters of a layer, some at a time, as one task for a Runner."""

    def __init__(self, net: Network, layer: str, unpool: str, left: Callable[[], list[int]]):
        super().__init__()
        self.where = (net, layer, unpool)
        self.step, self.total = 0, 1
        self._left = left
        self._units: list[int] | None = None

    def frames(self) -> Iterator[DecodedUnits]:
        """Some filters at a time until the last is done, or `stop`."""
        self._stopped = False
        if self._units is None:
            self._units = self._left()
        decoder = Decoder(*self.where[:2], self._units[self.step :] or None, self.where[2])
        decoder.at_once = min(decoder.at_once, _AT_ONCE)
        self.total = len(self._units)
        for units, filters in decoder if self.step < self.total else ():
            if not self._goes_on():
                return
            self.step += len(units)
            yield DecodedUnits(self.where, units, small(filters, self.where[0]))


class FilterGallery:
    """Fills a grid with a layer's decoded filters; a threshold acts on all of them at once.

    Layers that were left are complete at once when they are chosen again.

    Parameters
    ----------
    grid : UnitGrid
    runner : Runner
        Decodes.
    set_status : callable
        Called with a state and a sentence, and after an error with the traceback.

    Attributes
    ----------
    share, part, order
        The threshold, the sign ("", "both", "positive" or "negative"), and one of `ORDERS`.
    on_ready : callable
        Called with the order of the units once it is known.
    """

    def __init__(self, grid: UnitGrid, runner: Runner, set_status: Callable[..., None]):
        self.grid, self.runner, self.set_status = grid, runner, set_status
        runner.on_result, runner.on_state, runner.on_error = self._show, self._state, self._error
        runner.watch(grid)
        self.share, self.part, self.order = 0.3, "", "by response"
        self.on_ready: Callable[[list[int]], None] = lambda order: None
        self._kept: OrderedDict[tuple, dict[int, np.ndarray]] = OrderedDict()
        self._orders: dict[tuple, list[int]] = {}
        self._where: tuple[Network, str, str]
        self._lock = threading.RLock()

    def show(self, net: Network, layer: Layer, unpool: str) -> None:
        """Show the filters of a layer; decode those that are not known."""
        self.runner.stop()
        with self._lock:
            self._where = (net, layer.name, unpool)
            kept = self._kept.setdefault(self._where, {})
            self._kept.move_to_end(self._where)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            where = self._where
        self._layer = layer
        if len(kept) == layer.channels:
            self._begin(next(iter(kept.values())).shape[1:])
            self.grid.put(list(kept), self._pictures(list(kept)))
            self.reorder()
            self.set_status("finished", self._summary())
            return

        def left() -> list[int]:
            order = self._known_order("as numbered" if has_class_units(net, layer) else "by response")
            return [unit for unit in order if unit not in self._kept[where]]

        self.runner.begin(lambda: DecodingTask(net, layer.name, unpool, left))

    def _begin(self, size: tuple[int, int]) -> None:
        net, layer = self._where[0], self._layer
        self.grid.reset(layer.channels, thumbnail_side(size), captions(net, layer))

    def _show(self, some: DecodedUnits) -> None:
        with self._lock:
            kept = self._kept.get(some.where)
            if some.where != self._where or kept is None:
                return
            first = not kept
            kept.update(zip(some.units, some.filters, strict=True))
        if first or self.grid.count != self._layer.channels or self.grid.done == 0:
            self._begin(some.filters.shape[2:])
            self.grid.order = self._known_order(
                "as numbered" if has_class_units(some.where[0], self._layer) else "by response"
            )
            self.on_ready(self.grid.order)
        self.grid.put(some.units, self._pictures(some.units))
        self.set_status("running", f"decoding: {len(kept)} of {self._layer.channels} filters of {self._layer.name}")

    def _state(self, state: str) -> None:
        if state == "loading":
            self.set_status(state, f"decoding {self._layer.name} …")
        elif state == "finished":
            self.reorder()
            self.set_status(state, self._summary())

    def _summary(self) -> str:
        return f"{self._layer.channels} filters of {self._layer.name}; click one to see what it is composed of"

    def _error(self, sentence: str, trace: str) -> None:
        self.set_status("failed", sentence, trace)

    # how they are shown

    def redraw(self) -> None:
        """Draw all pictures again, for another threshold or sign."""
        with self._lock:
            units = list(self._kept.get(self._where, ()))
        if units:
            self.grid.put(units, self._pictures(units))

    def _pictures(self, units: list[int]) -> np.ndarray:
        kept = self._kept[self._where]
        return self.drawn(np.stack([kept[unit] for unit in units]).astype(np.float32))

    def drawn(self, filters: np.ndarray) -> np.ndarray:
        """Pictures of filters, whole or only where they are strong, as is chosen now."""
        return drawing.signed_picture(threshold(filters, self.share, self.part) if self.part else filters)

    def reorder(self) -> None:
        """Put the filters in the chosen order, once all are decoded."""
        if len(self._kept[self._where]) < self._layer.channels:
            return
        order = self._known_order(self.order)
        self.grid.order = order
        self.on_ready(order)

    def _known_order(self, kind: str) -> list[int]:
        net, layer, unpool = self._where
        key = (net, layer, unpool if kind == "by shape" else "", kind)
        if key not in self._orders:
            make = {"by response": self._by_interest, "by shape": self._by_shape, "by class": self._by_class}
            self._orders[key] = make[kind]() if kind in make else list(range(self._layer.channels))
        return self._orders[key]

    def _by_interest(self) -> list[int]:
        return [int(k) for k in by_interest(self._where[0], self._layer)]

    def _by_shape(self) -> list[int]:
        kept = self._kept[self._where]
        return by_shape(np.stack([kept[unit] for unit in range(len(kept))]))

    def _by_class(self) -> list[int]:
        """By the class that the network predicts for the bundled images."""
        net, layer = self._where[0], self._layer.name
        last = list(net.layers)[-1]
        found = [(one[net.layers[layer].name].cpu().numpy(), one[last].flatten(1).argmax(1).cpu().numpy())
                 for _, one in activations(net, list(dict.fromkeys((layer, last))), bundled_images(net))]  # fmt: skip
        responses, classes = (np.concatenate(parts) for parts in zip(*found, strict=True))
        seen = {int(k): n for n, k in enumerate(np.unique(classes))}
        groups = by_class(responses, [seen[int(k)] for k in classes])
        return [unit for units in groups.values() for unit in units]


def small(filters: torch.Tensor, net: Network) -> np.ndarray:
    """Filters no larger than is kept of them, in half precision and RGB order."""
    side = max(filters.shape[2:])
    scaled = filters / filters.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-30)
    if side > _SIDE:
        size = [max(1, math.ceil(n * _SIDE / side)) for n in filters.shape[2:]]
        scaled = F.interpolate(scaled, size, mode="bilinear", antialias=True, align_corners=False)
    return in_rgb(scaled, net.pixels).astype(np.float16)
