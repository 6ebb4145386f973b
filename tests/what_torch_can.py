"""What this torch can on this Python: the first torch for a new Python neither scripts every module nor compiles."""

import warnings
from collections.abc import Callable

import torch
from torch import nn


class Bare(nn.Module):
    """A module without annotations."""

    def forward(self, x):
        return 2 * x


def _works(make: Callable[[], object]) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            make()
        except (RuntimeError, AttributeError):
            return False
    return True


SCRIPTS = _works(lambda: torch.jit.script(Bare()))
COMPILES = _works(lambda: torch.compile(Bare(), backend="eager"))
