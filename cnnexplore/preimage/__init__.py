"""Natural pre-images: losses, priors, solvers and the runs that put them together (preimage2016)."""

from . import masks
from .caricature import Caricature, caricature
from .generated import GeneratedImage, GeneratorMaximization
from .inversion import Inversion, invert
from .losses import Euclidean, InnerProduct, Loss
from .maximization import Maximization, maximize
from .multifaceted import Phase
from .presets import presets
from .priors import Prior, Scale
from .published import paper_C, paper_jitter, paper_weight
from .responses import best_responses, largest_responses, response_through
from .result import PreImage
from .run import Run
from .settings import Parameter, Settings, Values
from .solvers import solvers
from .steered import Frame, SteeredRun
from .transformations import Crop, Noise, Rotation, Scaling, Transformation

__all__ = [
    "Caricature",
    "Crop",
    "Euclidean",
    "Frame",
    "GeneratedImage",
    "GeneratorMaximization",
    "InnerProduct",
    "Inversion",
    "Loss",
    "Maximization",
    "Noise",
    "Parameter",
    "Phase",
    "PreImage",
    "Prior",
    "Rotation",
    "Run",
    "Scale",
    "Scaling",
    "Settings",
    "SteeredRun",
    "Transformation",
    "Values",
    "best_responses",
    "caricature",
    "invert",
    "largest_responses",
    "masks",
    "maximize",
    "paper_C",
    "paper_jitter",
    "paper_weight",
    "presets",
    "response_through",
    "solvers",
]
