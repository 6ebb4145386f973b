"""MaximizePanel: the input that maximizes a unit, growing while its settings are moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as w
import numpy as np
import torch
import torch.nn.functional as F

from ...arguments import checked, choice, flag, optional
from ...generators import find_generator
from ...network import Layer, resolve_position, resolve_unit
from ...preimage import (
    GeneratorMaximization,
    Maximization,
    Parameter,
    Prior,
    Run,
    SteeredRun,
    Values,
    best_responses,
    presets,
)
from ...preimage.feature_distance import FeatureDistance
from ...preimage.generated import chosen_generator
from ...preimage.maximization import GAMMA
from ...preimage.patch_prior import PatchPrior
from ...preimage.presets import preset_of
from ...preimage.settings import combine
from ..live.selection import SharedSelection
from ..views.map_view import MapView, receptive_box
from ..views.unit_grid import UnitGrid
from .accentuation_controls import AccentuationControls
from .arguments import PATCHES, PRIORS, read_first
from .base import NetworkLike
from .generator_controls import GeneratorControls
from .image_python import image_python
from .patch_controls import PatchControls
from .run_panel import RunPanel
from .unit_gallery import UnitGallery, by_interest, no_picture


class MaximizePanel(RunPanel):
    """Live activation maximization: a layer's units as thumbnails, the chosen one's picture growing below.

    Parameters
    ----------
    net : Network or str or path, optional
        A network, or what `load` takes (default: "photonet").
    layer : str, optional
        Default: one in the middle.
    unit : int or str, optional
        A unit, or a class's label where the layer is the class scores (default: the one that responds most to the
        bundled images).
    position : tuple of int, optional
        (row, column) on the layer's map; None: a picture of the size of the unit's receptive field.
    preset : str, optional
        The method to begin with, one of `cnnexplore.preimage.presets()`.
    C : float, optional
        The weight of the unit against the priors; None: the preset's choice for the layer.
    alpha, beta : float, optional
        Exponents of the bounded range and of total variation; None: the preset's.
    jitter : int, optional
        Pixels by which the image is shifted at random; None: the preset's choice for the layer.
    steps : int
        The length of a run.
    seed : int
        The first seed.
    seeds : int
        How many pictures grow side by side, 1 to 16.
    patches : PatchDatabase or images, optional
        Photographs whose patches the estimate shall resemble, such as those of a class. None: the bundled images,
        switched off at first.
    gamma : float
        The weight of the patches.
    prior : "generator", optional
        Begin with the generator as the prior: its code is optimised in place of pixels.
    generator : str, path or Inverter, optional
        Another generator than the network's own, as `maximize` takes it.
    thumbnails : bool
        Make a thumbnail of every unit.
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
    >>> panel = cx.MaximizePanel("lenet", "conv1", 3, steps=5, thumbnails=False)
    >>> panel.wait(60)
    True
    >>> panel.estimate.caption
    'unit 3 of conv1'
    >>> panel.close()
    """

    looks_at_image = False
    scales_C = True
    weighed = "unit"
    loading = "computing the responses of the units …"
    metric_unit = " × the best image's"
    metric_help = "the unit's response over its largest response to the bundled images (M in the paper)"

    @checked(
        **PATCHES, **PRIORS, thumbnails=flag, prior=optional(choice(("generator",))), preset=optional(choice(presets))
    )
    def __init__(
        self,
        net: NetworkLike = None,
        layer: str | None = None,
        unit: int | str | None = None,
        *,
        position: tuple[int, int] | None = None,
        preset: str | None = None,
        C: float | None = None,
        alpha: float | None = None,
        beta: float | None = None,
        jitter: int | None = None,
        steps: int = 200,
        seed: int = 0,
        seeds: int = 1,
        patches: Any = None,
        gamma: float = GAMMA,
        prior: str | None = None,
        generator: Any = None,
        thumbnails: bool = True,
        priors: Sequence[Prior] = (),
        start: bool = True,
        selection: SharedSelection | None = None,
    ):
        self._given_unit, self._thumbnails, self._given_patches = (unit, position), thumbnails, (patches, gamma)
        self._given_generator = prior == "generator", generator
        self.priors, self.preset = tuple(priors), preset_of(preset)
        self._begins_anew = False  # once the settings of the chosen method are taken
        values = {"C": C, "alpha": alpha, "beta": beta, "jitter": jitter}
        super().__init__(net, None, layer, selection, values=values, steps=steps, seed=seed, seeds=seeds, start=start)

    def _prepare(self) -> None:
        super()._prepare()
        unit, position = self._given_unit
        if unit is not None:
            self.selection.set(unit=resolve_unit(self.net, self.layer, unit))
        if position is not None:
            self.selection.set(position=resolve_position(self.layer, position))
        read_first(self.net, self._given_patches[0])
        self.patches = PatchControls(self.settings, *self._given_patches, self.net.size)
        on, generator = self._given_generator
        if on or generator is not None:
            find_generator(self.net, chosen_generator(generator))  # one that does not fit is refused at once
        self.generator = GeneratorControls(self.settings, on, generator)
        self.accentuation = AccentuationControls(self.settings)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What can be steered; the settings of all presets among it, and of a generator, also while it is off."""
        of_presets = [preset_of(name).parameters for name in presets()]
        terms = Run.parameters_for(priors=(*self.priors, PatchPrior, FeatureDistance))
        return combine(terms, *of_presets, GeneratorMaximization.parameters)

    def _methods(self) -> dict[str, str]:
        names = [name for name in presets() if name != self.preset.name]
        return {one.label: one.about for one in map(preset_of, (self.preset.name, *names))}

    def _another_preset(self) -> None:
        """The method was chosen: its settings that have no slider, and which sliders have an effect."""
        self.preset = next(one for one in map(preset_of, presets()) if one.label == self.controls.method)
        usual = self._published = self._usual(self.layer, self.net.size)
        self.settings.update(rate=usual.rate)
        self._enable_sliders()
        self._begins_anew = True

    def _settings_moved(self) -> None:
        if self._begins_anew:
            self._begins_anew = False
            self._begin()
        else:
            super()._settings_moved()

    def _more_controls(self) -> list[w.Widget]:
        self.generator.on_switch, self.generator.on_change = self._prior_switched, self._settings_moved
        self.controls.on_method = self._another_preset
        self.accentuation.on_switch, self.accentuation.on_change = self._begin, self._settings_moved
        self._enable_sliders()
        return [self.generator.row, self.accentuation.row]

    def _shared_controls(self) -> dict[str, w.Widget]:
        return {**super()._shared_controls(), "generator": self.generator.switch}

    def _prior_switched(self) -> None:
        self._enable_sliders()
        self._begin()

    def _enable_sliders(self) -> None:
        """The settings of a run of pixels have no effect on one of a generator's code."""
        chosen = {p.name for p in Run.parameters_for(self.preset.variant, self.priors, self.preset.transforms)}
        if self.net.pixels.channels == 1:
            chosen.discard("colour")
        for name, slider in self.controls.sliders.items():
            slider.disabled = self.generator.on
            slider.layout.display = None if name in chosen else "none"
        self.controls.preset.disabled = self.generator.on

    def _usual(self, layer: Layer, size: tuple[int, int]) -> Values:
        known = {parameter.name for parameter in self.parameters}
        numbers = {name: value for name, value in self.preset.settings(self.net, layer, size).items() if name in known}
        return Values(self.parameters, **numbers)

    def _looked_at(self) -> tuple:
        s = self.selection.value
        return s.net, s.layer, s.unit, s.position

    def _make(self) -> Callable[[], SteeredRun]:
        net, layer, chosen, position = self._looked_at()
        patches, preset = self.patches, self.preset.name
        options = self._options()
        self.generator.fit(net)
        self.accentuation.fit(net, net.layers[layer], self.selection.value.image, image_python(self.selection.value))
        self.accentuation.row.layout.display = "none" if self.generator.on else ""
        code, generator, kept = self.generator.on, self.generator.generator, self.accentuation.options

        def make() -> SteeredRun:
            unit = by_interest(net, net.layers[layer])[0] if chosen is None else chosen
            if code:
                return GeneratorMaximization(net, layer, unit, position=position, generator=generator, **options)
            more = patches.options(net, None) if patches is not None else {}
            return Maximization(
                net, layer, unit, preset=preset, position=position, priors=self.priors, **options, **more, **kept
            )

        return make

    def _run_to_python(self, run: Any, step: int | None) -> str:
        python = run.to_python(step=step)
        return python.replace("init=init", f"init={self.accentuation.python}") if self.accentuation.on else python

    def _caption(self, run: Any) -> str:
        if isinstance(run, GeneratorMaximization):
            return f"{run.about()}; generator of {run.generator.network}"
        begun = f"; begun with an image, near it in {run.keep}" if getattr(run, "keep", None) else ""
        return f"{run.about()}{begun}"

    # units and positions

    def _above(self) -> list[w.Widget]:
        self.grid = UnitGrid()
        self.grid.on_select(lambda unit: self.selection.set(unit=unit))
        thumbnails = self._add_runner("thumbnails", awaited=False)
        self.gallery = UnitGallery(self.grid, thumbnails, lambda: self.runner.state in ("loading", "running"))
        return [self.grid]

    def _shown_elsewhere(self) -> list[w.Widget]:
        return [self.grid]

    def embed(self) -> w.Widget:
        """The panel without the row of selectors and without its gallery, whose thumbnails are not made."""
        self._thumbnails = False
        self.gallery.runner.stop()
        return super().embed()

    def _beside(self) -> list[w.Widget]:
        self.map = MapView(False, "field only", "show only the receptive field of the unit, at no position")
        self.map.on_choose = lambda position: self.selection.set(position=position)
        return [self.map.widget]

    def _made(self, run: Any) -> None:
        super()._made(run)
        by_interest(run.net, run.layer)  # kept for the gallery, which asks on the kernel's thread

    def _show_run(self, run: Any) -> None:
        unit = run.units[0]
        self._begun = (run.net, run.layer.name, unit, run.position)
        self.selection.set(unit=unit)
        self.gallery.show(run.net, run.layer, self._thumbnails)
        self.grid.selected = unit
        rows, columns = run.layer.size
        caption = f"the {rows} x {columns} positions of {run.layer.name}: click one, and the unit is placed there"
        if run.position is not None:
            caption = f"the unit is at ({run.position[0]}, {run.position[1]}) of {rows} x {columns} positions"
            self.estimate.box = receptive_box(run.layer, run.position)
        self.map.show(run.layer, self._image_by_position(run.layer), run.position, caption)

    def _image_by_position(self, layer: Layer) -> np.ndarray | None:
        """The image that other panels look at, in the map's size: its positions are recognised; None for none."""
        image = self.selection.value.image
        if image is None or not layer.has_map:
            return None
        picture = torch.from_numpy(self.net.picture(self.net.pixels_of(image))).movedim(-1, 0).float()
        return F.adaptive_avg_pool2d(picture, layer.size).movedim(0, -1).round().to(torch.uint8).numpy()

    def _state(self, state: str) -> None:
        super()._state(state)
        run = self.run
        plain = isinstance(run, Maximization)
        if state == "finished" and plain and (run.responses == 0).all():
            known = best_responses(run.net, run.layer.name)[run.units[0]] > 0
            word, why = no_picture(run.net, bool(known))
            self.estimate.caption = f"{self._caption(run)}: {word}; {why}"
        elif state == "finished" and plain and run.position is None and run.keep is None and len(run.seeds) == 1:
            self.gallery.put(run.net, run.layer.name, run.units[0], self.picture)
