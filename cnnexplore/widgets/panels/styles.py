"""StylePanel: the styles of a class as points, images and masks, and what the network wants of each, growing live."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import ipywidgets as w
import numpy as np

from ...errors import SettingError
from ...network import Layer, Network, features_layer
from ...preimage import Maximization, Run, Values, paper_jitter, paper_weight
from ...representations import Features
from ...styles import Pathway, Topics
from ...styles.topic_visualization import DISTINCT, THRESHOLD, class_and_scale
from ...zoo import load
from ..live.selection import Selection
from ..live.task import Task
from ..views.embedding_view import SIDE, EmbeddingView
from ..views.frame_view import FrameView
from ..views.unit_grid import UnitGrid
from .chosen_style import ChosenStyle
from .class_selector import ClassStyles
from .run_panel import RunPanel
from .topic_controls import TopicControls, check
from .topic_search import SCENES, Step, TopicSearch

DEFAULT = "worldnet-styles"  # fc7 of it knows styles, and its images are always at hand
_SHOWN = 60  # images of a style that are shown
_MASK = 128  # screen pixels of the mask, about


class StylePanel(RunPanel):
    """A class's images on a plane, in topics; a topic, or images that are encircled, with its mask and pre-image.

    net: a Network, a name or a path for `cx.load` (default: worldnet-styles). images: a folder, a list, a data set or
    what `cx.features` found in one (default: scenes of the world). style_of: a class's label, or None for all images.
    k: how many topics. threshold, distinct: what a channel of fc7 must have to be open, as `Topics.mask` takes them.
    C, jitter: None for the paper's choice. selection: share the network with other panels; an image that is clicked is
    theirs too.
    Raises LayerNotFound, SettingError, NetworkError, WeightsError.
    """

    looks_at_image = False
    layer_help = "the layer whose codes are looked at"
    counts = "class"
    loading = "looking for a first picture …"
    unit = " M"
    means = "the class's score through the style's pathway, in units of the largest of its images"

    def __init__(
        self,
        net=None,
        images=None,
        style_of: str | None = "",
        *,
        k: int = 3,
        threshold: float = THRESHOLD,
        distinct: float = DISTINCT,
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
        check(k, threshold, distinct)
        net = net or (images.net if isinstance(images, Features) else selection and selection.net) or DEFAULT
        net = net if isinstance(net, Network) else load(net)
        self._given, self._first = images, (style_of, k, threshold, distinct)
        self.chosen: ChosenStyle | None = None
        self._searched: tuple | None = None
        self._start = start
        given = {"C": C, "alpha": alpha, "beta": beta, "jitter": jitter}
        super().__init__(net, None, None, given, steps, seed, seeds, start, selection)
        self._look()

    @property
    def features(self) -> Features | None:
        """The codes of the images on the plane."""
        return self.embedding_view.features

    @property
    def topics(self) -> Topics | None:
        """Their topics."""
        return self.embedding_view.topics

    # what it runs

    def _usual(self, layer: Layer, size: tuple[int, int]) -> Values:
        scores = self.selection.net.scores
        return Values(self.parameters, C=paper_weight(scores, size), jitter=paper_jitter(scores))

    def _looked_at(self) -> tuple:
        return self.selection.net, self.chosen, self.choices.threshold.value, self.choices.distinct.value

    def _begin(self, go: bool = True) -> None:
        if self.chosen is not None:  # before there are topics there is nothing to run
            super()._begin(go)

    def _make(self) -> Callable[[], Run]:
        net, features, chosen, mask = self.selection.net, self.features, self.chosen, self._mask
        settings = {"steps": self.starts.steps, "seed": self.starts.noises, "settings": self.settings}

        def make() -> Maximization:
            unit, most = class_and_scale(features, chosen.which, mask)
            return Maximization(net, net.scores.name, unit, pathway=Pathway.topic(mask), M=most, **settings)

        return make

    @property
    def _mask(self) -> np.ndarray:
        return self.chosen.mask(self.choices.threshold.value, self.choices.distinct.value)

    def _python_of(self, run: Maximization, step: int | None) -> str:
        return f"{run.to_python(step=step)}  # {self.chosen.code}"

    def _says(self, run: Maximization) -> str:
        names, unit = run.net.labels, run.units[0]
        name = names[unit] if unit < len(names) else f"class {unit}"
        return f"what {name} is through {self.chosen.said}"

    # what is on the screen

    def _above(self) -> list[w.Widget]:
        self.search = TopicSearch(self.runner.key, self._given)
        self.search.runner.on_result, self.search.runner.on_error = self._found, self._error
        self.search.thumbnails.on_result = lambda found: self._show_thumbnails(*found)
        self.embedding_view = EmbeddingView()
        self.embedding_view.on_pick, self.embedding_view.on_lasso = self._picked, self._lassoed
        self.choices = c = TopicControls(*self._first)
        c.on_look, c.on_mask, c.on_topic = self._look, self._mask_changed, self.choose
        self.selectors.layer.layout.display = "none"
        self.mask_view = FrameView((16, 16), "mask", scale=8)
        self.mask_view.draw(np.full((16, 16, 3), 128, np.uint8))
        self.grid = UnitGrid(rows=4.1, layout=w.Layout(flex="1 1 290px", min_width="0"))
        self.grid.on_views = self.search.runner.watched
        self.grid.on_select(lambda place: self._share(int(self.chosen.which[place])))
        wrap = {"flex_flow": "row wrap", "align_items": "center"}
        choices = [c.class_box, c.k_box, self.embedding_view.colour_box, self.embedding_view.legend]
        pictures = w.HBox([self.embedding_view.picture, self.mask_view], layout=w.Layout(**wrap, grid_gap="14px"))
        pictures.layout.align_items, pictures.layout.margin = "flex-start", "0 0 6px"
        buttons = w.HBox(c.buttons, layout=w.Layout(**wrap, grid_gap="6px", margin="0 0 10px"))
        side = w.VBox([buttons, pictures, c.threshold, c.distinct], layout=w.Layout(width="290px"))
        plane = w.HBox([self.embedding_view.widget, side], layout=w.Layout(**wrap, grid_gap="14px", margin="4px 0"))
        plane.layout.align_items = "flex-start"
        return [w.HBox(choices, layout=w.Layout(**wrap, grid_gap="4px 10px")), plane]

    def _below(self, settings: w.Widget) -> list[list[w.Widget]]:
        return [[self.run_pictures.widget, self.grid], [settings, self.run_view]]

    def wait(self, timeout: float | None = None) -> bool:
        """Blocks until the images are surveyed and the run has ended; says whether they were, and it did."""
        until = time.monotonic() + (timeout or 0)
        surveyed = self.search.runner.wait(timeout)
        return surveyed and self.runner.wait(None if timeout is None else max(until - time.monotonic(), 0))

    # the survey

    def _look(self) -> None:
        """Looks at what is selected, unless it is looked at already."""
        wanted = self.selection.net, self.choices.name, self.choices.k_box.value
        if wanted != self._searched:
            self._searched = wanted
            self.runner.stop()
            self.run_view.set_status("loading", "looking at images …")
            self.search.begin(*wanted)

    def _selected(self, change) -> None:
        net = self.selection.net
        if self._searched is not None and net is not self._searched[0]:
            with self.run_view.show_errors():
                self.controls.suit(net.layers[features_layer(net).name], net.size)
                self.chosen = None
                self._look()

    def _found(self, step: Step) -> None:
        if step.topics is not None and not step.moved:
            self.embedding_view.show(step.features, step.topics)
            self.choices.offer_classes(self.search.classes(self.selection.net))
            self._searched = self.selection.net, self.choices.name, self.choices.k_box.value
            self.choices.offer_topics(np.bincount(step.topics.assignment, minlength=len(step.topics)))
        if step.embedding is not None:
            self.embedding_view.set_points(step.embedding.points)
        if step.topics is not None and not step.moved:
            now = self.chosen.topic if self.chosen is not None else None
            self.choose(now if now is not None and now < len(step.topics) else 0)
        elif self.chosen is None or self.runner.state not in ("running", "loading"):
            self.run_view.set_status("loading", step.said)

    # what a person chooses

    def choose(self, topic: int) -> None:
        """Shows a topic: its images, its mask, and what the network wants of it. Raises SettingError."""
        if self.topics is None:
            raise SettingError("the topics are not found yet; wait a moment.")
        of = "" if self.choices.name is None else f".of({self.choices.name!r})"
        self._show_style(ChosenStyle.of_topic(self.topics, topic, self._features_code + of))
        self.embedding_view.scatter.highlight(None)
        self._offer_styles()

    def _offer_styles(self) -> None:
        """Hands the topics of a class to the panels that look for a class in a style."""
        if self.chosen.topic is not None and self.choices.name is not None:
            unit, styles = ClassStyles.of_topics(self.topics, self.choices.threshold.value, self.choices.distinct.value)
            self.selection.set(styles=styles, target=unit, style=self.chosen.topic)

    @property
    def _features_code(self) -> str:
        if isinstance(self._given, Features) and self._given.net is self.selection.net:
            return "features"
        return f"cx.features({self.selection.net.to_python()}, {self._images_code})"

    @property
    def _images_code(self) -> str:
        if isinstance(self._given, Features):
            return "features.source"
        if isinstance(self._given, (str, os.PathLike)):
            return repr(os.fspath(self._given))
        return f"cx.world.dataset{SCENES}" if self._given is None else "images"

    def _image_python(self, number: int) -> str:
        """The Python for an image, by its number in the image set."""
        item, code = self.features.source.source[number], f"{self._images_code}[{number}]"
        if isinstance(item, (str, os.PathLike)):
            return repr(os.fspath(item))
        return f"{code}[0]" if isinstance(item, tuple) and not isinstance(self._given, Features) else code

    def _lassoed(self, places: list[int]) -> None:
        if places:
            self._show_style(ChosenStyle.by_hand(self.features, places))

    def _show_style(self, chosen: ChosenStyle) -> None:
        self.chosen = chosen
        self.choices.frame(chosen.topic)
        features, which = self.features, chosen.which[:_SHOWN].tolist()
        self.grid.reset(len(which), SIDE, [self.embedding_view.describe(k) for k in which])
        said = chosen.said if chosen.topic is None else f"{len(chosen.which)} images of {chosen.said}"
        self.grid.note = f"{said}; {chosen.near}" if chosen.near else said
        self.search.thumbnails.begin(lambda: Task(self.search.picture(features, which, SIDE), 10_000))
        if which:
            self.embedding_view.show_image(which[0], ring=True)
        with self.run_view.show_errors():
            self._show_mask()
            self._begin(self._start)
            self._start = True

    def _show_mask(self) -> None:
        mask = self._mask
        picture = self.chosen.picture(mask)
        if (self.mask_view.height, self.mask_view.width) != picture.shape[:2]:
            self.mask_view.resize(picture.shape[:2], max(1, _MASK // len(picture)))
        self.mask_view.draw(picture)
        self.mask_view.caption = f"m7 of {self.chosen.said}: {int(mask.sum())} of {len(mask)} units open"

    def _mask_changed(self) -> None:
        if self.chosen is not None:
            with self.run_view.show_errors():
                self._show_mask()
                self._begin()
                self._offer_styles()

    def _show_thumbnails(self, first: int, pictures: np.ndarray) -> None:
        places = range(first, min(first + len(pictures), self.grid.count))
        if places:
            self.grid.put(list(places), pictures[: len(places)])

    def _picked(self, k: int) -> None:
        """A point that is clicked: its topic, and for all panels its image."""
        topic = int(self.topics.assignment[k])
        if self.chosen is None or self.chosen.topic != topic:
            self.choose(topic)
        self._share(k)

    def _share(self, k: int) -> None:
        self.embedding_view.show_image(k, ring=True)
        self.selection.image_python = self._image_python(int(self.features.numbers[k]))
        self.selection.image = self.features.image(k)
