"""Explorer: one network, image, layer and unit on one screen, and all questions about them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import ipywidgets as w
import numpy as np
import torch

from ...arguments import checked, choice, is_folder, optional
from ...data import Images
from ...data.columns import is_data_set
from ...errors import ExploreError, SettingError
from ...network import Network, scores_if_any
from ...zoo import DEFAULT, load
from ..elements import WRAP, WRONG, button, escaped, sentence
from ..live.host import IN_MARIMO
from ..live.notebook import cell_key, on_close, show_closed, show_with_png
from ..live.runner import Runner
from ..live.selection import Selection, SharedSelection, middle_layer
from ..live.task import Task
from ..panels.arguments import network
from ..panels.base import NetworkLike, Panel, widgets_of
from ..panels.image_python import image_python, items_python, keep_upload
from ..panels.images import ImageChoices, as_list
from ..panels.run_panel import RunPanel
from ..panels.run_pictures import picture_row
from ..panels.selectors import Selectors
from ..views.explorer_guide import ExplorerGuide
from ..views.layer_strip import LayerStrip
from ..views.run_view import RunView
from .exercise import Exercise, ExerciseRow, exercise_argument
from .image_shelf import ImageShelf
from .image_view import ImageView
from .kept_by_layer import KeptByLayer
from .layer_units import LayerUnits
from .pins import Pin, Pins
from .questions import FOR_PATCHES, QUESTIONS, at_least
from .responses import Responses, response_stream
from .shared_state import SharedState, read_state

_MOST_ON_SHELF = 60  # images of a folder or a data set


class Explorer:
    """What is looked at is always on the screen, and each question is asked of it.

    Above, the network, the images and the layers, drawn to scale. Below, the image with the network's predictions
    beside the answer to a question: the middle of one of the panels. At the bottom, the units of the layer. A choice
    anywhere is followed everywhere. A question's panel is made when it is first asked, and pauses while another one is
    shown.

    Parameters
    ----------
    net : Network or str or path, optional
        A network, or what `load` takes (default: "photonet").
    images : object, optional
        An image, a list, a dict by name, a folder or a data set (default: the bundled images). From 9 images on, the
        strongest patches of units are looked for in them; from 20 on, styles.
    name : str
        The first question, one of `QUESTIONS`.
    exercise : Exercise, optional
        A question to a student, shown above.
    state : dict, str or path, optional
        What another explorer looked at, as its button "share" copies it, or a file with it. A network that is given
        takes the place of the one of the state.

    Raises
    ------
    ImageError, NetworkError, WeightsError
    LayerNotFound, SettingError
        If the state does not fit the network, or is none.

    Attributes
    ----------
    selection : SharedSelection
        What is looked at.
    panels : dict
        The panels of the questions that were asked, by name.
    pins : Pins
        The pictures that were pinned.
    exercise : ExerciseRow or None
        What the student is asked, with the attempts.
    """

    @checked(net=optional(network), name=choice(QUESTIONS), exercise=optional(exercise_argument))
    def __init__(
        self,
        net: NetworkLike = None,
        images: Any = None,
        name: str = "inversion",
        *,
        exercise: Exercise | None = None,
        state: Any = None,
    ):
        shared = None if state is None else read_state(state)
        if shared is not None:
            net = shared.open_network(load(net) if isinstance(net, (str, os.PathLike)) else net)
        net = net if isinstance(net, Network) else load(DEFAULT if net is None else net)
        on_shelf, self._images, lines = shelf_and_all(images)
        choices = ImageChoices(on_shelf, net)
        for name_on_shelf, line in lines.items():
            choices.add(name_on_shelf, on_shelf[name_on_shelf], line)
        if shared is not None:
            choices.first = shared.offer_image(choices)
        image, python = choices[choices.first]
        chosen = {"layer": middle_layer(net).name} if shared is None else shared.choose(net)
        self.selection = SharedSelection()
        self.selection.set(net=net, image=image, image_python=python, **chosen)
        self.key, self.closed = cell_key(self), False
        self._on_poster: Callable[[bytes], None] | None = None
        self.panels: dict[str, Panel] = {}
        self._shown, self._asked = "", ""  # the question whose panel is shown, and the one whose button is pressed
        self._runners: list[Runner] = []
        self._message = RunView(quiet=True)
        self.exercise = None if exercise is None else ExerciseRow(exercise, lambda: self.selection.value)
        self._build(choices)
        self.selection.observe(self._follow)
        on_close(self.widget, self.close)
        first = name if exercise is None or exercise.ask is None else exercise.ask
        self.ask(first if shared is None else shared.question)
        if shared is not None:
            self._take(shared)
        self._respond()
        self.kept.show(self.selection.value)

    def _build(self, choices: ImageChoices) -> None:
        s = self.selection.value
        assert s.net is not None
        self.selectors = Selectors(self.selection, None, self._message, "the layer that is looked at")
        self.network = self.selectors.network
        self.python_button = button("Python", "code", "copy the Python that makes this picture again", self._copy)
        self.save_button = button("save", "download", "save the picture as PNG, with its Python inside", self._save)
        self.share_button = button("share", "share-alt", "copy what is looked at, for explore(state=...)", self.share)
        space = w.Box(layout=w.Layout(flex="1 1 0"))
        self.about = w.HTML()
        self.pin_button = button(
            "pin", "thumb-tack", "keep this picture, to compare it and to come back to it", self.pin
        )
        self.pins = Pins(self.restore, self._message.download)
        self.guide = ExplorerGuide()
        self.guide.on_question = self._key_pressed
        self.guide.on_pause = self._pause_or_go_on
        actions = [self.pin_button, self.python_button, self.save_button, self.share_button, self.guide]
        row = {**WRAP, "align_items": "center"}
        head = w.HBox([self.network, self.about, space, *actions], layout=w.Layout(**row))
        self.shelf = ImageShelf(self.selection, choices, self._runner("images"), self._message.show_errors)
        self.strip = LayerStrip(s.net, s.layer)
        self.strip.observe(lambda change: self.selection.set(layer=change["new"]), "selected")
        self.image = ImageView(self.selection)
        searched = at_least(self._images, FOR_PATCHES)
        self.units = LayerUnits(self.selection, self._runner("units"), self._runner("wanted"), searched, self._is_busy)
        self.kept = KeptByLayer(self.selection, self._runner("kept"), self._works)
        self._responder = self._runner("responses")
        self._responder.on_result = self._show_responses
        self._responder.on_error = lambda text, trace: self._message.set_message(text)
        self.questions = {
            key: w.ToggleButton(description=one.label, tooltip=one.asked(s), layout=w.Layout(width="auto"))
            for key, one in QUESTIONS.items()
        }
        for key, one in self.questions.items():
            one.observe(lambda change, key=key: self._pressed(key, change), "value")
        row = w.HBox(list(self.questions.values()), layout=w.Layout(margin="8px 0 0 0", grid_gap="4px", **WRAP))
        row.add_class("cx-questions")
        self.question = w.HTML()
        self._area = w.VBox(layout=w.Layout(width="100%", min_width="0"))
        looked_at = w.VBox([self.image.widget, self.units.widget])
        looked_at.add_class("cx-looked-at")
        answer = w.VBox([self.question, self._area])
        answer.add_class("cx-answer")
        stage = w.HBox([looked_at, answer], layout=w.Layout(**WRAP))
        above = [] if self.exercise is None else [self.exercise.widget]
        looked_for = [head, self.shelf.widget, self.strip, self.kept.grid]
        parts = [*above, *looked_for, row, stage, self.pins.widget, self._message]
        self.widget = w.VBox(parts, layout=w.Layout(max_width="1400px"))
        self.widget.add_class("cx-explorer")
        self._say_what_can_be_asked()

    # what a person does

    @checked(name=choice(QUESTIONS))
    def ask(self, name: str) -> None:
        """Show the answer to a question about what is selected.

        Parameters
        ----------
        name : str
            One of `QUESTIONS`.

        Raises
        ------
        SettingError
            For another name.
        """
        self._say_question(name)
        self._asked = name
        for key, switch in self.questions.items():
            switch.value = key == name
        try:
            panel = self._panel(name)
        except ExploreError as error:  # the panel before stays the one whose picture and Python are used
            if not self.panels:
                raise
            self._area.children = [w.HTML(sentence(str(error), WRONG))]
            return
        if self._shown:
            self.panel.run_view.report_to(None)
        self._shown = name
        panel.run_view.report_to(self._message)
        self._area.children = [panel.middle]  # the one before loses its views, and pauses
        self._pass_on_posters()
        self._forward()

    def pin(self) -> None:
        """Keep the picture on the screen, with what is selected and the settings; a click on it shows it again."""
        with self._message.show_errors():
            panel, question = self.panel, QUESTIONS[self._shown]
            try:
                python = panel.to_python()
            except SettingError as error:
                raise SettingError(f"there is no picture to pin: {error}") from error
            caption = ", ".join(text for text in (question.asked(panel.selection.value), panel.number) if text)
            picture = picture_row(np.asarray(panel.picture))
            selection, settings = self.selection.value, panel.shared_settings()
            self.pins.add(Pin(picture, caption, python, self._shown, selection, settings))

    def restore(self, pin: Pin) -> None:
        """Select what was selected when a picture was pinned, and make the picture again.

        Parameters
        ----------
        pin : Pin
        """
        with self._message.show_errors():
            chosen = pin.selection
            self.selection.set(**{name: getattr(chosen, name) for name in chosen.__dataclass_fields__})
            self.ask(pin.question)
            self.panel.take_settings(pin.settings)

    @property
    def panel(self) -> Panel:
        """The panel that is shown."""
        return self.panels[self._shown]

    @property
    def picture(self) -> Any:
        """The picture of the shown panel."""
        return self.panel.picture

    def to_python(self) -> str:
        """The Python that makes the picture on the screen again."""
        return self.panel.to_python()

    def state(self) -> dict[str, Any]:
        """What is looked at, as plain values that `explore(state=...)` opens: see the button "share".

        Returns
        -------
        dict
            The network, the image, the layer, the unit, the position, the class, the question, and the settings of its
            panel. Files are named by their path and the digest of their bytes.
        """
        s = self.selection.value
        return SharedState.of(s, image_python(s), self._shown, self.panel.shared_settings()).as_dict()

    def share(self) -> None:
        """Copy the state as JSON; an uploaded image is written into the working folder, to be sent along."""
        with self._message.show_errors():
            try:
                kept = keep_upload(self.selection.value)
            except OSError as error:
                raise SettingError(f"the uploaded image cannot be saved beside the notebook: {error}.") from error
            self._message.copy(json.dumps(self.state(), ensure_ascii=False))
            also = f" The image was saved as {kept}: send it along." if kept else ""
            self._message.set_message(f"The state is on the clipboard; cx.explore(state=...) opens it.{also}")

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the shown panel has computed everything; see `Panel.wait`."""
        return self.panel.wait(timeout)

    def close(self) -> None:
        """End all panels and threads and close the widgets; also when the cell is run again."""
        if self.closed:
            return
        self.closed = True
        self.selection.unobserve(self._follow)
        self.selectors.close()
        for panel in self.panels.values():
            panel.selection.unobserve(self._followed_by_panel)
            panel.close()
        for runner in self._runners:
            runner.close()
        roots = (self.widget, *self.selectors.row)
        for widget in {id(part): part for root in roots for part in widgets_of(root)}.values():
            widget.close()

    def _mime_(self) -> tuple[str, str]:
        """What marimo shows, which has no containers for widgets."""
        return "text/html", sentence(IN_MARIMO)

    def _ipython_display_(self) -> None:
        if self.closed:
            return show_closed("explorer")
        self._on_poster = show_with_png(self.widget, self.panel.poster())
        self._pass_on_posters()

    def _take(self, shared: SharedState) -> None:
        """Show a state; settings that the panel does not offer are said, and the rest is shown."""
        with self._message.show_errors():
            self.panel.take_settings(shared.settings)

    # what follows from a choice

    def _panel(self, name: str) -> Panel:
        if name not in self.panels:
            shared = SharedSelection(self._for_panel(name))
            panel = self.panels[name] = QUESTIONS[name].make(shared, self._images)
            panel.embed()
            panel.middle.layout.width = "100%"
            if self.exercise is not None and isinstance(panel, RunPanel):
                for setting in self.exercise.exercise.locked:
                    panel.controls.lock(setting)
            shared.observe(self._followed_by_panel)
        return self.panels[name]

    def _for_panel(self, name: str) -> Selection:
        """The selection as the panel of a question takes it: perhaps of another layer, with units of its own."""
        s = self.selection.value
        return s.changed(layer=QUESTIONS[name].fit(s))

    def _forward(self) -> None:
        """Have the shown panel look at what is selected."""
        if self._shown:
            chosen = self._for_panel(self._shown)
            fields = {name: getattr(chosen, name) for name in chosen.__dataclass_fields__}
            self.panel.selection.set(**fields)

    def _followed_by_panel(self, old: Selection, new: Selection) -> None:
        """What was chosen in the shown panel is selected everywhere."""
        if not self._shown or self.panel.selection.value is not new:
            return
        changes = {name: getattr(new, name) for name in new.differences(old)}
        if new.layer == QUESTIONS[self._shown].fit(self.selection.value):
            changes.pop("layer", None)
            if new.layer != self.selection.value.layer:  # a unit of the panel's layer is none of the selected one
                changes.pop("unit", None)
                changes.pop("position", None)
        self.selection.set(**changes)

    def _follow(self, old: Selection, new: Selection) -> None:
        """Show another selection everywhere."""
        changed = new.differences(old)
        assert new.net is not None
        self.pins.leave()
        if {"net", "layer"} & changed:
            self.strip.show(new.net, new.layer)
        if "net" in changed:
            self._say_what_can_be_asked()
            self.shelf.begin()  # its thumbnails are as the network takes them
        with self._message.show_errors():
            if {"net", "image"} & changed:
                self.image.show(new)
            if {"net", "image", "layer"} & changed:
                self._respond()
            if {"net", "image"} & changed:
                self.kept.show(new)
            self.kept.follow(new)
            self.image.follow()
            self.units.follow()
            if self._shown:
                self._say_question(self._shown)
            self._forward()

    def _say_question(self, name: str) -> None:
        text = QUESTIONS[name].asked(self.selection.value)
        self.question.value = f'<span style="font-weight:600">{escaped(text)}</span>'

    def _respond(self) -> None:
        selection = self.selection.value
        self._responder.begin(lambda: Task(response_stream(selection), 2))

    def _show_responses(self, found: Responses) -> None:
        s = self.selection.value
        if (found.net, found.layer) == (s.net, s.layer):
            self.image.show_responses(found)
            self.image.follow()
            self.units.show(found)
            self.units.follow()

    def _pressed(self, key: str, change: dict) -> None:
        if change["new"] and key != self._asked:
            self.ask(key)
        elif not change["new"] and key == self._asked:
            self.questions[key].value = True  # one question is always asked

    def _key_pressed(self, number: int) -> None:
        switch = list(self.questions.values())[number]
        if not switch.disabled:
            switch.value = True

    def _pause_or_go_on(self) -> None:
        runner = self.panel.runner
        if runner.state == "running":
            runner.pause()
        else:
            runner.resume()

    def _say_what_can_be_asked(self) -> None:
        net = self.selection.value.net
        assert net is not None
        height, width = net.size
        scores = scores_if_any(net)
        classes = f"{scores.channels:,} classes, " if scores is not None else ""
        self.about.value = sentence(f"{classes}{height} x {width} px, {len(net.layers)} layers")
        mean, std = (" ".join(f"{v:.4g}" for v in values) for values in (net.pixels.mean, net.pixels.std))
        self.about.tooltip = f"It is given {net.pixels.order}, 0 to 255, minus {mean}, over {std}."
        for key, one in QUESTIONS.items():
            why = one.why_not(net)
            self.questions[key].disabled = bool(why)
            self.questions[key].tooltip = why or one.asked(self.selection.value)

    # the rest

    def _copy(self) -> None:
        self.panel.copy_python()

    def _save(self) -> None:
        self.panel.save()

    def _runner(self, purpose: str) -> Runner:
        runner = Runner(f"{self.key} {purpose}" if self.key else None)
        self._runners.append(runner)
        return runner

    def _is_busy(self) -> bool:
        return bool(self._shown) and self.panel.runner.state in ("loading", "running")

    def _works(self) -> bool:
        """Whether anything goes on that a person waits for."""
        others = [one for one in self._runners if one is not self.kept.runner]
        return any(one.state in ("loading", "running") for one in others) or (bool(self._shown) and self.panel.works)

    def _pass_on_posters(self) -> None:
        """The static picture of the explorer is that of the shown panel."""
        for panel in self.panels.values():
            panel.on_poster = self._on_poster if panel is self.panel else None


def shelf_and_all(images: Any) -> tuple[Any, Any, dict[str, str]]:
    """What stands on the shelf of the images that were given, all of them, and the Python of some by name.

    Parameters
    ----------
    images : object
        An image, a list, a dict by name, a folder or a data set.
    """
    if images is None or isinstance(images, dict):
        return images, None if images is None else list(images.values()), {}
    from_folder = is_folder(images)
    is_one = isinstance(images, (str, os.PathLike, np.ndarray, torch.Tensor, list, tuple))
    if (
        from_folder
        or isinstance(images, Images)
        or is_data_set(images)
        or (not is_one and hasattr(images, "__getitem__"))
    ):
        source = images if isinstance(images, Images) else Images(images)
        first = range(min(len(source), _MOST_ON_SHELF))
        names = [os.path.basename(source.source[k]) if from_folder else f"image {k}" for k in first]
        names = [f"{name} ({k})" if name in names[:k] else name for k, name in enumerate(names)]
        python = (lambda k: repr(os.fspath(source.source[k]))) if from_folder else items_python(images)
        return {names[k]: source[k] for k in first}, source, {names[k]: python(k) for k in first}
    return images, as_list(images), {}


def explore(
    net: NetworkLike = None, images: Any = None, *, exercise: Exercise | None = None, state: Any = None
) -> Explorer:
    """The explorer of a network: its layers, its units, an image, and all questions about them, linked.

    Parameters
    ----------
    net : Network or str or path, optional
        A network, or what `load` takes (default: "photonet").
    images : object, optional
        An image, a list, a dict by name, a folder or a data set (default: the bundled images).
    exercise : Exercise, optional
        A question to a student, shown above, with a hint and a check of what is selected.
    state : dict, str or path, optional
        What another explorer looked at: the JSON that its button "share" copies, a file with it, or the dict that
        `Explorer.state` returns. A network that is given takes the place of the one of the state.

    Returns
    -------
    Explorer
        Shown when it is the last line of a cell.

    Raises
    ------
    ImageError, NetworkError, WeightsError
        Also if a file of the state is missing; the sentence names it.
    LayerNotFound, SettingError
        If the state does not fit the network, or is none; if the exercise is none.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> explorer = cx.explore("lenet", cx.digit(3))
    >>> explorer.selection.layer
    'conv2'
    >>> again = cx.explore(state=explorer.state(), images=[cx.digit(3)])
    >>> again.selection.layer
    'conv2'
    >>> explorer.close(), again.close()
    (None, None)
    """
    return Explorer(net, images, exercise=exercise, state=state)
