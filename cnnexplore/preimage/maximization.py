"""Activation maximisation: the image that a unit wants (preimage2016, section 6)."""

from __future__ import annotations

import math

import numpy as np
import torch

from ..errors import SettingError
from ..network import Layer, Network, fit, has_class_units, read_image, resolve_position, resolve_unit, unit_name
from .batch import listed, paired, seeds_of
from .call import call_of
from .losses import InnerProduct
from .patch_prior import drawn, init_to_python
from .pathways import Pathways
from .responses import largest_responses, response_through
from .result import PreImage
from .run import Run
from .settings import Settings, Values, paper_jitter

GAMMA = 10.0  # of patches: photographs' colours, at a response a few percent lower
WEIGHT = 1e4  # of a unit against the priors summed over its receptive field


class Maximization(Run):
    """The run that looks for an image to which a unit responds most.

    unit: a channel's number, a class's label, or a list of either (one batch). direction: weights (C,) or
    (C, h, w) of the activations, in place of a unit.
    position: (row, column) on the layer's map for the network's whole input; None puts the unit in the middle of a
    canvas as large as its receptive field. M: the response that counts as 1 (default: the largest one to `images`, or
    to images at hand, through the pathway if there is one). C: None means 1e4 over the receptive field's area, the
    paper's choice.
    pathway: a cx.Pathway that the response is sought, and told, through; a list of them runs as one batch.
    patches: a cx.PatchDatabase whose patches the estimate's are drawn to, with the weight gamma (default: 10, or
    0 without). init: an image to start from in place of noise, which takes the whole canvas.
    Raises LayerNotFound, SettingError, LayerError, NetworkError.
    """

    _usual_refine = 0

    @torch.inference_mode(False)
    def __init__(
        self,
        net: Network,
        layer: str,
        unit=0,
        *,
        direction=None,
        position: tuple[int, int] | None = None,
        C: float | None = None,
        alpha: float = 6,
        beta: float = 2,
        jitter: int | None = None,
        steps: int | None = None,
        seed: int | list[int] = 0,
        M: float | None = None,
        images=None,
        solver: str | None = None,
        rate: float = 0.05,
        refine: int = 0,
        schedule: dict[int, dict[str, float]] | None = None,
        settings: Settings | None = None,
        pathway=None,
        patches=None,
        gamma: float | None = None,
        init=None,
    ):
        where = net.layers[layer]
        probe = net.probe(layer)
        if isinstance(unit, np.ndarray):
            unit = unit.tolist()
        size = net.size if position is not None or direction is not None else field_canvas(where, net.size)
        with torch.no_grad():
            shape = probe(net.feed(torch.zeros(1, net.pixels.channels, *size, device=net.device)))[where.name].shape
        if direction is not None:
            weights = _weights(direction, shape, net.device)
            self.units = [None]
            scale = float(weights.square().sum()) if M is None else M
        else:
            several = list(unit) if isinstance(unit, (list, tuple)) else [unit]
            self.units = [resolve_unit(net, where, one) for one in several]
            weights = torch.zeros(len(several), *shape[1:], device=net.device)
            row, column = _place(where, size, shape, position)
            for k, channel in enumerate(self.units):
                weights[(k, channel, row, column)[: len(shape)]] = 1
            scale = measures(net, layer, self.units, pathway, images) if M is None else M
        if not bool((torch.as_tensor(scale) > 0).all()):
            raise SettingError(f"M is {M!r}; expected the positive response that counts as 1.")
        seeds = paired(seeds_of(seed), units=len(weights), pathways=listed(pathway))
        count = len(seeds)
        self.batched = any(isinstance(one, (list, tuple)) for one in (unit, seed, pathway))
        self.unit, self.direction, self.position, self.M = unit, direction, position, M
        self.init, self.patches = init, patches
        if settings is None:
            C = paper_weight(where, net.size) if C is None else C
            jitter = paper_jitter(where) if jitter is None else jitter
            gamma = GAMMA * drawn(patches, gamma) if gamma is None or patches is None else gamma
            settings = Settings(Values(C, alpha, beta, jitter, rate, gamma))
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
            priors=() if patches is None else (patches.prior(size),),
            init=None if init is None else _first(net, init, size).expand(count, -1, -1, -1),
        )

    @property
    def responses(self) -> torch.Tensor:
        """The unit's response to the estimate as it is now, in units of M, (N,)."""
        return -self.data_term(self.x)[0]

    def result(self) -> PreImage | list[PreImage]:
        """The estimate as it is now; a list for a batch."""
        responses = self.responses.tolist()
        return self._results(lambda k: {"response": responses[k], "about": self.about(k)})

    def about(self, item: int = 0) -> str:
        """What the estimate shows, in words."""
        unit = self.units[item % len(self.units)]
        if unit is None:
            return f"the given direction at {self.layer.name}"
        label = f" ({unit_name(self.net, self.layer, unit)})" if has_class_units(self.net, self.layer) else ""
        return f"unit {unit} of {self.layer.name}{label}"

    def to_python(self, item: int | None = None, step: int | None = None) -> str:
        """The line of Python that remakes the estimate as it is now, or as it was after `step` steps."""
        units = self.units if item is None else [self.units[item % len(self.units)]]
        if self.direction is not None:
            more = {"direction": "direction"}
        else:
            more = {"unit": repr(units[0] if len(units) == 1 and item is not None else self.unit)}
        if self.position is not None:
            more["position"] = repr(self.position)
        if self.M is not None:
            more["M"] = f"{self.M!r}"
        more |= init_to_python(self.init, self.patches)
        return call_of(self, "maximize", repr(self.layer.name), step, item, **more)


def measures(net: Network, layer: str, units: list[int], pathway=None, images=None) -> torch.Tensor:
    """M of units, each through its pathway if there are any: (1,), or as many as there are units or pathways."""
    pathways, whole = Pathways(net, layer, pathway), largest_responses(net, layer, images)
    ways, found = pathways.each, []
    known: dict[tuple, float] = {(unit, None): float(whole[unit]) for unit in units}
    for k in range(max(len(units), len(ways))):
        unit, way = units[k % len(units)], ways[k % len(ways)]
        key = unit, way and id(way)
        if key not in known:
            known[key] = response_through(net, layer, unit, pathways.item(k), images)
        found.append(known[key])
    return torch.tensor(found)


def _first(net: Network, init, size: tuple[int, int]) -> torch.Tensor:
    """What to begin with, (1, C, *size). Raises ImageError."""
    return net.pixels.encode(fit(read_image(init), size)[None]).to(net.device)


def paper_weight(layer: Layer, whole: tuple[int, int]) -> float:
    """The paper's weight of a unit for a layer of that depth: 1e4 over the area that a unit sees."""
    return WEIGHT / math.prod(min(rf, side) for rf, side in zip(layer.rf_size, whole, strict=True))


def field_canvas(layer: Layer, whole: tuple[int, int]) -> tuple[int, int]:
    """The size of the image on which a unit is maximised: its receptive field, 1.1 times, an odd number of strides.

    whole: the network's input, which it does not exceed; units without a position get all of it.
    """
    if max(layer.size) == 1:
        return whole
    sides = []
    for rf, stride, side in zip(layer.rf_size, layer.rf_stride, whole, strict=True):
        cells = round(1.1 * rf / stride)
        cells += cells % 2 == 0
        sides.append(min(side, max(math.ceil(rf), round(cells * stride))))
    return tuple(sides)


def _place(layer: Layer, size, shape: torch.Size, position) -> tuple[int, int]:
    """Where the unit is on the map: the given position, or the one whose field is nearest to the canvas's middle."""
    if len(shape) < 4:
        return 0, 0
    rows, columns = shape[-2:]
    if position is not None:
        return resolve_position(layer, position)
    middle = [
        min(max(round(((side - 1) / 2 - offset) / stride), 0), count - 1)
        for side, offset, stride, count in zip(size, layer.rf_offset, layer.rf_stride, (rows, columns), strict=True)
    ]
    return middle[0], middle[1]


def _weights(direction, shape: torch.Size, device: torch.device) -> torch.Tensor:
    """The weights of a direction, (1, ...); one number per channel counts at every position."""
    try:
        weights = torch.as_tensor(direction if torch.is_tensor(direction) else np.asarray(direction, dtype=np.float32))
        weights = weights.detach().float().to(device)
        if not weights.dim():
            raise ValueError("a single number is no direction")
        if weights.dim() == 1 and len(shape) == 4:
            weights = weights[:, None, None]
        weights = weights.reshape(shape[1:]) if weights.numel() == math.prod(shape[1:]) else weights.expand(shape[1:])
    except (TypeError, ValueError, RuntimeError) as error:
        raise SettingError(
            f"direction does not fit; expected numbers that broadcast to {' x '.join(map(str, shape[1:]))}."
        ) from error
    if not bool(torch.isfinite(weights).all()) or not bool(weights.any()):
        raise SettingError("direction is zero or not finite; expected some weight on some unit.")
    return weights[None]


def maximize(
    net: Network,
    layer: str,
    unit=0,
    *,
    direction=None,
    position: tuple[int, int] | None = None,
    C: float | None = None,
    alpha: float = 6,
    beta: float = 2,
    jitter: int | None = None,
    steps: int | None = None,
    seed: int | list[int] = 0,
    M: float | None = None,
    images=None,
    solver: str | None = None,
    rate: float = 0.05,
    refine: int = 0,
    schedule: dict[int, dict[str, float]] | None = None,
    pathway=None,
    patches=None,
    gamma: float | None = None,
    init=None,
    progress: bool = True,
) -> PreImage | list[PreImage]:
    """The image that a unit wants (preimage2016, section 6).

    Arguments as for `Maximization`; a list of units, seeds or pathways runs as one batch and gives a list.
    progress: a bar.
    """
    run = Maximization(
        net, layer, unit, direction=direction, position=position, C=C, alpha=alpha, beta=beta, jitter=jitter,
        steps=steps, seed=seed, M=M, images=images, solver=solver, rate=rate, refine=refine, schedule=schedule,
        pathway=pathway, patches=patches, gamma=gamma, init=init,
    )  # fmt: skip
    return run._finish("maximize", progress)
