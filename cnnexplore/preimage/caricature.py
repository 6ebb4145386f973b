"""Caricatures: an image with what its code says exaggerated (preimage2016, section 7)."""

from __future__ import annotations

import torch

from ..errors import LayerError
from ..network import Network
from ..results import image_to_python
from .batch import paired, seeds_of
from .call import call_of
from .losses import InnerProduct
from .result import PreImage
from .run import Run
from .settings import Settings, Values, paper_jitter


class Caricature(Run):
    """The run that starts from an image and makes its own code at `layer` stronger.

    The weights are relu(Phi0) / ||relu(Phi0)||^2, so that a response of 1 is the image's own. image: anything that
    `Network.pixels_of` takes; a list of images or seeds runs as one batch. C: how much the code counts; jitter: None
    for the paper's choice. Raises LayerNotFound, ImageError, SettingError, LayerError.
    """

    _usual_refine = 0

    @torch.inference_mode(False)
    def __init__(
        self,
        net: Network,
        image,
        layer: str,
        *,
        C: float = 1,
        alpha: float = 6,
        beta: float = 2,
        jitter: int | None = None,
        steps: int | None = None,
        seed: int | list[int] = 0,
        solver: str | None = None,
        rate: float = 0.05,
        refine: int = 0,
        schedule: dict[int, dict[str, float]] | None = None,
        settings: Settings | None = None,
    ):
        where = net.layers[layer]
        if settings is None:
            settings = Settings(Values(C, alpha, beta, paper_jitter(where) if jitter is None else jitter, rate))
        target = net.pixels_of(image)
        seeds = paired(seeds_of(seed), images=len(target))
        count = max(len(target), len(seeds))
        self.batched = isinstance(image, (list, tuple)) or isinstance(seed, (list, tuple)) or count > 1
        self.image = image
        with torch.no_grad():
            weights = net.probe(layer)(net.feed(target))[where.name].float().clamp_min(0)
        own = weights.flatten(1).square().sum(1)
        if not bool((own > 0).all()):
            raise LayerError(f"nothing in the code of {where.name} is positive, so nothing can be exaggerated.")
        super().__init__(
            net,
            layer,
            InnerProduct(weights.expand(count, *weights.shape[1:]), own.expand(count)),
            settings,
            seeds=seeds,
            steps=steps,
            refine=refine,
            solver=solver,
            schedule=schedule,
            init=target.expand(count, -1, -1, -1),
        )

    @property
    def responses(self) -> torch.Tensor:
        """How strong the image's own code is in the estimate as it is now; 1 in the image itself, (N,)."""
        return -self.data_term(self.x)[0]

    def result(self) -> PreImage | list[PreImage]:
        """The estimate as it is now; a list for a batch."""
        responses = self.responses.tolist()
        about = f"caricature at {self.layer.name}"
        return self._results(lambda k: {"response": responses[k], "about": about})

    def to_python(self, image: str = "", item: int | None = None, step: int | None = None) -> str:
        """The line of Python that remakes the estimate as it is now, or as it was after `step` steps."""
        one = self.image
        if item is not None and isinstance(one, (list, tuple)):
            one = one[item] if len(one) > 1 else one[0]
        return call_of(self, "caricature", f"{image or image_to_python(one)}, {self.layer.name!r}", step, item)


def caricature(
    net: Network,
    image,
    layer: str,
    *,
    C: float = 1,
    alpha: float = 6,
    beta: float = 2,
    jitter: int | None = None,
    steps: int | None = None,
    seed: int | list[int] = 0,
    solver: str | None = None,
    rate: float = 0.05,
    refine: int = 0,
    schedule: dict[int, dict[str, float]] | None = None,
    progress: bool = True,
) -> PreImage | list[PreImage]:
    """The image with its code at `layer` exaggerated (preimage2016, section 7).

    Arguments as for `Caricature`; a list of images or seeds runs as one batch and gives a list. progress: show a bar.
    """
    run = Caricature(
        net, image, layer, C=C, alpha=alpha, beta=beta, jitter=jitter, steps=steps, seed=seed, solver=solver,
        rate=rate, refine=refine, schedule=schedule,
    )  # fmt: skip
    return run._finish("caricature", progress)
