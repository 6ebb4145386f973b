"""StylePanel: the styles of a class as points, images and masks, and what maximizes the class through each, live."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as w
import numpy as np

from ...arguments import checked, optional
from ...errors import SettingError
from ...network import Layer, features_layer, unit_name
from ...preimage import Maximization, Run, Values, paper_jitter, paper_weight
from ...representations import Features
from ...styles import Pathway
from ...styles.topic_visualization import DISTINCT, THRESHOLD, class_and_scale
from ..live.selection import Selection, SharedSelection
from ..live.task import Task
from ..views.embedding_view import SIDE, EmbeddingView
from ..views.frame_view import FrameView
from ..views.unit_grid import UnitGrid
from .arguments import read_first, source
from .base import NetworkLike
from .chosen_style import ChosenStyle
from .class_selector import ClassStyles
from .run_panel import RunPanel
from .topic_controls import CHECKS, TopicControls, label
from .topic_search import SearchStep, TopicSearch

_SHOWN = 60  # images of a style that are shown
_MASK = 128  # screen pixels of the mask, about


class StylePanel(RunPanel):
    """The images of a class in the plane, in topics; the images, the mask and the maximization of one of them.

    A topic is chosen by its button or by a click on one of its images; images can also be encircled.

    Parameters
    ----------
    net : Network or str or path, optional
        A network, or what `load` takes (default: "worldnet-styles").
    images : object, optional
        A folder, a list, a data set, or what `features` found in one (default: scenes of the world).
    style_of : str, optional
        A class's label; None: all images, "": the first class.
    k : int
        How many topics, 1 to 8.
    threshold, distinct : float
        Which units of fc7 a topic opens, as for `Topics.mask`.
    C : float, optional
        The weight of the class against the priors; None: the paper's choice.
    alpha, beta : float
        Exponents of the bounded range and of total variation.
    jitter : int, optional
        Pixels by which the image is shifted at random; None: the paper's choice.
    steps : int
        The length of a run.
    seed : int
        The first seed.
    seeds : int
        How many pictures grow side by side, 1 to 16.
    start : bool
        Begin at once.
    selection : SharedSelection, optional
        Shares the network, and the image that is clicked, with other panels.

    Raises
    ------
    LayerNotFound, ImageError, SettingError, NetworkError, WeightsError

    Examples
    --------
    >>> import cnnexplore as cx
    >>> panel = cx.StylePanel("worldnet-styles", cx.world.dataset(60, 5), "church")  # doctest: +SKIP
    """

    looks_at_image = False
    default_network = "worldnet-styles"  # its fc7 separates styles, and its images are made by the world
    weighed = "class"
    loading = "making the first picture …"
    metric_unit = " M"
    metric_help = "the class's score through the style's pathway, in units of the largest of its images"

    @checked(images=optional(source), style_of=label, **CHECKS)
    def __init__(
        self,
        net: NetworkLike = None,
        images: Any = None,
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
        selection: SharedSelection | None = None,
    ):
        if net is None and isinstance(images, Features):
            net = images.net
        self._given_images, self._given_topics = images, (style_of, k, threshold, distinct)
        self.chosen: Any = None  # a ChosenStyle, once there are topics
        self._searched: tuple | None = None
        self._start = start
        values = {"C": C, "alpha": alpha, "beta": beta, "jitter": jitter}
        super().__init__(net, None, None, selection, values=values, steps=steps, seed=seed, seeds=seeds, start=start)
        self._search()

    @property
    def features(self) -> Any:
        """The activations of the images in the plane, a `Features`; None before they are computed."""
        return self.embedding_view.features

    @property
    def topics(self) -> Any:
        """Their `Topics`; None before they are found."""
        return self.embedding_view.topics

    # what it runs

    def _prepare(self) -> None:
        super()._prepare()
        read_first(self.net, self._given_images)

    def _usual(self, layer: Layer, size: tuple[int, int]) -> Values:
        scores = self.net.scores
        return Values(self.parameters, C=paper_weight(scores, size), jitter=paper_jitter(scores))

    def _looked_at(self) -> tuple:
        return self.net, self.chosen, self.topic_controls.threshold.value, self.topic_controls.distinct.value

    def _begin(self, paused: bool = False) -> None:
        if self.chosen is not None:  # before there are topics there is nothing to run
            super()._begin(paused)

    def _make(self) -> Callable[[], Run]:
        net, features, chosen, mask = self.net, self.features, self.chosen, self._mask
        options = self._options()

        def make() -> Maximization:
            target, most = class_and_scale(features, chosen.which, mask)
            return Maximization(
                net, net.scores.name, target, preset="paper2016", pathway=Pathway.topic(mask), M=most, **options
            )

        return make

    @property
    def _mask(self) -> np.ndarray:
        return self.chosen.mask(self.topic_controls.threshold.value, self.topic_controls.distinct.value)

    def _run_to_python(self, run: Maximization, step: int | None) -> str:
        return f"{run.to_python(step=step)}  # {self.chosen.python}"

    def _caption(self, run: Any) -> str:
        return f"{unit_name(run.net, run.net.scores, run.units[0])}; only the units of {self.chosen.name} pass"

    # what is on the screen

    def _above(self) -> list[w.Widget]:
        search, thumbnails = self._add_runner("search"), self._add_runner("images", awaited=False)
        self.search = TopicSearch(search, thumbnails, self._given_images)
        search.on_result, search.on_error = self._found, self._error
        thumbnails.on_result = lambda found: self._show_thumbnails(*found)
        self.embedding_view = EmbeddingView()
        self.embedding_view.on_pick, self.embedding_view.on_lasso = self.pick, self.encircle
        self.topic_controls = c = TopicControls(*self._given_topics)
        c.on_search, c.on_mask, c.on_topic = self._search, self._mask_changed, self.choose
        self.selectors.layer.layout.display = "none"
        self.mask_view = FrameView((16, 16), "mask", scale=8)
        self.mask_view.draw(np.full((16, 16, 3), 128, np.uint8))
        self.grid = UnitGrid(rows=4.1, layout=w.Layout(flex="1 1 290px", min_width="0"))
        search.watch(self.grid)
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

    def _shared_controls(self) -> dict[str, w.Widget]:
        c = self.topic_controls
        return {**super()._shared_controls(), "topics": c.k_box, "threshold": c.threshold, "distinct": c.distinct}

    def _rows(self, settings: w.Widget) -> list[list[w.Widget]]:
        return [[self.run_pictures.widget, self.grid], [settings, self.run_view]]

    # the search for topics

    def _search(self) -> None:
        """Find the topics of what is selected, unless they are known."""
        wanted = self.net, self.topic_controls.name, self.topic_controls.k_box.value
        if wanted != self._searched:
            self._searched = wanted
            self.runner.stop()
            self.run_view.set_status("loading", "passing images through the network …")
            self.search.begin(*wanted)

    def _selected(self, old: Selection, new: Selection) -> None:
        if new.net is not old.net:
            self.controls.set_layer(self.net.layers[features_layer(self.net).name], self.net.size)
            self.chosen = None
            self._search()

    def _found(self, step: SearchStep) -> None:
        topics = None if step.moved else step.topics
        if topics is not None and step.features is not None:
            self.embedding_view.show(step.features, topics)
            self.topic_controls.offer_classes(self.search.classes(self.net))
            self._searched = self.net, self.topic_controls.name, self.topic_controls.k_box.value
            self.topic_controls.offer_topics(np.bincount(topics.assignment, minlength=len(topics)).tolist())
        if step.embedding is not None:
            self.embedding_view.set_points(step.embedding.points)
        if topics is not None:
            now = self.chosen.topic if self.chosen is not None else None
            self.choose(now if now is not None and now < len(topics) else 0)
        elif self.chosen is None or self.runner.state not in ("running", "loading"):
            self.run_view.set_status("loading", step.text)

    # what a person chooses

    def choose(self, topic: int) -> None:
        """Show a topic: its images, its mask, and the input that maximizes the class through it.

        Parameters
        ----------
        topic : int
            Its number.

        Raises
        ------
        SettingError
            If there are no topics yet.
        """
        if self.topics is None:
            raise SettingError("the topics are not found yet; wait a moment.")
        of = "" if self.topic_controls.name is None else f".of({self.topic_controls.name!r})"
        self._show_style(ChosenStyle.of_topic(self.topics, topic, self.search.features_python(self.net) + of))
        self.embedding_view.scatter.highlight(None)
        self._offer_styles()

    def pick(self, k: int) -> None:
        """Show the topic of an image, and select the image for all panels.

        Parameters
        ----------
        k : int
            The number of its point.
        """
        topic = int(self.topics.assignment[k])
        if self.chosen is None or self.chosen.topic != topic:
            self.choose(topic)
        self._share(k)

    def encircle(self, places: list[int]) -> None:
        """Show images that a person chose as a style.

        Parameters
        ----------
        places : list of int
            The numbers of their points.
        """
        if places:
            self._show_style(ChosenStyle.by_hand(self.features, places))

    def _offer_styles(self) -> None:
        """Select the topics of a class as its styles, for all panels."""
        if self.chosen.topic is not None and self.topic_controls.name is not None:
            c = self.topic_controls
            target, styles = ClassStyles.of_topics(self.topics, c.threshold.value, c.distinct.value)
            self.selection.set(styles=styles, target=target, style=self.chosen.topic)

    def _show_style(self, chosen: ChosenStyle) -> None:
        self.chosen = chosen
        self.topic_controls.frame(chosen.topic)
        features, which = self.features, chosen.which[:_SHOWN].tolist()
        self.grid.reset(len(which), SIDE, [self.embedding_view.describe(k) for k in which])
        name = chosen.name if chosen.topic is None else f"{len(chosen.which)} images of {chosen.name}"
        self.grid.note = f"{name}; {chosen.near}" if chosen.near else name
        self.search.thumbnails.begin(lambda: Task(self.search.pictures(features, which, SIDE), 10_000))
        if which:
            self.embedding_view.show_image(which[0], ring=True)
        with self.run_view.show_errors():
            self._show_mask()
            self._begin(paused=not self._start)
            self._start = True

    def _show_mask(self) -> None:
        mask = self._mask
        picture = self.chosen.picture(mask)
        if (self.mask_view.height, self.mask_view.width) != picture.shape[:2]:
            self.mask_view.resize(picture.shape[:2], max(1, _MASK // len(picture)))
        self.mask_view.draw(picture)
        self.mask_view.caption = f"m7 of {self.chosen.name}: {int(mask.sum())} of {len(mask)} units open"

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

    def _share(self, k: int) -> None:
        self.embedding_view.show_image(k, ring=True)
        number = int(self.features.numbers[k])
        self.selection.set(image=self.features.image(k), image_python=self.search.image_python(self.features, number))
