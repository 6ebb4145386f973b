"""The picture of a dissection: unique detectors by category, and the images of detectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import drawing
from ..network import resolve_units
from .detectors import total

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "object": "#3b6fb6", "part": "#67a9cf", "scene": "#1b9e77", "material": "#d8a03c", "texture": "#c2622d",
    "colour": "#8c5fa8", "color": "#8c5fa8",
}  # fmt: skip
OTHER = "#7f7f7f"


def plot_dissection(found: Any, unit: object = None, most: int = 8) -> Figure:
    """A matplotlib figure of a Dissection; unit, most: as `Dissection.plot` takes them."""
    from matplotlib.figure import Figure

    units = _different(found, most) if unit is None else resolve_units(found.net, found.layer, unit)
    shown = {one: found.images(one) for one in units}
    columns = max((len(pictures) for pictures in shown.values()), default=0)
    bars = unit is None
    rows = len(units)
    high = max(2.6, 1.12 * rows + 0.75)
    figure = Figure(figsize=((3.6 if bars else 0) + 1.0 * columns + 0.2, high), layout="constrained", dpi=110)
    what = f"{found.layer.name} of {found.net.name}: what its units detect in {found.seen:,} images"
    figure.suptitle(drawing.printable(what), fontsize=9, parse_math=False)
    parts: Any = [figure, figure]
    if bars and rows:
        parts = figure.subfigures(1, 2, width_ratios=(3.6, max(1.0 * columns, 0.1)))
    if bars:
        draw_counts(
            parts[0].subplots(), {"units": found} if found.null is None else {"units": found, "null": found.null}
        )
    if rows:
        grid = parts[1].subplots(rows, columns, squeeze=False)
        for axes, one in zip(grid, units, strict=True):
            for axis in axes:
                axis.set_axis_off()
            for axis, picture in zip(axes, shown[one], strict=False):
                axis.imshow(picture, interpolation="nearest")
            axes[0].set_title(drawing.printable(found.title_of(one)), fontsize=7, loc="left", parse_math=False, pad=2)
        note = "bright: the unit is active; orange: outline of its concept"
        parts[1].supxlabel(note, fontsize=7)
    return figure


def _different(found: Any, most: int) -> list[int]:
    """The best detectors, each of another concept; if there is none, the unit with the largest score."""
    units: dict[str, int] = {}
    for one in found.detectors:
        units.setdefault(found.words[one].concept, one)
    if not units:
        return [int(np.argmax([word.iou for word in found.words]))]
    return list(units.values())[:most]


def draw_counts(axis: Axes, dissections: dict[str, Any], by: str = "category") -> None:
    """Bars of unique detectors by category, one colour for each; a dissection called "null" is hatched."""
    from matplotlib.ticker import MaxNLocator

    categories = list(dict.fromkeys(c for found in dissections.values() for c in found.categories))
    order = [c for c in COLOURS if c in categories] + [c for c in categories if c not in COLOURS]
    width = 0.8 / len(dissections)
    for j, (name, found) in enumerate(dissections.items()):
        counts = found.counts(by)
        for k, category in enumerate(order):
            value = counts[category].unique if category in counts else 0
            style: dict[str, Any] = {"color": COLOURS.get(category, OTHER)}
            if name == "null":
                style = {"facecolor": "none", "edgecolor": "#555555", "hatch": "////"}
            bar = axis.bar(k + (j - (len(dissections) - 1) / 2) * width, value, width * 0.92, **style)
            axis.bar_label(bar, fontsize=7)
    names = [drawing.printable(one) for one in order]
    axis.set_xticks(range(len(order)), names, fontsize=7, rotation=30, parse_math=False)
    axis.tick_params(axis="y", labelsize=7)
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_ylabel("different concepts detected", fontsize=7)
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(y=0.12)
    first = next(iter(dissections.values()))
    unique, detecting = total(first.counts(by)).unique, len(first.detectors)
    text = f"{unique} concepts, {detecting} of {len(first)} units (IoU > {first.threshold:g})"
    if "null" in dissections:
        null = dissections["null"]
        kind = "rotated units" if null.basis is not None else "shuffled masks"
        text += f"\nhatched: {kind}, {total(null.counts(by)).unique} concepts, {len(null.detectors)} units"
    axis.set_title(text, fontsize=7, loc="left")
