"""Presets of a maximisation: parts and settings that go together, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..arguments import choice
from ..network import Layer, Network, has_class_units, scores_if_any
from .published import paper_jitter, paper_weight
from .run import Run
from .settings import Parameter, Values
from .transformations import Crop, Noise, Rotation, Scaling, Transformation
from .variants import variant_of

Pair = tuple[int, int]

_HIDDEN = 4.0  # how much more the response of a unit of a hidden fully-connected layer weighs than that of a class

_COLOUR = 6.0  # the weight of the variation of colours where a unit sees the whole image


@dataclass(frozen=True)
class Preset:
    """How the image of a unit is looked for.

    Attributes
    ----------
    name : str
        What `preset=` takes.
    label : str
        Its name on the screen.
    about : str
        What it does, in a sentence.
    variant : str
        The start, the priors, and what moves.
    transforms : tuple of Transformation
        What changes the image at random before the network sees it.
    numbers : callable
        The settings by name that are not their defaults, for a layer, the (H, W) of the network's input, and whether
        the layer is a hidden one without a map.
    """

    name: str
    label: str
    about: str
    variant: str
    transforms: tuple[Transformation, ...]
    numbers: Callable[[Layer, Pair, bool], dict[str, float]]

    @property
    def solver(self) -> str:
        """The solver unless another is given."""
        return variant_of(self.variant).solver

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What can be steered."""
        return Run.parameters_for(self.variant, transforms=self.transforms)

    def settings(self, net: Network, layer: Layer, size: Pair) -> Values:
        """All settings.

        Parameters
        ----------
        net : Network
            The network.
        layer : Layer
            The unit's layer.
        size : tuple of int
            (H, W) of the network's input.
        """
        scores = scores_if_any(net)
        last = scores is not None and net.layers.depth(layer) >= net.layers.depth(scores)
        hidden = not (layer.has_map or last or has_class_units(net, layer))
        return Values(self.parameters, **self.numbers(layer, size, hidden))


def _paper(layer: Layer, size: Pair, hidden: bool) -> dict[str, float]:
    return {"C": paper_weight(layer, size), "jitter": paper_jitter(layer)}


def _natural(layer: Layer, size: Pair, hidden: bool) -> dict[str, float]:
    """Found by how many classes of one network another network recognises; weak where a unit sees little.

    A unit of a hidden fully-connected layer prefers less than a class does, so that its response weighs more: else the
    priors hold a unit of a robust network below its threshold.
    """
    paper = _paper(layer, size, hidden)
    if not layer.has_map:
        shift = min(round(0.28 * max(size)), 64)
        paper["C"] *= _HIDDEN if hidden else 1
        return {**paper, "beta": 1.5, "jitter": shift, "rotation": 20, "scaling": 0.5, "colour": _COLOUR}
    share = min(max(rf / side for rf, side in zip(layer.rf_size, size, strict=True)), 1)
    weak = {"rotation": round(10 * share, 1), "scaling": round(0.2 * share, 2), "colour": round(_COLOUR * share, 1)}
    return {**paper, **weak}


def _lucid(layer: Layer, size: Pair, hidden: bool) -> dict[str, float]:
    return {"C": 1.0, "jitter": max(round(max(size) / 16), 1), "rotation": 5.0, "scaling": 0.1, "rate": 0.05}


def _maco(layer: Layer, size: Pair, hidden: bool) -> dict[str, float]:
    return {"C": 1.0, "jitter": 0, "rate": 1.0, "views": 6, "crop": 0.5, "noise": 3}


_PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "natural",
            "natural",
            "Pixels under random shifts, turns and sizes, whose colours vary little. Other networks recognise these "
            "pictures most often.",
            "natural",
            (Scaling(), Rotation()),
            _natural,
        ),
        Preset(
            "paper2016",
            "paper 2016",
            "Pixels with the paper's priors and its small shifts: the method of the paper's figures.",
            "preimage2016",
            (),
            _paper,
        ),
        Preset(
            "lucid",
            "lucid",
            "Fourier coefficients of uncorrelated colours, under random changes: strong contrast.",
            "fourier",
            (Scaling(), Rotation()),
            _lucid,
        ),
        Preset(
            "maco",
            "MACO",
            "Phases only; the magnitudes are those of photographs. What did not matter to the unit fades to white.",
            "phase",
            (Crop(), Noise()),
            _maco,
        ),
    )
}
DEFAULT = "natural"


def presets() -> list[str]:
    """The names of the presets of a maximisation.

    Returns
    -------
    list of str
        What `preset=` takes.

    Examples
    --------
    >>> from cnnexplore.preimage import presets
    >>> presets()
    ['natural', 'paper2016', 'lucid', 'maco']
    """
    return list(_PRESETS)


def preset_of(name: str | None) -> Preset:
    """The preset of a name, the default for None. Raises SettingError for an unknown one."""
    return _PRESETS[DEFAULT if name is None else choice(_PRESETS)("preset", name)]
