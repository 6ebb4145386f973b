"""ClassSelector: the class and the style that panels look for."""

from __future__ import annotations

from dataclasses import dataclass

import ipywidgets as w
import numpy as np

from ...errors import SettingError
from ...network import Network, unit_name
from ...styles import Pathway, Topics, as_pathway
from ..live.selection import EACH, Selection

EVERY, BESIDE = "every style", "each style beside the next"
MOST = 4  # styles that are shown beside each other
_PICTURES = 16  # at once


@dataclass(frozen=True, eq=False)
class ClassStyles:
    """The styles of a network's classes, as pathways: by the class's label, or "" for any class."""

    net: Network
    by_class: dict[str, list[Pathway]]

    @classmethod
    def of(cls, net: Network, given) -> ClassStyles:
        """given: a cx.Topics, or a list of what `cx.complete` takes as a style, or a dict of either by label.

        Raises SettingError, NetworkError.
        """
        by_class = given if isinstance(given, dict) else {"": given}
        if wrong := [label for label in by_class if label and label not in net.labels]:
            raise SettingError(f"styles has {wrong[0]!r}, which is no class of {net.name}; expected labels of classes.")
        found = {label: [as_pathway(one) for one in some] for label, some in by_class.items()}
        for one in (one for some in found.values() for one in some):
            one.masks(net)  # one that does not fit is refused now
        return cls(net, found)

    @classmethod
    def of_topics(cls, topics: Topics, threshold: float, distinct: float) -> tuple[int | None, ClassStyles]:
        """(the class most of the topics' images are taken for, its styles); masks as `Topics.mask` makes them."""
        net, said = topics.features.net, topics.features.predicted
        masks = [topics.distinctive_mask(k, threshold, distinct) for k in range(len(topics))]
        unit = int(np.bincount(said[said >= 0]).argmax()) if said.max(initial=-1) >= 0 else None
        label = "" if unit is None else unit_name(net, net.scores, unit)
        return unit, cls(net, {label: [Pathway.topic(mask) for mask in masks]})

    def known(self, net: Network, unit: int | None) -> list[Pathway]:
        """Those of a class of a network; none of another network, for masks belong to where they were found."""
        if net is not self.net:
            return []
        label = unit_name(net, net.scores, unit) if unit is not None else ""
        return self.by_class.get(label, self.by_class.get("", []))


class ClassSelector:
    """Two dropdowns, a class of a network and one of its styles, that write into a Selection and follow it.

    styles: as `ClassStyles.of` takes them, or None for those of the selection. free: the word for a class that is left
    open, or "". Raises SettingError, NetworkError.
    """

    def __init__(self, selection: Selection, styles=None, free: str = ""):
        self.selection, self.free, self._quiet = selection, free, False
        if styles is not None:
            selection.styles = ClassStyles.of(selection.net, styles)
        self.class_box = w.Dropdown(description="class", tooltip="which class is looked for")
        self.style_box = w.Dropdown(description="style", tooltip="through which units of fc7 (a topic's m7)")
        for box in (self.class_box, self.style_box):
            box.style.description_width, box.layout.width = "38px", "230px"
        self.class_box.observe(self._class_chosen, "value")
        self.style_box.observe(self._style_chosen, "value")
        selection.observe(lambda change: self._follow(), ["net", "target", "styles", "style"])
        self._follow()

    @property
    def target(self) -> int | None:
        """The class's number; None where it is left open."""
        unit = self.selection.target
        fits = unit is not None and 0 <= unit < self.selection.net.scores.channels
        return unit if fits else None if self.free else 0

    @property
    def styles(self) -> list[Pathway | None]:
        """The styles to look for, one or several; None for all that the network has."""
        known, style = self._known, self.selection.style
        if style == EACH and known:
            return known[:MOST]
        return [known[style]] if style is not None and 0 <= style < len(known) else [None]

    @property
    def names(self) -> list[str]:
        """What the styles are called; "" for all at once."""
        style, count = self.selection.style, len(self.styles)
        return (
            [f"style {k}" for k in range(count)]
            if count > 1 or style == EACH
            else ["" if self.styles == [None] else f"style {style}"]
        )

    @property
    def looked_for(self) -> tuple:
        """Class and styles, to be compared."""
        return self.target, *(one and one.to_python() for one in self.styles)

    @property
    def _known(self) -> list[Pathway]:
        styles = self.selection.styles
        return [] if styles is None else styles.known(self.selection.net, self.target)

    def _follow(self) -> None:
        """Shows what is selected, also where another panel selected it."""
        net = self.selection.net
        names = [(unit_name(net, net.scores, k), k) for k in range(net.scores.channels)]
        known, style = self._known, self.selection.style
        options = [(EVERY, None), *((f"style {k}", k) for k in range(len(known)))]
        options += [(BESIDE, EACH)] if len(known) > 1 else []
        self._quiet = True
        try:
            _offer(self.class_box, [(self.free, None), *names] if self.free else names, self.target)
            _offer(self.style_box, options, style if style in dict(options).values() else None)
        finally:
            self._quiet = False
        self.style_box.layout.display = "" if known else "none"

    def _class_chosen(self, change) -> None:
        if not self._quiet:
            self.selection.target = change.new

    def _style_chosen(self, change) -> None:
        if not self._quiet:
            self.selection.style = change.new


def through(name: str, ways: list[str]) -> str:
    """What pictures show, in words: a class, and the pathways that there is a row of pictures for."""
    ways = [one for one in ways if one]
    if len(ways) > 1:
        return f"{name}; one row each: {', '.join(ways)}"
    return f"{name} through {ways[0]}" if ways else name


def crossed(ways: list, seeds: int | list[int]) -> tuple:
    """Each of some pathways with each of some seeds, as a run takes them: (pathway, seed, how many stand in a row).

    Raises SettingError if that makes too many pictures.
    """
    several = seeds if isinstance(seeds, list) else [seeds]
    if len(ways) * len(several) > _PICTURES:
        raise SettingError(
            f"{len(ways)} pathways x {len(several)} seeds are more than {_PICTURES} pictures; take fewer."
        )
    if len(ways) == len(several) == 1:
        return ways[0], several[0], 1
    return [one for one in ways for _ in several], several * len(ways), len(several)


def _offer(box: w.Dropdown, options: list[tuple], value) -> None:
    if list(box.options) != options:
        box.options = options
    if options:
        box.index = [known for _, known in box.options].index(value)  # None may be one of them
