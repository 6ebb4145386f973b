"""Panel: what all panels share: the selectors, the buttons "Python" and "save", the status line, the key, the end."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ipywidgets as w
import numpy as np
from traitlets import TraitError

from ...arguments import checked
from ...errors import SettingError, brief_list, brief_value
from ...network import Layer, Network
from ...results import png, whole_scale
from ...zoo import DEFAULT, load
from ..elements import WRAP, button, sentence
from ..live.host import IN_MARIMO
from ..live.notebook import cell_key, on_close, show_closed, show_with_png
from ..live.runner import Runner
from ..live.selection import Selection, SharedSelection, middle_layer
from ..live.subshells import why_controls_wait
from ..views.run_view import RunView
from .arguments import LOOKED_AT
from .class_selector import ClassSelector
from .image_python import keep_upload
from .images import ImageChoices
from .selectors import Selectors

NetworkLike = Network | str | os.PathLike[str] | None


class Panel(ABC):
    """One method's controls and pictures.

    A kind of panel builds its widgets (`_build`), starts its work (`_begin`) and gives its picture and its Python. What
    it looks at is a `SharedSelection`; another selection is reported to `_selected`.

    Parameters
    ----------
    net : Network or str or path, optional
        A network, or what `cnnexplore.load` takes; None: that of the selection, else the panel's default.
    image : object, optional
        An image, a list, or a dict by name; None: that of the selection, else the bundled images.
    layer : str, optional
        None: that of the selection, else the panel's default.
    selection : SharedSelection, optional
        Shares what is looked at with other panels.

    Raises
    ------
    LayerNotFound, ImageError, NetworkError, WeightsError
    """

    looks_at_image = True
    layer_help = "the layer that is looked at"
    default_network = DEFAULT
    save_scale = 1  # whole factor by which a saved picture is enlarged

    @checked(**LOOKED_AT)
    def __init__(self, net: NetworkLike, image: Any, layer: str | None, selection: SharedSelection | None):
        self.selection = SharedSelection() if selection is None else selection
        self.image_choices = self._select(net, image, layer)
        self._followers: list[Selectors | ClassSelector] = []  # of the selection, beside the panel itself
        self._prepare()
        self.key, self.closed = cell_key(self), False
        self._runners: list[Runner] = []
        self._awaited: list[Runner] = []
        self.runner = self._add_runner()
        self.on_poster: Callable[[bytes], None] | None = None
        self.run_view = self._make_run_view()
        self.selectors = Selectors(self.selection, self.image_choices, self.run_view, self.layer_help)
        self._followers.append(self.selectors)
        self.python_button = button("Python", "code", "copy the Python that makes this picture again", self.copy_python)
        self.save_button = button("save", "download", "save the picture as PNG, with its Python inside", self.save)
        self.python_box = w.Textarea(layout=w.Layout(width="98%", height="58px", display="none"))
        space = w.Box(layout=w.Layout(flex="1 1 0"))
        self.head = w.HBox([*self.selectors.row, space, self.python_button, self.save_button], layout=w.Layout(**WRAP))
        self.waiting = w.HTML(layout=w.Layout(display="none"))
        self.middle = w.VBox([self.python_box, *self._build(), self.waiting])
        self.middle.add_class("cx-middle")
        self.widget = w.VBox([self.head, self.middle], layout=w.Layout(max_width="900px"))
        self.widget.add_class("cx-panel")
        self.selection.observe(self._on_selection)
        on_close(self.widget, self.close)
        self.run_view.on_msg(lambda *_: self._say_whether_controls_wait())
        self._say_whether_controls_wait()

    # what a kind of panel defines

    @abstractmethod
    def _build(self) -> list[w.Widget]:
        """The widgets below the row of selectors; `self.run_view` is one of them."""

    @abstractmethod
    def to_python(self) -> str:
        """The Python that makes the picture on the screen again.

        Raises
        ------
        SettingError
            If there is no picture yet.
        """

    @property
    @abstractmethod
    def picture(self) -> np.ndarray:
        """The picture on the screen, (H, W, 3) uint8; (N, H, W, 3) where several stand beside each other."""

    @property
    def number(self) -> str:
        """The number that judges the picture, in words: "relative error 0.064"; "" where there is none."""
        return ""

    @abstractmethod
    def _selected(self, old: Selection, new: Selection) -> None:
        """Follow another selection; an ExploreError becomes a status line."""

    def _prepare(self) -> None:  # noqa: B027 (most kinds of panels need none)
        """Check the arguments and make what the widgets need; the selection is complete, nothing else is made."""

    def _first_layer(self, net: Network) -> Layer:
        return middle_layer(net)

    def _make_run_view(self) -> RunView:
        return RunView(quiet=True)

    def _saved_picture(self) -> np.ndarray:
        """The picture of the file that the button "save" writes, (H, W, 3) uint8."""
        return self.picture

    def _file_name(self) -> str:
        return f"{self.net.name}-{self.layer.name.replace('/', '-')}.png"

    def _hidden_widgets(self) -> list[w.Widget]:
        """Widgets that may not be inside `self.widget` when the panel is closed."""
        return []

    def _shown_elsewhere(self) -> list[w.Widget]:
        """Widgets that a host shows for all its panels: the image, the units of the layer."""
        return []

    def embed(self) -> w.Widget:
        """The panel without the row of selectors and without what its host shows itself, such as the explorer.

        Returns
        -------
        ipywidgets.Widget
            `self.middle`.
        """
        for widget in self._shown_elsewhere():
            widget.layout.display = "none"
        return self.middle

    # what can be shared

    def _shared_controls(self) -> dict[str, w.Widget]:
        """Controls that decide the picture, beside what is selected, by the name of their value in a shared state."""
        return {}

    def shared_settings(self) -> dict[str, Any]:
        """What decides the picture beside the selection: plain values by name, of which `take_settings` makes it again.

        Returns
        -------
        dict
        """
        return {name: control.value for name, control in self._shared_controls().items()}

    def take_settings(self, settings: Mapping[str, Any]) -> None:
        """Take over what `shared_settings` gave.

        Parameters
        ----------
        settings : mapping
            Plain values by name.

        Raises
        ------
        SettingError
            For a name or a value that the panel does not offer; the settings before it are taken.
        """
        self._take(settings)

    def _take(self, settings: Mapping[str, Any]) -> None:
        """What `take_settings` does; a panel of runs begins again."""
        for name, value in settings.items():
            controls = self._shared_controls()  # of a method that was just chosen, too
            if name not in controls:
                known = brief_list(self.shared_settings())
                raise SettingError(f"there is no setting {brief_value(name)} here; expected one of {known}.")
            try:
                if type(value) not in (bool, int, float, str):
                    raise ValueError("no plain value")
                controls[name].value = value
            except (TraitError, ValueError, TypeError, OverflowError) as error:
                raise SettingError(f"{name} is {brief_value(value)}, which this panel does not offer.") from error

    # what is looked at

    @property
    def net(self) -> Network:
        """The network that is looked at."""
        assert self.selection.value.net is not None
        return self.selection.value.net

    @property
    def layer(self) -> Layer:
        """The layer that is looked at."""
        return self.net.layers[self.selection.value.layer]

    def _select(self, net: NetworkLike, image: Any, layer: str | None) -> ImageChoices | None:
        """Complete the selection; return the images that are offered, None where the panel looks at none."""
        shared = self.selection.value
        net = shared.net if net is None else net
        net = self.default_network if net is None else net
        net = net if isinstance(net, Network) else load(net)
        if layer is None:
            layer = shared.layer if shared.layer in net.layers else self._first_layer(net).name
        choices: dict[str, Any] = {"net": net, "layer": net.layers[layer].name}
        offered = None
        if self.looks_at_image:
            offered = ImageChoices(image, net)
            if image is None and shared.image is not None:
                offered.add("shared", shared.image, shared.image_python)
                offered.first = "shared"
            else:
                choices["image"], choices["image_python"] = offered[offered.first]
        self.selection.set(**choices)
        return offered

    def _on_selection(self, old: Selection, new: Selection) -> None:
        with self.run_view.show_errors():
            self._selected(old, new)

    def _say_whether_controls_wait(self) -> None:
        why = why_controls_wait()
        text = sentence(why) if why else ""
        if text != self.waiting.value:
            self.waiting.value, self.waiting.layout.display = text, "" if why else "none"

    def _add_runner(self, purpose: str = "", awaited: bool = True) -> Runner:
        """Another thread of the panel; `wait` waits for it if it is awaited, `close` ends it."""
        runner = Runner(f"{self.key} {purpose}".strip() if self.key else None)
        self._runners.append(runner)
        if awaited:
            self._awaited.append(runner)
        return runner

    # what a person does

    @property
    def works(self) -> bool:
        """Whether any of the panel's threads goes on."""
        return any(runner.state in ("loading", "running") for runner in self._runners)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until everything is computed and shown; an interrupt only ends the waiting.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None waits without limit.

        Returns
        -------
        bool
            Whether it was done in time.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            for runner in self._awaited:
                if not runner.wait(None if end is None else max(end - time.monotonic(), 0)):
                    return False
            if all(runner.idle for runner in self._awaited):  # what one finds may start another
                return True

    def copy_python(self) -> None:
        """Put the Python of the picture on the clipboard and show it; if it is shown already, hide it.

        An uploaded image is written into the working folder, from which the Python reads it.
        """
        kept = None
        with self.run_view.show_errors():
            text = self.to_python()
            if self.python_box.value == text and self.python_box.layout.display != "none":
                return self.hide_python()
            try:
                kept = keep_upload(self.selection.value)
            except OSError as error:
                raise SettingError(f"the uploaded image cannot be saved beside the notebook: {error}.") from error
            self.python_box.value, self.python_box.layout.display = text, ""
            self.run_view.copy(text)
        if kept:
            self.run_view.set_message(f"the uploaded image was saved as {kept}; the copied line reads it from there.")

    def hide_python(self) -> None:
        """Hide the Python that was shown, as when the picture changes."""
        self.python_box.layout.display = "none"

    def save(self) -> None:
        """Have the browser save the picture as a PNG with its Python inside."""
        with self.run_view.show_errors():
            file = png(self._saved_picture(), self.to_python(), self.save_scale)
            self.run_view.download(self._file_name(), file)

    def poster(self) -> bytes:
        """A PNG for where no kernel runs; grey where there is no picture yet."""
        try:
            picture = self._saved_picture()
            return png(picture, self.to_python(), whole_scale(picture.shape[:2]))
        except SettingError:
            return png(np.full((64, 64, 3), 128, np.uint8))

    def close(self) -> None:
        """End the panel: its threads stop, its widgets are closed, and it no longer follows the selection.

        The panel is also closed when its cell is run again, or when its outermost widget is closed.
        """
        if self.closed:
            return
        self.closed, self.on_poster = True, None
        self.selection.unobserve(self._on_selection)
        for follower in self._followers:
            follower.close()
        for runner in self._runners:
            runner.close()
        for widget in {
            id(one): one for root in (self.widget, *self._hidden_widgets()) for one in widgets_of(root)
        }.values():
            widget.close()

    def _ipython_display_(self) -> None:
        if self.closed:
            return show_closed("panel")
        self.on_poster = show_with_png(self.widget, self.poster())

    def _mime_(self) -> tuple[str, str]:
        """What marimo shows, which has no containers for widgets."""
        return "text/html", sentence(IN_MARIMO)

    def _update_poster(self) -> None:
        if self.on_poster is not None:
            self.on_poster(self.poster())


def widgets_of(widget: w.Widget) -> Iterator[w.Widget]:
    """A widget and all that it consists of, with layouts and styles."""
    for name in widget.keys:
        value = getattr(widget, name)
        for part in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(part, w.Widget):
                yield from widgets_of(part)
    yield widget
