"""Losses: data terms of the energy on an activation, with their gradients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

import torch

from ..arguments import array
from ..errors import LayerError, SettingError
from .masks import computed
from .priors import inner
from .settings import Parameter, Values, combine


class Loss(ABC):
    """A data term: a function of the activation of a layer, and its gradient.

    Losses of the same layer add up and take weights: ``Euclidean(reference) + 0.1 * InnerProduct(weights, Z)``.

    Attributes
    ----------
    metric_name : str
        The name of the number that judges a run, such as "error".
    parameters : tuple of Parameter
        What can be steered.

    Examples
    --------
    >>> import torch
    >>> from cnnexplore.preimage import Euclidean, InnerProduct
    >>> both = Euclidean(torch.ones(1, 4)) + 0.5 * InnerProduct(torch.ones(1, 4), 2)
    >>> both(torch.full((1, 4), 3.0))[0].tolist()
    [1.0]
    """

    metric_name: ClassVar[str] = "loss"
    parameters: tuple[Parameter, ...] = ()

    @abstractmethod
    def __call__(self, activation: torch.Tensor, values: Values | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss and its gradient.

        Parameters
        ----------
        activation : torch.Tensor
            (N, ...) the layer's activation.
        values : Values, optional
            The values of the parameters; not needed by a loss that has none.

        Returns
        -------
        loss : torch.Tensor
            (N,) one value per image.
        gradient : torch.Tensor
            (N, ...) with respect to the activation; the next call may overwrite it.
        """

    def branch(self, values: Values) -> Hashable | None:
        """Which branch of its computation the loss takes, as `Prior.branch`; None to be called anew in each step.

        Parameters
        ----------
        values : Values
            The values of the parameters.

        Returns
        -------
        object or None
            The same for values that launch the same kernels.
        """
        return None

    def metric(self, data: torch.Tensor) -> torch.Tensor:
        """The number that judges a run.

        Parameters
        ----------
        data : torch.Tensor
            Values of the loss.
        """
        return data

    def __add__(self, other: Loss) -> Loss:
        return WeightedSum([(1.0, self), (1.0, other)])

    def __mul__(self, weight: float) -> Loss:
        return WeightedSum([(float(weight), self)])

    __rmul__ = __mul__


class WeightedSum(Loss):
    """A sum of losses of one layer, each with a weight.

    Parameters
    ----------
    terms : sequence of (float, Loss)
        The weights and the losses.
    """

    def __init__(self, terms: Sequence[tuple[float, Loss]]) -> None:
        self.terms = tuple(terms)
        self.parameters = combine(*(loss.parameters for _, loss in self.terms))

    def __call__(self, activation: torch.Tensor, values: Values | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        total = torch.zeros(len(activation), device=activation.device, dtype=torch.float32)
        gradient = torch.zeros_like(activation)
        for weight, loss in self.terms:
            value, slope = loss(activation, values)
            total = total + weight * value
            gradient.add_(slope, alpha=weight)
        return total, gradient

    def branch(self, values: Values) -> Hashable | None:
        parts = [loss.branch(values) for _, loss in self.terms]
        return None if any(part is None for part in parts) else tuple(parts)


class Euclidean(Loss):
    """The relative squared distance to a reference activation (preimage2016, equations 2 and 3).

    Parameters
    ----------
    reference : torch.Tensor
        (N, ...) the activations that are looked for.
    mask : array, callable or None
        What counts: numbers that broadcast to one activation, or one of `cnnexplore.masks`.

    Raises
    ------
    LayerError
        If the reference is zero under the mask, or not finite.
    SettingError
        If the mask does not fit.

    Examples
    --------
    >>> import torch
    >>> from cnnexplore.preimage import Euclidean
    >>> loss, gradient = Euclidean(torch.ones(1, 4))(torch.zeros(1, 4))
    >>> loss.tolist(), gradient.tolist()
    ([1.0], [[-0.5, -0.5, -0.5, -0.5]])
    """

    metric_name = "error"

    def __init__(self, reference: torch.Tensor, mask: Any = None) -> None:
        half = reference.dtype in (torch.float16, torch.bfloat16)  # their squares would overflow or vanish
        self.reference = reference.detach().float() if half else reference.detach()
        self.weight = None if mask is None else _mask(mask, self.reference).square()
        self._difference = torch.empty_like(self.reference)
        self._laid: tuple[int, ...] = self._difference.stride()
        masked = self.reference.square() if self.weight is None else self.reference.square() * self.weight
        self.norm2 = masked.flatten(1).sum(1)
        if not bool(torch.isfinite(self.norm2).all()):
            raise LayerError("the reference activation is not finite; check the network's weights and pixels=.")
        if bool((self.norm2 == 0).any()):
            raise LayerError(
                "the reference activation is zero" + (" under the mask" if mask is not None else "") + ", so nothing "
                "is left to invert; choose another image, layer or mask."
            )

    def __call__(self, activation: torch.Tensor, values: Values | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        if activation.shape[1:] != self.reference.shape[1:]:
            raise LayerError(
                f"the activation has shape {tuple(activation.shape[1:])}; expected that of the reference, "
                f"{tuple(self.reference.shape[1:])}."
            )
        if self._laid != activation.stride() and activation.shape == self.reference.shape:
            self._laid = activation.stride()  # once also where these have gaps, which a tensor of our own has not
            # where both lie alike in memory the difference takes a fifth of the time
            self._difference = torch.empty_like(activation, dtype=self._difference.dtype)
            self.reference = self._difference.clone().copy_(self.reference)
        # the same memory in each call: allocating megabytes costs more than the arithmetic
        difference = torch.sub(activation.detach(), self.reference, out=self._difference)
        weighted = difference if self.weight is None else difference * self.weight
        loss = inner(weighted, difference) / self.norm2
        gradient = weighted.mul_((2 / self.norm2).view((-1,) + (1,) * (activation.dim() - 1)))
        return loss, gradient.to(activation.dtype)

    def branch(self, values: Values) -> Hashable | None:
        return ()

    def metric(self, data: torch.Tensor) -> torch.Tensor:
        """The relative error ||Phi(x) - Phi0|| / ||Phi0||.

        Parameters
        ----------
        data : torch.Tensor
            Values of the loss.
        """
        return data.clamp_min(0).sqrt()


class InnerProduct(Loss):
    """The negative inner product with weights, -<Phi(x), w> / Z (preimage2016, equation 4).

    Parameters
    ----------
    weights : torch.Tensor
        (N, ...) of the activation's shape.
    Z : torch.Tensor or float
        (N,) the response that counts as 1.

    Examples
    --------
    >>> import torch
    >>> from cnnexplore.preimage import InnerProduct
    >>> InnerProduct(torch.ones(1, 4), 2)(torch.full((1, 4), 3.0))[0].tolist()
    [-6.0]
    """

    metric_name = "response"

    def __init__(self, weights: torch.Tensor, Z: torch.Tensor | float) -> None:
        unit = torch.as_tensor(Z, dtype=torch.float32, device=weights.device).expand(len(weights))
        self.weights = weights.detach().float() / unit.view((-1,) + (1,) * (weights.dim() - 1))

    def __call__(self, activation: torch.Tensor, values: Values | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        if activation.shape[1:] != self.weights.shape[1:]:
            raise LayerError(
                f"the activation has shape {tuple(activation.shape[1:])}; expected that of the weights, "
                f"{tuple(self.weights.shape[1:])}."
            )
        loss = -(activation.detach().float() * self.weights).flatten(1).sum(1)
        return loss, -self.weights.to(activation.dtype)

    def branch(self, values: Values) -> Hashable | None:
        return ()

    def metric(self, data: torch.Tensor) -> torch.Tensor:
        """The response <Phi(x), w> in units of Z.

        Parameters
        ----------
        data : torch.Tensor
            Values of the loss.
        """
        return -data


def _mask(mask: Any, reference: torch.Tensor) -> torch.Tensor:
    if callable(mask):
        mask = computed("mask", mask, tuple(reference.shape[1:]))
    shape = " x ".join(map(str, reference.shape[1:]))
    expected = f"numbers that broadcast to {shape}, 0 for what is left out, 1 for what counts"
    m = torch.from_numpy(array("mask", mask, expected, max(reference.numel(), 1))).to(reference.device)
    try:
        m = m.expand(reference.shape[1:]) if m.dim() < reference.dim() else m.expand(reference.shape)
    except RuntimeError as error:
        raise SettingError(f"mask does not fit the activation; expected {expected}.") from error
    if bool(((m < 0) | (m > 1e6)).any()):
        raise SettingError(f"mask has values outside 0 to 1e6; expected {expected}.")
    return m.to(reference.dtype)
