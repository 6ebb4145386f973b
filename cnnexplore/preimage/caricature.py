"""Caricatures: an image with its own activation exaggerated (preimage2016, section 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..arguments import checked
from ..errors import LayerError
from ..network import Network
from ..results import image_to_python
from .arguments import PROGRESS, RUN
from .batch import batch_seeds
from .losses import InnerProduct
from .patch_prior import terms_to_python
from .priors import Prior
from .published import paper_jitter
from .result import PreImage
from .run import Run, settings_for
from .settings import Settings


class Caricature(Run):
    """The run that starts from an image and makes its activation at `layer` stronger (preimage2016, section 7).

    The weights are relu(Phi0) / ||relu(Phi0)||^2, so that the image's own response is 1.

    Parameters
    ----------
    net : Network
        Any network.
    image : path, image, array, tensor, or a list of them
        What `Network.pixels_of` takes; a list is one batch.
    layer : str
        The layer whose activation is made stronger.
    C : float
        The weight of the data term, 0 to 1e9.
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
    solver : str, optional
        One of `cnnexplore.solvers()`: "spectral" (fast), "adagrad" (Algorithm 1 of the paper) or "momentum" (that of
        2015); None for "spectral".
    rate : float
        The length of a step in the solver's unit, 1e-6 to 10.
    refine : int
        How many steps follow at a smaller rate without jitter.
    schedule : dict, optional
        {step: {setting: value}}, changes made before these steps.
    priors : sequence of Prior
        Further terms of the energy, see `cnnexplore.preimage.Prior`.
    settings : Settings or dict, optional
        Values of the parameters that the further priors declare, by name; or a mailbox that all settings are read from,
        in place of C, alpha, beta, jitter and rate.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    ImageError
        If the image cannot be read.
    SettingError
        If a setting is outside its range.
    LayerError
        If no unit of the layer is positive.

    Examples
    --------
    >>> run = cx.Caricature(cx.load("lenet"), cx.digit(3), "conv2", steps=2)
    >>> round(float(run.responses), 3)
    1.0
    """

    _usual_refine = 0

    @torch.inference_mode(False)
    @checked(**RUN)
    def __init__(
        self,
        net: Network,
        image: Any,
        layer: str,
        *,
        C: float = 1,
        alpha: float = 6,
        beta: float = 2,
        jitter: int | None = None,
        steps: int | None = None,
        seed: int | Sequence[int] = 0,
        solver: str | None = None,
        rate: float = 0.05,
        refine: int = 0,
        schedule: Mapping[int, Mapping[str, float]] | None = None,
        priors: Sequence[Prior] = (),
        settings: Settings | Mapping[str, float] | None = None,
    ) -> None:
        where = net.layers[layer]
        jitter = paper_jitter(where) if jitter is None else jitter
        numbers = {"C": C, "alpha": alpha, "beta": beta, "jitter": jitter, "rate": rate}
        target = net.pixels_of(image)
        seeds = batch_seeds(seed, images=len(target))
        count = len(seeds)
        self.image, self._priors = image, tuple(priors)
        with torch.no_grad():
            weights = net.probe(layer)(net.feed(target))[where.name].float().clamp_min(0)
        own = weights.flatten(1).square().sum(1)
        if not bool((own > 0).all()):
            raise LayerError(f"no unit of {where.name} is positive for this image, so nothing can be exaggerated.")
        super().__init__(
            net,
            layer,
            InnerProduct(weights.expand(count, *weights.shape[1:]), own.expand(count)),
            settings_for(settings, "preimage2016", self._priors, numbers),
            seeds=seeds,
            steps=steps,
            refine=refine,
            solver=solver,
            schedule=schedule,
            priors=self._priors,
            init=target.expand(count, -1, -1, -1),
        )
        self.batched = any(isinstance(one, (list, tuple)) for one in (image, seed)) or count > 1
        self._one_seed = not isinstance(seed, list)

    @property
    def responses(self) -> torch.Tensor:
        """The response to the image's own activation, of the estimate as it is now, (N,); 1 for the image itself."""
        return -self.data_term(self.x)[0]

    def result(self) -> PreImage | list[PreImage]:
        """The estimate as it is now; a list for a batch."""
        responses = self.responses.tolist()
        about = f"caricature at {self.layer.name}"
        return self._results(lambda k: {"response": responses[k], "about": about})

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
        subject = f"{image or image_to_python(self.image)}, {self.layer.name!r}"
        return self._call("caricature", subject, step, item, **terms_to_python(None, None, self._priors))


@checked(**PROGRESS)
def caricature(
    net: Network,
    image: Any,
    layer: str,
    *,
    C: float = 1,
    alpha: float = 6,
    beta: float = 2,
    jitter: int | None = None,
    steps: int | None = None,
    seed: int | Sequence[int] = 0,
    solver: str | None = None,
    rate: float = 0.05,
    refine: int = 0,
    schedule: Mapping[int, Mapping[str, float]] | None = None,
    priors: Sequence[Prior] = (),
    settings: Mapping[str, float] | None = None,
    progress: bool = True,
) -> PreImage | list[PreImage]:
    """The image with its activation at `layer` exaggerated (preimage2016, section 7).

    Parameters
    ----------
    net : Network
        Any network.
    image : path, image, array, tensor, or a list of them
        What `Network.pixels_of` takes; a list is one batch.
    layer : str
        The layer whose activation is made stronger.
    C : float
        The weight of the data term, 0 to 1e9.
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
    solver : str, optional
        One of `cnnexplore.solvers()`: "spectral" (fast), "adagrad" (Algorithm 1 of the paper) or "momentum" (that of
        2015); None for "spectral".
    rate : float
        The length of a step in the solver's unit, 1e-6 to 10.
    refine : int
        How many steps follow at a smaller rate without jitter.
    schedule : dict, optional
        {step: {setting: value}}, changes made before these steps.
    priors : sequence of Prior
        Further terms of the energy, see `cnnexplore.preimage.Prior`.
    settings : dict, optional
        Values of the parameters that the further priors declare, by name.
    progress : bool
        Whether a progress bar is shown.

    Returns
    -------
    PreImage or list of PreImage
        The caricature with its response, where 1 is the image's own; a list for a batch.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    ImageError
        If the image cannot be read.
    SettingError
        If a setting is outside its range.
    LayerError
        If no unit of the layer is positive.
    DivergedError
        If the energy is no longer finite.

    References
    ----------
    A. Mahendran and A. Vedaldi, Visualizing deep convolutional neural networks using natural pre-images, IJCV 2016.

    Examples
    --------
    >>> r = cx.caricature(cx.load("lenet"), cx.digit(3), "conv2", C=20, steps=20, progress=False)
    >>> r.response > 1
    True
    """
    run = Caricature(
        net, image, layer, C=C, alpha=alpha, beta=beta, jitter=jitter, steps=steps, seed=seed, solver=solver,
        rate=rate, refine=refine, schedule=schedule, priors=priors, settings=settings,
    )  # fmt: skip
    return run.finish(progress)
