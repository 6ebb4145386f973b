"""LayerUnits: the units of the selected layer as thumbnails that all questions share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets as w
import numpy as np

from ... import drawing
from ...data import Images
from ...network import Layer, Network, has_class_units, unit_name
from ...units import TopPatches, top_stream
from ..elements import WRAP, dropdown
from ..live.post import post
from ..live.runner import Runner
from ..live.selection import SharedSelection
from ..live.task import Task
from ..panels import thumbnails
from ..panels.unit_gallery import UnitGallery
from ..views.unit_grid import UnitGrid
from .responses import Responses

HERE, PATCHES, WANTS, FILTERS = "activation on this image", "strongest patch", "what they want", "filters"
BY_RESPONSE, BY_NUMBER = "response to this image", "number"
_CHUNK = 64  # thumbnails in one step
_SHOWN = 56  # pixels on the screen


class LayerUnits:
    """A layer's units in a grid: their maps of the image, strongest patches, pictures that maximize them, or filters.

    They are sorted by their response to the selected image, or by number. The thumbnails in sight are made first.

    Parameters
    ----------
    selection : SharedSelection
    runner : Runner
        Makes thumbnails.
    wants : Runner
        Makes those that maximize the units.
    images : object, optional
        Where the strongest patches are looked for (default: the bundled images).
    busy : callable
        Returns whether a run goes on that is to get most of the time.
    """

    def __init__(
        self, selection: SharedSelection, runner: Runner, wants: Runner, images: Any, busy: Callable[[], bool]
    ):
        self.selection, self.runner, self.images = selection, runner, images
        self.grid = UnitGrid(rows=4.3, labelled=True, label="units")
        self.grid.on_select(lambda unit: selection.set(unit=unit))
        self.gallery = UnitGallery(self.grid, wants, busy)
        self.kind = dropdown([HERE], "shown as", "what the thumbnails show of a unit", 280)
        self.order = dropdown([BY_RESPONSE, BY_NUMBER], "sorted by", "which units come first", 270)
        self.kind.observe(lambda _: self._kind_chosen(), "value")
        self.order.observe(lambda _: self._sort(), "value")
        row = w.HBox([self.kind, self.order], layout=w.Layout(width="100%", **WRAP))
        self.widget = w.VBox([row, self.grid], layout=w.Layout(margin="8px 0 0 0"))
        self.widget.add_class("cx-layer-units")
        runner.on_result, runner.on_error = self._show_result, self._error
        runner.on_step = self.grid.probe
        # A loop that finds a view gone holds its runner's lock, so that it must not wait for the other runner's.
        self.grid.on_views = lambda views: post(lambda: self._watched(views))
        self._tops: dict[tuple[Network, str], TopPatches] = {}
        self._responses: Responses | None = None
        self._wanted = HERE  # the kind that was chosen, where a layer has it
        self._quiet = False
        self._made: tuple | None = None  # of what the thumbnails are: (net, layer, kind, responses or None)

    def show(self, found: Responses) -> None:
        """Show the units of a layer that answered to an image.

        Parameters
        ----------
        found : Responses
        """
        before, self._responses = self._responses, found
        if before is not None and before.values is found.values:
            return  # only the predictions are new
        layer = self._layer(found)
        offered = [HERE] if found.maps is not None and max(layer.size) > 1 else []
        offered += [PATCHES, WANTS, *([FILTERS] if thumbnails.filters_of(found.net, layer) is not None else [])]
        self._quiet = True
        try:
            if list(self.kind.options) != offered:
                self.kind.options = offered
            self.kind.value = self._wanted if self._wanted in offered else PATCHES
        finally:
            self._quiet = False
        self._make()

    def follow(self) -> None:
        """Show another selected unit."""
        unit = self.selection.value.unit
        chosen = -1 if unit is None or unit >= self.grid.count else unit
        if self.grid.selected != chosen:
            self.grid.selected = chosen

    @staticmethod
    def _layer(found: Responses) -> Layer:
        return found.net.layers[found.layer]

    def _kind_chosen(self) -> None:
        if not self._quiet:
            self._wanted = self.kind.value
            self._make()

    def _order(self, found: Responses) -> list[int]:
        if self.order.value == BY_NUMBER:
            return list(range(len(found.values)))
        return np.argsort(-found.values, kind="stable").tolist()

    def _names(self, found: Responses) -> list[str]:
        """Each unit's number or class, with its response to the image."""
        layer = self._layer(found)
        classes = has_class_units(found.net, layer)
        return [
            f"{unit_name(found.net, layer, k) if classes else k} · {brief_number(value)}"
            for k, value in enumerate(found.values.tolist())
        ]

    def _sort(self) -> None:
        found = self._responses
        if found is not None:
            self.grid.order, self.grid.captions = self._order(found), self._names(found)

    def _make(self) -> None:
        """Show the thumbnails of the chosen kind; those that are there already stay."""
        found, kind = self._responses, self.kind.value
        if found is None or kind is None:
            return
        layer, before = self._layer(found), self._made
        self._made = (found.net, found.layer, kind, found if kind == HERE else None)
        if before is not None and before[:3] == self._made[:3]:
            self._sort()
            if kind != HERE:
                return
        elif kind == WANTS:
            self.runner.stop()
            self.gallery.show(found.net, layer, True, self._order(found), self._names(found))
        else:
            self.gallery.leave()
            size = max(layer.size) if kind == HERE else max(layer.rf_size)
            named = {HERE: "maps", FILTERS: "filters", PATCHES: "top patches"}[kind]
            side = thumbnails.side_of(named, layer, found.net.size) if size else 64
            self.grid.reset(layer.channels, side, self._names(found), self._order(found))
        self.grid.shown = _SHOWN
        self.follow()
        if kind != WANTS:
            self.grid.action, self.grid.note = "", f"{layer.channels} units of {layer.name}"
            self.runner.begin(lambda: Task(self._pictures(found, kind, self._order(found)), 100_000))

    def _pictures(self, found: Responses, kind: str, order: list[int]) -> Iterator[tuple]:
        """(what the thumbnails are of, note, pictures by unit), some at a time; in the runner's thread."""
        layer = self._layer(found)
        made: Iterator[dict[int, np.ndarray]]
        if kind == HERE:
            made = self._maps(found, order)
        elif kind == FILTERS:
            filters = thumbnails.filters_of(found.net, layer)
            made = iter(()) if filters is None else thumbnails.of_filters(filters, order)
        else:
            source, key = Images.of(found.net, self.images), (found.net, layer.name)
            if key not in self._tops:
                for seen in top_stream(found.net, layer.name, None, source, k=1):
                    yield kind, found, f"{seen.seen} of {len(source)} images passed through the network", {}
                self._tops[key] = seen
            made = thumbnails.of_patches(self._tops[key], order)
        for some in made:
            yield kind, found, f"{layer.channels} units of {layer.name}", some

    @staticmethod
    def _maps(found: Responses, order: list[int]) -> Iterator[dict[int, np.ndarray]]:
        maps = found.maps
        assert maps is not None
        signed = bool((maps < 0).any())
        span = drawing.limits(maps, signed)
        for first in range(0, len(order), _CHUNK):
            some = order[first : first + _CHUNK]
            yield dict(zip(some, drawing.heat(maps[some], signed, span), strict=True))

    def _show_result(self, result: tuple) -> None:
        kind, found, note, pictures = result
        if self._made is None or self._made[:3] != (found.net, found.layer, kind):
            return
        if pictures:
            self.grid.put(list(pictures), np.stack(list(pictures.values())))
        self.grid.note = note

    def _watched(self, views: int) -> None:
        """Both runners wait while the grid is open nowhere."""
        self.runner.watched(views)
        self.gallery.runner.watched(views)

    def _error(self, sentence: str, trace: str) -> None:
        self.grid.note = sentence


def brief_number(value: float) -> str:
    """A number in few characters: 0.123, 4.86, 531, 2.4k.

    Parameters
    ----------
    value : float
    """
    if not 1000 <= abs(value) < 1e6:
        return f"{value:.3g}"
    return f"{value / 1000:.1f}k" if abs(value) < 10_000 else f"{value / 1000:.0f}k"
