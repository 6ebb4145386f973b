"""EmbeddingView: many images as points in colours that mean something, and the picture of the one that is looked at."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import ipywidgets as w
import numpy as np

from ...representations import Features
from ...styles import Topics
from ..elements import dropdown
from .frame_view import FrameView
from .scatter import COLOURS, Scatter

SIDE = 64  # pixels of a thumbnail
_COLOURINGS = ("topic", "class", "prediction")
_NAMED = 24  # classes in the legend, at most


class EmbeddingView:
    """A scatter of images, coloured by topic, class or prediction, with a legend and a picture.

    on_pick(k) and on_lasso(places) are called when a point is clicked or some are encircled.
    """

    def __init__(self):
        self.scatter = Scatter()
        self.scatter.on_hover = self.show_image
        self.scatter.on_pick = lambda k: self.on_pick(k) if self._known(k) else None
        self.scatter.on_lasso = lambda places: self.on_lasso([k for k in places if self._known(k)])
        self.on_pick: Callable[[int], None] = lambda k: None
        self.on_lasso: Callable[[list[int]], None] = lambda places: None
        self.features: Features | None = None
        self.topics: Topics | None = None
        self._points: np.ndarray | None = None
        self._ringed: int | None = None
        self.colour_box = dropdown(list(_COLOURINGS), "colour", "what the colours of the points mean", 150)
        self.colour_box.observe(lambda change: self._paint(), "value")
        self.legend = w.HTML()
        self.picture = FrameView((SIDE, SIDE), "move over a point", scale=2)
        self.picture.draw(np.full((SIDE, SIDE, 3), 128, np.uint8))
        self.caption = w.HTML()
        layout = w.Layout(flex="0 1 440px", min_width="0", overflow="auto hidden")
        self.widget = w.VBox([self.scatter.widget, self.caption], layout=layout)

    def show(self, features: Features, topics: Topics) -> None:
        """Other images, whose places are not known yet."""
        self.features, self.topics, self._points, self._ringed = features, topics, None, None
        said = f"{len(features)} images by {features.layer.name}: click one, or draw around some"
        self.caption.value = f'<div style="line-height:1.3;color:var(--jp-ui-font-color2)">{said}</div>'

    def set_points(self, points: np.ndarray) -> None:
        """Where the images lie, (N, 2)."""
        fresh, self._points = self._points is None, points
        self.scatter.show(points, self._numbers())
        if fresh:
            self._paint()
        self.scatter.ring(self._ringed)

    def show_image(self, k: int, ring: bool = False) -> None:
        """Shows the picture of an image, and its point with a ring around it."""
        if not self._known(k):
            return
        picture = self.features.pictures([k], SIDE)[0]
        if (self.picture.height, self.picture.width) != picture.shape[:2]:
            self.picture.resize(picture.shape[:2], 2)
        self.picture.draw(picture)
        self.picture.caption = f"{self.describe(k)}, topic {self.topics.assignment[k]}"
        if ring:
            self._ringed = k
            if self._points is not None:
                self.scatter.ring(k)

    def describe(self, k: int) -> str:
        """An image in a few words."""
        features, label, said = self.features, int(self.features.labels[k]), int(self.features.predicted[k])
        words = [f"image {features.numbers[k]}"]
        if label >= 0:
            words.append(features.classes[label])
        if said >= 0 and (label < 0 or features.predictions[said] != features.classes[label]):
            words.append(f"said to be {features.predictions[said]}")
        return ", ".join(words)

    def _known(self, k: int) -> bool:
        return self.features is not None and k < len(self.features)  # else of points that are no longer there

    def _named(self) -> tuple[np.ndarray, list[str]]:
        """The classes of all images, (N,), and their names."""
        if self.colour_box.value == "class":
            return self.features.labels, self.features.classes
        return self.features.predicted, self.features.predictions

    def _numbers(self) -> np.ndarray:
        """The colour of each point."""
        if self.colour_box.value == "topic":
            return self.topics.assignment
        numbers, _ = self._named()
        known = np.unique(numbers[numbers >= 0])
        return np.where(numbers < 0, -1, np.searchsorted(known, numbers))

    def _paint(self) -> None:
        if self._points is None:
            return
        self.scatter.paint(self._numbers())
        dots = []
        if self.colour_box.value != "topic":  # the buttons say what those colours mean
            numbers, names = self._named()
            known = [names[k] for k in np.unique(numbers[numbers >= 0])]
            dots = [(COLOURS[k % len(COLOURS)], name) for k, name in enumerate(known[:_NAMED])]
            dots += [("#999999", "none")] if (numbers < 0).any() else []
        text = " &nbsp; ".join(f'<span style="color:{colour}">●</span> {escape(name)}' for colour, name in dots)
        self.legend.value = f'<span style="line-height:1.3">{text}</span>'
