"""The usual names (conv1, relu1, pool1, fc6, fire4) of the layers of a traced module."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from .geometry import Field
from .graph import Operation
from .layers import Layer

_BLOCKS = {"Fire": "fire"}  # blocks that are numbered as one layer
_COUNTED = {"conv2d": "conv", "linear": "fc", "lazyconv2d": "conv", "paddedconv2d": "conv", "lazylinear": "fc"}
_FOLLOWING = {
    "relu": "relu", "relu6": "relu", "clamp": "relu", "clamp_min": "relu", "threshold": "relu", "gelu": "gelu",
    "silu": "silu", "elu": "elu", "leakyrelu": "relu", "leaky_relu": "relu", "tanh": "tanh", "sigmoid": "sigmoid",
    "maxpool2d": "pool", "max_pool2d": "pool", "max_pool2d_with_indices": "pool", "avgpool2d": "pool",
    "avg_pool2d": "pool", "localresponsenorm": "norm", "local_response_norm": "norm", "responsenorm": "norm",
    "batchnorm2d": "bn", "batch_norm": "bn", "dropout": "drop",
    "adaptiveavgpool2d": "pool", "adaptive_avg_pool2d": "pool", "paddedmaxpool2d": "pool", "paddedavgpool2d": "pool",
    "forwardresponsenorm": "norm",
}  # fmt: skip
_OWN = re.compile(r"(conv|fc|relu|norm|pool|bn|drop)\d+(_\d+)?")  # names that already are the usual ones
_ENDING = {"softmax": "prob", "log_softmax": "logprob", "logsoftmax": "logprob"}


@dataclass
class Step:
    """One call of a module or layer-like function in the traced pass.

    Attributes
    ----------
    site : tuple
        "module" or "function", which one, and its call.
    path, kind : str
        Of the layer.
    shape : tuple of int
        Of the output.
    field : Field
        Of the output.
    block : str
        The outermost branching module around it, "" for none.
    key : int
        The identity of the output tensor.
    leaf : bool
        Whether it has no children.
    operation : Operation
        The one that computed the output.
    """

    site: tuple[str, str, int]
    path: str
    kind: str
    shape: tuple[int, ...]
    field: Field
    block: str
    key: int
    leaf: bool
    operation: Operation


def name_layers(steps: list[Step], module: str, branching: set[str], own: bool = False) -> list[Layer]:
    """The layers of a traced pass; the output of a container is an alias of its last child, not a layer of its own.

    Parameters
    ----------
    steps : list of Step
        The calls, in order.
    module : str
        The module's class.
    branching : set of str
        The paths of modules that branch.
    own : bool
        Whether the module's own names are kept.

    Returns
    -------
    list of Layer
        In the order of computation.
    """
    kept: list[Step] = []
    more: dict[int, list[str]] = {}
    for step in steps:
        same = next((k for k in reversed(range(len(kept))) if kept[k].key == step.key and not step.leaf), None)
        if same is None:
            more[len(kept)] = []
            kept.append(step)
        else:
            more[same].append(step.path)
    fields = _field_names(kept, "vgg" in module.lower())
    paths = {step.path for step in kept} | {path for names in more.values() for path in names}
    layers: list[Layer] = []
    taken: set[str] = set()
    for k, step in enumerate(kept):
        alias = step.path if own or _OWN.fullmatch(step.path) else fields[k]
        usable = alias and alias not in taken and (alias not in paths or alias == step.path)
        name = alias if usable else step.path or step.kind.lower()
        taken.add(name)
        layers.append(_layer(name, step, tuple(more[k])))
    return layers


def _layer(name: str, step: Step, aliases: tuple[str, ...]) -> Layer:
    shape, seen = step.shape, step.field
    if len(shape) == 4 and shape[-2:] == seen.extent:
        channels, size = shape[1], (shape[2], shape[3])
    elif len(shape) == 4 and shape[1:3] == seen.extent:  # channels last
        channels, size = shape[3], (shape[1], shape[2])
    else:
        seen = seen.whole()
        channels, size = math.prod(shape[1:]), (1, 1)
    return Layer(
        name,
        step.path,
        step.kind,
        int(channels),
        size,
        seen.size,
        seen.stride,
        seen.offset,
        aliases,
        step.site,
    )


def _field_names(steps: list[Step], vgg: bool) -> list[str]:
    """One name per step, "" where the kind does not tell.

    Convolutions, fully-connected layers and known blocks are counted; what follows one carries its number. In a VGG,
    convolutions are numbered within the stretch between two poolings. Counting ends at the first block that
    branches and has no usual name.
    """
    names: list[str] = []
    count, inner, number = 0, 0, ""
    known = {step.path: step for step in steps if step.kind in _BLOCKS}
    numbered: dict[str, str] = {}
    ended = False
    for step in steps:
        kind = step.kind.lower()
        name = ""
        if step.kind in _BLOCKS:
            name = numbered[step.path]
            number = name.removeprefix(_BLOCKS[step.kind])
        elif step.block:
            block = known.get(step.block)
            if block is None:
                ended = True
            elif not ended:
                if step.block not in numbered:
                    count += 1
                    numbered[step.block] = f"{_BLOCKS[block.kind]}{count}"
                name = f"{numbered[step.block]}/{step.path[len(step.block) + 1 :]}"
        elif ended or not step.leaf:
            pass
        elif kind in _COUNTED:
            if vgg and _COUNTED[kind] == "conv":
                count, inner = count or 1, inner + 1
                number = f"{count}_{inner}"
            else:
                count += not (vgg and "_" in number)  # the count already stands at the block after the last pooling
                number = str(count)
            name = _COUNTED[kind] + number
        elif kind in _FOLLOWING and number:
            role = _FOLLOWING[kind]
            if role == "pool" and vgg and "_" in number:
                if "adaptive" not in kind:
                    name = f"pool{count}"
                    count, inner = count + 1, 0
            else:
                name = role + number
        elif kind in _ENDING:
            name = _ENDING[kind]
        names.append(name)
    return names
