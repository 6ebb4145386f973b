"""What a training of any classifier needs: the classes of the images, their scores, and the weights to change."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ...data.images import Images
from ...errors import LayerError, NetworkError, SettingError, brief, brief_value
from ...network import Layer, Network, class_score_layer


def classes_of(net: Network, images: Images, numbers: np.ndarray) -> list[str]:
    """The classes that a network is trained for: its own where the images have no others, else those of the images.

    numbers: (N,) int, the images' labels as they give them.

    Raises SettingError if the images have no labels, NetworkError if the network is no classifier.
    """
    count = class_score_layer(net).channels
    most = int(numbers.max(initial=-1))
    if most < 0:
        raise SettingError(
            "the data set has no labels; expected a folder whose subfolders are the classes, or (image, label) items."
        )
    names = list(images.classes)
    if not names:
        own = list(net.labels) if len(net.labels) == count else [f"class {k}" for k in range(count)]
        return own if most < count else [f"class {k}" for k in range(most + 1)]
    if most >= len(names):
        raise SettingError(f"the data set has a label {most} and {len(names)} classes; expected labels below that.")
    known = list(net.labels) if len(net.labels) == count else []
    return known if all(known.count(name) == 1 for name in names) else names


def labels_of(images: Images, numbers: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """The number of each image's class, (N,) int, -1 for none. Raises SettingError for one that is no class."""
    if images.classes:
        place = {name: k for k, name in enumerate(classes)}
        unknown = [name for name in images.classes if name not in place]
        if unknown:
            raise SettingError(f"the images of test have a class {brief_value(unknown[0])} that the data set lacks.")
        numbers = np.where(numbers < 0, -1, np.array([place[name] for name in images.classes])[numbers])
    if numbers.max(initial=-1) < 0 or numbers.max() >= len(classes):
        raise SettingError(
            f"test has labels up to {numbers.max(initial=-1)}; expected those of {len(classes)} classes."
        )
    return numbers


def given_labels(images: Images) -> np.ndarray:
    """The images' labels as they give them, (N,) int, -1 for none."""
    known = getattr(images.source, "labels", None)
    if isinstance(known, np.ndarray) and known.shape == (len(images),):  # without reading the images
        return known.astype(int)
    return np.array([images.item(k)[1] for k in range(len(images))], int)


def copied(net: Network) -> nn.Module:
    """A copy of a network's module. Raises NetworkError if it cannot be copied."""
    try:
        return copy.deepcopy(net.module)
    except Exception as error:
        raise NetworkError(f"{net.name} cannot be copied ({brief(error)}); give a module that can.") from error


def like(net: Network, module: nn.Module, name: str, labels: Sequence[str] | None = None) -> Network:
    """Another module with the pixels and classes of a network."""
    classes = net.labels if labels is None else labels
    return Network(module.eval(), net.size, net.pixels, labels=classes, name=name, output=net._wanted_output)


def with_classes(net: Network, classes: Sequence[str], seed: int) -> Network:
    """The network itself where it has these classes; else a copy with a new layer of class scores.

    Raises LayerError if the layer cannot be replaced.
    """
    scores = class_score_layer(net)
    if scores.channels == len(classes) and list(net.labels or classes) == list(classes):
        return net
    module = copied(net)
    part = dict(module.named_modules()).get(scores.path)
    if not isinstance(part, nn.Linear):
        raise LayerError(
            f"the class scores of {net.name} are computed by {scores.kind}, which is not replaced here; expected a "
            "Linear layer, or a data set of the network's own classes."
        )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fresh = nn.Linear(part.in_features, len(classes), part.bias is not None)
    with torch.no_grad():  # small scores: the first steps do not undo what the layers before have learned
        fresh.weight.mul_(0.1)
    parent, _, last = scores.path.rpartition(".")
    setattr(module.get_submodule(parent), last, fresh.to(part.weight))
    return like(net, module, net.name, classes)


class Scores:
    """The class scores that a network's module computes, (N, classes), also where a softmax follows them.

    Parameters
    ----------
    net : Network
        The network; its module is run as it is.
    """

    def __init__(self, net: Network):
        self.net, self._layer = net, class_score_layer(net)
        self._part: nn.Module | None = None
        if self._layer.name != net.output.name or net._wanted_output is not None:
            self._part = dict(net.module.named_modules()).get(self._layer.path)
            if self._part is None:
                raise LayerError(
                    f"the class scores of {net.name} are computed by a function, {self._layer.name}, and then changed; "
                    "expected a module that returns them, or computes them by a layer of its own."
                )

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """The scores of images in the network's units, (N, C, H, W)."""
        found: list[torch.Tensor] = []
        if self._part is None:
            found.append(self.net.module(self.net.feed(x)))
        else:
            hook = self._part.register_forward_hook(lambda part, given, out: found.append(out))
            try:
                self.net.module(self.net.feed(x))
            finally:
                hook.remove()
        answer: Any = found[-1]
        if not isinstance(answer, torch.Tensor):
            raise NetworkError(f"{self.net.name} returns {brief_value(answer)}; name its class scores with output=.")
        return answer.reshape(len(answer), -1)


def trained_layers(net: Network, layers: str | Sequence[str] | None, new_scores: bool) -> list[str]:
    """The names of the layers with weights that are trained, in the order of computation.

    layers: all from this one on, those of a list, or all for None. Raises LayerNotFound, LayerError.
    """
    every = [layer for layer in net.layers.values() if _part(net.module, layer) is not None]
    if layers is None:
        return [layer.name for layer in every]
    if isinstance(layers, str):
        first = net.layers.depth(net.layers[layers])
        chosen = {layer.name for layer in every if net.layers.depth(layer) >= first}
    else:
        chosen = {net.layers[name].name for name in layers}
        without = sorted(chosen - {layer.name for layer in every})
        if without:
            known = f"name layers such as {every[-1].name}" if every else "take another network"
            raise LayerError(f"{without[0]} has no weights to train; {known}.")
    if new_scores:
        chosen.add(class_score_layer(net).name)
    if not chosen:
        raise LayerError(f"no layer from {layers!r} on has weights to train; name an earlier one.")
    return [layer.name for layer in every if layer.name in chosen]


def _part(module: nn.Module, layer: Layer) -> nn.Module | None:
    """The module that computes a layer, if it has weights."""
    part = dict(module.named_modules()).get(layer.path.partition(":")[0])
    return part if part is not None and any(True for _ in part.parameters()) else None


def trained_parameters(module: nn.Module, net: Network, chosen: Sequence[str], every: bool) -> dict[str, nn.Parameter]:
    """The trained parameters by name; only these follow a gradient. every: also those that are in no layer.

    Raises LayerError if there are none.
    """
    paths = [net.layers[name].path.partition(":")[0] for name in chosen]
    found = {}
    for name, parameter in module.named_parameters():
        inside = every or any(name == one or name.startswith(f"{one}.") for one in paths)
        parameter.requires_grad_(inside and parameter.is_floating_point())
        if parameter.requires_grad:
            found[name] = parameter
    if not found:
        raise LayerError(f"{net.name} has no weights to train; give a network with weights.")
    return found
