"""Activation maximisation: the image to which a unit responds most (preimage2016, section 6)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..arguments import checked, choice, optional, whole
from ..errors import SettingError
from ..generators import Inverter
from ..network import Layer, Network, crop_and_resize, resolve_position
from .arguments import PATCHES, POSITION, PROGRESS, RUN
from .arguments import M as RESPONSE
from .arguments import images as given_images
from .arguments import transforms as given_transforms
from .batch import batch_seeds, count_of
from .feature_distance import FeatureDistance
from .generated import GeneratorMaximization
from .learned import check_unused
from .losses import InnerProduct
from .patch_prior import PatchSource, terms_to_python, uses_patches
from .pathways import PassModifier
from .presets import DEFAULT, preset_of, presets
from .priors import Prior
from .result import PreImage
from .run import Run, settings_for
from .settings import Parameter, Settings
from .transformations import Transformation
from .unit_canvas import unit_canvas
from .unit_target import UnitTarget

GAMMA = 10.0  # of patches: colours of photographs, at a response a few percent lower


PARTS = {
    **RUN,
    **{name: optional(RUN[name]) for name in ("alpha", "beta", "rate")},
    "preset": optional(choice(presets)),
    "transforms": optional(given_transforms),
    "keep": optional(RUN["layer"]),
}


class Maximization(Run):
    """The run that looks for an image to which a unit responds most (preimage2016, section 6).

    Parameters
    ----------
    net : Network
        Any network.
    layer : str
        The layer of the unit.
    unit : int, str, a list or integer array of them, or None
        A channel, or a class by its label; a list is one batch, None all units in one batch.
    preset : str, optional
        One of `cnnexplore.preimage.presets()`: "natural", the paper's priors under random changes of the image;
        "paper2016", the paper's method; "lucid", independent colours and frequencies; "maco", phases of frequencies
        whose magnitudes are those of photographs. None for "natural".
    transforms : sequence of Transformation, optional
        Random changes of the image before the network sees it, see `cnnexplore.preimage.Transformation`; None for the
        preset's.
    direction : array, optional
        (C,) or (C, h, w) weights of the activation that is maximised in place of a unit.
    position : tuple of int, optional
        (row, column) of the unit on the layer's map for the network's whole input; None puts the unit in the middle
        of an image as large as its receptive field, or of a whole input where it would respond otherwise on less.
    C : float, optional
        The weight of the response, 0 to 1e9; None for the preset's: 1e4 over the area of the receptive field, or 1
        where there is no other term.
    alpha : float, optional
        The exponent of the bounded range, 1 to 20; None for 6.
    beta : float, optional
        The exponent of total variation, 1 to 3; None for 2.
    jitter : int, optional
        By how many pixels the image is shifted at random in each step, 0 to 64; None for the preset's: a quarter of
        the layer's stride with the paper's priors.
    steps : int, optional
        How many steps; None for the solver's usual number: 200 (spectral), 300 (adagrad, nadam), 400 (momentum).
    seed : int or list of int
        Of the noise and the jitter; a list is one batch.
    M : float, optional
        The response that counts as 1; None for the largest one to `images`, through the pathway if there is one.
    images : list, optional
        What `Network.pixels_of` takes, to measure M, and the colours and frequencies of photographs; None for the
        bundled images.
    solver : str, optional
        One of `cnnexplore.solvers()`: "spectral" (fast), "adagrad" (Algorithm 1 of the paper), "momentum" (that of
        2015) or "nadam"; None for the preset's, "spectral" or, of Fourier coefficients, "nadam".
    rate : float, optional
        The length of a step in the solver's unit, 1e-6 to 10; None for the preset's, 0.05 or of phases 1.
    refine : int
        How many steps follow at a smaller rate without jitter.
    schedule : dict, optional
        {step: {setting: value}}, changes made before these steps.
    pathway : Pathway or list of Pathway, optional
        What the passes go through; a list is one batch.
    patches : PatchDatabase, optional
        Photographs whose patches the estimate's patches are pulled to.
    gamma : float, optional
        The weight of the patches, 0 to 1e9; None for 10.
    init : image, optional
        An image to start from, cut to the size of the estimate; None for noise.
    keep : str, optional
        A layer whose activation stays near that of `init` (feature accentuation): `closeness`, one of `settings`, is
        the weight.
    priors : sequence of Prior
        Further terms of the energy, see `cnnexplore.preimage.Prior`.
    settings : Settings or dict, optional
        Values of the parameters that the transformations and further priors declare, by name; or a mailbox that all
        settings are read from, in place of C, alpha, beta, jitter, rate and gamma.

    Attributes
    ----------
    units : list of int or None
        The units of the batch; [None] for a direction.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    SettingError
        If the layer has no such unit or position, or a setting is outside its range.
    LayerError, NetworkError
        If a pathway does not fit.

    Examples
    --------
    >>> run = cx.Maximization(cx.load("lenet"), "conv2", 7, steps=2)
    >>> run.about(), run.size
    ('unit 7 of conv2', (18, 18))
    """

    _usual_refine = 0

    @torch.inference_mode(False)
    @checked(**PARTS, **PATCHES, M=RESPONSE, position=POSITION, images=optional(given_images))
    def __init__(
        self,
        net: Network,
        layer: str,
        unit: Any = 0,
        *,
        preset: str | None = None,
        transforms: Sequence[Transformation] | None = None,
        direction: Any = None,
        position: tuple[int, int] | None = None,
        C: float | None = None,
        alpha: float | None = None,
        beta: float | None = None,
        jitter: int | None = None,
        steps: int | None = None,
        seed: int | Sequence[int] = 0,
        M: float | None = None,
        images: Any = None,
        solver: str | None = None,
        rate: float | None = None,
        refine: int = 0,
        schedule: Mapping[int, Mapping[str, float]] | None = None,
        pathway: PassModifier | Sequence[PassModifier | None] | None = None,
        patches: PatchSource | None = None,
        gamma: float | None = None,
        init: Any = None,
        keep: str | None = None,
        priors: Sequence[Prior] = (),
        settings: Settings | Mapping[str, float] | None = None,
    ) -> None:
        where = net.layers[layer]
        if preset is None and transforms is None and isinstance(settings, Settings):
            preset = _fitting(settings)
        self.preset = preset_of(preset)
        self._usual_variant = self.preset.variant
        chosen = self.preset.transforms if transforms is None else tuple(transforms)
        self._given_transforms = None if transforms is None else chosen
        size, place = net.size, None if position is None else resolve_position(where, position)
        if position is None and direction is None:
            size, place = unit_canvas(net, where)
        target = UnitTarget(net, where, unit, direction, place, size)
        self.units, unit, weights = target.units, target.unit, target.weights
        scale = target.scales(M, pathway, images)
        seeds = batch_seeds(seed, units=len(weights), pathways=count_of(pathway))
        count = len(seeds)
        self.unit, self.direction, self.M, self.images = unit, direction, M, images
        self.position = None if position is None else tuple(int(v) for v in position)
        self.init, self.patches, self._priors = init, patches, tuple(priors)
        start = None if init is None else _start(net, init, size)
        terms = self._priors if patches is None else (patches.prior(size), *self._priors)
        self.keep = keep
        if keep is not None:
            if start is None:
                raise SettingError(f"keep is {keep!r}, a layer in which init is kept; give init= too, a photograph.")
            terms = (FeatureDistance(net, keep, start, count), *terms)
        if not isinstance(settings, Settings):
            uses_patches(patches, gamma)
            given = {"C": C, "alpha": alpha, "beta": beta, "jitter": jitter, "rate": rate}
            numbers = self._numbers(net, where, net.size, chosen, {k: v for k, v in given.items() if v is not None})
            if patches is not None:
                numbers["gamma"] = GAMMA if gamma is None else gamma
            settings = settings_for(settings, self.preset.variant, terms, numbers, chosen)
        super().__init__(
            net,
            layer,
            InnerProduct(weights.expand(count, *weights.shape[1:]), scale.expand(count)),
            settings,
            seeds=seeds,
            steps=steps,
            refine=refine,
            solver=solver,
            schedule=schedule,
            size=size,
            pathway=pathway,
            variant=self.preset.variant,
            priors=terms,
            init=None if start is None else start.expand(count, -1, -1, -1),
            transforms=chosen,
            centre=None if position is None or place is None else _centre(where, place, size),
            images=images,
        )
        self.batched = any(isinstance(one, (list, tuple)) for one in (self.unit, seed, pathway))
        self._one_seed = not isinstance(seed, list)

    def _usual_value(self, parameter: Parameter) -> float:
        usual = self.preset.settings(self.net, self.layer, self.net.size)
        return usual.get(parameter.name, parameter.default)

    def _numbers(
        self,
        net: Network,
        layer: Layer,
        size: tuple[int, int],
        transforms: Sequence[Transformation],
        given: dict[str, float],
    ) -> dict[str, float]:
        """The settings: those that are given, and the preset's. Raises SettingError for one without an effect."""
        known = {p.name for p in self.parameters_for(self.preset.variant, transforms=transforms)}
        unused = [name for name in given if name not in known]
        if unused:
            raise SettingError(
                f"{unused[0]} was given, but the preset {self.preset.name!r} has no such term; leave one of them."
            )
        usual = self.preset.settings(net, layer, size)
        return {name: value for name, value in usual.items() if name in known} | given

    @property
    def responses(self) -> torch.Tensor:
        """The unit's response to the estimate as it is now, in units of M, (N,)."""
        return -self.data_term(self.x)[0]

    def result(self) -> PreImage | list[PreImage]:
        """The estimate as it is now; a list for a batch."""
        responses = self.responses.tolist()
        importance = None if self.importance is None else self.importance.cpu().numpy().copy()
        return self._results(
            lambda k: {
                "response": responses[k],
                "about": self.about(k),
                "importance": None if importance is None else importance[k],
            }
        )

    def about(self, item: int = 0) -> str:
        """What the estimate shows, in words.

        Parameters
        ----------
        item : int
            The number of an image of the batch.
        """
        item = whole(0, len(self.seeds) - 1, "the number of an image of the batch")("item", item)
        return UnitTarget.words(self.net, self.layer, self.units[item % len(self.units)])

    def to_python(self, *, item: int | None = None, step: int | None = None) -> str:
        """The line of Python that makes the estimate again.

        Parameters
        ----------
        item : int, optional
            The number of an image of the batch, which the line takes out of it; None for all.
        step : int, optional
            After how many steps; None for now.
        """
        self._check_moment("", item, step)
        more = {"unit": repr(self.unit)} if self.direction is None else {"direction": "direction"}
        if self.preset.name != DEFAULT:
            more["preset"] = repr(self.preset.name)
        if self._given_transforms is not None:
            more["transforms"] = f"[{', '.join(one.to_python() for one in self._given_transforms)}]"
        if self.position is not None:
            more["position"] = repr(self.position)
        if self.M is not None:
            more["M"] = repr(self.M)
        if self.images is not None:
            more["images"] = "images"
        if self.keep is not None:
            more["keep"] = repr(self.keep)
        more |= terms_to_python(self.init, self.patches, self._priors)
        return self._call("maximize", repr(self.layer.name), step, item, **more)


def _fitting(settings: Settings) -> str:
    """The default preset, or the paper's where a mailbox lacks one of its settings."""
    declared = {parameter.name for parameter in settings.parameters}
    needed = {p.name for p in preset_of(None).parameters}
    return DEFAULT if needed <= declared else "paper2016"


def _centre(layer: Layer, place: tuple[int, int], size: tuple[int, int]) -> tuple[float, float]:
    """The (row, column) about which an image is turned: the middle of what a unit sees, inside the image."""
    row, column = (min(max(float(layer.centres(a)[place[a]]), 0.0), size[a] - 1.0) for a in (0, 1))
    return row, column


def _start(net: Network, init: Any, size: tuple[int, int]) -> torch.Tensor:
    """The image to start from, (1, C, *size)."""
    return net.pixels.encode(crop_and_resize(net.pixels.read(init), size)[None]).to(net.device)


@checked(**PROGRESS, prior=optional(choice(("generator",))))
def maximize(
    net: Network,
    layer: str,
    unit: Any = 0,
    *,
    preset: str | None = None,
    transforms: Sequence[Transformation] | None = None,
    direction: Any = None,
    position: tuple[int, int] | None = None,
    C: float | None = None,
    alpha: float | None = None,
    beta: float | None = None,
    jitter: int | None = None,
    steps: int | None = None,
    seed: int | Sequence[int] = 0,
    M: float | None = None,
    images: Any = None,
    solver: str | None = None,
    rate: float | None = None,
    refine: int = 0,
    schedule: Mapping[int, Mapping[str, float]] | None = None,
    pathway: PassModifier | Sequence[PassModifier | None] | None = None,
    patches: PatchSource | None = None,
    gamma: float | None = None,
    init: Any = None,
    keep: str | None = None,
    prior: str | None = None,
    generator: str | os.PathLike[str] | Inverter | None = None,
    priors: Sequence[Prior] = (),
    settings: Mapping[str, float] | None = None,
    progress: bool = True,
) -> PreImage | list[PreImage]:
    """The image to which a unit responds most (preimage2016, section 6).

    Parameters
    ----------
    net : Network
        Any network.
    layer : str
        The layer of the unit.
    unit : int, str, a list or integer array of them, or None
        A channel, or a class by its label; a list is one batch, None all units in one batch.
    preset : str, optional
        One of `cnnexplore.preimage.presets()`: "natural", the paper's priors under random changes of the image;
        "paper2016", the paper's method; "lucid", independent colours and frequencies; "maco", phases of frequencies
        whose magnitudes are those of photographs. None for "natural".
    transforms : sequence of Transformation, optional
        Random changes of the image before the network sees it, see `cnnexplore.preimage.Transformation`; None for the
        preset's.
    direction : array, optional
        (C,) or (C, h, w) weights of the activation that is maximised in place of a unit.
    position : tuple of int, optional
        (row, column) of the unit on the layer's map for the network's whole input; None puts the unit in the middle
        of an image as large as its receptive field, or of a whole input where it would respond otherwise on less.
    C : float, optional
        The weight of the response, 0 to 1e9; None for the preset's: 1e4 over the area of the receptive field, or 1
        where there is no other term.
    alpha : float, optional
        The exponent of the bounded range, 1 to 20; None for 6.
    beta : float, optional
        The exponent of total variation, 1 to 3; None for 2.
    jitter : int, optional
        By how many pixels the image is shifted at random in each step, 0 to 64; None for the preset's: a quarter of
        the layer's stride with the paper's priors.
    steps : int, optional
        How many steps; None for the solver's usual number: 200 (spectral), 300 (adagrad, nadam), 400 (momentum); 200
        with a generator.
    seed : int or list of int
        Of the noise and the jitter; a list is one batch.
    M : float, optional
        The response that counts as 1; None for the largest one to `images`, through the pathway if there is one.
    images : list, optional
        What `Network.pixels_of` takes, to measure M, and the colours and frequencies of photographs; None for the
        bundled images.
    solver : str, optional
        One of `cnnexplore.solvers()`: "spectral" (fast), "adagrad" (Algorithm 1 of the paper), "momentum" (that of
        2015) or "nadam"; None for the preset's, "spectral" or, of Fourier coefficients, "nadam".
    rate : float, optional
        The length of a step in the solver's unit, 1e-6 to 10; None for the preset's, 0.05 or of phases 1.
    refine : int
        How many steps follow at a smaller rate without jitter.
    schedule : dict, optional
        {step: {setting: value}}, changes made before these steps.
    pathway : Pathway or list of Pathway, optional
        What the passes go through; a list is one batch.
    patches : PatchDatabase, optional
        Photographs whose patches the estimate's patches are pulled to.
    gamma : float, optional
        The weight of the patches, 0 to 1e9; None for 10.
    init : image, optional
        An image to start from, cut to the size of the estimate; None for noise.
    keep : str, optional
        A layer whose activation stays near that of `init` (feature accentuation): `closeness`, one of `settings`, is
        the weight.
    prior : "generator", optional
        Optimise the code of a generator, whose images look natural, in place of pixels (DGN-AM): 200 steps. `settings`
        then takes `code_rate`, `decay` and `bound`; C, alpha, beta, jitter, solver, rate, refine, pathway, patches,
        gamma, init, keep and priors have no effect on it and are refused.
    generator : str, path or Inverter, optional
        With ``prior="generator"``, another generator than the network's own: the name of the network whose generator
        is taken, or a file that ``cnnexplore train inverter --loss adversarial`` wrote.
    priors : sequence of Prior
        Further terms of the energy, see `cnnexplore.preimage.Prior`.
    settings : dict, optional
        Values of the parameters that the transformations, the further priors, or the generator's run, declare, by name.
    progress : bool
        Whether a progress bar is shown.

    Returns
    -------
    PreImage or list of PreImage
        The pre-image with its response in units of M; a `GeneratedImage`, with its code and the activation reached,
        where a generator is the prior; a list for a batch.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    SettingError
        If the layer has no such unit or position, or a setting is outside its range.
    LayerError, NetworkError
        If a pathway does not fit, or there is no generator for the network.
    DivergedError
        If the energy is no longer finite.

    References
    ----------
    A. Mahendran and A. Vedaldi, Visualizing deep convolutional neural networks using natural pre-images, IJCV 2016.
    A. Nguyen et al., Synthesizing the preferred inputs for neurons in neural networks via deep generator networks,
    NIPS 2016.

    Examples
    --------
    >>> r = cx.maximize(cx.load("lenet"), "conv2", 7, steps=20, progress=False)
    >>> r.about
    'unit 7 of conv2'
    >>> r.response > 0
    True
    """
    if prior == "generator":
        check_unused("prior='generator'", "the code is optimised, not the pixels", {
            "preset": (preset, None), "transforms": (transforms, None),
            "C": (C, None), "alpha": (alpha, None), "beta": (beta, None),
            "jitter": (jitter, None), "solver": (solver, None),
            "rate": (rate, None), "refine": (refine, 0), "pathway": (pathway, None), "patches": (patches, None),
            "gamma": (gamma, None), "init": (init, None), "keep": (keep, None),
            "priors": (list(priors), []),
        })  # fmt: skip
        found = GeneratorMaximization(
            net, layer, unit, direction=direction, position=position, generator=generator, steps=steps, seed=seed,
            M=M, images=images, schedule=schedule, settings=settings,
        )  # fmt: skip
        return found.finish(progress)
    if generator is not None:
        raise SettingError("generator is used with prior='generator'; give that too.")
    run = Maximization(
        net, layer, unit, preset=preset, transforms=transforms, direction=direction, position=position, C=C,
        alpha=alpha, beta=beta, jitter=jitter, steps=steps, seed=seed, M=M, images=images, solver=solver, rate=rate,
        refine=refine, schedule=schedule, pathway=pathway, patches=patches, gamma=gamma, init=init, keep=keep,
        priors=priors, settings=settings,
    )  # fmt: skip
    return run.finish(progress)
