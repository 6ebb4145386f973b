"""The questions of the explorer: for each the panel that answers it, and whether a network can be asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...errors import ExploreError
from ...network import Network, class_score_layer, features_layer
from ...styles.classifier_head import classifier_head
from ..live.selection import Selection, SharedSelection
from ..panels.attribution import AttributionPanel
from ..panels.base import Panel
from ..panels.caricature import CaricaturePanel
from ..panels.completion import CompletionPanel
from ..panels.decoding import DecodingPanel
from ..panels.inversion import InversionPanel
from ..panels.maximization import MaximizePanel
from ..panels.pathways import PathwayPanel
from ..panels.styles import StylePanel
from ..panels.units import UnitPanel

FOR_PATCHES, FOR_STYLES = 9, 20  # images that are enough to look for a unit's patches, and for styles


@dataclass(frozen=True)
class Question:
    """A question about what is selected.

    Attributes
    ----------
    label : str
        A few words, for its button.
    text : str
        The whole question; "{layer}" and "{unit}" stand for what is selected.
    make : callable
        Makes the panel that answers it, of a selection and of the images that were given to the explorer or None.
    check : callable
        Called with a network; raises an ExploreError if it cannot be asked.
    fit : callable
        The name of the layer that the panel looks at, of a selection.
    """

    label: str
    text: str
    make: Callable[[SharedSelection, Any], Panel]
    check: Callable[[Network], object] = lambda net: None
    fit: Callable[[Selection], str] = lambda selection: selection.layer

    def asked(self, selection: Selection) -> str:
        """The whole question about what is selected.

        Parameters
        ----------
        selection : Selection
        """
        layer = self.fit(selection)
        unit = "a unit" if selection.unit is None else f"unit {selection.unit}"
        return self.text.replace("{layer}", layer).replace("{unit}", f"{unit} of {layer}")

    def why_not(self, net: Network) -> str:
        """The sentence that says why a network cannot be asked; "" if it can.

        Parameters
        ----------
        net : Network
        """
        try:
            self.check(net)
        except ExploreError as error:
            return str(error)
        return ""


def layer_with_filters(selection: Selection) -> str:
    """The selected layer, or the last one before it that has filters of its own.

    Parameters
    ----------
    selection : Selection
    """
    assert selection.net is not None
    found = ""
    for name, layer in selection.net.layers.items():
        if layer.kind.lower().endswith(("conv2d", "linear")):
            found = name
        if name == selection.layer:
            break
    return found or selection.layer


def at_least(images: Any, least: int) -> Any:
    """The images, if there are at least so many; else None.

    Parameters
    ----------
    images : sequence or None
    least : int
    """
    return None if images is None or len(images) < least else images


QUESTIONS: dict[str, Question] = {
    "inversion": Question(
        "What does it keep?",
        "What does {layer} keep of the image?",
        lambda selection, images: InversionPanel(selection=selection),
    ),
    "maximization": Question(
        "What does it want?",
        "Which input maximizes {unit}?",
        lambda selection, images: MaximizePanel(selection=selection),
    ),
    "caricature": Question(
        "What does it exaggerate?",
        "What does {layer} see in the image, exaggerated?",
        lambda selection, images: CaricaturePanel(selection=selection),
    ),
    "attribution": Question(
        "Which pixels count?",
        "Which pixels does the class, or the unit, depend on?",
        lambda selection, images: AttributionPanel(selection=selection),
    ),
    "units": Question(
        "All about a unit",
        "Which images does {unit} respond to, what does it mean, and what does the network do without it?",
        lambda selection, images: UnitPanel(images=at_least(images, FOR_PATCHES), selection=selection),
    ),
    "decoding": Question(
        "What is it made of?",
        "What are the filters of {layer}, in pixels?",
        lambda selection, images: DecodingPanel(selection=selection),
        fit=layer_with_filters,
    ),
    "styles": Question(
        "What is in a class?",
        "Which styles does a class contain?",
        lambda selection, images: StylePanel(images=at_least(images, FOR_STYLES), selection=selection),
        check=features_layer,
    ),
    "pathways": Question(
        "Which path?",
        "What does a part of the network contribute to a class?",
        lambda selection, images: PathwayPanel(selection=selection),
        check=classifier_head,
    ),
    "completion": Question(
        "What belongs here?",
        "What belongs into a part of the image that is masked?",
        lambda selection, images: CompletionPanel(selection=selection),
        check=class_score_layer,
    ),
}
