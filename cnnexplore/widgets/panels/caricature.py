"""CaricaturePanel: an image in which what a layer sees is exaggerated, growing while its settings are moved."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ...network import Layer
from ...preimage import Caricature, Run, Values, paper_jitter
from ..live.selection import SharedSelection
from .base import NetworkLike
from .image_python import image_python
from .run_panel import RunPanel


class CaricaturePanel(RunPanel):
    """A live caricature: the image beside its exaggeration by a layer.

    Parameters
    ----------
    net : Network or str or path, optional
        A network, or what `load` takes (default: "photonet").
    image : object, optional
        An image, a list, or a dict by name (default: the bundled images).
    layer : str, optional
        The layer whose activation is exaggerated (default: one in the middle).
    C : float, optional
        The weight of the activation against the priors; None: 10, which exaggerates more than the paper's 1.
    alpha, beta : float
        Exponents of the bounded range and of total variation.
    jitter : int, optional
        Pixels by which the image is shifted at random; None: the paper's choice for the layer.
    steps : int
        The length of a run.
    seed : int
        The first seed.
    seeds : int
        How many pictures grow side by side, 1 to 16.
    start : bool
        Begin at once.
    selection : SharedSelection, optional
        Shares what is looked at with other panels.

    Raises
    ------
    LayerNotFound, ImageError, SettingError, NetworkError, WeightsError

    Examples
    --------
    >>> import cnnexplore as cx
    >>> panel = cx.CaricaturePanel("lenet", layer="conv1", steps=5)
    >>> panel.wait(60)
    True
    >>> panel.picture.shape
    (28, 28, 3)
    >>> panel.close()
    """

    layer_help = "the layer whose activation is exaggerated"
    again = "begin again from the image"
    metric_unit = " × its own"
    metric_help = "the component of the activation along the image's own, relative to it; 1 for the image itself"

    def __init__(
        self,
        net: NetworkLike = None,
        image: Any = None,
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
        selection: SharedSelection | None = None,
    ):
        values = {"C": 10.0 if C is None else C, "alpha": alpha, "beta": beta, "jitter": jitter}
        super().__init__(net, image, layer, selection, values=values, steps=steps, seed=seed, seeds=seeds, start=start)

    def _usual(self, layer: Layer, size: tuple[int, int]) -> Values:
        return Values(self.parameters, C=1.0, jitter=paper_jitter(layer))

    def _make(self) -> Callable[[], Run]:
        s = self.selection.value
        return partial(Caricature, self.net, s.image, s.layer, **self._options())

    def _run_to_python(self, run: Caricature, step: int | None) -> str:
        return run.to_python(image_python(self.selection.value), step=step)

    def _caption(self, run: Caricature) -> str:
        return f"what {run.layer.name} sees in it, exaggerated"
