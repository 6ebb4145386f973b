"""explore: the whole instrument, live, in a notebook."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import ipywidgets as w

from ..errors import ExploreError
from ..network import Network
from ..zoo import DEFAULT, load
from .live.notebook import show_with_still
from .live.selection import Selection
from .panels.attribution import AttributionPanel
from .panels.caricature import CaricaturePanel
from .panels.completion import CompletionPanel
from .panels.decoding import DecodingPanel
from .panels.images import several
from .panels.inversion import InversionPanel
from .panels.maximization import MaximizePanel
from .panels.pathways import PathwayPanel
from .panels.styles import StylePanel
from .panels.units import UnitPanel

# name -> (what makes the panel for a network and images, what it answers)
PANELS: dict[str, tuple[Callable, str]] = {
    "inversion": (InversionPanel, "what does a layer keep of an image?"),
    "maximisation": (lambda net, images: MaximizePanel(net), "what does a unit want to see?"),
    "caricature": (CaricaturePanel, "what does a layer find striking in an image?"),
    "attribution": (AttributionPanel, "which pixels count?"),
    "units": (lambda net, images: UnitPanel(net), "what does a unit answer to?"),
    "decoding": (DecodingPanel, "what are the filters, in pixels?"),
    "styles": (lambda net, images: StylePanel(net, _many(images)), "what does a class contain?"),
    "pathways": (lambda net, images: PathwayPanel(net), "which part of the network knows what of a class?"),
    "completion": (CompletionPanel, "what belongs into a hole?"),
}
_ENOUGH = 20  # images, for styles
_SHARED = ("net", "image", "image_python", "layer", "unit", "position", "target", "styles", "style")


class Explorer:
    """All panels behind one row of names; what is looked at goes along from one to the next.

    net: a Network, a name or a path for `cx.load` (default: photonet). images: one, a list, or a dict by name.
    name: the panel to begin with, one of `PANELS`. A panel is made when it is first chosen, and waits while another
    is on the screen; one that cannot be made of this network says why in its place.
    Raises ImageError, NetworkError, WeightsError.
    """

    def __init__(self, net=None, images=None, name: str = "inversion"):
        self._net = net if isinstance(net, Network) else load(net or DEFAULT)
        self._images, self._still = images, None
        self.panels: dict[str, object] = {}
        tips = [question for _, question in PANELS.values()]
        self.names = w.ToggleButtons(options=list(PANELS), value=name, tooltips=tips, style={"button_width": "auto"})
        self.says = w.HTML()
        self._stage = w.VBox()
        self.widget = w.VBox([self.names, self.says, self._stage], layout=w.Layout(max_width="900px"))
        self.names.observe(self._chosen, "value")
        self._show(name)

    @property
    def panel(self):
        """The panel on the screen."""
        return self.panels[self._shown]

    @property
    def selection(self) -> Selection:
        """What it looks at."""
        return self.panel.selection

    def to_python(self) -> str:
        """The line of Python that remakes the picture on the screen."""
        return self.panel.to_python()

    def _ipython_display_(self) -> None:
        self._still = show_with_still(self.widget, self.panel.poster())
        self._hand_over()

    def _chosen(self, change) -> None:
        try:
            self._show(change.new, self.panel)
        except ExploreError as error:  # the panel before is still the one that is asked what is looked at
            self.says.value = _sentence(PANELS[change.new][1])
            self._stage.children = [w.HTML(_sentence(str(error), "error-color1"))]

    def _show(self, name: str, before=None) -> None:
        panel = self.panels.get(name)
        if panel is None:
            net = self._net if before is None else before.selection.net
            panel = self.panels[name] = PANELS[name][0](net, self._images)
        self._shown = name
        self.says.value = _sentence(PANELS[name][1])
        self._stage.children = [panel.widget]  # the one before loses its views, and waits
        self._hand_over()
        if before is not None and before is not panel:
            _follow(panel.selection, before.selection)

    def _hand_over(self) -> None:
        """The still behind the instrument shows the panel on the screen."""
        for panel in self.panels.values():
            panel._still = self._still if panel is self.panel else None


def _follow(selection: Selection, other: Selection) -> None:
    """Looks at what another panel looked at, as far as it looked at anything."""
    seen = {name: getattr(other, name) for name in _SHARED}
    if seen["image"] is None:
        del seen["image"], seen["image_python"]
    selection.set(**seen)


def _many(images) -> list | None:
    """The images that an instrument was given, where they are enough to look for styles in; else those at hand."""
    given = [] if images is None else several(list(images.values()) if isinstance(images, dict) else images)
    return given if len(given) >= _ENOUGH else None


def _sentence(text: str, colour: str = "ui-font-color2") -> str:
    return f'<span style="color: var(--jp-{colour})">{escape(text)}</span>'


def explore(net=None, images=None) -> Explorer:
    """The instrument for a network (default: photonet) and images (one, a list, or a dict by name).

    Shown by being the last line of a cell. Raises ImageError, NetworkError, WeightsError.
    """
    return Explorer(net, images)
