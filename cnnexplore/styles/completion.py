"""Completion: the masked part of a photograph filled with an object of a class and style (intraclass2015, 5.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch

from ..errors import SettingError
from ..network import Layer, Network, class_score_layer, resolve_unit, unit_name
from ..preimage.batch import paired, seeds_of
from ..preimage.call import call_of
from ..preimage.losses import InnerProduct
from ..preimage.maximization import measures, paper_weight
from ..preimage.priors import Scale
from ..preimage.priors import start as noise_of
from ..preimage.result import PreImage
from ..preimage.run import Run
from ..preimage.settings import Settings, Values, paper_jitter
from ..preimage.solvers import Spectral
from ..results import image_to_python
from .hole import Hole
from .pathway import as_pathway

EASE = 0.04  # how far from the seam the class has its full say, as a part of the image's side
STARTS = ("surroundings", "noise", "image")


def usual_weight(layer: Layer, hole: Hole) -> float:
    """What a maximisation takes, over the share of the pixels that are free: fewer say less."""
    return paper_weight(layer, hole.net.size) / float(hole.free.mean())


@dataclass(frozen=True)
class Completed(PreImage):
    """A completed photograph. picture: (H, W, 3) uint8 of the photograph's own size, unchanged outside the mask.

    before, after: the probability of the class, in the photograph as it was and as it is. mask: (H, W) bool. x: what
    the network sees of it.
    """

    hole: Hole = field(repr=False, kw_only=True)
    before: float = math.nan
    after: float = math.nan

    @property
    def picture(self) -> np.ndarray:
        return self.hole.filled(self.x)

    @property
    def mask(self) -> np.ndarray:
        return self.hole.mask

    def _title(self) -> str:
        return f"{self.about}: probability {self.before:.2f} → {self.after:.2f}"


class Completion(Run):
    """The run that fills the masked part of an image so that a class responds most; no other pixel changes.

    image: anything that `Network.pixels_of` takes, one, of any size. mask: where to fill (see `Hole`); None: the part
    that the predicted class depends on most (`salient_part`). style: a topic, of which passes what is more of it than
    of others, a cx.Pathway or a mask m7; a list of them, or of seeds, runs as one batch. target: a class's number or
    label (default: what the network says of the image with the hole filled from around it, for that is all that is
    known). start: of the fill: "surroundings", "noise" or "image", each with a little noise of the seed. C: None means
    what a maximisation takes over the share of the pixels that are free; towards the seam the class has less and less
    to say.
    Raises SettingError, ImageError, NetworkError, DivergedError. Source: intraclass2015, section 5.2.
    """

    _usual_refine = 50
    _kind = Completed

    @torch.inference_mode(False)
    def __init__(
        self,
        net: Network,
        image,
        mask=None,
        style=None,
        target=None,
        C: float | None = None,
        alpha: float = 6,
        beta: float = 2,
        jitter: int | None = None,
        steps: int | None = None,
        seed: int | list[int] = 0,
        start: str = "surroundings",
        M: float | None = None,
        solver: str | None = None,
        rate: float = 0.05,
        refine: int = 50,
        schedule: dict[int, dict[str, float]] | None = None,
        settings: Settings | None = None,
    ):
        if start not in STARTS:
            raise SettingError(f"start is {start!r}; expected one of {', '.join(map(repr, STARTS))}.")
        where = class_score_layer(net)
        self.image, self.start = image, start
        self.hole = mask if isinstance(mask, Hole) else Hole(net, image, mask)
        around = self.hole.surroundings()
        scores = net.probe(where.name)
        with torch.no_grad():
            context = scores(net.feed(around))[where.name]
        shape = context.shape
        self.unit = int(context.flatten().argmax()) if target is None else resolve_unit(net, where, target)
        several = isinstance(style, (list, tuple))
        styles = [None if one is None else as_pathway(one) for one in (style if several else [style])]
        pathway = None if styles == [None] else styles if several else styles[0]
        seeds = paired(seeds_of(seed), styles=len(styles))
        self.batched = several or isinstance(seed, (list, tuple))
        self.M = M
        scale = measures(net, where.name, [self.unit], pathway) if M is None else torch.tensor([M])
        if not bool((scale > 0).all()):
            raise SettingError(f"M is {M!r}; expected the positive response that counts as 1.")
        if settings is None:
            C = usual_weight(where, self.hole) if C is None else C
            settings = Settings(Values(C, alpha, beta, paper_jitter(where) if jitter is None else jitter, rate))
        weights = torch.zeros(len(seeds), *shape[1:], device=net.device)
        weights[:, self.unit] = 1
        super().__init__(
            net,
            where.name,
            InnerProduct(weights, scale.expand(len(seeds))),
            settings,
            seeds=seeds,
            steps=steps,
            refine=refine,
            solver=solver,
            schedule=schedule,
            init=self._begin(around, seeds),
            pathway=pathway,
            update_mask=self.hole.eased(EASE),
        )

    def _begin(self, around: torch.Tensor, seeds: list[int]) -> torch.Tensor:
        """The images that the run begins with, (N, C, H, W)."""
        net = self.hole.net
        scale = Scale(net.pixels.norm, math.prod(net.size))
        noise = noise_of([torch.Generator().manual_seed(seed) for seed in seeds], net.pixels.channels, net.size, scale)
        faint = Spectral(noise).init(noise).to(net.device)
        x = net.pixels_of(self.image)
        under = {"surroundings": around, "image": x, "noise": torch.zeros_like(x)}[self.start]
        return torch.where(torch.from_numpy(self.hole.free).to(net.device), under + faint, x)

    @property
    def context(self) -> str:
        """The class that is put in, by name."""
        return unit_name(self.net, self.net.scores, self.unit)

    def result(self) -> Completed | list[Completed]:
        """The completion as it is now; a list for a batch."""
        responses = (-self.data_term(self.x)[0]).tolist()
        before = self.probability(self.image)
        made = [self.hole.filled(x[None]) for x in self.x]
        return self._results(
            lambda k: {
                "response": responses[k],
                "about": self.context,
                "hole": self.hole,
                "before": before,
                "after": self.probability(made[k]),
            }
        )

    def probability(self, image) -> float:
        """How probable the class is in an image, as the network is, through no pathway."""
        scores = self.net.activations(image, self.layer.name).flatten(1).float()
        return float(scores.softmax(1)[0, self.unit])

    def to_python(self, image: str = "", item: int | None = None, step: int | None = None) -> str:
        """The line of Python that remakes the completion as it is now, or as it was after `step` steps.

        image: the Python of the image (default: its path, or the name `image`). item: which one of a batch.
        """
        more = {"target": repr(self.context if self.context in self.net.labels else self.unit)}
        if self.hole.code:
            more["mask"] = self.hole.code
        if self.start != "surroundings":
            more["start"] = repr(self.start)
        if self.M is not None:
            more["M"] = repr(self.M)
        return call_of(self, "complete", image or image_to_python(self.image), step, item, **more).replace(
            "pathway=", "style="
        )


def complete(
    net: Network,
    image,
    mask=None,
    style=None,
    target=None,
    C: float | None = None,
    alpha: float = 6,
    beta: float = 2,
    jitter: int | None = None,
    steps: int | None = None,
    seed: int | list[int] = 0,
    start: str = "surroundings",
    M: float | None = None,
    solver: str | None = None,
    *,
    rate: float = 0.05,
    refine: int = 50,
    schedule: dict[int, dict[str, float]] | None = None,
    progress: bool = True,
) -> Completed | list[Completed]:
    """The photograph with its masked part filled by an object of a class and style (intraclass2015, section 5.2).

    Arguments as for `Completion`; a list of styles or seeds runs as one batch and gives a list. progress: show a bar.
    """
    run = Completion(
        net, image, mask, style, target, C, alpha, beta, jitter, steps, seed, start, M, solver, rate, refine, schedule
    )
    return run._finish("complete", progress)
