"""StyleChooser: the class and the style that a panel looks for."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as w

from ..errors import SettingError
from ..network import Network
from ..styles import Pathway, pathway_of

NONE, ALL = "every style", "each style beside the next"
MOST = 4  # styles that are shown beside each other


class StyleChooser:
    """Two dropdowns: a class of a network, and one of its styles.

    styles: a cx.Topics, or a list of what `cx.complete` takes as a style, or a dict of either by the class's label;
    None for a network whose topics nobody has looked for. free: the word for a class that is left open, or "".
    on_change() is called when another is chosen. Raises SettingError.
    """

    def __init__(self, net: Network, unit: int | None, styles, free: str = ""):
        self.free, self._given = free, styles
        self.on_change: Callable[[], None] = lambda: None
        self._all: dict[str, list[Pathway]] = {}
        by_class = styles if isinstance(styles, dict) else {"": styles}
        for label, some in by_class.items():
            self._all[label] = [pathway_of(one) for one in ([] if some is None else some)]
            for one in self._all[label]:
                one.masks(net)  # one that does not fit is refused now
        if isinstance(styles, dict) and (wrong := [label for label in styles if label not in net.labels]):
            raise SettingError(f"styles has {wrong[0]!r}, which is no class of {net.name}; expected labels of classes.")
        self._styled = net
        self.unit = w.Dropdown(description="class", tooltip="which class is looked for")
        self.style = w.Dropdown(description="style", tooltip="through which units of fc7 (a topic's m7)")
        for box in (self.unit, self.style):
            box.style.description_width, box.layout.width = "38px", "230px"
        self._quiet = False
        self.suit(net, unit)
        self.unit.observe(self._unit_chosen, "value")
        self.style.observe(self._style_chosen, "value")

    def suit(self, net: Network, unit: int | None) -> None:
        """Offers the classes of a network."""
        count = net.scores.channels
        labels = net.labels if len(net.labels) == count else [f"class {k}" for k in range(count)]
        self.net = net
        self._quiet = True
        try:
            options = [(label, k) for k, label in enumerate(labels)]
            self.unit.options = [(self.free, -1), *options] if self.free else options
            self.unit.value = (-1 if self.free else 0) if unit is None else unit
            self._offer()
        finally:
            self._quiet = False

    @property
    def channel(self) -> int | None:
        """The class's number, or None where it is left open."""
        return None if self.unit.value == -1 else self.unit.value

    @property
    def styles(self) -> list[Pathway | None]:
        """The styles to look for, one or several."""
        known = self._known()
        if self.style.value == ALL:
            return known[:MOST]
        return [None] if self.style.value in (NONE, None) else [known[int(self.style.value.rpartition(" ")[2])]]

    def _known(self) -> list[Pathway]:
        if self.net is not self._styled:
            return []  # masks belong to the network that they were found in
        label = self.net.labels[self.channel] if self.channel is not None and self.net.labels else ""
        return self._all.get(label, self._all.get("", []))

    def _offer(self) -> None:
        known, was = self._known(), self.style.value
        names = [NONE, *(f"style {k}" for k in range(len(known))), *([ALL] if len(known) > 1 else [])]
        self.style.options = names
        self.style.value = was if was in names else NONE
        self.style.layout.display = "" if known else "none"

    def _unit_chosen(self, change) -> None:
        if not self._quiet:
            self._quiet = True
            self._offer()
            self._quiet = False
            self.on_change()

    def _style_chosen(self, change) -> None:
        if not self._quiet:
            self.on_change()
