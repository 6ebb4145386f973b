"""FilterDetail: one decoded filter, what it is made of, and its responses beside the network's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import ipywidgets as w
import numpy as np

from ... import drawing
from ...data import bundled_images
from ...decoding import Comparison, Decoder, composition, contrast, decode
from ...decoding.filters import in_rgb
from ...decoding.responses import activations, compare_filters
from ...network import Network, unit_name
from ...results import whole_scale
from ..live.runner import Runner
from ..views.frame_view import FrameView, side_by_side
from ..views.map_view import receptive_box
from ..views.unit_grid import UnitGrid, fit_to_square

_BELOW = 24  # units that a filter is made of, at most
_SIDE = 64  # pixels of their thumbnails with the bar below
_TOP = 6  # images that respond most
_LARGE = 168  # screen pixels of a picture's longer side, at least
_FLOW = {"flex_flow": "row wrap", "align_items": "flex-start", "grid_gap": "12px"}


@dataclass(frozen=True)
class Chosen:
    """What is looked at: a unit of a layer of a network, its unpooling, an image."""

    net: Network
    layer: str
    unit: int
    unpool: str
    image: object


@dataclass(frozen=True)
class Found:
    """What is known of it.

    one: its responses to the image; many: to the bundled images; below: (layer, unit, weight) of what it is made of,
    with their filters in thumbnails.
    """

    chosen: Chosen
    decoder: Decoder
    filters: np.ndarray
    one: Comparison
    many: Comparison
    images: list
    below: list[tuple[str, int, float]]
    thumbnails: list[np.ndarray]


class Look:
    """Finding all that as a run of one step that a Runner can drive."""

    def __init__(self, chosen: Chosen, keep: dict):
        self.chosen, self._keep = chosen, keep
        self.step, self.total = 0, 1
        self._stopped = threading.Event()

    def frames(self) -> Iterator[Found]:
        self._stopped.clear()
        c = self.chosen
        decoder = Decoder(c.net, c.layer, c.unit, c.unpool)
        filters = decoder.filters()
        images = bundled_images(c.net)
        if self._stopped.is_set():
            return
        one = compare_filters(decoder, filters, activations(c.net, [decoder.layer.name], [c.image]))
        many = compare_filters(decoder, filters, self._of_bundled(decoder, images))
        if self._stopped.is_set():
            return
        below = [
            (made.layer, unit, weight)
            for made in composition(c.net, c.layer, c.unit, unpool=c.unpool)
            for unit, weight in made.strongest(_BELOW)
        ]
        below = sorted(below, key=lambda part: -abs(part[2]))[:_BELOW]
        thumbnails: dict[tuple[str, int], np.ndarray] = {}
        for name in dict.fromkeys(layer for layer, _, _ in below):
            units = [unit for layer, unit, _ in below if layer == name]
            decoded = decode(c.net, name, units, unpool=c.unpool, progress=False)
            for unit, one_filter in zip(units, decoded.filters, strict=True):
                thumbnails[name, unit] = one_filter
        self.step = 1
        shown = [thumbnails[layer, unit] for layer, unit, _ in below]
        yield Found(c, decoder, in_rgb(filters, c.net.pixels), one, many, images, below, shown)

    def _of_bundled(self, decoder: Decoder, images: list) -> list:
        """Inputs and activations of the bundled images; those of the last layer are kept for its next unit."""
        name = decoder.layer.name
        weights = sum(p._version for p in self.chosen.net.module.parameters())
        key = (self.chosen.net, name, weights)
        if self._keep.get("key") != key:
            self._keep.update(key=key, batches=list(activations(self.chosen.net, [name], images)))
        return self._keep["batches"]

    def pause(self) -> None:
        """One step is not worth waiting in the middle of."""

    def resume(self) -> None:
        self._stopped.clear()

    def stop(self) -> None:
        self._stopped.set()


class FilterDetail:
    """The chosen filter large, on its image, its responses, what it is made of and its top images.

    draw(filters): how filters are shown. walk(layer, unit) is called when one is chosen that it is made of.
    """

    def __init__(self, key: str | None, draw: Callable, tell: Callable[..., None], walk: Callable[[str, int], None]):
        self.draw, self.tell, self.walk = draw, tell, walk
        self.runner = Runner(key)
        self.runner.on_result, self.runner.on_error = self._found, lambda text, trace: self.tell("failed", text, trace)
        self.found: Found | None = None
        self._keep: dict = {}
        self.filter = FrameView((1, 1), caption="decoded filter")
        self.image = FrameView((1, 1), caption="image")
        self.network = FrameView((1, 1), caption="the network")
        self.convolved = FrameView((1, 1), caption="the filter")
        self.said = w.HTML()
        self.below_title = w.HTML()
        self.back = w.Button(description="back up", icon="level-up", layout=w.Layout(width="92px", visibility="hidden"))
        self.back.tooltip = "to the filter that was walked down from"
        self.below = UnitGrid(rows=1.0)
        self.below.on_select(lambda place: self.walk(*self.found.below[place][:2]))
        self.top = [FrameView((1, 1)) for _ in range(2)]
        self.widget = w.VBox(
            [
                w.HBox([self.filter, self.image, self.network, self.convolved], layout=w.Layout(**_FLOW)),
                self.said,
                w.HBox([self.below_title, self.back], layout=w.Layout(align_items="center", grid_gap="12px")),
                self.below,
                w.HBox(self.top, layout=w.Layout(**_FLOW)),
            ],
            layout=w.Layout(visibility="hidden", margin="8px 0 0 0"),
        )

    def look(self, chosen: Chosen) -> None:
        """Another unit, image or unpooling."""
        self.runner.begin(lambda: Look(chosen, self._keep))

    def _found(self, found: Found) -> None:
        self.found = found
        self._composition()
        self.redraw()
        self._responses()
        self._top_images()
        self.widget.layout.visibility = "visible"

    def redraw(self) -> None:
        """The filters again, for another threshold or part."""
        found = self.found
        if found is None:
            return
        c = found.chosen
        show(self.filter, self.draw(found.filters)[0], f"{c.layer}, {unit_name(c.net, found.decoder.layer, c.unit)}")
        largest = max((abs(weight) for *_, weight in found.below), default=1.0)
        for place, (one, (*_, weight)) in enumerate(zip(found.thumbnails, found.below, strict=True)):
            if place < self.below.count:
                self.below.put(place, weighed(self.draw(one[None])[0], weight / largest))

    def _responses(self) -> None:
        found, one = self.found, self.found.one
        c, layer = found.chosen, found.decoder.layer
        network, convolved = (contrast(maps)[0, 0] for maps in (one.network, one.filters))
        show(self.image, c.net.picture(c.net.pixels_of(c.image)), "image")
        flat = max(layer.size) == 1
        self.network.layout.display = "none" if flat else ""
        if flat:
            show(self.convolved, evidence(found), "image × filter: for (red), against (blue)")
        else:
            show(self.network, drawing.heat(network), "the network's response")
            show(self.convolved, drawing.heat(convolved), "the filter's response")
        many = [maps.reshape(len(maps), -1).max(1) for maps in (found.many.network, found.many.filters)]
        agree = correlation(*many)
        if flat:
            place = [int((m < float(v.max())).sum()) for m, v in zip(many, (one.network, one.filters), strict=True)]
            said = f"the image excites the unit more than {place[0]}, and the filter more than {place[1]}, of "
            said += f"{len(found.images)} images at hand"
        else:
            where = np.unravel_index(int(one.network[0, 0].argmax()), layer.size)
            self.image.box = receptive_box(layer, tuple(int(k) for k in where))
            self.image.caption = "image; the unit responds most in the frame"
            same = correlation(one.network, one.filters)
            said = f"correlation of the two maps {same:.2f}, mean square error {float(one.errors[0]):.4f}"
        self.said.value = f"{said}; over {len(found.images)} images at hand the two responses correlate by {agree:.2f}."

    def _composition(self) -> None:
        found = self.found
        c = found.chosen
        names = " and ".join(dict.fromkeys(layer for layer, _, _ in found.below))
        unit = unit_name(c.net, found.decoder.layer, c.unit)
        what = f"made of these filters of {names}, by weight; click one to walk down" if names else "its own filter"
        self.below_title.value = f"<b>{c.layer}, {unit}</b> is {what}"
        self.below.layout.display = "" if found.below else "none"
        if found.below:
            several = len({layer for layer, _, _ in found.below}) > 1
            words = [f"{layer + ' ' if several else ''}unit {u}: {weight:+.3g}" for layer, u, weight in found.below]
            self.below.reset(len(words), _SIDE, words)
            self.below.note = "bars: the weight; red where it is negative"

    def _top_images(self) -> None:
        found = self.found
        c = found.chosen
        for view, best, who in zip(self.top, found.many.top(c.unit, _TOP), ("the unit", "its filter"), strict=True):
            pictures = c.net.picture(c.net.pixels_of([found.images[k] for k in best]))
            scale = max(1, 56 // max(pictures.shape[1:3]))
            show(view, side_by_side(list(pictures), gap=2, scale=scale), f"{who} responds most to these images", 1)


def show(view: FrameView, picture: np.ndarray, caption: str, scale: int | None = None) -> None:
    """A picture of any size."""
    size = picture.shape[:2]
    scale = scale or whole_scale(size, _LARGE)
    if (view.height, view.width, view.scale) != (*size, scale):
        view.resize(size, scale)
    view.box, view.caption = [], caption
    view.draw(picture)


def weighed(picture: np.ndarray, share: float) -> np.ndarray:
    """A thumbnail over a bar as long as its weight is large, -1 to 1; red where that is negative."""
    out = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
    out[: _SIDE - 8, 4 : _SIDE - 4] = fit_to_square(picture, _SIDE - 8)
    long = max(2, round(abs(share) * (_SIDE - 8)))
    out[_SIDE - 6 : _SIDE - 1, 4 : 4 + long] = (203, 64, 66) if share < 0 else (70, 110, 190)
    return out


def evidence(found: Found) -> np.ndarray:
    """Where the image speaks for the filter and where against it: their product, summed over channels."""
    from matplotlib import colormaps

    net, (top, left, bottom, right) = found.chosen.net, found.decoder.box
    x = net.feed(net.pixels_of(found.chosen.image))[0]
    product = np.zeros(net.size, np.float32)
    seen = in_rgb(x[:, top : bottom + 1, left : right + 1], net.pixels) * found.filters[0]
    product[top : bottom + 1, left : right + 1] = seen.sum(0)
    scaled = 0.5 + 0.5 * product / max(np.abs(product).max(), 1e-30)
    return (255 * colormaps["RdBu_r"](scaled)[..., :3]).round().astype(np.uint8)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two arrays of one shape; 0 where one is constant."""
    a, b = (np.asarray(values, np.float64).ravel() for values in (one, other))
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-30))
