"""StylePanel: the styles of a class as points, images and masks, and what the network wants of each, growing live."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import ipywidgets as w
import numpy as np

from .. import drawing
from ..errors import SettingError
from ..network import Layer, Network
from ..preimage import Maximization, Run, Values
from ..preimage.maximization import paper_weight
from ..preimage.settings import paper_jitter
from ..styles import Features, Pathway, Topics, semantic_layer
from ..zoo import load
from .frame_view import FrameView
from .run_panel import RunPanel
from .scatter import COLOURS, Scatter
from .selection import Selection
from .survey import SCENES, Step, Survey
from .unit_grid import UnitGrid
from .work import Work

DEFAULT = "worldnet-styles"  # fc7 of it knows styles, and its images are always at hand
_ALL = "all classes"
_MOST = 8  # topics
_SIDE = 64  # pixels of a thumbnail
_SHOWN = 60  # images of a style that are shown
_COLOURINGS = {"topic": "topic", "class": "label", "prediction": "predicted"}


@dataclass(frozen=True)
class Chosen:
    """A style that was chosen: a topic, or images that were encircled. component: (D,); which: places of its images."""

    component: np.ndarray
    which: np.ndarray
    said: str
    code: str
    topic: int | None = None

    def mask(self, threshold: float) -> np.ndarray:
        """The channels above a share of the component's largest entry."""
        return self.component > threshold * self.component.max()


class StylePanel(RunPanel):
    """A class's images on a plane, in topics; a topic, or images that are encircled, with its mask and pre-image.

    net: a Network, a name or a path for `cx.load` (default: worldnet-styles). images: a folder, a list or a data set
    (default: scenes of the world). style_of: a class's label, or None for all images. k: how many topics. threshold:
    which part of a topic's largest entry a channel of fc7 must exceed to be open. C, jitter: None for the paper's
    choice. selection: share the network with other panels; an image that is clicked is theirs too.
    Raises LayerNotFound, SettingError, NetworkError, WeightsError.
    """

    looks_at_image = False
    layer_help = "the layer whose codes are looked at"
    counts = "class"
    loading = "looking for a first picture …"
    unit = " M"
    means = "the class's score through the topic's pathway, in units of its largest one to the topic's images"

    def __init__(
        self,
        net=None,
        images=None,
        style_of: str | None = "",
        *,
        k: int = 3,
        threshold: float = 0.5,
        C: float | None = None,
        alpha: float = 6,
        beta: float = 2,
        jitter: int | None = None,
        steps: int = 200,
        seed: int = 0,
        seeds: int = 1,
        start: bool = True,
        selection: Selection | None = None,
    ):
        if not isinstance(k, int) or not 1 <= k <= _MOST:
            raise SettingError(f"k is {k!r}; expected how many topics, 1 to {_MOST}.")
        if not isinstance(threshold, (int, float)) or not 0 <= threshold <= 0.9:
            raise SettingError(f"threshold is {threshold!r}; expected a share of a topic's largest entry, 0 to 0.9.")
        net = net or (selection.net if selection is not None else None) or DEFAULT
        net = net if isinstance(net, Network) else load(net)
        self._given, self._first = images, (style_of, k, threshold)
        self.features: Features | None = None
        self.topics: Topics | None = None
        self.chosen: Chosen | None = None
        self._surveyed: tuple | None = None
        self._quiet = False
        self._start = start
        given = {"C": C, "alpha": alpha, "beta": beta, "jitter": jitter}
        super().__init__(net, None, semantic_layer(net).name, given, steps, seed, seeds, start, selection)
        self._look()

    # what it runs

    def _usual(self, layer: Layer, size: tuple[int, int]) -> Values:
        scores = self.selection.net.scores
        return Values(paper_weight(scores, size), jitter=paper_jitter(scores))

    def _looked_at(self) -> tuple:
        chosen = self.chosen
        mask = None if chosen is None else chosen.mask(self.threshold.value).tobytes()
        return self.selection.net, self.class_box.value, mask

    def _begin(self, go: bool = True) -> None:
        if self.chosen is not None:  # before there are topics there is nothing to run
            super()._begin(go)

    def _make(self) -> Callable[[], Run]:
        net, features, chosen, mask = self.selection.net, self.features, self.chosen, self._mask
        said = features.predicted[chosen.which]
        settings = {"steps": self.starts.steps, "seed": self.starts.noises, "settings": self.settings}

        def make() -> Maximization:
            unit = int(np.bincount(said[said >= 0], minlength=1).argmax())
            images = [features.image(k) for k in chosen.which[:16]]
            most = float(net.activations(images, net.scores.name).flatten(1)[:, unit].max())
            more = {"pathway": Pathway.topic(mask), "M": round(max(most, 1e-3), 3)}
            return Maximization(net, net.scores.name, unit, **settings, **more)

        return make

    @property
    def _mask(self) -> np.ndarray:
        return self.chosen.mask(self.threshold.value)

    def _code_of(self, run: Maximization, step: int | None) -> str:
        return f"{run.code(step=step)}  # {self.chosen.code}"

    def _says(self, run: Maximization) -> str:
        return f"what {self._class_name(run)} is through {self.chosen.said}"

    def _class_name(self, run: Maximization) -> str:
        names, unit = run.net.labels, run.units[0]
        return names[unit] if unit < len(names) else f"class {unit}"

    # what is on the screen

    def _above(self) -> list[w.Widget]:
        first, k, threshold = self._first
        self.survey = Survey(self.runner.key, self._given)
        self.survey.runner.on_frame, self.survey.runner.on_error = self._found, self._error
        self.survey.thumbnails.on_frame = lambda found: self._show_thumbnails(*found)
        self.scatter = Scatter()
        self.scatter.on_hover, self.scatter.on_pick, self.scatter.on_lasso = self._hovered, self._picked, self._lassoed
        self.choosers.layer.layout.display = "none"
        self.class_box = self._chooser(
            [first or _ALL] if first != "" else [""], "class", "whose images are looked at", 200
        )
        self.k_box = self._chooser(list(range(1, _MOST + 1)), "topics", "k: how many topics", 106)
        self.k_box.value = k
        self.colour_box = self._chooser(list(_COLOURINGS), "colour", "what the colours of the points mean", 150)
        self.threshold = w.FloatSlider(
            threshold, min=0, max=0.9, step=0.05, description="threshold", readout_format=".2f",
            tooltip="how much of a topic's largest entry a channel must have to be open in m7",
            layout=w.Layout(width="260px"), style={"description_width": "62px"}, continuous_update=False,
        )  # fmt: skip
        self.buttons = [self._topic_button(k) for k in range(_MOST)]
        self.legend = w.HTML()
        self.hovered = FrameView((_SIDE, _SIDE), "move over a point", scale=2)
        self.hovered.draw(np.full((_SIDE, _SIDE, 3), 128, np.uint8))
        self.mask_view = FrameView((16, 16), "mask", scale=8)
        self.mask_view.draw(np.full((16, 16, 3), 128, np.uint8))
        self.grid = UnitGrid(rows=2.2)
        self.grid.on_select(self._image_chosen)
        for box in (self.class_box, self.k_box):
            box.observe(lambda change: self._look(), "value")
        self.colour_box.observe(lambda change: self._paint(), "value")
        self.threshold.observe(lambda change: self._threshold_moved(), "value")
        wrap = {"flex_flow": "row wrap", "align_items": "center", "grid_gap": "4px 10px"}
        choices = w.HBox([self.class_box, self.k_box, self.colour_box, self.legend], layout=w.Layout(**wrap))
        buttons = w.HBox([*self.buttons, self.threshold], layout=w.Layout(**wrap))
        side = w.HBox(
            [self.hovered, self.mask_view], layout=w.Layout(flex_flow="row wrap", grid_gap="12px", width="300px")
        )
        plane = w.Box([self.scatter.widget], layout=w.Layout(flex="1 1 420px", min_width="0", overflow="hidden"))
        row = w.HBox([plane, side], layout=w.Layout(flex_flow="row wrap", grid_gap="12px", margin="4px 0"))
        return [choices, row, buttons, self.grid]

    def _chooser(self, options: list, name: str, tip: str, width: int) -> w.Dropdown:
        style = {"description_width": "initial"}
        return w.Dropdown(
            options=options, description=name, tooltip=tip, layout=w.Layout(width=f"{width}px"), style=style
        )

    def _topic_button(self, topic: int) -> w.Button:
        button = w.Button(
            tooltip="its images, its mask and what the network wants of it", layout=w.Layout(width="118px")
        )
        button.style.button_color, button.style.text_color = COLOURS[topic], "white"
        button.layout.display = "none"
        button.on_click(lambda _: self.choose(topic))
        return button

    # the survey

    def _look(self) -> None:
        """Looks at what is selected, unless it is looked at already."""
        if self._quiet:
            return
        wanted = self.selection.net, self.class_box.value, self.k_box.value
        if wanted == self._surveyed:
            return
        self._surveyed = wanted
        self.runner.stop()
        name = self.class_box.value
        self.run_view.tell("loading", "looking at images …")
        self.survey.begin(self.selection.net, None if name == _ALL else name, self.k_box.value)

    def _selected(self, change) -> None:
        net = self.selection.net
        if self._surveyed is not None and net is not self._surveyed[0]:
            with self.run_view.sentences():
                self.controls.suit(net.layers[semantic_layer(net).name], net.size)
                self.chosen = None
                self._look()

    def _found(self, step: Step) -> None:
        if step.topics is None or step.moved:
            if step.embedding is not None:
                self._show_points(step.embedding.points)
            if self.chosen is None or self.runner.state not in ("running", "loading"):
                self.run_view.tell("loading", step.said)
            return
        self.features, self.topics, self._points = step.features, step.topics, None
        self._offer_classes()
        for k, button in enumerate(self.buttons):
            button.layout.display = "" if k < len(self.topics) else "none"
        counts = np.bincount(self.topics.assignment, minlength=len(self.topics))
        for button, (k, count) in zip(self.buttons, enumerate(counts), strict=False):
            button.description = f"topic {k} · {count}"
        if step.embedding is not None:
            self._show_points(step.embedding.points)
        same = self.chosen is not None and self.chosen.topic is not None and self.chosen.topic < len(self.topics)
        self.choose(self.chosen.topic if same else 0)

    def _offer_classes(self) -> None:
        names = [_ALL, *self.survey.classes(self.selection.net)]
        now = self.class_box.value
        if list(self.class_box.options) != names:
            self._quiet = True
            self.class_box.options = names
            self.class_box.value = now if now in names else names[1] if len(names) > 1 else _ALL
            self._quiet = False
            self._surveyed = self.selection.net, self.class_box.value, self.k_box.value

    def _show_points(self, points: np.ndarray) -> None:
        fresh = self._points is None
        self._points = points
        self.scatter.show(points, self._colours())
        if fresh:
            self._paint()

    def _colours(self) -> np.ndarray:
        if self.colour_box.value == "topic":
            return self.topics.assignment
        numbers = self.features.labels if self.colour_box.value == "class" else self.features.predicted
        return np.where(numbers < 0, -1, np.unique(numbers, return_inverse=True)[1])

    def _paint(self) -> None:
        if self.features is None or self._points is None:
            return
        colours, kind = self._colours(), self.colour_box.value
        self.scatter.paint(colours)
        text = ""
        if kind != "topic":
            numbers, names = (
                (self.features.labels, self.features.classes)
                if kind == "class"
                else (self.features.predicted, self.features.predictions)
            )
            known = [names[k] if k >= 0 else "none" for k in np.unique(numbers)]
            dots = [f'<span style="color:{COLOURS[k % len(COLOURS)]}">●</span> {n}' for k, n in enumerate(known[:24])]
            text = " &nbsp; ".join(dots)
        self.legend.value = f'<span style="line-height:1.3">{text}</span>'

    # what a person chooses

    def choose(self, topic: int) -> None:
        """Shows a topic: its images, its mask, and what the network wants of it."""
        if self.topics is None:
            raise SettingError("the topics are not found yet; wait a moment.")
        name = self.class_box.value
        of = "" if name == _ALL else f".of({name!r})"
        features = f"cx.features({self.selection.net.code}, {self._images_code}){of}"
        code = f"topic {topic} of cx.topics({features}, {len(self.topics)})"
        near = self.topics.nearest(topic)
        said = f"topic {topic}" + (f" (nearest: topic {near[0][0]}, {near[0][1]:.2f})" if near else "")
        which = self.topics.images(topic, None)
        self._show_style(Chosen(self.topics.components[topic], which, f"topic {topic}", code, topic), said)
        self.scatter.emphasise(None)

    @property
    def _images_code(self) -> str:
        if self._given is None:
            return f"cx.world.dataset{SCENES}"
        return repr(self._given) if isinstance(self._given, str) else "images"

    def _lassoed(self, places: list[int]) -> None:
        if self.features is None:
            return
        mean = np.maximum(np.asarray(self.features.codes[places], np.float32), 0).mean(0)
        if not mean.any():
            return
        said = f"{len(places)} images by hand"
        self._show_style(Chosen(mean / np.linalg.norm(mean), np.array(places), said, f"the mean code of {said}"), said)

    def _show_style(self, chosen: Chosen, said: str) -> None:
        self.chosen = chosen
        for k, button in enumerate(self.buttons):
            button.layout.border = (
                "3px solid var(--jp-ui-font-color1)" if k == chosen.topic else "3px solid transparent"
            )
        which = chosen.which[:_SHOWN].tolist()
        names = [self._about(k) for k in which]
        self.grid.begin(len(which), _SIDE, names)
        self.grid.note = f"{len(chosen.which)} images of {said}" if chosen.topic is not None else said
        features = self.features
        self.survey.thumbnails.begin(lambda: Work(self.survey.picture(features, which, _SIDE), 10_000))
        self._show_mask()
        if self._begun_style() != self._looked_at():
            self._begin(self._start)
            self._start = True

    def _begun_style(self) -> tuple | None:
        return getattr(self, "_begun", None)

    def _about(self, k: int) -> str:
        features, label, said = self.features, int(self.features.labels[k]), int(self.features.predicted[k])
        words = [f"image {features.numbers[k]}"]
        if label >= 0:
            words.append(features.classes[label])
        if said >= 0 and (label < 0 or features.predictions[said] != features.classes[label]):
            words.append(f"said to be {features.predictions[said]}")
        return ", ".join(words)

    def _show_mask(self) -> None:
        mask, component = self._mask, self.chosen.component
        side = int(np.ceil(np.sqrt(len(mask))))
        shown = np.zeros(side * side, np.float32)
        shown[: len(mask)] = component / component.max()
        picture = drawing.heat(shown.reshape(side, side), span=(0, 1))
        shut = ~np.pad(mask, (0, side * side - len(mask))).reshape(side, side)
        picture[shut] = (0.25 * picture[shut] + 0.75 * 90).astype(np.uint8)
        if (self.mask_view.height, self.mask_view.width) != (side, side):
            self.mask_view.resize((side, side), max(1, 128 // side))
        self.mask_view.draw(picture)
        self.mask_view.caption = f"m7 of {self.chosen.said}: {int(mask.sum())} of {len(mask)} units open"

    def _threshold_moved(self) -> None:
        if self.chosen is not None:
            self._show_mask()
            self._begin()

    def _show_thumbnails(self, first: int, pictures: np.ndarray) -> None:
        places = range(first, min(first + len(pictures), self.grid.count))
        if places:
            self.grid.put(list(places), pictures[: len(places)])

    def _hovered(self, k: int) -> None:
        if self.features is not None and k < len(self.features):
            picture = self.features.pictures([k], _SIDE)[0]
            if (self.hovered.height, self.hovered.width) != picture.shape[:2]:
                self.hovered.resize(picture.shape[:2], 2)
            self.hovered.draw(picture)
            self.hovered.caption = f"{self._about(k)}, topic {self.topics.assignment[k]}"

    def _picked(self, k: int) -> None:
        """A point that is clicked: its topic, and for all panels its image."""
        if self.features is None or k >= len(self.features):
            return
        topic = int(self.topics.assignment[k])
        if self.chosen.topic != topic:
            self.choose(topic)
        self._share(k)

    def _image_chosen(self, place: int) -> None:
        self._share(int(self.chosen.which[place]))

    def _share(self, k: int) -> None:
        self._hovered(k)
        self.scatter.ring(k)
        code = f"{self._images_code}[{int(self.features.numbers[k])}]"
        labelled = self._given is None or self.features.labels[k] >= 0
        self.selection.image_code = f"{code}[0]" if labelled else code
        self.selection.image = self.features.image(k)

    def _views(self, count: int) -> None:
        super()._views(count)
        if count == 0 and self.survey.runner.state == "running":
            self.survey.runner.pause()
        elif count and self.survey.runner.state == "paused":
            self.survey.runner.resume()
