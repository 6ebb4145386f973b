"""FilterDetail: one decoded filter, the filters it is composed of, and its responses beside the network's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import ipywidgets as w
import numpy as np

from ... import drawing
from ...data import bundled_images
from ...decoding import Comparison, Decoder, composition, contrast, decode
from ...decoding.filters import in_rgb
from ...decoding.responses import activations, compare_filters
from ...network import Network, unit_name
from ...results import whole_scale
from ..elements import escaped
from ..live.runner import Runner
from ..live.task import Task
from ..views.frame_view import FrameView, side_by_side
from ..views.map_view import receptive_box
from ..views.unit_grid import UnitGrid, fit_to_square

_PARTS = 24  # filters that a filter is composed of, at most
_SIDE = 64  # pixels of their thumbnails with the bar below
_TOP = 6  # images that respond most
_LARGE = 168  # screen pixels of a picture's longer side, at least
_FLOW = {"flex_flow": "row wrap", "align_items": "flex-start", "grid_gap": "12px"}


@dataclass(frozen=True)
class FilterChoice:
    """A unit of a layer of a network, its unpooling, and an image."""

    net: Network
    layer: str
    unit: int
    unpool: str
    image: Any


@dataclass(frozen=True)
class FilterFindings:
    """What is known of a decoded filter.

    Attributes
    ----------
    choice : FilterChoice
    decoder : Decoder
    filters : np.ndarray
        The decoded filter, (1, 3, h, w).
    one, many : Comparison
        Its responses to the image and to the bundled images, beside the network's.
    images : list
        The bundled images.
    parts : list of tuple
        (layer, unit, weight) of the filters that it is composed of.
    thumbnails : list of np.ndarray
        Their decoded filters.
    """

    choice: FilterChoice
    decoder: Decoder
    filters: np.ndarray
    one: Comparison
    many: Comparison
    images: list
    parts: list[tuple[str, int, float]]
    thumbnails: list[np.ndarray]


class FilterDetail:
    """The chosen filter large, its responses to an image, the filters that it is composed of, and its top images.

    Parameters
    ----------
    runner : Runner
        Computes all that.
    draw : callable
        Makes pictures of filters.
    set_status : callable
        Called with "failed", a sentence and the traceback.
    walk : callable
        Called with the layer and the unit of a part that was chosen.
    """

    def __init__(
        self,
        runner: Runner,
        draw: Callable[[np.ndarray], np.ndarray],
        set_status: Callable[[str, str, str], None],
        walk: Callable[[str, int], None],
    ):
        self.runner, self.draw, self.walk = runner, draw, walk
        runner.on_result = self._show
        runner.on_error = lambda sentence, trace: set_status("failed", sentence, trace)
        self.found: FilterFindings | None = None
        self._kept: dict[str, Any] = {}  # activations of the bundled images, for the next unit
        self.filter = FrameView((1, 1), caption="decoded filter")
        self.image = FrameView((1, 1), caption="image")
        self.network = FrameView((1, 1), caption="the network")
        self.convolved = FrameView((1, 1), caption="the filter")
        self.summary = w.HTML()
        self.parts_title = w.HTML()
        self.back = w.Button(description="back up", icon="level-up", layout=w.Layout(width="92px", visibility="hidden"))
        self.back.tooltip = "back to the filter that this one is a part of"
        self.parts = UnitGrid(rows=1.0)
        self.parts.on_select(self._part_chosen)
        self.top = [FrameView((1, 1)) for _ in range(2)]
        self.widget = w.VBox(
            [
                w.HBox([self.filter, self.image, self.network, self.convolved], layout=w.Layout(**_FLOW)),
                self.summary,
                w.HBox([self.parts_title, self.back], layout=w.Layout(align_items="center", grid_gap="12px")),
                self.parts,
                w.HBox(self.top, layout=w.Layout(**_FLOW)),
            ],
            layout=w.Layout(visibility="hidden", margin="8px 0 0 0"),
        )

    def look(self, choice: FilterChoice) -> None:
        """Show another unit, image or unpooling."""
        self.runner.begin(lambda: Task(self._find(choice), 1))

    def _find(self, choice: FilterChoice) -> Iterator[FilterFindings]:
        """All that is shown, in the thread of the loop."""
        c = choice
        decoder = Decoder(c.net, c.layer, c.unit, c.unpool)
        filters = decoder.filters()
        images = bundled_images(c.net)
        name = decoder.layer.name
        one = compare_filters(decoder, filters, activations(c.net, [name], [c.image]))
        many = compare_filters(decoder, filters, self._bundled(c.net, name, images))
        parts = [
            (part.layer, unit, weight)
            for part in composition(c.net, c.layer, c.unit, unpool=c.unpool)
            for unit, weight in part.strongest(_PARTS)
        ]
        parts = sorted(parts, key=lambda part: -abs(part[2]))[:_PARTS]
        thumbnails: dict[tuple[str, int], np.ndarray] = {}
        for layer in dict.fromkeys(layer for layer, _, _ in parts):
            units = [unit for where, unit, _ in parts if where == layer]
            decoded = decode(c.net, layer, units, unpool=c.unpool, progress=False)
            for unit, one_filter in zip(units, decoded.filters, strict=True):
                thumbnails[layer, unit] = one_filter
        shown = [thumbnails[layer, unit] for layer, unit, _ in parts]
        yield FilterFindings(c, decoder, in_rgb(filters, c.net.pixels), one, many, images, parts, shown)

    def _bundled(self, net: Network, name: str, images: list) -> list:
        """Inputs and activations of the bundled images; those of the last layer are kept for its next unit."""
        weights = sum(p._version for p in net.module.parameters())
        key = (net, name, weights)
        if self._kept.get("key") != key:
            self._kept.update(key=key, activations=list(activations(net, [name], images)))
        return self._kept["activations"]

    def _part_chosen(self, place: int) -> None:
        if self.found is not None:
            self.walk(*self.found.parts[place][:2])

    def _show(self, found: FilterFindings) -> None:
        self.found = found
        self._show_parts(found)
        self.redraw()
        self._show_responses(found)
        self._show_top_images(found)
        self.widget.layout.visibility = "visible"

    def redraw(self) -> None:
        """Draw the filters again, for another threshold or sign."""
        found = self.found
        if found is None:
            return
        c = found.choice
        show(
            self.filter,
            self.draw(found.filters)[0],
            f"{c.layer}, {unit_name(c.net, found.decoder.layer, c.unit)}",
        )
        largest = max((abs(weight) for *_, weight in found.parts), default=1.0)
        for place, (one, (*_, weight)) in enumerate(zip(found.thumbnails, found.parts, strict=True)):
            if place < self.parts.count:
                self.parts.put(place, weighed(self.draw(one[None])[0], weight / largest))

    def _show_responses(self, found: FilterFindings) -> None:
        one, c, layer = found.one, found.choice, found.decoder.layer
        network, convolved = (contrast(maps)[0, 0] for maps in (one.network, one.filters))
        show(self.image, c.net.picture(c.net.pixels_of(c.image)), "image")
        flat = not layer.has_map
        self.network.layout.display = "none" if flat else ""
        if flat:
            show(self.convolved, evidence(found), "image × filter: for (red), against (blue)")
        else:
            show(self.network, drawing.heat(network), "the network's response")
            show(self.convolved, drawing.heat(convolved), "the filter's response")
        many = [maps.reshape(len(maps), -1).max(1) for maps in (found.many.network, found.many.filters)]
        agree = _correlation(*many)
        if flat:
            place = [int((m < float(v.max())).sum()) for m, v in zip(many, (one.network, one.filters), strict=True)]
            text = f"the unit responds more to the image than to {place[0]}, and the filter than to {place[1]}, of "
            text += f"{len(found.images)} bundled images"
        else:
            where = np.unravel_index(int(one.network[0, 0].argmax()), layer.size)
            self.image.box = receptive_box(layer, tuple(int(k) for k in where))
            self.image.caption = "image; the box is where the unit responds most"
            same = _correlation(one.network, one.filters)
            text = f"correlation of the two maps {same:.2f}, mean square error {float(one.errors[0]):.4f}"
        self.summary.value = escaped(
            f"{text}; over {len(found.images)} bundled images the two responses correlate by {agree:.2f}."
        )

    def _show_parts(self, found: FilterFindings) -> None:
        c = found.choice
        names = " and ".join(dict.fromkeys(layer for layer, _, _ in found.parts))
        unit = unit_name(c.net, found.decoder.layer, c.unit)
        what = f"composed of these filters of {names}, by weight; click one to see it" if names else "its own filter"
        self.parts_title.value = f"<b>{escaped(f'{c.layer}, {unit}')}</b> is {escaped(what)}"
        self.parts.layout.display = "" if found.parts else "none"
        if found.parts:
            several = len({layer for layer, _, _ in found.parts}) > 1
            words = [f"{layer + ' ' if several else ''}unit {u}: {weight:+.3g}" for layer, u, weight in found.parts]
            self.parts.reset(len(words), _SIDE, words)
            self.parts.note = "bars: the weight; red where it is negative"

    def _show_top_images(self, found: FilterFindings) -> None:
        c = found.choice
        for view, best, who in zip(self.top, found.many.top(c.unit, _TOP), ("the unit", "its filter"), strict=True):
            pictures = c.net.picture(c.net.pixels_of([found.images[k] for k in best]))
            scale = max(1, 56 // max(pictures.shape[1:3]))
            show(view, side_by_side(list(pictures), gap=2, scale=scale), f"{who} responds most to these images", 1)


def show(view: FrameView, picture: np.ndarray, caption: str, scale: int | None = None) -> None:
    """Show a picture of any size."""
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


def evidence(found: FilterFindings) -> np.ndarray:
    """The product of the image and the filter, summed over colours: red for the unit, blue against it."""
    from matplotlib import colormaps

    net, (top, left, bottom, right) = found.choice.net, found.decoder.box
    x = net.feed(net.pixels_of(found.choice.image))[0]
    product = np.zeros(net.size, np.float32)
    seen = in_rgb(x[:, top : bottom + 1, left : right + 1], net.pixels) * found.filters[0]
    product[top : bottom + 1, left : right + 1] = seen.sum(0)
    scaled = 0.5 + 0.5 * product / max(np.abs(product).max(), 1e-30)
    return (255 * colormaps["RdBu_r"](scaled)[..., :3]).round().astype(np.uint8)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two arrays of one shape; 0 where one is constant."""
    a, b = (np.asarray(values, np.float64).ravel() for values in (one, other))
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-30))
