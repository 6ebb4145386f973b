"""A network built from the name of its architecture, and weights put into it with every tensor checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from ...errors import NetworkError, WeightsError, brief_list, brief_value
from ...network.precision import float32_by_default
from . import torchvision_classifiers
from .alexnet import caffe_alexnet, caffenet, photo_alexnet, world_alexnet
from .lenet import lenet
from .names import is_counter, matched
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
    with torch.random.fork_rng(devices=[]), float32_by_default():
        torch.manual_seed(0)
        if architecture in _BUILDERS:
            return _BUILDERS[architecture](classes, tensors or {})
        if torchvision_classifiers.knows(architecture):
            return torchvision_classifiers.build(architecture, classes)
    known = ", ".join(_BUILDERS)
    raise NetworkError(f"architecture {brief_value(architecture)} is unknown; expected {known} or a torchvision name.")


def fill(module: nn.Module, tensors: Tensors, source: str) -> nn.Module:
    """Load tensors into a module. Raises WeightsError that names what does not fit."""
    expected = module.state_dict()
    tensors = check(expected, tensors, source, type(module).__name__)
    for name, value in tensors.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise WeightsError(
                f"{source}: tensor {brief_value(name)} has values that are not finite; fetch the file again."
            )
    module.load_state_dict({name: tensors.get(name, value) for name, value in expected.items()})
    return module


def check(expected: Tensors, tensors: Tensors, source: str, name: str) -> dict[str, torch.Tensor]:
    """The tensors under the names that a module expects. Raises WeightsError for those that do not fit.

    expected: the module's own tensors, which may be on the meta device; name: what messages call the module. Counters
    of batches, which files from before torch 0.4.1 lack, may be missing.
    """
    tensors = matched(tensors, expected)
    missing = [key for key in expected if key not in tensors and not is_counter(key)]
    extra = sorted(key for key in tensors if key not in expected and not is_counter(key))
    if missing:
        more = f"; it has {brief_list(extra, 3, quoted=True)}, which {name} has not" if extra else ""
        if len(missing) == 1:
            shape = tuple(expected[missing[0]].shape)
            raise WeightsError(f"{source}: tensor {brief_value(missing[0])} is missing; expected shape {shape}{more}.")
        raise WeightsError(
            f"{source}: {len(missing)} tensors are missing: {brief_list(missing, 3, quoted=True)}{more}."
        )
    wrong = [key for key in expected if key in tensors and tensors[key].shape != expected[key].shape]
    if wrong:
        key, found, wanted = wrong[0], tuple(tensors[wrong[0]].shape), tuple(expected[wrong[0]].shape)
        sentence = f"{source}: tensor {brief_value(key)} has shape {found}; expected {wanted}"
        last = list(expected)[-1]
        pairs = {(tensors[k].shape[:1], expected[k].shape[:1]) for k in wrong}
        if last in wrong and len(pairs) == 1 and all(tensors[k].shape[1:] == expected[k].shape[1:] for k in wrong):
            sentence = (
                f"{source} is for {found[0]} classes, and {name} has {wanted[0]} ({brief_value(key)} has shape "
                f"{found}; expected {wanted}): build the module for {found[0]} classes, load the file into it "
                "and give cx.Network(module)"
            )
        raise WeightsError(f"{sentence}.")
    if extra:
        raise WeightsError(f"{source}: {name} has no tensor {brief_list(extra, 3, quoted=True)}.")
    for key, value in expected.items():
        plain = key not in tensors or tensors[key].layout == torch.strided
        if not plain or (value.is_floating_point() and not tensors[key].is_floating_point()):
            kind = tensors[key].dtype if plain else tensors[key].layout
            raise WeightsError(
                f"{source}: tensor {brief_value(key)} is of {kind}; expected dense floating-point numbers."
            )
    return {key: value for key, value in tensors.items() if key in expected}


def _hidden_width(tensors: Tensors) -> int:
    return tensors["fc6.bias"].numel() if "fc6.bias" in tensors else 4096


def _cut_to(module: nn.Sequential, tensors: Tensors) -> nn.Sequential:
    """The layers up to pool5, if the tensors are those of a training checkpoint, which holds convolutions only."""
    cut = bool(tensors) and "fc6.weight" not in tensors
    return module[: list(dict(module.named_children())).index("pool5") + 1] if cut else module
