"""Natural pre-images: losses, priors, solvers and the runs that put them together (preimage2016)."""

from . import masks
from .caricature import Caricature, caricature
from .frame import Frame
from .inversion import Inversion, invert
from .maximization import Maximization, maximize
from .responses import best_responses, largest_responses, response_through
from .result import PreImage
from .run import Run
from .settings import Settings, Values
from .solvers import solvers

__all__ = [
    "Caricature",
    "Frame",
    "Inversion",
    "Maximization",
    "PreImage",
    "Run",
    "Settings",
    "Values",
    "best_responses",
    "caricature",
    "invert",
    "largest_responses",
    "masks",
    "maximize",
    "response_through",
    "solvers",
]
