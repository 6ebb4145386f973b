"""InversionPanel: what a layer keeps of a photograph, growing while its settings are moved."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as w
import numpy as np

from ... import drawing
from ...network import Layer
from ...preimage import Inversion, Run, Values, masks, paper_C, paper_jitter
from ...preimage.inversion import GAMMA
from ..live.selection import Selection
from ..views.map_view import MapView, receptive_box
from .patch_controls import PatchControls
from .run_panel import RunPanel


class InversionPanel(RunPanel):
    """A live inversion: the original beside the estimate, its energy and its error, under controls that act at once.

    net: a Network, a name or a path for `cx.load` (default: photonet). image: an image, a list, or a dict
    by name (default: pictures at hand). layer: default one in the middle. C, jitter: None for the paper's choice.
    mask: which part of the code counts, as for `cx.invert`; a window is also dragged on the layer's map. seeds: how
    many estimates grow side by side. patches: a cx.PatchDatabase, or a folder, list or data set to make one of, that
    the estimate is drawn to with the weight gamma (default: 10 C); None: a switch for the pictures at hand, which are
    few (C). start: begin at once. selection: share what is looked at with other panels.
    Raises LayerNotFound, ImageError, SettingError, NetworkError, WeightsError.
    """

    layer_help = "the layer whose code is inverted"
    means = "||Φ(x) - Φ0|| / ||Φ0||: how far the estimate's code is from the original's"

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
        mask=None,
        seed: int = 0,
        seeds: int = 1,
        patches=None,
        gamma: float | None = None,
        start: bool = True,
        selection: Selection | None = None,
    ):
        self.mask, self._patches = mask, (patches, gamma)
        given = {"C": C, "alpha": alpha, "beta": beta, "jitter": jitter}
        super().__init__(net, image, layer, given, steps, seed, seeds, start, selection)

    def _prepare(self) -> None:
        patches, gamma = self._patches
        few = patches is None  # the pictures at hand: no patch of theirs may fit
        gamma = (1 if few else GAMMA) * self.settings.C if gamma is None else gamma
        self.patches = PatchControls(self.settings, patches, gamma, self.selection.net.size)

    def _usual(self, layer: Layer, size: tuple[int, int]) -> Values:
        return Values(self.parameters, C=paper_C(layer, size), jitter=paper_jitter(layer))

    def _make(self) -> Callable[[], Run]:
        net, image, layer = self.selection.net, self.selection.image, self.selection.layer
        settings = {
            "steps": self.starts.steps,
            "mask": self.mask,
            "seed": self.starts.noises,
            "settings": self.settings,
        }
        return lambda: Inversion(net, image, layer, **settings, **self.patches.options(net, layer))

    def _python_of(self, run: Inversion, step: int | None) -> str:
        return run.to_python(self.selection.image_python, step=step)

    def _says(self, run: Inversion) -> str:
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

    def _selected(self, change) -> None:
        if self._begun[::2] != self._looked_at()[::2]:
            self.mask = None  # it belongs to the map of another layer
        super()._selected(change)

    def _new_run(self, run: Inversion) -> None:
        code = run.loss.reference[0].float()
        if code.dim() < 3:
            self.map.show(run.layer, None, None, "")
            return
        weight = run.loss.weight
        counts = None if weight is None else weight.expand_as(run.loss.reference)[0].amax(0).cpu().numpy()
        rows, columns = run.layer.size
        window = self._window
        says = f"{run.layer.name}'s map; drag a window"
        if window is not None:
            top, left, bottom, right = window
            says = f"{bottom - top} x {right - left} of {rows} x {columns} positions count"
            self.run_pictures.set_box(receptive_box(run.layer, window))
            self.original.caption = "original; what the window sees is framed"
        picture = _fade_masked(drawing.heat(code.abs().mean(0).cpu().numpy()), counts)
        self.map.show(run.layer, picture, window, says)

    def _pick(self, row: int, column: int) -> None:
        super()._pick(row, column)
        if self._window is None:
            self.map.mark(self.selection.position)
            self.map.back.layout.visibility = "hidden"  # nothing was masked


def _fade_masked(picture: np.ndarray, counts: np.ndarray | None) -> np.ndarray:
    """A map's picture (h, w, 3), grey where counts (h, w) is 0; None: every position counts."""
    if counts is None:
        return picture
    return np.where(counts[..., None] > 0, picture, 0.3 * picture + 0.7 * 150).round().astype(np.uint8)
