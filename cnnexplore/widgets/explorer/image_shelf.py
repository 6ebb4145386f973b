"""ImageShelf: the images that are offered, as thumbnails in a row, and an upload."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ipywidgets as w
import numpy as np

from ...errors import ExploreError
from ...network import Network
from ..live.runner import Runner
from ..live.selection import SharedSelection
from ..live.task import Task
from ..panels.images import ImageChoices
from ..views.unit_grid import UnitGrid

_SIDE, _SHOWN = 96, 56  # pixels of a thumbnail, and on the screen


class ImageShelf:
    """A row of thumbnails; one that is chosen becomes the selected image.

    Parameters
    ----------
    selection : SharedSelection
    choices : ImageChoices
    runner : Runner
        Makes the thumbnails.
    on_wrong : callable
        Wraps what may fail: a context that shows an ExploreError.
    """

    def __init__(self, selection: SharedSelection, choices: ImageChoices, runner: Runner, on_wrong: Any):
        self.selection, self.choices, self.runner, self._on_wrong = selection, choices, runner, on_wrong
        self.grid = UnitGrid(rows=1, labelled=True, label="images")
        self.grid.add_class("cx-shelf")
        self.grid.layout.flex = "1 1 300px"
        self.grid.on_select(self._chosen)
        self.upload = w.FileUpload(accept="image/*", multiple=True, description="add images")
        self.upload.layout.width = "130px"
        self.upload.observe(self._uploaded, "value")
        self.widget = w.HBox([self.grid, self.upload], layout=w.Layout(align_items="center", grid_gap="8px"))
        runner.on_result = self._show_result
        runner.watch(self.grid)
        self._names: list[str] = []
        self._quiet = False  # the thumbnail that is marked shows the selected image, and does not select it
        self.begin()

    def begin(self) -> None:
        """Offer the images that there are now."""
        net = self.selection.value.net
        assert net is not None
        marked, self._names = self._marked, list(self.choices.names)
        self.grid.reset(len(self._names), _SIDE, [name.removeprefix("scene: ") for name in self._names])
        self.grid.shown = _SHOWN
        self.grid.note = f"{len(self._names)} images"
        self._mark(marked)
        names = list(self._names)
        self.runner.begin(lambda: Task(self._pictures(net, names), len(names)))

    @property
    def _marked(self) -> str:
        """The name of the marked image; the first one at first."""
        marked = self.grid.selected
        return self._names[marked] if 0 <= marked < len(self._names) else self.choices.first

    def _mark(self, name: str) -> None:
        self._quiet = True
        try:
            self.grid.selected = self._names.index(name) if name in self._names else -1
        finally:
            self._quiet = False

    def _pictures(self, net: Network, names: list[str]) -> Iterator[tuple[list[str], int, np.ndarray | ExploreError]]:
        for k, name in enumerate(names):
            try:
                yield names, k, net.picture(net.pixels_of(self.choices[name][0]))
            except ExploreError as error:
                yield names, k, error

    def _show_result(self, result: tuple[list[str], int, np.ndarray | ExploreError]) -> None:
        names, k, found = result
        if names != self._names:
            return
        if isinstance(found, ExploreError):
            self.grid.say(k, "does not fit", str(found))
        else:
            self.grid.put(k, found)

    def _chosen(self, k: int) -> None:
        if self._quiet:
            return
        with self._on_wrong():
            image, python = self.choices[self._names[k]]
            self.selection.set(image=image, image_python=python)

    def _uploaded(self, change: dict) -> None:
        net = self.selection.value.net
        if not change["new"] or net is None:
            return
        with self._on_wrong():
            for file in change["new"]:
                numbers = net.pixels.read(bytes(file["content"])).numpy()
                picture = np.moveaxis(numbers, 0, -1).round().astype(np.uint8)
                self.choices.add(file["name"], picture, repr(file["name"]))
            self.begin()
            self.grid.selected = self._names.index(change["new"][-1]["name"])
