"""Activation maximisation: the image to which a unit responds most (preimage2016, section 6)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..arguments import array, checked, optional, whole
from ..errors import SettingError
from ..network import (
    Layer,
    Network,
    as_maps,
    crop_and_resize,
    from_maps,
    has_class_units,
    resolve_position,
    resolve_units,
    unit_name,
)
from .arguments import PATCHES, POSITION, PROGRESS, RUN
from .arguments import M as RESPONSE
from .arguments import images as given_images
from .losses import InnerProduct
from .patch_prior import PatchSource, terms_to_python, uses_patches
from .pathways import PassModifier
from .priors import Prior
from .published import paper_jitter, paper_weight
from .responses import response_scales
from .result import PreImage
from .run import Run, batch_seeds, count_of, settings_for
from .settings import Settings
from .unit_canvas import unit_canvas

GAMMA = 10.0  # of patches: colours of photographs, at a response a few percent lower


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
    direction : array, optional
        (C,) or (C, h, w) weights of the activation that is maximised in place of a unit.
    position : tuple of int, optional
        (row, column) of the unit on the layer's map for the network's whole input; None puts the unit in the middle
        of an image as large as its receptive field, or of a whole input where it would respond otherwise on less.
    C : float, optional
        The weight of the response, 0 to 1e9; None for 1e4 over the area of the receptive field.
    alpha : float
        The exponent of the bounded range, 1 to 20.
    beta : float
        The exponent of total variation, 1 to 3.
    jitter : int, optional
        By how many pixels the image is shifted at random in each step, 0 to 64; None for a quarter of the layer's
        stride.
    steps : int, optional
        How many steps; None for the solver's usual number: 200 (spectral), 300 (adagrad), 400 (momentum).
    seed : int or list of int
        Of the noise and the jitter; a list is one batch.
    M : float, optional
        The response that counts as 1; None for the largest one to `images`, through the pathway if there is one.
    images : list, optional
        What `Network.pixels_of` takes, to measure M; None for the bundled images.
    solver : str, optional
        One of `cnnexplore.solvers()`: "spectral" (fast), "adagrad" (Algorithm 1 of the paper) or "momentum" (that of
        2015); None for "spectral".
    rate : float
        The length of a step in the solver's unit, 1e-6 to 10.
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
    priors : sequence of Prior
        Further terms of the energy, see `cnnexplore.preimage.Prior`.
    settings : Settings or dict, optional
        Values of the parameters that the further priors declare, by name; or a mailbox that all settings are read from,
        in place of C, alpha, beta, jitter, rate and gamma.

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
    @checked(**RUN, **PATCHES, M=RESPONSE, position=POSITION, images=optional(given_images))
    def __init__(
        self,
        net: Network,
        layer: str,
        unit: Any = 0,
        *,
        direction: Any = None,
        position: tuple[int, int] | None = None,
        C: float | None = None,
        alpha: float = 6,
        beta: float = 2,
        jitter: int | None = None,
        steps: int | None = None,
        seed: int | Sequence[int] = 0,
        M: float | None = None,
        images: Any = None,
        solver: str | None = None,
        rate: float = 0.05,
        refine: int = 0,
        schedule: Mapping[int, Mapping[str, float]] | None = None,
        pathway: PassModifier | Sequence[PassModifier | None] | None = None,
        patches: PatchSource | None = None,
        gamma: float | None = None,
        init: Any = None,
        priors: Sequence[Prior] = (),
        settings: Settings | Mapping[str, float] | None = None,
    ) -> None:
        where = net.layers[layer]
        size, place = net.size, None if position is None else resolve_position(where, position)
        if position is None and direction is None:
            size, place = unit_canvas(net, where)
        with torch.no_grad():
            zeros = torch.zeros(1, net.pixels.channels, *size, device=net.device, dtype=torch.float32)
            shape = net.probe(layer)(net.feed(zeros))[where.name].shape
        maps = as_maps(zeros.new_empty(shape), where).shape
        self.units: list[int | None]
        if direction is not None:
            weights = _weights(direction, where, shape, net.device)
            self.units = [None]
            scale: Any = float(weights.square().sum()) if M is None else M
        else:
            units = resolve_units(net, where, unit)
            self.units = list(units)
            several = unit is None or np.ndim(unit) > 0
            given = units if unit is None else list(unit) if several else [unit]
            named = [one if isinstance(one, str) else number for one, number in zip(given, units, strict=True)]
            unit = named if several else named[0]
            weights = torch.zeros(len(units), *maps[1:], device=net.device, dtype=torch.float32)
            row, column = place or (0, 0)
            for k, one in enumerate(units):
                weights[k, one, row, column] = 1
            weights = from_maps(weights, where, shape[1:])
            scale = response_scales(net, layer, units, pathway, images) if M is None else M
        seeds = batch_seeds(seed, units=len(weights), pathways=count_of(pathway))
        count = len(seeds)
        self.unit, self.direction, self.M = unit, direction, M
        self.position = None if position is None else tuple(int(v) for v in position)
        self.init, self.patches, self._priors = init, patches, tuple(priors)
        terms = self._priors if patches is None else (patches.prior(size), *self._priors)
        if not isinstance(settings, Settings):
            uses_patches(patches, gamma)
            C = paper_weight(where, net.size) if C is None else C
            jitter = paper_jitter(where) if jitter is None else jitter
            numbers = {"C": C, "alpha": alpha, "beta": beta, "jitter": jitter, "rate": rate}
            if patches is not None:
                numbers["gamma"] = GAMMA if gamma is None else gamma
            settings = settings_for(settings, "preimage2016", terms, numbers)
        super().__init__(
            net,
            layer,
            InnerProduct(weights.expand(count, *weights.shape[1:]), torch.as_tensor(scale).expand(count)),
            settings,
            seeds=seeds,
            steps=steps,
            refine=refine,
            solver=solver,
            schedule=schedule,
            size=size,
            pathway=pathway,
            priors=terms,
            init=None if init is None else _start(net, init, size).expand(count, -1, -1, -1),
        )
        self.batched = any(isinstance(one, (list, tuple)) for one in (self.unit, seed, pathway))
        self._one_seed = not isinstance(seed, list)

    @property
    def responses(self) -> torch.Tensor:
        """The unit's response to the estimate as it is now, in units of M, (N,)."""
        return -self.data_term(self.x)[0]

    def result(self) -> PreImage | list[PreImage]:
        """The estimate as it is now; a list for a batch."""
        responses = self.responses.tolist()
        return self._results(lambda k: {"response": responses[k], "about": self.about(k)})

    def about(self, item: int = 0) -> str:
        """What the estimate shows, in words.

        Parameters
        ----------
        item : int
            The number of an image of the batch.
        """
        item = whole(0, len(self.seeds) - 1, "the number of an image of the batch")("item", item)
        unit = self.units[item % len(self.units)]
        if unit is None:
            return f"the given direction at {self.layer.name}"
        label = f" ({unit_name(self.net, self.layer, unit)})" if has_class_units(self.net, self.layer) else ""
        return f"unit {unit} of {self.layer.name}{label}"

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
        if self.position is not None:
            more["position"] = repr(self.position)
        if self.M is not None:
            more["M"] = repr(self.M)
        more |= terms_to_python(self.init, self.patches, self._priors)
        return self._call("maximize", repr(self.layer.name), step, item, **more)


def _start(net: Network, init: Any, size: tuple[int, int]) -> torch.Tensor:
    """The image to start from, (1, C, *size)."""
    return net.pixels.encode(crop_and_resize(net.pixels.read(init), size)[None]).to(net.device)


def _weights(direction: Any, layer: Layer, shape: torch.Size, device: torch.device) -> torch.Tensor:
    """The weights of a direction, (1, ...); one number per channel counts at every position."""
    expected = f"numbers that broadcast to {' x '.join(map(str, shape[1:]))}, some of them not 0"
    weights = torch.from_numpy(array("direction", direction, expected)).to(device)
    try:
        if not weights.dim():
            raise ValueError("a single number is no direction")
        if weights.dim() == 1 and layer.has_map and len(weights) == layer.channels:
            maps = as_maps(torch.empty(shape, device="meta"), layer).shape
            weights = from_maps(weights[None, :, None, None].expand(maps), layer, shape[1:])[0]
        weights = weights.reshape(shape[1:]) if weights.numel() == math.prod(shape[1:]) else weights.expand(shape[1:])
    except (ValueError, RuntimeError) as error:
        raise SettingError(f"direction does not fit; expected {expected}.") from error
    if not bool(weights.any()):
        raise SettingError(f"direction is zero; expected {expected}.")
    return weights[None]


@checked(**PROGRESS)
def maximize(
    net: Network,
    layer: str,
    unit: Any = 0,
    *,
    direction: Any = None,
    position: tuple[int, int] | None = None,
    C: float | None = None,
    alpha: float = 6,
    beta: float = 2,
    jitter: int | None = None,
    steps: int | None = None,
    seed: int | Sequence[int] = 0,
    M: float | None = None,
    images: Any = None,
    solver: str | None = None,
    rate: float = 0.05,
    refine: int = 0,
    schedule: Mapping[int, Mapping[str, float]] | None = None,
    pathway: PassModifier | Sequence[PassModifier | None] | None = None,
    patches: PatchSource | None = None,
    gamma: float | None = None,
    init: Any = None,
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
    direction : array, optional
        (C,) or (C, h, w) weights of the activation that is maximised in place of a unit.
    position : tuple of int, optional
        (row, column) of the unit on the layer's map for the network's whole input; None puts the unit in the middle
        of an image as large as its receptive field, or of a whole input where it would respond otherwise on less.
    C : float, optional
        The weight of the response, 0 to 1e9; None for 1e4 over the area of the receptive field.
    alpha : float
        The exponent of the bounded range, 1 to 20.
    beta : float
        The exponent of total variation, 1 to 3.
    jitter : int, optional
        By how many pixels the image is shifted at random in each step, 0 to 64; None for a quarter of the layer's
        stride.
    steps : int, optional
        How many steps; None for the solver's usual number: 200 (spectral), 300 (adagrad), 400 (momentum).
    seed : int or list of int
        Of the noise and the jitter; a list is one batch.
    M : float, optional
        The response that counts as 1; None for the largest one to `images`, through the pathway if there is one.
    images : list, optional
        What `Network.pixels_of` takes, to measure M; None for the bundled images.
    solver : str, optional
        One of `cnnexplore.solvers()`: "spectral" (fast), "adagrad" (Algorithm 1 of the paper) or "momentum" (that of
        2015); None for "spectral".
    rate : float
        The length of a step in the solver's unit, 1e-6 to 10.
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
    priors : sequence of Prior
        Further terms of the energy, see `cnnexplore.preimage.Prior`.
    settings : dict, optional
        Values of the parameters that the further priors declare, by name.
    progress : bool
        Whether a progress bar is shown.

    Returns
    -------
    PreImage or list of PreImage
        The pre-image with its response in units of M; a list for a batch.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    SettingError
        If the layer has no such unit or position, or a setting is outside its range.
    LayerError, NetworkError
        If a pathway does not fit.
    DivergedError
        If the energy is no longer finite.

    References
    ----------
    A. Mahendran and A. Vedaldi, Visualizing deep convolutional neural networks using natural pre-images, IJCV 2016.

    Examples
    --------
    >>> r = cx.maximize(cx.load("lenet"), "conv2", 7, steps=20, progress=False)
    >>> r.about
    'unit 7 of conv2'
    >>> r.response > 0
    True
    """
    run = Maximization(
        net, layer, unit, direction=direction, position=position, C=C, alpha=alpha, beta=beta, jitter=jitter,
        steps=steps, seed=seed, M=M, images=images, solver=solver, rate=rate, refine=refine, schedule=schedule,
        pathway=pathway, patches=patches, gamma=gamma, init=init, priors=priors, settings=settings,
    )  # fmt: skip
    return run.finish(progress)
