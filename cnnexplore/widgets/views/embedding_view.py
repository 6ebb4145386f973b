"""EmbeddingView: the images of a data set as coloured points in a plane, and the picture of one of them."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as w
import numpy as np

from ...representations import Features
from ...styles import Topics
from ..elements import dropdown, escaped
from .frame_view import FrameView
from .scatter import COLOURS, Scatter

SIDE = 64  # pixels of a thumbnail
_COLOURINGS = ("topic", "class", "prediction")
_MOST_NAMES = 24  # classes in the legend, at most


class EmbeddingView:
    """A scatter plot of images, coloured by topic, class or prediction, with a legend and a picture.

    Attributes
    ----------
    features : Features or None
        The images that are shown.
    topics : Topics or None
        Their topics.
    scatter : Scatter
        The points.
    colour_box, legend, picture, caption : ipywidgets.Widget
        Chooses the colouring; explains it; shows an image; describes the whole.
    widget : ipywidgets.Widget
        The points and the caption.
    on_pick : callable
        Called with the index of an image when its point is clicked.
    on_lasso : callable
        Called with the indices of the images in a lasso.
    """

    def __init__(self) -> None:
        self.scatter = Scatter()
        self.scatter.on_hover = self.show_image
        self.scatter.on_pick = lambda k: self.on_pick(k) if self._exists(k) else None
        self.scatter.on_lasso = lambda indices: self.on_lasso([k for k in indices if self._exists(k)])
        self.on_pick: Callable[[int], object] = lambda k: None
        self.on_lasso: Callable[[list[int]], object] = lambda indices: None
        self.features: Features | None = None
        self.topics: Topics | None = None
        self._points: np.ndarray | None = None
        self._ringed: int | None = None
        self.colour_box = dropdown(list(_COLOURINGS), "colour", "what the colours of the points mean", 150)
        self.colour_box.observe(lambda change: self._update_colours(), "value")
        self.legend = w.HTML()
        self.picture = FrameView((SIDE, SIDE), "move over a point", scale=2)
        self.picture.draw(np.full((SIDE, SIDE, 3), 128, np.uint8))
        self.caption = w.HTML()
        layout = w.Layout(flex="0 1 440px", min_width="0", overflow="auto hidden")
        self.widget = w.VBox([self.scatter.widget, self.caption], layout=layout)

    def show(self, features: Features, topics: Topics) -> None:
        """Show other images; `set_points` says where they lie.

        Parameters
        ----------
        features : Features
        topics : Topics
        """
        self.features, self.topics, self._points, self._ringed = features, topics, None, None
        text = escaped(f"{len(features)} images by {features.layer.name}: click one, or draw around some")
        self.caption.value = f'<div style="line-height:1.3;color:var(--jp-ui-font-color2)">{text}</div>'

    def set_points(self, points: np.ndarray) -> None:
        """Place the images.

        Parameters
        ----------
        points : ndarray
            Coordinates, (N, 2).
        """
        first, self._points = self._points is None, points
        self.scatter.show(points, self._colour_numbers())
        if first:
            self._update_colours()
        self.scatter.ring(self._ringed)

    def show_image(self, k: int, ring: bool = False) -> None:
        """Show the picture of an image.

        Parameters
        ----------
        k : int
            Index of the image; one that does not exist is ignored.
        ring : bool
            Whether its point gets the ring.
        """
        if self.features is None or self.topics is None or not self._exists(k):
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
        """Return an image's number, its class, and its prediction if that is another, as text.

        Parameters
        ----------
        k : int
            Index of the image.
        """
        assert self.features is not None
        features, label, guess = self.features, int(self.features.labels[k]), int(self.features.predicted[k])
        words = [f"image {features.numbers[k]}"]
        if label >= 0:
            words.append(features.classes[label])
        if guess >= 0 and (label < 0 or features.predictions[guess] != features.classes[label]):
            words.append(f"predicted as {features.predictions[guess]}")
        return ", ".join(words)

    def _exists(self, k: int) -> bool:
        return self.features is not None and 0 <= k < len(self.features)  # a late event can be of earlier points

    def _classes(self) -> tuple[np.ndarray, list[str]]:
        """The classes, or the predictions, of all images, (N,), and their names."""
        assert self.features is not None
        if self.colour_box.value == "class":
            return self.features.labels, self.features.classes
        return self.features.predicted, self.features.predictions

    def _colour_numbers(self) -> np.ndarray:
        if self.colour_box.value == "topic":
            assert self.topics is not None
            return self.topics.assignment
        numbers, _ = self._classes()
        known = np.unique(numbers[numbers >= 0])
        return np.where(numbers < 0, -1, np.searchsorted(known, numbers))

    def _update_colours(self) -> None:
        if self._points is None:
            return
        self.scatter.set_colours(self._colour_numbers())
        dots = []
        if self.colour_box.value != "topic":  # the buttons of the topics have their colours
            numbers, names = self._classes()
            known = [names[k] for k in np.unique(numbers[numbers >= 0])]
            dots = [(COLOURS[k % len(COLOURS)], name) for k, name in enumerate(known[:_MOST_NAMES])]
            dots += [("#999999", "none")] if (numbers < 0).any() else []
        text = " &nbsp; ".join(f'<span style="color:{colour}">●</span> {escaped(name)}' for colour, name in dots)
        self.legend.value = f'<span style="line-height:1.3">{text}</span>'
