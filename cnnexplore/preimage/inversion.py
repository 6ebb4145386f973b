"""Inversion: the image that a layer's activation still determines (preimage2016, section 5)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..arguments import checked, choice, text
from ..errors import SettingError
from ..generators import Inverter, given_inverter
from ..network import Layer, Network
from ..results import image_to_python
from .arguments import PATCHES, PROGRESS, RUN
from .batch import batch_seeds, count_of
from .learned import METHODS, as_learned, check_unused, inverter_to_python, learned_start
from .losses import Euclidean
from .masks import fitted
from .patch_prior import PatchSource, terms_to_python, uses_patches
from .pathways import PassModifier
from .priors import Prior
from .published import paper_C, paper_jitter
from .result import PreImage
from .run import Run, settings_for
from .settings import Settings
from .variants import Inverting2015, variant_of

LEAST_C, GAMMA = 30.0, 10.0  # with patches: the least C, and the weight of the patches over C


class Inversion(Run):
    """The run that looks for an image with the same activation as `image` at `layer` (preimage2016, section 5).

    Parameters
    ----------
    net : Network
        Any network.
    image : path, image, array, tensor, or a list of them
        What `Network.pixels_of` takes; a list is one batch.
    layer : str
        The layer whose activation is inverted.
    C : float, optional
        The weight of the data term, 0 to 1e9; None for the paper's choice for that depth: 1, 20, 100 or 300 (at least
        30 with patches).
    alpha : float
        The exponent of the bounded range, 1 to 20.
    beta : float
        The exponent of total variation, 1 to 3.
    jitter : int, optional
        By how many pixels the image is shifted at random in each step, 0 to 64; None for a quarter of the layer's
        stride. If it is above 1, the first 50 steps of "spectral" have no shifts: they are quasi-Newton moves.
    steps : int, optional
        How many steps; None for the solver's usual number: 200 (spectral), 300 (adagrad), 400 (momentum).
    mask : array or callable, optional
        What counts of the activation: numbers that broadcast to it, 0 for what is left out, or one of
        `cnnexplore.masks`, such as ``cx.masks.central(5)``.
    seed : int or list of int
        Of the noise and the jitter; a list is one batch.
    solver : str, optional
        One of `cnnexplore.solvers()`: "spectral" (fast), "adagrad" (Algorithm 1 of the paper) or "momentum" (that of
        2015); None for the variant's.
    rate : float
        The length of a step in the solver's unit, 1e-6 to 10.
    refine : int, optional
        How many steps follow at a smaller rate without jitter; None for the solver's usual number: 50, or 0 (momentum).
    schedule : dict, optional
        {step: {setting: value}}, changes made before these steps.
    variant : str
        The published method: "preimage2016", "inverting2015", or "inverting2015:10" for that of 2015 with a total
        variation of weight 10 at every depth.
    pathway : Pathway or list of Pathway, optional
        What the passes go through, the image's own included; a list is one batch.
    patches : PatchDatabase, optional
        Photographs whose patches the estimate's patches are pulled to.
    gamma : float, optional
        The weight of the patches, 0 to 1e9; None for 10 C.
    init : image, "learned" or "patches", optional
        An image to start from; "learned" for the image that the layer's learned inverter makes; "patches" for the
        average of the patches of the nearest activations; None for noise.
    inverter : path or Inverter, optional
        A learned inverter of your own, a file that ``cnnexplore train inverter`` wrote; None for the one that ships
        with the package, see `cnnexplore.inverters`.
    priors : sequence of Prior
        Further terms of the energy, see `cnnexplore.preimage.Prior`.
    settings : Settings or dict, optional
        Values of the parameters that the further priors declare, by name; or a mailbox that all settings are read from,
        in place of C, alpha, beta, jitter, rate and gamma.

    Attributes
    ----------
    target : torch.Tensor
        (N, C, H, W) the image that is inverted, in the network's units.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    ImageError
        If the image cannot be read.
    SettingError
        If a setting is outside its range.
    LayerError
        If the activation is zero, or no gradient flows from it.

    Examples
    --------
    >>> run = cx.Inversion(cx.load("lenet"), cx.digit(3), "conv2", steps=4, refine=0)
    >>> for frame in run.frames():
    ...     if frame.step == 2:
    ...         run.settings.update(C=300)
    Values(C=300, alpha=6, beta=2, jitter=1, rate=0.05)
    >>> run.result().history["step"]
    array([0., 1., 2., 3.])
    """

    @torch.inference_mode(False)
    @checked(**RUN, **PATCHES, variant=text("the name of a published method, such as 'preimage2016'"))
    def __init__(
        self,
        net: Network,
        image: Any,
        layer: str,
        *,
        C: float | None = None,
        alpha: float = 6,
        beta: float = 2,
        jitter: int | None = None,
        steps: int | None = None,
        mask: Any = None,
        seed: int | Sequence[int] = 0,
        solver: str | None = None,
        rate: float = 0.05,
        refine: int | None = None,
        schedule: Mapping[int, Mapping[str, float]] | None = None,
        variant: str = "preimage2016",
        pathway: PassModifier | Sequence[PassModifier | None] | None = None,
        patches: PatchSource | None = None,
        gamma: float | None = None,
        init: Any = None,
        inverter: str | os.PathLike[str] | Inverter | None = None,
        priors: Sequence[Prior] = (),
        settings: Settings | Mapping[str, float] | None = None,
    ) -> None:
        where = net.layers[layer]
        if not isinstance(settings, Settings):
            older, patched = issubclass(variant_of(variant), Inverting2015), uses_patches(patches, gamma)
            usual = 1.0 if older else max(paper_C(where, net.size), LEAST_C * patched)
            C = usual if C is None else C
            jitter = (1 if older else paper_jitter(where)) if jitter is None else jitter
            numbers = {"C": C, "alpha": alpha, "beta": beta, "jitter": jitter, "rate": rate}
            if patches is not None:
                numbers["gamma"] = GAMMA * C if gamma is None else gamma
        target = net.pixels_of(image)
        seeds = batch_seeds(seed, images=len(target), pathways=count_of(pathway))
        count = len(seeds)
        self.target = target.expand(count, -1, -1, -1)
        self.mask, self.image, self.init, self.patches, self._priors = mask, image, init, patches, tuple(priors)
        own = None if inverter is None else given_inverter("inverter", inverter)
        if own is not None and not (isinstance(init, str) and init == "learned"):
            raise SettingError("inverter is used with init='learned' or method='learned'; give one of them too.")
        self.inverter = inverter
        with torch.no_grad():
            activation = net.probe(layer)(net.feed(self.target))[where.name]
        known = target  # the different images of the batch
        if isinstance(init, str) and init == "learned":
            start = learned_start(net, layer, activation, own)
        elif init is not None:
            start = _start(net, init, patches, known)
        terms = self._priors if patches is None else (patches.prior(net.size, known), *self._priors)
        if not isinstance(settings, Settings):
            settings = settings_for(settings, variant, terms, numbers)
        super().__init__(
            net,
            layer,
            masked_difference(activation, where, mask),
            settings,
            seeds=seeds,
            steps=steps,
            refine=refine,
            solver=solver,
            schedule=schedule,
            variant=variant,
            pathway=pathway,
            priors=terms,
            init=None if init is None else start.expand(count, -1, -1, -1),
        )
        self.batched = any(isinstance(one, (list, tuple)) for one in (image, seed, pathway)) or count > 1
        self._one_seed = not isinstance(seed, list)

    @property
    def errors(self) -> torch.Tensor:
        """||Phi(x) - Phi0|| / ||Phi0|| of the estimate as it is now, without jitter, (N,)."""
        return self.data_term(self.x)[0].clamp_min(0).sqrt()

    def to_python(self, image: str = "", *, item: int | None = None, step: int | None = None) -> str:
        """The line of Python that makes the estimate again.

        Parameters
        ----------
        image : str
            The Python of the image; empty for its path, or the name `image`.
        item : int, optional
            The number of an image of the batch, which the line takes out of it; None for all.
        step : int, optional
            After how many steps; None for now.
        """
        self._check_moment(image, item, step)
        more = terms_to_python(self.init, self.patches, self._priors)
        if self.inverter is not None:
            more["inverter"] = inverter_to_python(self.inverter)
        if self.mask is not None:
            more["mask"] = f"cx.masks.{self.mask!r}" if callable(self.mask) else "mask"
        subject = f"{image or image_to_python(self.image)}, {self.layer.name!r}"
        return self._call("invert", subject, step, item, **more)


def _start(net: Network, init: Any, patches: PatchSource | None, known: torch.Tensor) -> torch.Tensor:
    """The images to start from, (1 or N, C, H, W)."""
    if not (isinstance(init, str) and init == "patches"):
        return net.pixels_of(init)
    if patches is None:
        raise SettingError("init='patches' is the average of a database's patches; give patches= too.")
    return torch.cat([patches.init(one[None]) for one in known])


def masked_difference(activation: torch.Tensor, layer: Layer, mask: Any) -> Euclidean:
    """The data term of an inversion.

    Parameters
    ----------
    activation : torch.Tensor
        (N, ...) the activation of the image.
    layer : Layer
        The layer.
    mask : array, callable or None
        As for `invert`.

    Returns
    -------
    Euclidean
        The data term.

    Raises
    ------
    SettingError
        If the mask does not fit.
    """
    return Euclidean(activation, fitted(mask, layer, activation) if callable(mask) else mask)


@checked(**PROGRESS, method=choice(METHODS))
def invert(
    net: Network,
    image: Any,
    layer: str,
    *,
    C: float | None = None,
    alpha: float = 6,
    beta: float = 2,
    jitter: int | None = None,
    steps: int | None = None,
    mask: Any = None,
    seed: int | Sequence[int] = 0,
    solver: str | None = None,
    rate: float = 0.05,
    refine: int | None = None,
    schedule: Mapping[int, Mapping[str, float]] | None = None,
    variant: str = "preimage2016",
    pathway: PassModifier | Sequence[PassModifier | None] | None = None,
    patches: PatchSource | None = None,
    gamma: float | None = None,
    init: Any = None,
    method: str = "optimization",
    inverter: str | os.PathLike[str] | Inverter | None = None,
    priors: Sequence[Prior] = (),
    settings: Mapping[str, float] | None = None,
    progress: bool = True,
) -> PreImage | list[PreImage]:
    """The image that the activation of `image` at `layer` still determines (preimage2016, section 5).

    It minimises C ||Phi(x) - Phi0||^2 / ||Phi0||^2 + the bounded range + total variation.

    Parameters
    ----------
    net : Network
        Any network.
    image : path, image, array, tensor, or a list of them
        What `Network.pixels_of` takes; a list is one batch.
    layer : str
        The layer whose activation is inverted.
    C : float, optional
        The weight of the data term, 0 to 1e9; None for the paper's choice for that depth: 1, 20, 100 or 300 (at least
        30 with patches).
    alpha : float
        The exponent of the bounded range, 1 to 20.
    beta : float
        The exponent of total variation, 1 to 3.
    jitter : int, optional
        By how many pixels the image is shifted at random in each step, 0 to 64; None for a quarter of the layer's
        stride. If it is above 1, the first 50 steps of "spectral" have no shifts: they are quasi-Newton moves.
    steps : int, optional
        How many steps; None for the solver's usual number: 200 (spectral), 300 (adagrad), 400 (momentum).
    mask : array or callable, optional
        What counts of the activation: numbers that broadcast to it, 0 for what is left out, or one of
        `cnnexplore.masks`, such as ``cx.masks.central(5)``.
    seed : int or list of int
        Of the noise and the jitter; a list is one batch.
    solver : str, optional
        One of `cnnexplore.solvers()`: "spectral" (fast), "adagrad" (Algorithm 1 of the paper) or "momentum" (that of
        2015); None for the variant's.
    rate : float
        The length of a step in the solver's unit, 1e-6 to 10.
    refine : int, optional
        How many steps follow at a smaller rate without jitter; None for the solver's usual number: 50, or 0 (momentum).
    schedule : dict, optional
        {step: {setting: value}}, changes made before these steps.
    variant : str
        The published method: "preimage2016", "inverting2015", or "inverting2015:10" for that of 2015 with a total
        variation of weight 10 at every depth.
    pathway : Pathway or list of Pathway, optional
        What the passes go through, the image's own included; a list is one batch.
    patches : PatchDatabase, optional
        Photographs whose patches the estimate's patches are pulled to.
    gamma : float, optional
        The weight of the patches, 0 to 1e9; None for 10 C.
    init : image, "learned" or "patches", optional
        An image to start from; "learned" for the image that the layer's learned inverter makes; "patches" for the
        average of the patches of the nearest activations; None for noise.
    method : {"optimization", "learned"}
        "learned" gives the image of the layer's learned inverter in one forward pass: no setting of the optimisation
        has an effect on it, and its history is empty.
    inverter : path or Inverter, optional
        A learned inverter of your own, a file that ``cnnexplore train inverter`` wrote; None for the one that ships
        with the package, see `cnnexplore.inverters`.
    priors : sequence of Prior
        Further terms of the energy, see `cnnexplore.preimage.Prior`.
    settings : dict, optional
        Values of the parameters that the further priors declare, by name.
    progress : bool
        Whether a progress bar is shown.

    Returns
    -------
    PreImage or list of PreImage
        The pre-image with its relative error; a list for a batch.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    ImageError
        If the image cannot be read.
    SettingError
        If a setting is outside its range.
    LayerError
        If the activation is zero, no gradient flows from it, or the layer has no learned inverter where one is needed.
    DivergedError
        If the energy is no longer finite.

    References
    ----------
    A. Mahendran and A. Vedaldi, Visualizing deep convolutional neural networks using natural pre-images, IJCV 2016.
    A. Dosovitskiy and T. Brox, Inverting visual representations with convolutional networks, CVPR 2016.

    Examples
    --------
    >>> r = cx.invert(cx.load("lenet"), cx.digit(3), "conv2", steps=20, refine=5, progress=False)
    >>> 0 < r.error < 1
    True
    >>> r.to_python()
    "cx.invert(cx.load('lenet'), image, 'conv2', C=100, alpha=6, beta=2, jitter=1, steps=20, seed=0, refine=5)"
    """
    if method == "learned":
        check_unused("method='learned'", "it is one pass through a decoder", {
            "C": (C, None), "alpha": (alpha, 6), "beta": (beta, 2), "jitter": (jitter, None), "steps": (steps, None),
            "mask": (mask, None), "seed": (seed, 0), "solver": (solver, None), "rate": (rate, 0.05),
            "refine": (refine, None), "schedule": (schedule, None), "variant": (variant, "preimage2016"),
            "pathway": (pathway, None), "patches": (patches, None), "gamma": (gamma, None), "init": (init, None),
            "priors": (list(priors), []), "settings": (settings, None),
        })  # fmt: skip
        start = Inversion(net, image, layer, steps=0, refine=0, init="learned", inverter=inverter)
        return as_learned(start.result(), net, image, start.layer.name, inverter)
    run = Inversion(
        net, image, layer, C=C, alpha=alpha, beta=beta, jitter=jitter, steps=steps, mask=mask, seed=seed,
        solver=solver, rate=rate, refine=refine, schedule=schedule, variant=variant, pathway=pathway, patches=patches,
        gamma=gamma, init=init, inverter=inverter, priors=priors, settings=settings,
    )  # fmt: skip
    return run.finish(progress)
