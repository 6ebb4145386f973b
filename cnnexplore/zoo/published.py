"""The Caffe-style networks of the pre-image papers by name; their weights are MatConvNet's files, fetched by hand."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ..errors import WeightsError, brief_value
from ..network import Network, Pixels
from .architectures import torchvision_classifiers
from .architectures.build import build, fill
from .readers.safetensors_file import stated_architecture
from .readers.weights_file import read_network, read_tensors

_PAGE = "https://www.vlfeat.org/matconvnet/models/"


@dataclass(frozen=True)
class _Published:
    file: str
    size: int
    description: str


_NETWORKS = {
    "alexnet-caffe": _Published("imagenet-caffe-alex.mat", 227, "Caffe's AlexNet"),
    "caffenet": _Published("imagenet-caffe-ref.mat", 227, "Caffe's reference network"),
    "vgg-m": _Published("imagenet-vgg-m.mat", 224, "VGG-M"),
    "vgg-vd-16": _Published("imagenet-vgg-verydeep-16.mat", 224, "VGG-VD-16"),
}


def names() -> list[str]:
    """The names of the papers' networks."""
    return list(_NETWORKS)


def knows(name: str) -> bool:
    """Whether a name is one of the papers' networks."""
    return name in _NETWORKS


def entries() -> list[tuple[str, str, float | None, bool]]:
    """(name, source, megabytes, offline) of each network; MatConvNet's page states no sizes."""
    return [
        (name, f"{one.description}, ImageNet; weights={one.file!r}", None, False) for name, one in _NETWORKS.items()
    ]


def load(name: str, weights: str | os.PathLike[str] | None) -> Network:
    """The named network with random weights (`"random"`), or with those of a file.

    The pixels and labels of a .mat or self-describing .safetensors file are used, and its architecture is checked;
    any other file is read as weights for a thousand ImageNet classes on RGB. Raises WeightsError; without weights
    its sentence names the file to fetch.
    """
    one = _NETWORKS[name]
    if weights is None:
        raise WeightsError(
            f"the weights of {name} do not come with the package; fetch {_PAGE}{one.file} and give "
            f'cx.load({name!r}, weights="path/to/{one.file}"), or weights="random" for an untrained network.'
        )
    path = Path(weights)
    if weights != "random" and (path.suffix.lower() == ".mat" or stated_architecture(path)):
        net = read_network(path, name)
        _check_architecture(net.module, name, path.name)
    else:
        labels = torchvision_classifiers.convention("alexnet")[2]
        module = build(name, len(labels))
        if weights != "random":
            fill(module, read_tensors(path), path.name)
        net = Network(module, size=one.size, pixels=Pixels(), labels=labels, name=name)
    net.source = f"cx.load({name!r}, weights={os.fspath(weights)!r})"
    return net


def _check_architecture(module: nn.Module, name: str, source: str) -> None:
    """Raise WeightsError if the layers or tensors of a module are not those of the named network, dropout aside."""
    tensors = module.state_dict()
    classes = len(tensors["fc8.bias"]) if "fc8.bias" in tensors else 1000
    with torch.device("meta"):
        wanted = build(name, classes, tensors)
    found, expected = _layer_names(module), _layer_names(wanted)
    for k, layer in enumerate(expected):
        if k >= len(found) or found[k] != layer:
            other = brief_value(found[k]) if k < len(found) else "missing"
            raise WeightsError(f"{source}: layer {k + 1} is {other}; expected {layer!r}, as {name} has it.")
    if len(found) > len(expected):
        raise WeightsError(
            f"{source}: layer {brief_value(found[len(expected)])} is one too many; {name} ends before it."
        )
    for key, value in wanted.state_dict().items():
        shape = tuple(tensors[key].shape) if key in tensors else "missing"
        if shape != tuple(value.shape):
            raise WeightsError(f"{source}: tensor {key!r} has shape {shape}; expected {tuple(value.shape)}.")


def _layer_names(module: nn.Module) -> list[str]:
    return [name for name, part in module.named_children() if not isinstance(part, nn.Dropout)]
