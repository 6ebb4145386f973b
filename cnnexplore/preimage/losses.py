"""What a pre-image must satisfy: losses on a code, with their gradients."""

from __future__ import annotations

import numpy as np
import torch

from ..errors import LayerError, SettingError
from .priors import inner


class Euclidean:
    """Relative squared distance to a reference code: equations 2 and 3 of preimage2016.

    reference: (N, ...) codes. mask: an array that broadcasts to one code, one by name (see `masks`), or None. Called
    with a code, returns the loss (N,) and its gradient with respect to the code, which the next call overwrites.
    Raises LayerError if the reference is zero under the mask.
    """

    metric_name = "error"

    def __init__(self, reference: torch.Tensor, mask=None):
        half = reference.dtype in (torch.float16, torch.bfloat16)  # whose squares would overflow or drown
        self.reference = reference.detach().float() if half else reference.detach()
        self.weight = None if mask is None else _mask(mask, self.reference).square()
        self._difference = torch.empty_like(self.reference)
        masked = self.reference.square() if mask is None else self.reference.square() * self.weight
        self.norm2 = masked.flatten(1).sum(1)
        if not bool(torch.isfinite(self.norm2).all()):
            raise LayerError("the reference code is not finite; check the network's weights and pixels=.")
        if bool((self.norm2 == 0).any()):
            raise LayerError(
                "the reference code is zero" + (" under the mask" if mask is not None else "") + ", so nothing is left "
                "to invert; choose another image, layer or mask."
            )

    def __call__(self, code: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if code.shape[1:] != self.reference.shape[1:]:
            raise LayerError(
                f"the code has shape {tuple(code.shape[1:])}; expected that of the reference, "
                f"{tuple(self.reference.shape[1:])}."
            )
        # the same memory every time: asking for megabytes afresh costs more than the arithmetic
        difference = torch.sub(code.detach(), self.reference, out=self._difference)
        weighted = difference if self.weight is None else difference * self.weight
        loss = inner(weighted, difference) / self.norm2
        slope = weighted.mul_((2 / self.norm2).view((-1,) + (1,) * (code.dim() - 1)))
        return loss, slope.to(code.dtype)

    @staticmethod
    def metric(data: torch.Tensor) -> torch.Tensor:
        """||Phi(x) - Phi0|| / ||Phi0|| for a value of the loss."""
        return data.clamp_min(0).sqrt()


class InnerProduct:
    """How little a code agrees with weights: -<Phi(x), w> / Z (preimage2016, equation 4).

    weights: (N, ...) of the code's shape; Z: (N,) or a number. Called with a code, returns the loss (N,) and its
    gradient with respect to the code. What is told is the response <Phi(x), w> in units of Z.
    """

    metric_name = "response"

    def __init__(self, weights: torch.Tensor, Z):
        Z = torch.as_tensor(Z, dtype=torch.float32, device=weights.device).expand(len(weights))
        self.weights = weights.detach().float() / Z.view((-1,) + (1,) * (weights.dim() - 1))

    def __call__(self, code: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if code.shape[1:] != self.weights.shape[1:]:
            raise LayerError(
                f"the code has shape {tuple(code.shape[1:])}; expected that of the weights, "
                f"{tuple(self.weights.shape[1:])}."
            )
        loss = -(code.detach().float() * self.weights).flatten(1).sum(1)
        return loss, -self.weights.to(code.dtype)

    @staticmethod
    def metric(data: torch.Tensor) -> torch.Tensor:
        """The response in units of Z for a value of the loss."""
        return -data


def _mask(mask, reference: torch.Tensor) -> torch.Tensor:
    if callable(mask):
        mask = mask(tuple(reference.shape[1:]))
    try:
        m = torch.as_tensor(np.asarray(mask, dtype=np.float32), device=reference.device)
        m = m.expand(reference.shape[1:]) if m.dim() < reference.dim() else m.expand(reference.shape)
    except (TypeError, ValueError, RuntimeError) as error:
        shape = " x ".join(map(str, reference.shape[1:]))
        raise SettingError(f"mask does not fit the code; expected numbers that broadcast to {shape}.") from error
    if not bool(torch.isfinite(m).all()):
        raise SettingError("mask has values that are not finite; expected 0 for what is left out, 1 for what counts.")
    return m.to(reference.dtype)
