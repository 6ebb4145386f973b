"""TopicControls: the class, the number of its topics, the topic that is shown, and what opens its mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as w

from ...arguments import number, whole
from ...errors import SettingError, brief_value
from ..elements import dropdown
from ..views.scatter import COLOURS

ALL = "all classes"
MAX_TOPICS = 8  # topics


def label(name: str, value: Any) -> str | None:
    """The check of a class's label; None: all classes, "": the first one there is."""
    if value is None or (isinstance(value, str) and len(value) <= 200 and (value.isprintable() or not value)):
        return value
    raise SettingError(f"{name} is {brief_value(value)}; expected the label of a class, or None for all of them.")


CHECKS = {
    "k": whole(1, MAX_TOPICS, "how many topics"),
    "threshold": number(0, 0.9, "a share of a topic's largest entry"),
    "distinct": number(0, 4, "how many times any other topic"),
}


class TopicControls:
    """Dropdowns for class and number of topics, a button per topic, sliders for the mask.

    Parameters
    ----------
    first : str or None
        The class's label at first; None: all classes, "": the first one there is.
    k : int
        The number of topics.
    threshold, distinct : float
        As for `Topics.mask`.

    Attributes
    ----------
    on_search : callable
        Called when another class or number of topics was chosen.
    on_mask : callable
        Called when threshold or distinct was moved.
    on_topic : callable
        Called with the number of a topic when its button was pressed.

    Raises
    ------
    SettingError
    """

    def __init__(self, first: str | None, k: int, threshold: float, distinct: float):
        self.on_search: Callable[[], None] = lambda: None
        self.on_mask: Callable[[], None] = lambda: None
        self.on_topic: Callable[[int], None] = lambda topic: None
        self._quiet = False
        tip = "the class of the images"
        self.class_box = dropdown([ALL if first is None else first], "class", tip, 200)
        self.k_box = dropdown(list(range(1, MAX_TOPICS + 1)), "topics", "k: how many topics", 106)
        self.k_box.value = k
        tip = "the share of the topic's largest entry that a unit of fc7 needs to be open in m7"
        self.threshold = _slider(threshold, 0.9, 0.05, "threshold", tip)
        tip = "how many times as strong as in any other topic a unit of fc7 must be to be open in m7"
        self.distinct = _slider(distinct, 4, 0.25, "distinct", tip)
        self.buttons = [self._button(topic) for topic in range(MAX_TOPICS)]
        for box in (self.class_box, self.k_box):
            box.observe(lambda change: None if self._quiet else self.on_search(), "value")
        for slider in (self.threshold, self.distinct):
            slider.observe(lambda change: self.on_mask(), "value")

    @property
    def name(self) -> str | None:
        """The class's label; None for all classes, "" for the first."""
        return None if self.class_box.value == ALL else self.class_box.value

    def offer_classes(self, names: Sequence[str]) -> None:
        """Offer the classes that the images have; the chosen one stays if it is among them."""
        options, now = [ALL, *names], self.class_box.value
        if list(self.class_box.options) == options:
            return
        self._quiet = True
        try:
            self.class_box.options = options
            self.class_box.value = now if now in options else options[min(1, len(options) - 1)]
        finally:
            self._quiet = False

    def offer_topics(self, counts: Sequence[int]) -> None:
        """Show a button for each topic, with the number of its images."""
        for topic, button in enumerate(self.buttons):
            button.layout.display = "" if topic < len(counts) else "none"
            if topic < len(counts):
                button.description = f"topic {topic} · {counts[topic]}"

    def frame(self, topic: int | None) -> None:
        """Frame the button of the topic that is shown."""
        for k, button in enumerate(self.buttons):
            colour = "var(--jp-ui-font-color1)" if k == topic else "transparent"
            button.layout.border = f"3px solid {colour}"

    def _button(self, topic: int) -> w.Button:
        tip = "its images, its mask and the input that maximizes the class through it"
        button = w.Button(tooltip=tip, layout=w.Layout(width="136px", height="34px", display="none", margin="0"))
        button.style.button_color, button.style.text_color = COLOURS[topic], "white"
        button.style.font_weight = "600"
        button.on_click(lambda _: self.on_topic(topic))
        return button


def _slider(value: float, most: float, step: float, name: str, tip: str) -> w.FloatSlider:
    return w.FloatSlider(
        value, min=0, max=most, step=step, description=name, readout_format=".2f", tooltip=tip,
        layout=w.Layout(width="280px"), style={"description_width": "62px"}, continuous_update=False,
    )  # fmt: skip
