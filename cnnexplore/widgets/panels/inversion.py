"""InversionPanel: what a layer keeps of an image, growing while its settings are moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as w
import numpy as np
import torch
import torch.nn.functional as F

from ...arguments import checked, choice, optional, several, whole
from ...errors import SettingError, brief_value
from ...generators import has_inverter
from ...network import Layer
from ...preimage import Inversion, Prior, SteeredRun, Values, masks, paper_C, paper_jitter
from ...preimage.inversion import GAMMA, masked_difference
from ..live.selection import Selection, SharedSelection
from ..views.map_view import MapView, receptive_box
from .arguments import PATCHES, PRIORS, read_first
from .base import NetworkLike
from .image_python import image_python
from .patch_controls import PatchControls
from .run_panel import RunPanel


class InversionPanel(RunPanel):
    """A live inversion: the image beside the estimate, with its energy and its error.

    Parameters
    ----------
    net : Network or str or path, optional
        A network, or what `load` takes (default: "photonet").
    image : object, optional
        An image, a list, or a dict by name (default: the bundled images).
    layer : str, optional
        The layer whose activation is inverted (default: one in the middle).
    C : float, optional
        The weight of the activation against the priors; None: the paper's choice for the layer.
    alpha, beta : float
        Exponents of the bounded range and of total variation.
    jitter : int, optional
        Pixels by which the image is shifted at random; None: the paper's choice for the layer.
    steps : int
        The length of a run.
    mask : object, optional
        The part of the activation that counts, as `invert` takes it; a window is also dragged on the layer's map.
    seed : int
        The first seed.
    seeds : int
        How many estimates grow side by side, 1 to 16.
    patches : PatchDatabase or images, optional
        Photographs whose patches the estimate shall resemble: a database, a folder, a list or a data set. None: the
        bundled images, switched off at first.
    gamma : float, optional
        The weight of the patches (default: 10 C; C with the bundled images, which are few).
    init : "learned", optional
        Begin with the picture of the layer's learned inverter, where it has one; None: with noise.
    priors : sequence of Prior
        Terms of the energy beside the usual ones; their parameters get sliders.
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
    >>> panel = cx.InversionPanel("lenet", layer="conv1", steps=5)
    >>> panel.wait(60)
    True
    >>> panel.to_python()
    "cx.invert(cx.load('lenet'), cx.digit(2), 'conv1', C=300, alpha=6, beta=2, jitter=1, steps=5, seed=0)"
    >>> panel.close()
    """

    layer_help = "the layer whose activation is inverted"
    _learned: tuple[Any, np.ndarray, float] | None = None  # a run, the learned picture beside it, its error
    metric_help = "||Φ(x) - Φ0|| / ||Φ0||: the relative difference of the estimate's activation from the original's"

    @checked(**PATCHES, **PRIORS, init=optional(choice(("learned",))))
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
        mask: Any = None,
        seed: int = 0,
        seeds: int = 1,
        patches: Any = None,
        gamma: float | None = None,
        init: str | None = None,
        priors: Sequence[Prior] = (),
        start: bool = True,
        selection: SharedSelection | None = None,
    ):
        self.mask, self._given_patches, self.priors = mask, (patches, gamma), tuple(priors)
        self._given_init = init
        values = {"C": C, "alpha": alpha, "beta": beta, "jitter": jitter}
        super().__init__(net, image, layer, selection, values=values, steps=steps, seed=seed, seeds=seeds, start=start)

    def _prepare(self) -> None:
        super()._prepare()
        if self.mask is not None:  # one that does not fit is refused at once
            activation = self.net.activations(self.selection.value.image, self.layer.name)
            masked_difference(activation, self.layer, self.mask)
        patches, gamma = self._given_patches
        read_first(self.net, patches)
        few = patches is None  # the bundled images: no patch of theirs may fit
        gamma = (1 if few else GAMMA) * self.settings.C if gamma is None else gamma
        self.patches = PatchControls(self.settings, patches, gamma, self.net.size)

    def _more_controls(self) -> list[w.Widget]:
        self.start_from = w.Dropdown(options=[("noise", ""), ("the learned inversion", "learned")])
        self.start_from.description = "start"
        self.start_from.value = self._given_init or ""
        self.start_from.layout.width, self.start_from.style.description_width = "304px", "52px"
        self.start_from.tooltip = "what the optimisation begins with; a layer without a learned inverter has noise only"
        self.start_from.observe(lambda _: self._begin(), "value")
        return [self.start_from]

    def _shared_controls(self) -> dict[str, w.Widget]:
        return {**super()._shared_controls(), "start_from": self.start_from}

    def shared_settings(self) -> dict[str, Any]:
        """The settings of the run, and the window of the map that counts."""
        return {**super().shared_settings(), **({} if self._window is None else {"window": list(self._window)})}

    def _take(self, settings: Mapping[str, Any]) -> None:
        settings = dict(settings)
        if (window := settings.pop("window", None)) is not None:
            corners = several(whole(0, what="a row or a column"), "[top, left, bottom, right]", 4)("window", window)
            if len(corners) != 4:
                raise SettingError(f"window is {brief_value(window)}; expected [top, left, bottom, right].")
            mask = masks.window(*corners)
            activation = self.net.activations(self.selection.value.image, self.layer.name)
            masked_difference(activation, self.layer, mask)  # one that does not fit is refused at once
            self.mask = mask
        super()._take(settings)

    def _usual(self, layer: Layer, size: tuple[int, int]) -> Values:
        return Values(self.parameters, C=paper_C(layer, size), jitter=paper_jitter(layer))

    def _make(self) -> Callable[[], SteeredRun]:
        s, patches, mask = self.selection.value, self.patches, self.mask
        net, options = self.net, {**self._options(), "mask": mask, "priors": self.priors}
        learns = has_inverter(net, s.layer)
        self.start_from.disabled = not learns
        start = {"init": self.start_from.value} if learns and self.start_from.value else {}

        def make() -> SteeredRun:
            more = patches.options(net, s.layer) if patches is not None else {}
            run = Inversion(net, s.image, s.layer, **options, **{**more, **start})
            self._learned = None
            if learns:
                beside = Inversion(net, s.image, s.layer, steps=0, refine=0, mask=mask, init="learned")
                self._learned = run, net.picture(beside.x[:1]), float(beside.errors[0])
            return run

        return make

    def _run_to_python(self, run: Inversion, step: int | None) -> str:
        return run.to_python(image_python(self.selection.value), step=step)

    def _caption(self, run: Inversion) -> str:
        part = "" if run.mask is None else " in the window" if self._window else " under the mask"
        return f"what {run.layer.name} keeps{part}"

    # the layer's map

    def _beside(self) -> list[w.Widget]:
        self.map = MapView(True, "whole map", "let every position count again")
        self.map.on_choose = self._window_chosen
        return [self.map.widget]

    @property
    def _window(self) -> tuple[int, int, int, int] | None:
        m = self.mask
        return (m.top, m.left, m.bottom, m.right) if isinstance(m, masks.window) else None

    def _window_chosen(self, window: tuple[int, ...] | None) -> None:
        self.mask = None if window is None else masks.window(*window)
        self._begin()

    def _selected(self, old: Selection, new: Selection) -> None:
        if {"net", "layer"} & new.differences(old):
            self.mask = None  # it belongs to the map of another layer
        super()._selected(old, new)

    def _show_run(self, run: Any) -> None:
        learned = self._learned
        if learned is not None and learned[0] is run:
            self.run_pictures.show_learned(learned[1], f"learned inverter, one pass; error {learned[2]:.3f}")
        else:
            self.run_pictures.show_learned(None)
        activation = run.loss.reference[0].float()
        if activation.dim() < 3:
            self.map.show(run.layer, None, None, "")
            return
        weight = run.loss.weight
        counts = None if weight is None else weight.expand_as(run.loss.reference)[0].amax(0).cpu().numpy()
        rows, columns = run.layer.size
        window = self._window
        caption = f"{rows} x {columns} positions of {run.layer.name}, bright where it responds: drag a window"
        if window is not None:
            top, left, bottom, right = window
            caption = f"only {bottom - top} x {right - left} of {rows} x {columns} positions count"
            self.run_pictures.set_box(receptive_box(run.layer, window))
            self.original.caption = "original; the box is what the window sees"
        original = run.net.picture(run.net.pixels_of(self.selection.value.image))
        picture = _fade_masked(_mosaic(original, activation.abs().mean(0).cpu().numpy()), counts)
        self.map.show(run.layer, picture, window, caption)

    def _pick(self, row: int, column: int) -> None:
        super()._pick(row, column)
        if self._window is None:
            self.map.mark(self.selection.value.position)
            self.map.back.layout.visibility = "hidden"  # nothing was masked


def _mosaic(image: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """An image (H, W, 3) in as many cells as strength (h, w) has, brighter where that is larger, (h, w, 3) uint8."""
    pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float()
    cells = F.interpolate(pixels, strength.shape, mode="area")[0].permute(1, 2, 0).numpy()
    share = strength / max(float(strength.max()), 1e-12)
    return (cells * (0.35 + 0.65 * share[..., None])).round().astype(np.uint8)


def _fade_masked(picture: np.ndarray, counts: np.ndarray | None) -> np.ndarray:
    """A map's picture (h, w, 3), grey where counts (h, w) is 0; None: every position counts."""
    if counts is None:
        return picture
    return np.where(counts[..., None] > 0, picture, 0.3 * picture + 0.7 * 150).round().astype(np.uint8)
