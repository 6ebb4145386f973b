"""A network built from the name of its architecture, and weights put into it with every tensor checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from ...errors import NetworkError, WeightsError
from . import torchvision_classifiers
from .alexnet import caffe_alexnet, caffenet, photo_alexnet, world_alexnet
from .lenet import lenet
from .vgg import vgg_m, vgg_vd_16

Tensors = Mapping[str, torch.Tensor]

# A builder takes the number of classes and, for widths that vary, the tensors that will be filled in.
_BUILDERS: dict[str, Callable[[int, Tensors], nn.Module]] = {
    "lenet": lambda classes, tensors: lenet(classes),
    "alexnet-caffe": lambda classes, tensors: caffe_alexnet(classes, _hidden_width(tensors)),
    "caffenet": lambda classes, tensors: caffenet(classes, _hidden_width(tensors)),
    "vgg-m": lambda classes, tensors: vgg_m(classes, _hidden_width(tensors)),
    "vgg-vd-16": lambda classes, tensors: vgg_vd_16(classes, _hidden_width(tensors)),
    "photonet": lambda classes, tensors: photo_alexnet(classes),
    "worldnet": lambda classes, tensors: _cut_to(world_alexnet(classes), tensors),
}


def build(architecture: str, classes: int, tensors: Tensors | None = None) -> nn.Module:
    """A module with random weights that are always the same; torch's random state is not changed.

    Parameters
    ----------
    architecture : str
        One of the papers' or embedded architectures, or a torchvision classifier.
    classes : int
        The number of class scores.
    tensors : mapping of str to torch.Tensor, optional
        The weights that will be filled in: they decide the width of fc6 and fc7.

    Raises
    ------
    NetworkError
        If the architecture is unknown.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if architecture in _BUILDERS:
            return _BUILDERS[architecture](classes, tensors or {})
        if torchvision_classifiers.knows(architecture):
            return torchvision_classifiers.build(architecture, classes)
    known = ", ".join(_BUILDERS)
    raise NetworkError(f"architecture {architecture!r} is unknown; expected {known} or a torchvision name.")


def fill(module: nn.Module, tensors: Tensors, source: str) -> nn.Module:
    """Load tensors into a module. Raises WeightsError that names the first tensor that does not fit."""
    expected = module.state_dict()
    for name, value in expected.items():
        if name not in tensors:
            raise WeightsError(f"{source}: tensor {name!r} is missing; expected shape {tuple(value.shape)}.")
        if tensors[name].shape != value.shape:
            found = tuple(tensors[name].shape)
            raise WeightsError(f"{source}: tensor {name!r} has shape {found}; expected {tuple(value.shape)}.")
        if tensors[name].is_floating_point() and not tensors[name].isfinite().all():
            raise WeightsError(f"{source}: tensor {name!r} has values that are not finite; fetch the file again.")
    extra = sorted(set(tensors) - set(expected))
    if extra:
        raise WeightsError(f"{source}: {type(module).__name__} has no tensor {extra[0]!r}.")
    module.load_state_dict(tensors)
    return module


def _hidden_width(tensors: Tensors) -> int:
    return tensors["fc6.bias"].numel() if "fc6.bias" in tensors else 4096


def _cut_to(module: nn.Sequential, tensors: Tensors) -> nn.Sequential:
    """The layers up to pool5, if the tensors are those of a training checkpoint, which holds convolutions only."""
    cut = bool(tensors) and "fc6.weight" not in tensors
    return module[: list(dict(module.named_children())).index("pool5") + 1] if cut else module
