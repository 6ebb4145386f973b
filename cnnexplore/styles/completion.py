"""Completion: the masked part of a photograph filled with an object of a class and style (intraclass2015, 5.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import numpy as np
import torch

from ..arguments import checked, choice, flag
from ..network import Layer, Network, class_score_layer, resolve_unit, unit_name
from ..preimage.arguments import RUN, M
from ..preimage.batch import batch_seeds
from ..preimage.losses import InnerProduct
from ..preimage.priors import Scale, initial_noise
from ..preimage.published import paper_jitter, paper_weight
from ..preimage.responses import response_scales
from ..preimage.result import PreImage
from ..preimage.run import Run, settings_for
from ..preimage.settings import Settings
from ..preimage.solvers import Spectral
from ..results import image_to_python
from .masked_photograph import MaskedPhotograph
from .pathway import as_pathway

EDGE = 0.04  # width of the soft edge at the seam, as a part of the input's side
INITS = ("surroundings", "noise", "image")


_CHECKS = {name: check for name, check in RUN.items() if name not in ("layer", "priors")}
_CHECKS |= {"init": choice(INITS), "M": M}


def completion_weight(layer: Layer, masked: MaskedPhotograph) -> float:
    """The usual C: that of a maximisation over the share of the pixels that are filled."""
    return paper_weight(layer, masked.net.size) / float(masked.update_mask.mean())


@dataclass(frozen=True)
class Completed(PreImage):
    """A completed photograph.

    Attributes
    ----------
    x : torch.Tensor
        (1, C, h, w), what the network sees of it, in the network's units.
    net : Network
        The network.
    history : np.ndarray
        Structured array with the energy and its terms, one record per step.
    layer : str
        The layer of the class scores.
    python : str
        The Python that makes it again.
    error : float
        Not a number.
    response : float
        The class score, through the pathway if there is one, over M.
    about : str
        The class.
    terms : tuple of Term
        The priors as they are drawn.
    importance : np.ndarray, optional
        None: a completion has no such map.
    masked : MaskedPhotograph
        The photograph and its mask.
    before, after : float
        The probability of the class in the photograph as it was, and as it is now, by the network without a pathway.
    """

    masked: MaskedPhotograph = field(repr=False, kw_only=True)
    before: float = math.nan
    after: float = math.nan

    @property
    def picture(self) -> np.ndarray:
        """(H, W, 3) uint8, of the photograph's own size; unchanged outside the mask."""
        return self.masked.fill(self.x)

    @property
    def mask(self) -> np.ndarray:
        """(H, W) bool, what was filled."""
        return self.masked.mask

    def _title(self) -> str:
        return f"{self.about}: probability {self.before:.2f} → {self.after:.2f}"


class Completion(Run):
    """The run that fills the masked part of an image so that a class score is large; no other pixel changes.

    The weight of the class falls to 0 towards the seam.

    Parameters
    ----------
    net : Network
        A classifier.
    image : image
        What `Network.pixels_of` takes, one image of any size.
    mask : array_like, picture, str, (int, int, int, int) or MaskedPhotograph, optional
        True where to fill, (H, W) as the image or as the network's input; a picture in which white is true; or a box
        (top, left, bottom, right) in the image's pixels. Default: `salient_part`.
    topic : Topic, Pathway, array_like or list of them, optional
        The style: a topic, through its distinctive units; a pathway; or a mask m7, one number per unit of fc7. A list
        runs as one batch. Default: the whole network.
    target : int or str, optional
        The class, by number or label. Default: the predicted class of the image with the mask filled smoothly from
        around it, as only the surroundings are known.
    C : float, optional
        Weight of the class score. Default: that of `maximize` over the share of the pixels that are filled.
    alpha, beta : float
        Exponents of the bounded-range and total-variation priors.
    jitter : int, optional
        Largest random shift of the image in a step, in pixels. Default: the paper's, by the layer.
    steps : int, optional
        Steps of the solver. Default: as `maximize`.
    seed : int or list of int
        Seed of the noise. A list runs as one batch.
    init : {"surroundings", "noise", "image"}
        What the fill starts from, with a little noise: the surroundings, smoothly continued; noise; or the image.
    M : float, optional
        The score that counts as a response of 1. Default: the largest of the bundled images, through the pathway.
    solver : str, optional
        The solver, one of `cx.solvers`. Default: as `maximize`.
    rate : float
        The solver's step size.
    refine : int
        Steps of refinement after the solver's.
    schedule : dict, optional
        Settings that change: {step: {name: value}}.
    settings : Settings, optional
        Settings that can be changed while it runs, in place of C, alpha, beta, jitter and rate.

    Raises
    ------
    SettingError
        If a setting is out of its range, the mask does not fit, or there is no such class.
    ImageError
        If the image cannot be read.
    NetworkError
        If the network is no classifier, or has no layers for the pathway.

    References
    ----------
    Wei, Zhou, Torralba and Freeman, Understanding intra-class knowledge inside CNN, 2015, section 5.2.
    """

    _usual_refine = 50
    _kind: ClassVar[type[PreImage]] = Completed

    @torch.inference_mode(False)
    @checked(**_CHECKS)
    def __init__(
        self,
        net: Network,
        image: Any,
        mask: Any = None,
        topic: Any = None,
        *,
        target: int | str | None = None,
        C: float | None = None,
        alpha: float = 6,
        beta: float = 2,
        jitter: int | None = None,
        steps: int | None = None,
        seed: int | list[int] = 0,
        init: str = "surroundings",
        M: float | None = None,
        solver: str | None = None,
        rate: float = 0.05,
        refine: int = 50,
        schedule: dict[int, dict[str, float]] | None = None,
        settings: Settings | None = None,
    ):
        where = class_score_layer(net)
        self.image, self.init = image, init
        self.masked = mask if isinstance(mask, MaskedPhotograph) else MaskedPhotograph(net, image, mask)
        around = self.masked.inpaint()
        scores = net.probe(where.name)
        with torch.no_grad():
            context = scores(net.feed(around))[where.name]
        shape = context.shape
        self.unit = int(context.flatten().argmax()) if target is None else resolve_unit(net, where, target)
        several = isinstance(topic, (list, tuple))
        pathways = [None if one is None else as_pathway(one) for one in (topic if several else [topic])]
        pathway = None if pathways == [None] else pathways if several else pathways[0]
        seeds = batch_seeds(seed, topics=len(pathways))
        self.M = M
        scale = (
            response_scales(net, where.name, [self.unit], pathway)
            if M is None
            else torch.tensor([M], dtype=torch.float32)
        )
        C = completion_weight(where, self.masked) if C is None else C
        jitter = paper_jitter(where) if jitter is None else jitter
        numbers = {"C": C, "alpha": alpha, "beta": beta, "jitter": jitter, "rate": rate}
        weights = torch.zeros(len(seeds), *shape[1:], device=net.device, dtype=torch.float32)
        weights[:, self.unit] = 1
        super().__init__(
            net,
            where.name,
            InnerProduct(weights, scale.expand(len(seeds))),
            settings_for(settings, "preimage2016", (), numbers),
            seeds=seeds,
            steps=steps,
            refine=refine,
            solver=solver,
            schedule=schedule,
            init=self._first(around, seeds),
            pathway=pathway,
            update_mask=self.masked.soft_update_mask(EDGE),
        )
        self.batched = several or isinstance(seed, list)
        self._one_seed = not isinstance(seed, list)

    def _first(self, around: torch.Tensor, seeds: list[int]) -> torch.Tensor:
        """The images that the run starts from, (N, C, h, w)."""
        net = self.masked.net
        scale = Scale(net.pixels.norm, math.prod(net.size))
        noise = initial_noise(
            [torch.Generator().manual_seed(seed) for seed in seeds], net.pixels.channels, net.size, scale
        )
        faint = Spectral(noise).init(noise).to(net.device)
        x = net.pixels_of(self.image)
        base = {"surroundings": around, "image": x, "noise": torch.zeros_like(x)}[self.init]
        return torch.where(torch.from_numpy(self.masked.update_mask).to(net.device), base + faint, x)

    @property
    def class_name(self) -> str:
        """The class that the photograph is filled with."""
        return unit_name(self.net, self.net.scores, self.unit)

    def result(self) -> Completed | list[Completed]:  # type: ignore[override]  # lists are invariant
        """The completion as it is now; a list for a batch."""
        responses = (-self.data_term(self.x)[0]).tolist()
        before = self.probability(self.image)
        filled = [self.masked.fill(x[None]) for x in self.x]
        found = self._results(
            lambda k: {
                "response": responses[k],
                "about": self.class_name,
                "masked": self.masked,
                "before": before,
                "after": self.probability(filled[k]),
            }
        )
        return cast("Completed | list[Completed]", found)

    def probability(self, image: Any) -> float:
        """The probability of the class in an image, by the network without a pathway.

        Parameters
        ----------
        image : image
            What `Network.pixels_of` takes.
        """
        scores = self.net.activations(image, self.layer.name).flatten(1).float()
        return float(scores.softmax(1)[0, self.unit])

    def to_python(self, image: str = "", *, item: int | None = None, step: int | None = None) -> str:
        """The Python that makes the completion as it is now, or as it was after some steps.

        Parameters
        ----------
        image : str
            The Python of the image. Default: its path, or the name `image`.
        item : int, optional
            Which one of a batch, which the line takes out of it. Default: all.
        step : int, optional
            After how many steps. Default: now.
        """
        self._check_moment(image, item, step)
        alone = self.net.labels.count(self.class_name) == 1  # a label that two classes share names none of them
        more = {"target": repr(self.class_name if alone else self.unit)}
        if self.masked.to_python():
            more["mask"] = self.masked.to_python()
        if self.init != "surroundings":
            more["init"] = repr(self.init)
        if self.M is not None:
            more["M"] = repr(self.M)
        python = self._call("complete", image or image_to_python(self.image), step, item, **more)
        return python.replace("pathway=", "topic=")


@checked(progress=flag)
def complete(
    net: Network,
    image: Any,
    mask: Any = None,
    topic: Any = None,
    *,
    target: int | str | None = None,
    C: float | None = None,
    alpha: float = 6,
    beta: float = 2,
    jitter: int | None = None,
    steps: int | None = None,
    seed: int | list[int] = 0,
    init: str = "surroundings",
    M: float | None = None,
    solver: str | None = None,
    rate: float = 0.05,
    refine: int = 50,
    schedule: dict[int, dict[str, float]] | None = None,
    progress: bool = True,
) -> Completed | list[Completed]:
    """Fill the masked part of a photograph with an object of a class and style.

    Only the masked pixels are optimised, so that the class score is large. To insert an object, give a mask; the class
    is what the surroundings suggest. To modify one, leave the mask out: the part that the predicted class depends on
    most is filled again.

    Parameters
    ----------
    net : Network
        A classifier.
    image : image
        What `Network.pixels_of` takes, one image of any size.
    mask : array_like, picture, str or (int, int, int, int), optional
        True where to fill, (H, W) as the image or as the network's input; a picture in which white is true; or a box
        (top, left, bottom, right) in the image's pixels. Default: `salient_part`.
    topic : Topic, Pathway, array_like or list of them, optional
        The style: a topic, through its distinctive units; a pathway; or a mask m7, one number per unit of fc7. A list
        runs as one batch. Default: the whole network.
    target : int or str, optional
        The class, by number or label. Default: the predicted class of the image with the mask filled smoothly from
        around it.
    C : float, optional
        Weight of the class score. Default: that of `maximize` over the share of the pixels that are filled.
    alpha : float
        Exponent of the bounded-range prior.
    beta : float
        Exponent of the total-variation prior.
    jitter : int, optional
        Largest random shift of the image in a step, in pixels. Default: the paper's, by the layer.
    steps : int, optional
        Steps of the solver. Default: as `maximize`.
    seed : int or list of int
        Seed of the noise. A list runs as one batch.
    init : {"surroundings", "noise", "image"}
        What the fill starts from, with a little noise: the surroundings, smoothly continued; noise; or the image.
    M : float, optional
        The score that counts as a response of 1. Default: the largest of the bundled images, through the pathway.
    solver : str, optional
        The solver, one of `cx.solvers`. Default: as `maximize`.
    rate : float
        The solver's step size.
    refine : int
        Steps of refinement after the solver's.
    schedule : dict, optional
        Settings that change: {step: {name: value}}.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Completed or list of Completed
        The completed photograph; a list for a list of topics or seeds.

    Raises
    ------
    SettingError
        If a setting is out of its range, the mask does not fit, or there is no such class.
    ImageError
        If the image cannot be read.
    NetworkError
        If the network is no classifier, or has no layers for the pathway.
    DivergedError
        If the estimate is no longer finite.

    References
    ----------
    Wei, Zhou, Torralba and Freeman, Understanding intra-class knowledge inside CNN, 2015, section 5.2.

    Examples
    --------
    >>> net, image = cx.load("worldnet"), cx.scene(7).image
    >>> filled = cx.complete(net, image, (20, 20, 70, 70), target="bird", M=10, steps=3, refine=0, progress=False)
    >>> bool((filled.picture[~filled.mask] == image[~filled.mask]).all())
    True
    """
    run = Completion(
        net, image, mask, topic, target=target, C=C, alpha=alpha, beta=beta, jitter=jitter, steps=steps, seed=seed,
        init=init, M=M, solver=solver, rate=rate, refine=refine, schedule=schedule,
    )  # fmt: skip
    return cast("Completed | list[Completed]", run.finish(progress))
