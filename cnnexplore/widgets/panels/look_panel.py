"""LookPanel: what panels have in common that compute what is selected, and show it as it comes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import ipywidgets as w
import numpy as np

from ...errors import SettingError
from ...network import Layer, Network
from ...results import png
from ...zoo import DEFAULT, load
from ..live.notebook import cell_key, show_with_still
from ..live.runner import Runner
from ..live.selection import Selection
from ..live.task import Task
from ..views.run_view import RunView
from .images import ImageChoices
from .selectors import Selectors


class LookPanel(ABC):
    """Selectors, pictures, a sentence, its code; a change of what is looked at begins the work anew.

    A kind of panel says what it looks at (`_looked_at`), what it computes step by step (`_stream`, in the runner's
    thread), how a step is shown (`_frame`), its code and its picture, and which widgets stand between.
    Raises LayerNotFound, ImageError, NetworkError, WeightsError.
    """

    looks_at_image = True
    layer_help = "the layer that is looked at"

    def __init__(self, net, image, layer: str | None, selection: Selection | None):
        if selection is not None:
            net, layer = net or selection.net, layer or selection.layer
        net = net if isinstance(net, Network) else load(net or DEFAULT)
        self.image_choices = None
        choices = {"net": net, "layer": (net.layers[layer] if layer else self._first_layer(net)).name}
        if self.looks_at_image:
            self.image_choices = ImageChoices(image, net)
            choices["image"], choices["image_python"] = self.image_choices[self.image_choices.first]
            if selection is not None and image is None and selection.image is not None:
                choices["image"], choices["image_python"] = selection.image, selection.image_python
                self.image_choices.add("shared", selection.image, selection.image_python)
                self.image_choices.first = "shared"
        self.selection = selection or Selection()
        self.selection.set(**choices)
        self.status = RunView(quiet=True)
        self.runner = Runner(cell_key())
        self.runner.on_result, self.runner.on_state, self.runner.on_error = self._frame, self._state, self._error
        self._still, self._begun = None, None
        self.selectors = Selectors(self.selection, self.image_choices, self.status, self.layer_help)
        self.python_button = self._button("Python", "code", "copy the Python that remakes this picture", self._copy)
        self.save_button = self._button("save", "download", "save the picture as PNG, with its Python", self._save)
        self.python_box = w.Textarea(layout=w.Layout(width="98%", height="58px", display="none"))
        top = [*self.selectors.row, w.Box(layout=w.Layout(flex="1 1 0")), self.python_button, self.save_button]
        wrap = w.Layout(flex_flow="row wrap", align_items="flex-start")
        self.widget = w.VBox(
            [w.HBox(top, layout=wrap), self.python_box, *self._build(), self.status], layout=w.Layout(max_width="900px")
        )
        self.widget.add_class("cx-panel")
        self.selection.observe(self._selected, ["net", "image", "layer", "unit", "position"])
        self._begin()

    # what a kind of panel says

    @abstractmethod
    def _first_layer(self, net: Network) -> Layer: ...

    @abstractmethod
    def _looked_at(self) -> tuple: ...

    @abstractmethod
    def _build(self) -> list[w.Widget]: ...

    @abstractmethod
    def _stream(self, looked_at: tuple) -> tuple[Iterator, int]:
        """The work, and about how many steps it has; called in the runner's thread."""

    @abstractmethod
    def _frame(self, frame) -> None: ...

    @abstractmethod
    def to_python(self) -> str:
        """The line of Python that remakes the picture on the screen."""

    @property
    @abstractmethod
    def picture(self) -> np.ndarray:
        """What is saved, (H, W, 3) uint8."""

    @abstractmethod
    def _finished(self) -> str:
        """The line of status when all is done."""

    # what a person does

    def wait(self, timeout: float | None = None) -> bool:
        """Blocks until all is computed; an interrupt only ends the waiting. Says whether it is."""
        return self.runner.wait(timeout)

    def poster(self) -> bytes:
        """A PNG for where no kernel runs."""
        try:
            return png(self.picture, self.to_python())
        except SettingError:  # there is nothing yet
            return png(np.full((64, 64, 3), 128, np.uint8))

    def _ipython_display_(self) -> None:
        self._still = show_with_still(self.widget, self.poster())

    def _copy(self) -> None:
        with self.status.show_errors():
            text = self.to_python()
            self.python_box.value = text
            self.python_box.layout.display = ""
            self.status.copy(text)

    def _save(self) -> None:
        with self.status.show_errors():
            name = f"{self.selection.net.name}-{self.selection.layer.replace('/', '-')}.png"
            self.status.download(name, png(self.picture, self.to_python()))

    def _button(self, name: str, icon: str, tip: str, act, width: int = 72) -> w.Button:
        button = w.Button(description=name, icon=icon, tooltip=tip, layout=w.Layout(width=f"{width}px"))
        button.on_click(lambda _: act())
        return button

    @property
    def _layer(self) -> Layer:
        return self.selection.net.layers[self.selection.layer]

    # the work

    def _selected(self, change) -> None:
        with self.status.show_errors():
            if self.selection.layer not in self.selection.net.layers or self._begun == self._looked_at():
                return  # the other half of a change follows, or has been acted on
            self._begin()

    def _begin(self) -> None:
        self._begun = looked_at = self._looked_at()
        self.runner.begin(lambda: Task(*self._stream(looked_at)))

    def _state(self, state: str) -> None:
        if state == "loading":
            self.status.set_status("loading", "looking …")
        elif state == "paused":
            self.status.set_status(state, "waits while nobody looks")
        elif state == "stopped":
            self.status.set_status(state, "stopped: another panel took over; change anything and it goes on")
        elif state == "finished":
            self.status.set_status(state, self._finished())
        if state in ("finished", "paused", "stopped") and self._still is not None:
            self._still(self.poster())

    def _error(self, sentence: str, trace: str) -> None:
        self.status.set_status("failed", sentence, trace)

    def _views(self, count: int) -> None:
        self.runner.watched(count)
