"""The energy of a run, C * loss + priors, with its gradient."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cached_property
from typing import Any

import torch

from ..errors import SettingError
from ..network import Network, Probe, derivative, pass_with_gradient
from ..network.rectifiers import pass_silent_rectifiers
from .canvas import Canvas
from .inputs import Inputs, Watching
from .losses import Loss
from .pathways import Pathways
from .priors import Prior, Scale
from .settings import Parameter, Values
from .transformations import View

DATA_WEIGHT = Parameter(
    "C", 0, 1e9, "log", 1, "C: the weight of the data term; higher is closer to the activation, lower more natural",
    shown=(0.1, 1e4),
)  # fmt: skip


class Energy:
    """C * loss + priors: the loss of a crop that passes through the network, the priors of the whole canvas.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The layer of the loss.
    loss : Loss
        The data term.
    priors : sequence of Prior
        The other terms.
    scale : Scale
        What the priors are normalised by.
    pathways : Pathways
        What the passes go through.

    Attributes
    ----------
    watches : bool
        Whether a unit without a response, behind a rectifier, can follow the gradient of what goes into the rectifier.

    Raises
    ------
    SettingError
        If two terms have the same name.
    """

    def __init__(
        self, net: Network, layer: str, loss: Loss, priors: Sequence[Prior], scale: Scale, pathways: Pathways
    ) -> None:
        self.watches = True
        self.net, self.loss, self.priors, self.scale, self.pathways = net, loss, priors, scale, pathways
        self.layer = net.layers[layer].name
        _ = self.probe  # what the network cannot do is said now
        self.term_names = ("energy", "data", *(prior.name for prior in priors))
        if len({*self.term_names, "step", loss.metric_name}) < len(self.term_names) + 2:
            names = ", ".join(self.term_names)
            raise SettingError(f"the terms of the energy are named {names}; give each prior a name of its own.")

    @cached_property
    def probe(self) -> Probe:
        """The network, up to the layer."""
        return self.net.probe(self.layer)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "probe"}  # its hooks cannot be copied

    def __call__(
        self,
        x: torch.Tensor,
        canvas: Canvas,
        inputs: Inputs,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The terms (K, N) of the energy of x, which has the canvas's shape, and the energy's gradient."""
        values, watching = inputs.values, inputs.watching
        crop = canvas.crop(x, inputs.offsets)
        if inputs.changes:
            data, gradient = self._transformed(crop, inputs)
        else:
            data, gradient = self.data_term(crop, values, watching)
        gradient = canvas.weight(canvas.spread(gradient, inputs.offsets, values.C))
        energy, parts = data * values.C, [data]
        for prior in self.priors:
            value = prior(x, values, self.scale, gradient)
            energy = energy + value
            parts.append(value)
        return torch.stack([energy, *parts]), canvas.hold(gradient)

    def branch(self, values: Values) -> Hashable | None:
        """Which branches of the terms some values take, as `Prior.branch`, and with which weights of the module."""
        parts = [self.loss.branch(values), *(prior.branch(values) for prior in self.priors)]
        return None if any(part is None for part in parts) else (self.probe.follow(), *parts)

    def computed_by_python(self, values: Values) -> str | None:
        """What Python computes anew in each step, so that a graph of a GPU cannot hold it, as a sentence; or None."""
        if self.pathways.any:
            return "its passes go through a pathway, which Python does in each step."
        if self.loss.branch(values) is None:
            return f"{type(self.loss).__name__}, its loss, has no branch() that allows it."
        term = next((prior for prior in self.priors if prior.branch(values) is None), None)
        return None if term is None else f"its prior {term.name!r} is computed by Python in each step."

    def _transformed(self, x: torch.Tensor, inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean data term of transformed images, and its gradient with respect to the images."""
        losses, gradients = [], []
        for one in inputs.changes:
            view = View(x, one.places, one.noise)
            loss, gradient = self.data_term(view.seen, inputs.values, inputs.watching)
            losses.append(loss)
            gradients.append(view.pull(gradient))
        if len(losses) == 1:
            return losses[0], gradients[0]
        return torch.stack(losses).mean(0), torch.stack(gradients).mean(0)

    def data_term(
        self, x: torch.Tensor, values: Values, watching: Watching = "asks"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss (N,) of x (N, C, H, W), and its gradient with respect to x, without the weight C.

        The gradient may have any layout, such as that of an expanded tensor; it is not to be written to.
        """
        with torch.inference_mode(False), torch.enable_grad():
            fed = self.net.feed(x.clone() if x.is_inference() else x).requires_grad_()
            found = pass_with_gradient(self.net, self.probe, fed, self.layer, context=self.pathways)
            activation = found[self.layer]
            loss, slope = self.loss(activation, values)
            if self.watches and watching != "never" and self.loss.metric_name == "response":
                silent = loss == 0
                if watching == "always" or bool(silent.any()):
                    pass_silent_rectifiers(activation, silent)
            gradient = derivative(self.net, self.layer, activation, fed, slope)
        return loss, self.net.pixels.feed(gradient.to(x.dtype))
