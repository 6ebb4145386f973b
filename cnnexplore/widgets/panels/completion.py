"""CompletionPanel: the masked part of a photograph filled with an object of a class and style, live."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as w
import numpy as np

from ...arguments import checked, choice, text
from ...errors import SettingError
from ...network import Layer, class_score_layer, resolve_unit
from ...preimage import Run, Values, paper_jitter, paper_weight
from ...styles import Completion
from ...styles.completion import INITS, completion_weight
from ...styles.mask_text import mask_to_text, text_to_mask
from ...styles.masked_photograph import MaskedPhotograph
from ..elements import dropdown
from ..live.selection import Selection, SharedSelection
from ..views.mask_painter import MaskPainter
from .base import NetworkLike
from .class_selector import ClassSelector, caption_through, each_with_each
from .image_python import image_python
from .run_panel import RunPanel

_ANY_CLASS = "the class it predicts"


class CompletionPanel(RunPanel):
    """A live completion: paint a mask on a photograph and choose a class and a style; the masked part fills.

    Parameters
    ----------
    net : Network or str or path, optional
        A network, or what `load` takes (default: "photonet").
    image : object, optional
        An image, a list, or a dict by name (default: the bundled images).
    mask : object, optional
        As for `complete`; None: the part that the predicted class depends on most.
    target : int or str, optional
        A class's number or label; None: what the rest of the image suggests.
    styles : Topics or list or dict, optional
        A `Topics`, a list of what `complete` takes as a style, or a dict of either by class.
    fill : str
        What the masked part begins as: "surroundings", "noise" or "image".
    C : float, optional
        The weight of the class against the priors; None: the usual choice.
    alpha, beta : float
        Exponents of the bounded range and of total variation.
    jitter : int, optional
        Pixels by which the image is shifted at random; None: the paper's choice.
    steps : int
        The length of a run.
    seed : int
        The first seed.
    seeds : int
        How many completions grow side by side, 1 to 16.
    start : bool
        Begin at once.
    selection : SharedSelection, optional
        Shares what is looked at with other panels.

    Raises
    ------
    ImageError, SettingError, NetworkError, WeightsError

    Examples
    --------
    >>> import cnnexplore as cx
    >>> panel = cx.CompletionPanel("worldnet", cx.scene(7).image, (20, 20, 60, 60), target="church", steps=3)
    >>> panel.wait(60)
    True
    >>> panel.picture.shape
    (96, 96, 3)
    >>> panel.close()
    """

    weighed = "class"
    loading = "computing what surrounds the mask …"
    again = "begin again from the empty mask"
    metric_unit = " M"
    metric_help = "the class's score, through the style's pathway if there is one, in units of its largest one (M)"

    @checked(fill=choice(INITS))
    def __init__(
        self,
        net: NetworkLike = None,
        image: Any = None,
        mask: Any = None,
        *,
        target: int | str | None = None,
        styles: Any = None,
        fill: str = "surroundings",
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
        self._given_completion = (mask, target, styles, fill)
        self.masked: MaskedPhotograph | None = None
        values = {"C": C, "alpha": alpha, "beta": beta, "jitter": jitter}
        super().__init__(net, image, None, selection, values=values, steps=steps, seed=seed, seeds=seeds, start=start)

    def _prepare(self) -> None:
        super()._prepare()
        mask, target, styles, _ = self._given_completion
        if target is not None:
            self.selection.set(target=resolve_unit(self.net, self.net.scores, target))
        self.class_selector = ClassSelector(self.selection, styles, _ANY_CLASS)
        self._followers.append(self.class_selector)
        self.mask = mask  # what the person chose; None: found by itself
        self._find_masked_part()

    def _find_masked_part(self) -> None:
        """The masked part of the selected image; a C that was the usual one stays the usual one."""
        class_score_layer(self.net)
        usual = self.settings.C == self._usual(self.net.scores, self.net.size).C
        self.masked = MaskedPhotograph(self.net, self.selection.value.image, self.mask)
        if usual:
            self.settings.update(C=completion_weight(self.net.scores, self.masked))

    def _usual(self, layer: Layer, size: tuple[int, int]) -> Values:
        scores = self.net.scores
        C = paper_weight(scores, size) if self.masked is None else completion_weight(scores, self.masked)
        return Values(self.parameters, C=C, jitter=paper_jitter(scores))

    def _looked_at(self) -> tuple:
        return self.net, id(self.selection.value.image), self.class_selector.chosen

    def _make(self) -> Callable[[], Run]:
        net, masked, image = self.net, self.masked, self.selection.value.image
        topic, seed, self._columns = each_with_each(self.class_selector.styles, self.starts.seed_or_seeds)
        options: dict[str, Any] = {**self._options(), "topic": topic, "seed": seed}
        target, init = self.class_selector.target, self.fill.value
        return lambda: Completion(net, image, masked, target=target, init=init, **options)

    def _begin(self, paused: bool = False) -> None:
        with self.run_view.show_errors():
            super()._begin(paused)

    def _run_to_python(self, run: Completion, step: int | None) -> str:
        return run.to_python(image_python(self.selection.value), step=step)

    def _caption(self, run: Completion) -> str:
        return caption_through(f"{run.class_name}, filled in", self.class_selector.names)

    # what is on the screen

    def _above(self) -> list[w.Widget]:
        self.selectors.layer.layout.display = "none"
        self.painter = MaskPainter(self.original)
        self.painter.on_change, self.painter.on_find = self._painted, lambda: self._set_mask(None)
        tip = "what the masked part begins as: its surroundings, noise, or the image as it is"
        self.fill = dropdown(list(INITS), "begin", tip, 180, self._given_completion[3])
        self.fill.observe(lambda change: self._begin(), "value")
        wrap = {"flex_flow": "row wrap", "align_items": "center"}
        row = [self.class_selector.class_box, self.class_selector.style_box, self.fill]
        return [w.HBox(part, layout=w.Layout(**wrap)) for part in (row, self.painter.row)]

    def _shared_controls(self) -> dict[str, w.Widget]:
        return {**super()._shared_controls(), "fill": self.fill}

    def shared_settings(self) -> dict[str, Any]:
        """The settings of the run, and the mask that was painted."""
        return {**super().shared_settings(), **({} if self.mask is None else {"mask": self._mask_text()})}

    def _mask_text(self) -> str:
        assert self.masked is not None
        given = ast.literal_eval(self.masked.to_python())
        return given if isinstance(given, str) else mask_to_text(self.masked.mask)  # of a box

    def _take(self, settings: Mapping[str, Any]) -> None:
        settings = dict(settings)
        if (mask := settings.pop("mask", None)) is not None:
            self.mask = text_to_mask(text("the text of a mask")("mask", mask), "mask")
            self._find_masked_part()
        super()._take(settings)

    def _show_run(self, run: Completion) -> None:
        self.estimate.columns = self._columns if len(run.seeds) > self._columns > 0 else 0
        self.painter.show(run.net.picture(run.net.pixels_of(run.image)), run.masked.update_mask)
        self.original.caption = f"drag or paint the part to fill: {run.masked.update_mask.mean():.0%}"
        self._before = run.probability(run.image)

    def _state(self, state: str) -> None:
        super()._state(state)
        run = self.run
        if state in ("paused", "finished") and run is not None:
            after = dict.fromkeys(f"{run.probability(run.masked.fill(x[None])):.0%}" for x in run.x)
            self.estimate.caption = f"{self._caption(run)}: {self._before:.0%} → {', '.join(after)}"

    # what a person does

    def _painted(self, mask: np.ndarray) -> None:
        if mask.any():
            self._set_mask(mask.copy())
        else:
            self.run_view.set_status("failed", "nothing is masked; paint the part to fill.")

    def _set_mask(self, mask: np.ndarray | None) -> None:
        with self.run_view.show_errors():
            self.mask = mask
            self._find_masked_part()
            self.controls.show(self.settings.snapshot())
            self._begin()

    def _pick(self, row: int, column: int) -> None:
        """A click paints; it chooses no position."""

    def _shown_elsewhere(self) -> list[w.Widget]:
        return []  # its original is what one paints on

    @property
    def picture(self) -> np.ndarray:
        """The photograph in its own size with the estimate in the mask, (H, W, 3) uint8; (N, H, W, 3) for several."""
        shown, run = super().picture, self.run
        if run is None:
            return shown
        made = [run.masked.paste(one) for one in ([shown] if shown.ndim == 3 else shown)]
        return made[0] if shown.ndim == 3 else np.stack(made)

    def _saved_picture(self) -> np.ndarray:
        if self.run is None:
            raise SettingError("there is no run yet; press start.")
        return super()._saved_picture()

    def _file_name(self) -> str:
        return f"{self.net.name}-completed.png"

    def _selected(self, old: Selection, new: Selection) -> None:
        if self._begun == self._looked_at():
            return
        net, image, _ = self._begun
        if (self.net, id(new.image)) != (net, image):
            self.mask = None  # it was painted on another image
            self._find_masked_part()
            if self.net is not net:
                usual = self._usual(self.net.scores, self.net.size)
                self.settings.update(C=usual.C, jitter=usual.jitter)
                self.controls.set_layer(self.net.scores, self.net.size)
            self.controls.show(self.settings.snapshot())
        self._begin()
