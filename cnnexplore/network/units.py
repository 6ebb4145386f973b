"""Units, positions and layers as callers name them: resolved to numbers and `Layer`s, or refused with a reason."""

from __future__ import annotations

import difflib
import weakref
from collections.abc import Sequence

import numpy as np
import torch

from ..arguments import place, plain_number
from ..errors import LayerError, NetworkError, SettingError, brief_list, brief_value
from .graph import PRODUCTS, Operation
from .layers import Layer
from .network import Network

# Kinds of layers, in lower case without "_", that keep the meaning of each unit; the first group keeps its value too.
_IDENTITIES = ("dropout", "flatten", "identity", "softmax", "logsoftmax")
_UNITWISE = (*_IDENTITIES, "relu", "relu6", "avgpool2d", "adaptiveavgpool2d", "maxpool2d", "adaptivemaxpool2d")


_MOST = 100_000  # units that are asked for at once


def _kind(layer: Layer) -> str:
    return layer.kind.lower().replace("_", "")


def hands_values_on(layer: Layer) -> bool:
    """Whether a layer only hands on the values that it is given, or makes probabilities of them, such as dropout.

    Parameters
    ----------
    layer : Layer
        The layer.

    Returns
    -------
    bool
        True for dropout, flattening, identities and softmax.
    """
    return _kind(layer) in _IDENTITIES


def has_class_units(net: Network, layer: Layer) -> bool:
    """Whether the units of a layer are the network's classes: the class scores, or the class maps that they pool.

    Parameters
    ----------
    net : Network
        The network; one without a label for each class score has no class units.
    layer : Layer
        The layer.

    Returns
    -------
    bool
        True if the layer has one unit per label and each unit is computed into, or from, one class score alone.
    """
    scores = scores_if_any(net)
    if scores is None or len(net.labels) != layer.channels or scores.channels != layer.channels:
        return False
    layers = list(net.layers.values())
    first, last = sorted((net.layers.depth(layer), net.layers.depth(scores)))
    return all(_kind(one) in _UNITWISE and one.channels == layer.channels for one in layers[first + 1 : last + 1])


def scores_if_any(net: Network) -> Layer | None:
    """The layer of the class scores, or None where the module returns no tensor, or several of which none is chosen.

    Parameters
    ----------
    net : Network
        The network.
    """
    try:
        return net.scores
    except NetworkError:
        return None


def unit_name(net: Network, layer: Layer, unit: int) -> str:
    """What a unit is called on screen.

    Parameters
    ----------
    net : Network
        The network.
    layer : Layer
        The unit's layer.
    unit : int
        The unit.

    Returns
    -------
    str
        The class label where the layer's units are classes, such as "tench"; else "unit 7".
    """
    return net.labels[unit] if has_class_units(net, layer) else f"unit {unit}"


def resolve_unit(net: Network, layer: Layer, unit: object) -> int:
    """The number of one unit.

    Parameters
    ----------
    net : Network
        The network.
    layer : Layer
        The unit's layer.
    unit : int or str
        A number (Python's, numpy's, or a tensor of one element), or a class label where the layer's units are classes.

    Returns
    -------
    int
        The unit, 0 to ``layer.channels - 1``.

    Raises
    ------
    SettingError
        If the layer has no such unit, or if several classes have that label.
    """
    count = layer.channels
    if isinstance(unit, str):
        return _labelled_unit(net, layer, unit)
    number = plain_number(unit)
    if not isinstance(number, int) or not 0 <= number < count:
        raise SettingError(f"unit is {brief_value(unit)}; {layer.name} has units 0 to {count - 1}.")
    return number


def _labelled_unit(net: Network, layer: Layer, label: str) -> int:
    found = [k for k, one in enumerate(net.labels) if one == label]
    classes = has_class_units(net, layer)
    if classes and len(found) == 1:
        return found[0]
    if classes and found:
        numbers = brief_list(found)
        raise SettingError(
            f"{brief_value(label)} is the label of several classes of {net.name}; give the number, one of {numbers}."
        )
    within = [one for one in net.labels if label.lower() in one.lower()] if label else []
    close = within or difflib.get_close_matches(label[:80], net.labels, 1)
    hint = f"expected a unit's number, 0 to {layer.channels - 1}."
    if classes and close:
        hint = f"did you mean {brief_value(close[0])}?"
    elif (scores := scores_if_any(net)) is not None and net.labels and len(net.labels) == scores.channels:
        where = "" if classes else f" at {scores.name}"
        hint = f"{hint[:-1]}, or one of net.labels, such as {brief_value(net.labels[0])}{where}."
    raise SettingError(f"{brief_value(label)} is no class of {net.name} at {layer.name}; {hint}")


_NO_LISTS = (str, bytes, bytearray, memoryview)  # sequences that are no list of units


def _is_integer_array(values: np.ndarray | torch.Tensor) -> bool:
    if isinstance(values, np.ndarray):
        return values.dtype.kind in "iu" or not values.size
    if values.is_meta or values.is_quantized or values.layout != torch.strided:
        return False
    return not len(values) or not (values.is_floating_point() or values.is_complex() or values.dtype == torch.bool)


def resolve_units(net: Network, layer: Layer, unit: object = None) -> list[int]:
    """The numbers of one unit, of several, or of all.

    Parameters
    ----------
    net : Network
        The network.
    layer : Layer
        The units' layer.
    unit : int, str, sequence, np.ndarray, torch.Tensor or None
        What `resolve_unit` takes; a list, tuple or range of such; a one-dimensional integer array; None for all units.

    Returns
    -------
    list of int
        The units, in the order given.

    Raises
    ------
    SettingError
        If the layer lacks one of the units, if none is given, or for an array that does not hold integers.
    """
    if unit is None:
        return list(range(layer.channels))
    if isinstance(unit, (np.ndarray, torch.Tensor)) and unit.ndim > 0:
        if unit.ndim > 1 or not _is_integer_array(unit):
            shape = " x ".join(map(str, unit.shape))
            raise SettingError(
                f"unit is an array of {shape} {str(unit.dtype).removeprefix('torch.')}; expected one dimension of "
                "integers, the numbers of units."
            )
        unit = unit.tolist()
    if isinstance(unit, Sequence) and len(unit) > _MOST:
        raise SettingError(f"unit is {brief_value(unit)}; expected at most {_MOST} units.")
    several = list(unit) if isinstance(unit, Sequence) and not isinstance(unit, _NO_LISTS) else [unit]
    if not several:
        raise SettingError(f"an empty list of units was given; expected at least one unit of {layer.name}.")
    return [resolve_unit(net, layer, one) for one in several]


def resolve_position(layer: Layer, position: Sequence[int]) -> tuple[int, int]:
    """A place on a layer's map.

    Parameters
    ----------
    layer : Layer
        The layer.
    position : sequence of int
        (row, column), from (0, 0) to the map's last row and column.

    Returns
    -------
    tuple of int
        (row, column).

    Raises
    ------
    SettingError
        If it is no such pair, or outside the map.
    """
    rows, columns = layer.size
    row, column = place("position", position)
    if not (row < rows and column < columns):
        raise SettingError(
            f"position is {(row, column)}; expected (row, column) on {layer.name}'s map of {rows} x {columns}."
        )
    return row, column


def class_score_layer(net: Network) -> Layer:
    """The layer of the class scores, checked to have one number per class.

    Parameters
    ----------
    net : Network
        A classifier.

    Returns
    -------
    Layer
        ``net.scores``.

    Raises
    ------
    NetworkError
        If the network ends in a map.
    """
    layer = net.scores
    if layer.has_map:
        rows, columns = layer.size
        raise NetworkError(
            f"{net.name} ends in a map of {rows} x {columns}, not in one score per class; take a classifier."
        )
    return layer


def layer_with_map(net: Network, name: str, what: str) -> Layer:
    """A layer, checked to have a map.

    Parameters
    ----------
    net : Network
        The network.
    name : str
        The layer's name.
    what : str
        What needs the map, for the message: a function's or method's name.

    Returns
    -------
    Layer
        The layer.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    LayerError
        If the layer has no map.
    """
    layer = net.layers[name]
    if not layer.has_map:
        raise LayerError(
            f"{what} needs a layer with a map; {layer.name} has {layer.channels} numbers and no positions."
        )
    return layer


_BEHIND: weakref.WeakKeyDictionary[Network, dict[str, list[str]]] = weakref.WeakKeyDictionary()


def layers_behind(net: Network, layer: Layer) -> list[Layer]:
    """The layers that a layer depends on; those of other branches, which are also computed before it, are not.

    Parameters
    ----------
    net : Network
        The network.
    layer : Layer
        The layer.

    Returns
    -------
    list of Layer
        In the order of computation, without the layer itself.
    """
    known = _BEHIND.setdefault(net, {})
    if layer.name not in known:
        operations = net.operations()
        needed = {one.index for one in operations[layer.name].ancestors()}
        earlier = list(net.layers)[: net.layers.depth(layer)]
        known[layer.name] = [name for name in earlier if operations[name].index in needed]
    return [net.layers[name] for name in known[layer.name]]


def last_map_layer(net: Network, before: Layer, what: str) -> Layer:
    """The deepest layer with a map that a given layer depends on.

    Parameters
    ----------
    net : Network
        The network.
    before : Layer
        The layer that is computed from the map.
    what : str
        What needs the map, for the message: a function's or method's name.

    Returns
    -------
    Layer
        The layer with the map.

    Raises
    ------
    LayerError
        If `before` depends on no layer with a map.
    """
    for layer in reversed(layers_behind(net, before)):
        if layer.has_map:
            return layer
    raise LayerError(f"{what} needs a layer with a map before {before.name}, and {net.name} has none.")


# Operations that hand on the values that they are given: in another shape, or scaled.
_HAND_ON = frozenset((
    "view", "_unsafe_view", "reshape", "flatten", "squeeze", "unsqueeze", "expand", "alias", "clone", "contiguous",
    "detach", "_to_copy", "dropout", "native_dropout", "_softmax", "_log_softmax", "softmax", "log_softmax", "sigmoid",
    "log_sigmoid_forward", "add", "sub", "mul", "div",
))  # fmt: skip


def features_layer(net: Network) -> Layer:
    """The layer that the class scores are computed from, which the papers call the features: relu7 of AlexNet.

    Parameters
    ----------
    net : Network
        The network.

    Returns
    -------
    Layer
        The last layer that the class scores are computed from; dropout, flattening, softmax, identities and a
        temperature do not count, nor do heads whose scores are averaged.

    Raises
    ------
    LayerError
        If the class scores are the network's only layer.
    """
    operations = net.operations()
    scores = _before(operations[net.scores.name])
    heads = [_before(one) for one in scores.inputs]
    several = len(heads) > 1 and all(one.name in PRODUCTS and one.shape == scores.shape for one in heads)
    needed = {
        one.index for head in (heads if several else [scores]) for source in head.inputs for one in source.ancestors()
    }
    for layer in reversed(list(net.layers.values())[: net.layers.depth(net.scores)]):
        if operations[layer.name].index in needed and not hands_values_on(layer):
            return layer
    raise LayerError(f"{net.name} has no layer before its class scores; name the layer to take features from.")


def _before(operation: Operation) -> Operation:
    """The operation whose values a result hands on."""
    while operation.name in _HAND_ON and len(operation.inputs) == 1 and operation.inputs[0].name != "input":
        operation = operation.inputs[0]
    return operation
