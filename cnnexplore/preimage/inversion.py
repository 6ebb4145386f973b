"""Inversion: the image that a layer's code still determines (preimage2016, section 5)."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..errors import SettingError
from ..network import Network
from ..results import image_to_python
from .batch import listed, paired, seeds_of
from .call import call_of
from .losses import Euclidean
from .patch_prior import drawn, init_to_python
from .result import PreImage
from .run import Run
from .settings import Settings, Values, paper_C, paper_jitter
from .variants import Inverting2015, variant_of

PATCHED, GAMMA = 30.0, 10.0  # the least C where there are patches, and their weight over C


class Inversion(Run):
    """The run that looks for an image with the same code as `image` at `layer`.

    image: anything that `Network.pixels_of` takes; a list of images or of seeds runs as one batch. C and jitter:
    None means the paper's choice for that depth. mask: an array that broadcasts to the code, 0 for what is left out,
    or one by name, such as masks.central(5). variant: "preimage2016", "inverting2015" or "inverting2015:10" (that of
    2015 with total variation of weight 10, whatever the depth), whose solver is taken unless given. solver: "spectral"
    (200 steps and 50 of refinement unless given), "adagrad" for the paper's own Algorithm 1 (300 and 50),
    "momentum" for that of 2015 (400).
    pathway: a cx.Pathway that the image's code is sought through; a list of them runs as one batch.
    patches: a cx.PatchDatabase whose patches the estimate's are drawn to, with the weight gamma (default: 10 C, and C
    then at least 30, lest total variation and bounded range count as much). init: an image to start from in place of
    noise, or "patches" for the average of the nearest codes' ones.
    settings: a mailbox to read C, alpha, beta, jitter, rate and gamma from, in place of these arguments.
    Raises LayerNotFound, ImageError, SettingError, LayerError.
    """

    @torch.inference_mode(False)
    def __init__(
        self,
        net: Network,
        image,
        layer: str,
        *,
        C: float | None = None,
        alpha: float = 6,
        beta: float = 2,
        jitter: int | None = None,
        steps: int | None = None,
        mask=None,
        seed: int | list[int] = 0,
        solver: str | None = None,
        rate: float = 0.05,
        refine: int | None = None,
        schedule: dict[int, dict[str, float]] | None = None,
        settings: Settings | None = None,
        variant: str = "preimage2016",
        pathway=None,
        patches=None,
        gamma: float | None = None,
        init=None,
    ):
        where = net.layers[layer]
        if settings is None:
            older = issubclass(variant_of(variant), Inverting2015)
            patched = drawn(patches, gamma)
            usual = 1.0 if older else max(paper_C(where, net.size), PATCHED * patched)
            C = usual if C is None else C
            jitter = (1 if older else paper_jitter(where)) if jitter is None else jitter
            values = Values(C, alpha, beta, jitter, rate, 0 if gamma is None else gamma)
            settings = Settings(replace(values, gamma=GAMMA * C) if gamma is None and patched else values)
        self.target = net.pixels_of(image)
        seeds = paired(seeds_of(seed), images=len(self.target), pathways=listed(pathway))
        count = len(seeds)
        self.batched = any(isinstance(one, (list, tuple)) for one in (image, seed, pathway)) or count > 1
        self.target = self.target.expand(count, -1, -1, -1)
        self.mask, self.image, self.init, self.patches = mask, image, init, patches
        probe = net.probe(layer)
        with torch.no_grad():
            code = probe(net.feed(self.target))[where.name]
        each = listed(image) if isinstance(image, (list, tuple)) else 1
        known = self.target if each > 1 else self.target[:1]  # what is different in the batch
        super().__init__(
            net,
            layer,
            Euclidean(code, mask),
            settings,
            seeds=seeds,
            steps=steps,
            refine=refine,
            solver=solver,
            schedule=schedule,
            variant=variant,
            pathway=pathway,
            priors=() if patches is None else (patches.prior(net.size, known),),
            init=None if init is None else _first(net, init, patches, known).expand(count, -1, -1, -1),
        )

    @property
    def errors(self) -> torch.Tensor:
        """||Phi(x) - Phi0|| / ||Phi0|| of the estimate as it is now, without jitter, (N,)."""
        return self.data_term(self.x)[0].clamp_min(0).sqrt()

    def result(self) -> PreImage | list[PreImage]:
        """The estimate as it is now; a list for a batch."""
        errors = self.errors.tolist()
        return self._results(lambda k: {"error": errors[k]})

    def to_python(self, image: str = "", item: int | None = None, step: int | None = None) -> str:
        """The line of Python that remakes the estimate as it is now, or as it was after `step` steps.

        image: the Python of the image (default: its path, or the name `image`). item: which one of a batch.
        """
        one = self.image
        if item is not None and isinstance(one, (list, tuple)):
            one = one[item] if len(one) > 1 else one[0]
        mask = {} if self.mask is None else {"mask": f"cx.masks.{self.mask!r}" if callable(self.mask) else "mask"}
        more = mask | init_to_python(self.init, self.patches)
        return call_of(self, "invert", f"{image or image_to_python(one)}, {self.layer.name!r}", step, item, **more)


def _first(net: Network, init, patches, known: torch.Tensor) -> torch.Tensor:
    """What to begin with, (1 or N, C, H, W). Raises SettingError, ImageError."""
    if not (isinstance(init, str) and init == "patches"):
        return net.pixels_of(init)
    if patches is None:
        raise SettingError("init='patches' is the average of a database's patches; give patches= too.")
    return torch.cat([patches.init(one[None]) for one in known])


def invert(
    net: Network,
    image,
    layer: str,
    *,
    C: float | None = None,
    alpha: float = 6,
    beta: float = 2,
    jitter: int | None = None,
    steps: int | None = None,
    mask=None,
    seed: int | list[int] = 0,
    solver: str | None = None,
    rate: float = 0.05,
    refine: int | None = None,
    schedule: dict[int, dict[str, float]] | None = None,
    variant: str = "preimage2016",
    pathway=None,
    patches=None,
    gamma: float | None = None,
    init=None,
    progress: bool = True,
) -> PreImage | list[PreImage]:
    """The image that the code of `image` at `layer` still determines (preimage2016, section 5).

    Arguments as for `Inversion`; a list of images, seeds or pathways runs as one batch and gives a list.
    progress: show a bar.
    """
    run = Inversion(
        net, image, layer, C=C, alpha=alpha, beta=beta, jitter=jitter, steps=steps, mask=mask, seed=seed,
        solver=solver, rate=rate, refine=refine, schedule=schedule, variant=variant, pathway=pathway, patches=patches,
        gamma=gamma, init=init,
    )  # fmt: skip
    return run._finish("invert", progress)
