"""MatConvNet's networks from .mat files: simplenn chains and dagnn graphs, in the old and new formats.

Structs, numbers and text are read as data; nothing is executed. MatConvNet's arrays are H x W x C x K, its
convolution is a correlation, its pads are [top bottom left right], its pictures are RGB in 0..255.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ...errors import WeightsError, brief_value
from ...network import Network, Pixels
from ..architectures.blocks import Graph, Step
from . import matlab
from .matconvnet_layers import MAKERS, MOST_NUMBERS, POINTWISE, Shape, Source

_LOSSES = {"loss", "errorstats"}  # layers that only training needs
_LARGEST = 4096
_MOST_CHANNELS = 1024
_TAKEN = {
    *dir(nn.Sequential()),
    *dir(Graph("", ())),
    "keeps_names",
}  # attributes of a module, which no layer can be named after
_SYNONYMS = {
    "pooling": "pool", "normalize": "lrn", "batchnorm": "bnorm", "softmaxloss": "softmax",
}  # fmt: skip


def read_network(path: Path, name: str) -> Network:
    """The network of a MatConvNet file, with its own layer names, classes and mean colour (an image is averaged).

    Convolutions as large as their map become fully-connected layers. `border` is ignored: images are fitted to the
    input as for every network. Labels are left out unless there is one per class.
    Raises WeightsError that names the file, the layer, what was expected and what was found.
    """
    raw = matlab.read(path, ("net", "layers", "params", "vars", "meta", "classes", "normalization"))
    net = raw["net"] if isinstance(raw.get("net"), dict) else raw
    layers = _dicts(net.get("layers"))
    if not layers:
        raise WeightsError(
            f"{path.name!r} holds no MatConvNet network; expected a struct or cell array 'layers' "
            "(a DagNN object: save net.saveobj())."
        )
    graph = any("block" in layer for layer in layers)
    sources = _dagnn(layers, net, path.name) if graph else _simplenn(layers, path.name)
    meta = net["meta"] if isinstance(net.get("meta"), dict) else net
    normalization = meta["normalization"] if isinstance(meta.get("normalization"), dict) else {}
    shape = _input_shape(meta, normalization, sources, path.name)
    ordered, entry = _ordered(sources, path.name)
    builder = _Builder(path.name, entry, shape)
    for source in ordered:
        builder.add(source)
    module = builder.module()
    module.keeps_names = any(layer.get("name") for layer in layers)  # type: ignore[assignment]  # a plain attribute
    order = {1: "grey", 3: "RGB"}.get(shape[0], "channels")
    pixels = Pixels(order, _mean(normalization, shape[0], path.name))
    labels = _labels(meta)
    if len(labels) != builder.shapes[ordered[-1].output][0]:
        labels = []
    return Network(module, size=shape[1:], pixels=pixels, labels=labels, name=name)


# reading the file


def _dicts(value: Any) -> list[dict[str, Any]]:
    """A struct, or an array of structs, as a list; [] for anything else."""
    values: Any = [value] if isinstance(value, dict) else value
    return values if isinstance(values, list) and all(isinstance(v, dict) for v in values) else []


def _texts(value: Any) -> list[str]:
    """A text, or several texts, as a list; [] for anything else."""
    values: Any = [value] if isinstance(value, str) and value else value
    return list(values) if isinstance(values, list) and all(isinstance(v, str) for v in values) else []


def _kind(layer: dict[str, Any], name: str, file: str) -> str:
    """The type of a layer, in lower case and with one name for synonyms."""
    kind = layer.get("type")
    if not isinstance(kind, str) or not kind:
        raise WeightsError(
            f"{file}: layer {brief_value(name)} has no type; expected one of {', '.join(sorted(MAKERS))}."
        )
    kind = kind.lower().removeprefix("dagnn.")
    return _SYNONYMS.get(kind, kind)


def _layer_name(layer: dict[str, Any], k: int) -> str:
    """The name of a layer; of a nameless one, its number."""
    name = layer.get("name")
    return name if isinstance(name, str) and name else f"layer{k}"


def _simplenn(layers: list[dict[str, Any]], file: str) -> list[Source]:
    """The layers of a chain; the weights are in the fields `weights`, or `filters` and `biases`."""
    sources: list[Source] = []
    for k, layer in enumerate(layers, 1):
        name = _layer_name(layer, k)
        weights = layer.get("weights")
        if not isinstance(weights, list):
            weights = [layer[key] for key in ("filters", "biases") if key in layer]
        last = sources[-1].output if sources else "x0"
        kind = _kind(layer, name, file)
        if kind not in _LOSSES:
            sources.append(Source(file, name, kind, layer, weights, (last,), f"x{k}"))
    return sources


def _dagnn(layers: list[dict[str, Any]], net: dict[str, Any], file: str) -> list[Source]:
    """The layers of a graph, as net.saveobj() writes them, with the values of their parameters."""
    values = {p["name"]: p.get("value") for p in _dicts(net.get("params")) if isinstance(p.get("name"), str)}
    sources = []
    for k, layer in enumerate(layers, 1):
        name = _layer_name(layer, k)
        kind = _kind(layer, name, file)
        if kind in _LOSSES:
            continue
        inputs, outputs = _texts(layer.get("inputs")), _texts(layer.get("outputs"))
        if not inputs or len(outputs) != 1:
            raise WeightsError(
                f"{file}: layer {brief_value(name)} has {len(inputs)} inputs and {len(outputs)} outputs; "
                "expected at least one input and one output."
            )
        wanted = _texts(layer.get("params"))
        missing = [p for p in wanted if p not in values]
        if missing:
            raise WeightsError(
                f"{file}: layer {brief_value(name)} needs parameter {brief_value(missing[0])}, which is not "
                "in 'params'."
            )
        block = layer["block"] if isinstance(layer.get("block"), dict) else {}
        sources.append(Source(file, name, kind, block, [values[p] for p in wanted], tuple(inputs), outputs[0]))
    return sources


def _ordered(sources: list[Source], file: str) -> tuple[list[Source], str]:
    """The layers of the deepest output, each after the layers that it reads, and the variable of the image."""
    if not sources:
        raise WeightsError(f"{file!r} holds no layers but losses; expected a network.")
    writers = {source.output: source for source in sources}
    if len(writers) != len(sources):
        raise WeightsError(f"{file}: two layers write the same variable; expected one writer for each.")
    read = {variable for source in sources for variable in source.inputs}
    outputs = [source for source in sources if source.output not in read] or sources[-1:]
    order, entries = max((_ancestors(output, writers, file) for output in outputs), key=lambda found: len(found[0]))
    if len(entries) != 1:
        found = ", ".join(map(repr, entries)) or "nothing"
        raise WeightsError(f"{file}: the network reads {found}; expected one image and no more.")
    return order, entries[0]


def _ancestors(output: Source, writers: dict[str, Source], file: str) -> tuple[list[Source], list[str]]:
    """The layers that an output depends on, in order, and the variables that no layer writes."""
    order: dict[Source, None] = {}
    entries: dict[str, None] = {}
    waiting, opened = [output], set()
    while waiting:  # depth first, without recursion: a file may be deep
        source = waiting[-1]
        if source in opened:
            order[waiting.pop()] = None
            continue
        opened.add(source)
        for variable in source.inputs:
            writer = writers.get(variable)
            if writer is None:
                entries[variable] = None
            elif writer not in order:
                if writer in opened:
                    raise WeightsError(f"{file}: layer {brief_value(source.name)} is part of a circle; expected none.")
                waiting.append(writer)
    return list(order), list(entries)


def _input_shape(meta: dict[str, Any], normalization: dict[str, Any], sources: list[Source], file: str) -> Shape:
    size = normalization.get("imageSize", meta.get("inputSize"))
    values: list[float] = []
    if isinstance(size, np.ndarray) and size.dtype.kind in "uif" and np.isfinite(size).all():
        values = size.ravel()[:3].tolist()
    if len(values) == 2:  # rows and columns only: the first filters show the number of channels
        filters = next((s.weights[0] for s in sources if s.kind == "conv" and s.weights), None)
        values.append(filters.shape[2] if isinstance(filters, np.ndarray) and filters.ndim > 2 else 1)
    whole = len(values) == 3 and all(v == int(v) and 0 < v <= _LARGEST for v in values)
    if not whole or values[2] > _MOST_CHANNELS or math.prod(values) > MOST_NUMBERS:
        found = "missing" if size is None else f"[{' '.join(f'{v:g}' for v in values)}]"
        raise WeightsError(
            f"{file}: meta.normalization.imageSize is {found}; expected [rows columns channels], at most {_LARGEST} "
            f"rows and columns and {_MOST_CHANNELS} channels."
        )
    rows, columns, channels = map(int, values)
    return channels, rows, columns


def _mean(normalization: dict[str, Any], channels: int, file: str) -> tuple[float, ...]:
    """One value per channel; zeros where the file has none (Caffe's importer writes [0 0] for that)."""
    image = normalization.get("averageImage")
    if not isinstance(image, np.ndarray) or image.dtype.kind not in "uif" or not image.any():
        return (0.0,) * channels
    image = image.astype(np.float64)
    if not np.isfinite(image).all():
        raise WeightsError(f"{file}: meta.normalization.averageImage has values that are not finite; expected 0..255.")
    if image.size == channels:
        means = image.ravel()
    elif image.reshape(*image.shape[:2], -1).shape[2] == channels:
        means = image.reshape(-1, channels).mean(0)
    else:
        raise WeightsError(
            f"{file}: meta.normalization.averageImage has shape {image.shape}; expected {channels} values or an image "
            f"of {channels} channels."
        )
    return tuple(means.tolist())


def _labels(meta: dict[str, Any]) -> list[str]:
    """The descriptions of the classes, else their names."""
    classes = meta.get("classes")
    if not isinstance(classes, dict):
        return []
    return _texts(classes.get("description")) or _texts(classes.get("name"))


# building the module


@dataclass
class _Builder:
    """Builds the module layer by layer and tracks the shape of every variable, so that an error names its layer."""

    file: str
    entry: str
    shape: Shape
    steps: list[Step] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.shapes: dict[str, Shape] = {self.entry: self.shape}
        self.flat: set[str] = set()  # variables that are (N, K), no longer (N, K, 1, 1)

    def add(self, source: Source) -> None:
        """Append a layer. Raises WeightsError."""
        if source.kind not in MAKERS:
            raise WeightsError(
                f"{self.file}: layer {brief_value(source.name)} is of type {brief_value(source.kind)}; "
                f"expected one of {', '.join(sorted(MAKERS))}."
            )
        module, shape = MAKERS[source.kind](source, [self.shapes[v] for v in source.inputs])
        if math.prod(shape) > MOST_NUMBERS:
            raise source.error(f"its output is {' x '.join(map(str, shape))}", f"at most {MOST_NUMBERS} numbers")
        flat = source.kind in POINTWISE and any(v in self.flat for v in source.inputs)
        if flat or isinstance(module, nn.Linear):
            inputs = tuple(self._flattened(v) for v in source.inputs)
            self.flat.add(source.output)
        else:
            inputs = tuple(self._with_map(v) for v in source.inputs)
        self._append(source.name, module, inputs, source.output, shape)

    def _append(self, name: str, module: nn.Module, inputs: tuple[str, ...], output: str, shape: Shape) -> None:
        name = name.replace(".", "_")
        while name in self.names or name in _TAKEN:
            name += "_"
        self.names.add(name)
        self.steps.append(Step(name, module, inputs, output))
        self.shapes[output] = shape

    def _flattened(self, variable: str) -> str:
        """The variable as (N, K)."""
        if variable in self.flat:
            return variable
        flat = f"{variable} flat"
        if flat not in self.shapes:
            self._append("flatten", nn.Flatten(), (variable,), flat, (math.prod(self.shapes[variable]), 1, 1))
            self.flat.add(flat)
        return flat

    def _with_map(self, variable: str) -> str:
        """The variable as (N, K, 1, 1)."""
        if variable not in self.flat:
            return variable
        wide = f"{variable} wide"
        if wide not in self.shapes:
            self._append("unflatten", nn.Unflatten(1, self.shapes[variable]), (variable,), wide, self.shapes[variable])
        return wide

    def module(self) -> nn.Sequential | Graph:
        """A chain as a Sequential, anything else as a Graph."""
        before = [self.entry, *(step.output for step in self.steps)]
        if all(step.inputs == (v,) for step, v in zip(self.steps, before, strict=False)):
            return nn.Sequential(OrderedDict((step.name, step.module) for step in self.steps))
        return Graph(self.entry, self.steps)
