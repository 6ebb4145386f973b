"""Explorer: all panels of a network in one instrument, live, in a notebook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as w

from ..arguments import checked, choice, optional
from ..errors import ExploreError
from ..network import Network
from ..zoo import DEFAULT, load
from .elements import WRONG, sentence
from .live.notebook import cell_key, on_close, show_closed, show_with_png
from .live.selection import Selection
from .panels.arguments import network
from .panels.attribution import AttributionPanel
from .panels.base import NetworkLike, Panel
from .panels.caricature import CaricaturePanel
from .panels.completion import CompletionPanel
from .panels.decoding import DecodingPanel
from .panels.images import as_list
from .panels.inversion import InversionPanel
from .panels.maximization import MaximizePanel
from .panels.pathways import PathwayPanel
from .panels.styles import StylePanel
from .panels.units import UnitPanel

# name -> (what makes the panel for a network and images, the question that it answers)
PANELS: dict[str, tuple[Callable[[Network, Any], Panel], str]] = {
    "inversion": (InversionPanel, "what does a layer keep of an image?"),
    "maximization": (lambda net, images: MaximizePanel(net), "which input maximizes a unit?"),
    "caricature": (CaricaturePanel, "what does a layer see in an image, exaggerated?"),
    "attribution": (AttributionPanel, "which pixels count?"),
    "units": (lambda net, images: UnitPanel(net), "which images does a unit respond to?"),
    "decoding": (DecodingPanel, "what are the filters, in pixels?"),
    "styles": (lambda net, images: StylePanel(net, _for_styles(images)), "which styles does a class contain?"),
    "pathways": (lambda net, images: PathwayPanel(net), "what does a part of the network contribute to a class?"),
    "completion": (CompletionPanel, "what belongs into a masked part?"),
}
_ENOUGH = 20  # images, for styles


class Explorer:
    """All panels behind one row of buttons; another panel shows the same network, image, layer, unit and class.

    A panel is made when it is first chosen, and pauses while another is shown. One that cannot be made for the network
    is replaced by a sentence that says why.

    Parameters
    ----------
    net : Network or str or path, optional
        A network, or what `load` takes (default: "photonet").
    images : object, optional
        An image, a list, or a dict by name (default: the bundled images).
    name : str
        The first panel, one of `PANELS`.

    Raises
    ------
    ImageError, NetworkError, WeightsError
    """

    @checked(net=optional(network), name=choice(PANELS))
    def __init__(self, net: NetworkLike = None, images: Any = None, name: str = "inversion"):
        self._net = net if isinstance(net, Network) else load(DEFAULT if net is None else net)
        self._images = images
        self._on_poster: Callable[[bytes], None] | None = None
        self.panels: dict[str, Panel] = {}
        self.closed = False
        cell_key(self)
        tips = [question for _, question in PANELS.values()]
        self.names = w.ToggleButtons(options=list(PANELS), value=name, tooltips=tips, style={"button_width": "auto"})
        self.question, self._wrong = w.HTML(), w.HTML()
        self._area = w.VBox()
        self.widget = w.VBox([self.names, self.question, self._area], layout=w.Layout(max_width="900px"))
        self.widget.add_class("cx-explorer")
        self.names.observe(self._chosen, "value")
        on_close(self.widget, self.close)
        self._show(name)

    @property
    def panel(self) -> Panel:
        """The panel that is shown."""
        return self.panels[self._shown]

    @property
    def selection(self) -> Selection:
        """What the shown panel looks at."""
        return self.panel.selection.value

    @property
    def picture(self) -> Any:
        """The picture of the shown panel."""
        return self.panel.picture

    def to_python(self) -> str:
        """The Python that makes the picture on the screen again."""
        return self.panel.to_python()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the shown panel has computed everything; see `Panel.wait`."""
        return self.panel.wait(timeout)

    def close(self) -> None:
        """End all panels and close their widgets; also when the cell is run again."""
        if self.closed:
            return
        self.closed = True
        for panel in self.panels.values():
            panel.close()
        for widget in (self.names, self.question, self._wrong, self._area, self.widget):
            for part in (widget.layout, getattr(widget, "style", None), widget):
                if part is not None:
                    part.close()

    def _ipython_display_(self) -> None:
        if self.closed:
            return show_closed("explorer")
        self._on_poster = show_with_png(self.widget, self.panel.poster())
        self._pass_on_posters()

    def _chosen(self, change: dict) -> None:
        try:
            self._show(change["new"], self.panel)
        except ExploreError as error:  # the panel before stays the one whose selection and Python are used
            self.question.value = sentence(PANELS[change["new"]][1])
            self._wrong.value = sentence(str(error), WRONG)
            self._area.children = [self._wrong]

    def _show(self, name: str, before: Panel | None = None) -> None:
        panel = self.panels.get(name)
        if panel is None:
            net = self._net if before is None else before.net
            panel = self.panels[name] = PANELS[name][0](net, self._images)
        self._shown = name
        self.question.value = sentence(PANELS[name][1])
        self._area.children = [panel.widget]  # the one before loses its views, and pauses
        self._pass_on_posters()
        if before is not None and before is not panel:
            _follow(panel, before.selection.value)

    def _pass_on_posters(self) -> None:
        """The static picture of the explorer is that of the shown panel."""
        for panel in self.panels.values():
            panel.on_poster = self._on_poster if panel is self.panel else None


def _follow(panel: Panel, other: Selection) -> None:
    """Select what another panel looks at."""
    chosen = {name: getattr(other, name) for name in other.__dataclass_fields__}
    if other.image is None:
        del chosen["image"], chosen["image_python"]
    panel.selection.set(**chosen)


def _for_styles(images: Any) -> list | None:
    """The images of an explorer, if they are enough to find styles in; else the panel's default."""
    given = [] if images is None else as_list(list(images.values()) if isinstance(images, dict) else images)
    return given if len(given) >= _ENOUGH else None


def explore(net: NetworkLike = None, images: Any = None) -> Explorer:
    """The explorer of a network: inversion, maximization, attribution and more, linked.

    Parameters
    ----------
    net : Network or str or path, optional
        A network, or what `load` takes (default: "photonet").
    images : object, optional
        An image, a list, or a dict by name (default: the bundled images).

    Returns
    -------
    Explorer
        Shown when it is the last line of a cell.

    Raises
    ------
    ImageError, NetworkError, WeightsError

    Examples
    --------
    >>> import cnnexplore as cx
    >>> explorer = cx.explore("lenet", cx.digit(3))
    >>> explorer.selection.layer
    'conv2'
    >>> explorer.close()
    """
    return Explorer(net, images)
