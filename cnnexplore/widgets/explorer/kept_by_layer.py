"""KeptByLayer: what some layers of the network keep of the image, as a row of small inversions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from ...errors import ExploreError
from ...network import Network
from ...preimage import Inversion
from ..live.runner import Runner
from ..live.selection import Selection, SharedSelection
from ..live.task import Task
from ..views.frame_view import decoded_pictures
from ..views.layer_strip import strip_layers
from ..views.unit_grid import UnitGrid

_MOST = 12  # layers
_STEPS = 30  # of an inversion: enough to see what is lost
_SIDE, _SHOWN = 96, 56  # pixels of a thumbnail, and on the screen
_WAIT = 0.2  # seconds
_LONGEST = 10  # characters of a caption


class KeptByLayer:
    """Thumbnails of inversions from layers of increasing depth; one that is chosen becomes the selected layer.

    They are made while nothing else runs.

    Parameters
    ----------
    selection : SharedSelection
    runner : Runner
    busy : callable
        Returns whether something else runs.
    """

    def __init__(self, selection: SharedSelection, runner: Runner, busy: Callable[[], bool]):
        self.selection, self.runner, self.busy = selection, runner, busy
        self.grid = UnitGrid(rows=1, labelled=True, label="what layers keep of the image")
        self.grid.add_class("cx-kept")
        self.grid.on_select(lambda k: selection.set(layer=self.layers[k]))
        runner.on_result = self._show_result
        runner.watch(self.grid)
        self.layers: list[str] = []
        self._of: Selection | None = None

    def show(self, selection: Selection) -> None:
        """Show the layers of another network or their inversions of another image.

        Parameters
        ----------
        selection : Selection
            Complete.
        """
        net = selection.net
        assert net is not None
        self._of = selection
        self.layers = spread(net)
        self.grid.reset(len(self.layers), _SIDE, [_end(name) for name in self.layers])
        self.grid.shown, self.grid.note = _SHOWN, "what layers keep of the image"
        self.follow(selection)
        layers = list(self.layers)
        self.runner.begin(lambda: Task(self._pictures(selection, layers), 100_000))

    def follow(self, selection: Selection) -> None:
        """Mark the selected layer, if it is among them."""
        chosen = self.layers.index(selection.layer) if selection.layer in self.layers else -1
        if self.grid.selected != chosen:
            self.grid.selected = chosen

    def _pictures(self, selection: Selection, layers: list[str]) -> Iterator[tuple | None]:
        net = selection.net
        assert net is not None
        for k, name in enumerate(layers):
            while self.busy():
                time.sleep(_WAIT)
                yield None
            try:
                run = Inversion(net, selection.image, name, steps=_STEPS, refine=0)
                for frame in run.frames():
                    if frame.step < frame.total:
                        yield None
                yield selection, k, decoded_pictures(run.x, net)
            except ExploreError:
                yield selection, k, None

    def _show_result(self, result: tuple[Selection, int, np.ndarray | None] | None) -> None:
        if result is None or result[0] is not self._of:
            return
        _, k, picture = result
        if picture is None:
            self.grid.say(k, "none", "this layer cannot be inverted")
        else:
            self.grid.put(k, picture)


def spread(net: Network) -> list[str]:
    """The names of some layers, spread over the depth of a network, without normalisations.

    Parameters
    ----------
    net : Network
    """
    found = [layer["name"] for layer in strip_layers(net, "") if layer["kind"] != "normalisation"]
    places = np.linspace(0, len(found) - 1, min(_MOST, len(found))).round().astype(int)
    return [found[k] for k in dict.fromkeys(places.tolist())]


def _end(name: str) -> str:
    """A layer's name, or the end of a long one: that is where the names of a network's layers differ."""
    return name if len(name) <= _LONGEST else f"…{name[1 - _LONGEST :]}"
