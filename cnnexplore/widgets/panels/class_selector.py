"""ClassSelector: the class and the style that pathways and completions are for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ipywidgets as w
import numpy as np

from ...arguments import several
from ...errors import SettingError, brief_list, brief_value
from ...network import Network, unit_name
from ...styles import Pathway, Topics, as_pathway
from ..live.selection import EACH_STYLE, Selection, SharedSelection

ALL_STYLES, SIDE_BY_SIDE = "every style", "each style beside the next"
MAX_STYLES = 4  # that are shown beside each other
_PICTURES = 16  # at once

_pathways = several(
    lambda name, one: as_pathway(one), "a Topics, a list of styles, or a dict of either by the label of a class", 1000
)


@dataclass(frozen=True, eq=False)
class ClassStyles:
    """The known styles of a network's classes, as pathways.

    Attributes
    ----------
    net : Network
        The network that the masks belong to.
    by_class : dict
        The pathways by the class's label; "" for any class.
    """

    net: Network
    by_class: dict[str, list[Pathway]]

    @classmethod
    def of(cls, net: Network, given: Any) -> ClassStyles:
        """The styles that a user gives.

        Parameters
        ----------
        net : Network
        given : Topics or list or dict
            A `Topics`, a list of what `complete` takes as a style, or a dict of either by label.

        Raises
        ------
        SettingError, NetworkError
        """
        by_class = given if isinstance(given, Mapping) else {"": given}
        names = {class_name(net, k) for k in range(net.scores.channels)}
        if wrong := [label for label in by_class if label != "" and label not in names]:
            shared = isinstance(wrong[0], str) and net.labels.count(wrong[0]) > 1
            several = [name for name in sorted(names) if shared and name.startswith(f"{wrong[0]} (")]
            hint = f"give one of {brief_list(several)}" if several else "expected labels of classes"
            raise SettingError(f"styles has {brief_value(wrong[0])}, which is no class of {net.name}; {hint}.")
        found = {
            label: _pathways("styles", list(some) if isinstance(some, Topics) else some)
            for label, some in by_class.items()
        }
        for one in (one for some in found.values() for one in some):
            one.masks(net)  # raises for a mask that does not fit
        return cls(net, found)

    @classmethod
    def of_topics(cls, topics: Topics, threshold: float, distinct: float) -> tuple[int | None, ClassStyles]:
        """The class that most images of the topics are predicted as, and its styles; masks as `Topics.mask` makes them.

        Parameters
        ----------
        topics : Topics
        threshold, distinct : float
            As for `Topics.mask`.
        """
        net, predicted = topics.features.net, topics.features.predicted
        masks = [topics.distinctive_mask(k, threshold, distinct) for k in range(len(topics))]
        target = int(np.bincount(predicted[predicted >= 0]).argmax()) if predicted.max(initial=-1) >= 0 else None
        label = "" if target is None else class_name(net, target)
        return target, cls(net, {label: [Pathway.topic(mask) for mask in masks]})

    def known(self, net: Network | None, target: int | None) -> list[Pathway]:
        """The styles of a class; [] for another network, whose units are others."""
        if net is None or net is not self.net:
            return []
        label = class_name(net, target) if target is not None else ""
        return self.by_class.get(label, self.by_class.get("", []))


def class_name(net: Network, number: int) -> str:
    """A class's label; with its number where several classes have the same label, such as "crane (134)"."""
    name = unit_name(net, net.scores, number)
    return f"{name} ({number})" if net.labels.count(name) > 1 else name


class ClassSelector:
    """Two dropdowns, a class of a network and one of its styles, that write into a selection and follow it.

    Parameters
    ----------
    selection : SharedSelection
    styles : optional
        As for `ClassStyles.of`; None: those of the selection.
    any_class : str
        The text for no class in particular; "": one must be chosen.

    Raises
    ------
    SettingError, NetworkError
    """

    def __init__(self, selection: SharedSelection, styles: Any = None, any_class: str = ""):
        self.selection, self.any_class, self._quiet = selection, any_class, False
        if styles is not None:
            selection.set(styles=ClassStyles.of(self._net, styles))
        self.class_box = w.Dropdown(description="class", tooltip="the class")
        self.style_box = w.Dropdown(description="style", tooltip="the units of fc7 that pass: the mask m7 of a topic")
        for box in (self.class_box, self.style_box):
            box.style.description_width, box.layout.width = "38px", "230px"
        self.class_box.observe(self._class_chosen, "value")
        self.style_box.observe(self._style_chosen, "value")
        selection.observe(self._follow)
        self._show()

    def close(self) -> None:
        """No longer follow the selection."""
        self.selection.unobserve(self._follow)

    @property
    def target(self) -> int | None:
        """The class's number; None for no class in particular."""
        target = self.selection.value.target
        fits = target is not None and 0 <= target < self._net.scores.channels
        return target if fits else None if self.any_class else 0

    @property
    def styles(self) -> list[Pathway | None]:
        """The chosen styles, one or several; [None] for the whole network."""
        known, style = self._known, self.selection.value.style
        if style == EACH_STYLE and known:
            return list(known[:MAX_STYLES])
        return [known[style]] if style is not None and 0 <= style < len(known) else [None]

    @property
    def names(self) -> list[str]:
        """The names of the chosen styles; "" for the whole network."""
        style, count = self.selection.value.style, len(self.styles)
        if count > 1 or style == EACH_STYLE:
            return [f"style {k}" for k in range(count)]
        return ["" if self.styles == [None] else f"style {style}"]

    @property
    def chosen(self) -> tuple:
        """Class and styles, for comparison."""
        return self.target, *(one and one.to_python() for one in self.styles)

    @property
    def _net(self) -> Network:
        assert self.selection.value.net is not None
        return self.selection.value.net

    @property
    def _known(self) -> list[Pathway]:
        styles = self.selection.value.styles
        return [] if styles is None else styles.known(self._net, self.target)

    def _follow(self, old: Selection, new: Selection) -> None:
        if {"net", "target", "styles", "style"} & new.differences(old):
            self._show()

    def _show(self) -> None:
        """Show what is selected, also where another panel selected it."""
        names = [(class_name(self._net, k), k) for k in range(self._net.scores.channels)]
        known, style = self._known, self.selection.value.style
        options = [(ALL_STYLES, None), *((f"style {k}", k) for k in range(len(known)))]
        options += [(SIDE_BY_SIDE, EACH_STYLE)] if len(known) > 1 else []
        self._quiet = True
        try:
            _offer(self.class_box, [(self.any_class, None), *names] if self.any_class else names, self.target)
            _offer(self.style_box, options, style if style in dict(options).values() else None)
        finally:
            self._quiet = False
        self.style_box.layout.display = "" if known else "none"

    def _class_chosen(self, change: dict) -> None:
        if not self._quiet:
            self.selection.set(target=change["new"])

    def _style_chosen(self, change: dict) -> None:
        if not self._quiet:
            self.selection.set(style=change["new"])


def caption_through(name: str, pathways: list[str]) -> str:
    """The caption of pictures of a class through one or several pathways, a row for each."""
    pathways = [one for one in pathways if one]
    if len(pathways) > 1:
        return f"{name}; one row each: {', '.join(pathways)}"
    return f"{name}; only the units of {pathways[0]} pass" if pathways else name


def each_with_each(pathways: list, seeds: int | list[int]) -> tuple[Any, Any, int]:
    """Each pathway with each seed, as a run takes them: (pathway, seed, how many pictures stand in a row).

    Parameters
    ----------
    pathways : list
    seeds : int or list of int

    Raises
    ------
    SettingError
        If that makes too many pictures.
    """
    several = seeds if isinstance(seeds, list) else [seeds]
    if len(pathways) * len(several) > _PICTURES:
        raise SettingError(
            f"{len(pathways)} pathways x {len(several)} seeds are more than {_PICTURES} pictures; take fewer."
        )
    if len(pathways) == len(several) == 1:
        return pathways[0], several[0], 1
    return [one for one in pathways for _ in several], several * len(pathways), len(several)


def _offer(box: w.Dropdown, options: list[tuple], value: Any) -> None:
    if list(box.options) != options:
        box.options = options
    if options:
        box.index = [known for _, known in options].index(value)  # None may be one of them
