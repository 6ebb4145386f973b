"""CaricaturePanel: an image with what its code says exaggerated, growing while its settings are moved."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ...network import Layer
from ...preimage import Caricature, Run, Values, paper_jitter
from ..live.selection import Selection
from .run_panel import RunPanel


class CaricaturePanel(RunPanel):
    """A live caricature: the original beside what a layer makes of it, under controls that act at once.

    net: a Network, a name or a path for `cx.load` (default: photonet). image: an image, a list, or a dict
    by name (default: pictures at hand). layer: default one in the middle. C: None for 10, which
    exaggerates more than the paper's 1. jitter: None for the paper's choice.
    seeds: how many grow side by side. start: begin at once. selection: share what is looked at with other panels.
    Raises LayerNotFound, ImageError, SettingError, NetworkError, WeightsError.
    """

    layer_help = "the layer whose code is exaggerated"
    again = "begin again from the image"
    unit = " × its own"
    means = "how strong the image's own code is in the picture; 1 in the image itself"

    def __init__(
        self,
        net=None,
        image=None,
        layer: str | None = None,
        *,
        C: float | None = None,
        alpha: float = 6,
        beta: float = 2,
        jitter: int | None = None,
        steps: int = 200,
        seed: int = 0,
        seeds: int = 1,
        start: bool = True,
        selection: Selection | None = None,
    ):
        given = {"C": 10.0 if C is None else C, "alpha": alpha, "beta": beta, "jitter": jitter}
        super().__init__(net, image, layer, given, steps, seed, seeds, start, selection)

    def _usual(self, layer: Layer, size: tuple[int, int]) -> Values:
        return Values(self.parameters, C=1.0, jitter=paper_jitter(layer))

    def _make(self) -> Callable[[], Run]:
        s = self.selection
        settings = {"steps": self.starts.steps, "seed": self.starts.noises, "settings": self.settings}
        return partial(Caricature, s.net, s.image, s.layer, **settings)

    def _python_of(self, run: Caricature, step: int | None) -> str:
        return run.to_python(self.selection.image_python, step=step)

    def _says(self, run: Caricature) -> str:
        return f"what {run.layer.name} sees in it, exaggerated"
