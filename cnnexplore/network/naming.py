"""The usual names (conv1, relu1, pool1, fc6, fire4) of the layers of a traced module."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from .graph import Operation

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
    entries : torch.Tensor
        Where the elements of the output lie in the image: entries of `Origins`.
    block : str
        The outermost branching module around it, "" for none.
    key : tuple
        The identity of the output tensor and its version.
    leaf : bool
        Whether it has no children.
    operation : Operation
        The one that computed the output.
    """

    site: tuple[str, str, int]
    path: str
    kind: str
    entries: torch.Tensor
    block: str
    key: tuple[int, int]
    leaf: bool
    operation: Operation


@dataclass
class Named:
    """A layer that was found, with its names.

    Attributes
    ----------
    step : Step
        The call that computes it.
    name : str
        Its name.
    aliases : tuple of str
        More names.
    """

    step: Step
    name: str
    aliases: tuple[str, ...]


def name_layers(
    steps: list[Step], module: str, own: bool, endings: list[Operation], wrapped: Sequence[str] = ()
) -> list[Named]:
    """The layers of a traced pass; the output of a container is an alias of its last child, not a layer of its own.

    Parameters
    ----------
    steps : list of Step
        The calls, in order.
    module : str
        The module's class.
    own : bool
        Whether the module's own names are kept.
    endings : list of Operation
        The softmaxes that the module ends in, which are named "prob" or "logprob".
    wrapped : sequence of str
        The paths of modules inside of wrappers such as torch.compile's, which no name shows.

    Returns
    -------
    list of Named
        In the order of computation.
    """
    kept: list[Step] = []
    more: dict[int, list[str]] = {}
    for step in steps:
        same = next((k for k in reversed(range(len(kept))) if kept[k].key == step.key), None)
        if same is not None and (not step.leaf or _within(kept[same], step)):
            more[same].append(step.path)
        else:
            more[len(kept)] = []
            kept.append(step)
    fields = _field_names(kept, "vgg" in module.lower(), endings)
    written = [_without(wrapped, step.path) for step in kept]
    others = {k: [*paths, *(_without(wrapped, path) for path in (kept[k].path, *paths))] for k, paths in more.items()}
    paths = {*written} | {_without(wrapped, path) for names in more.values() for path in names}
    layers: list[Named] = []
    taken: set[str] = set()
    for k, step in enumerate(kept):
        path = written[k]
        alias = path if own or _OWN.fullmatch(path) else fields[k]
        usable = alias and alias not in taken and (alias not in paths or alias == path)
        name = alias if usable else path or step.kind.lower()
        while name in taken:
            name += "_"
        taken.add(name)
        layers.append(Named(step, name, tuple(dict.fromkeys(one for one in others[k] if one not in ("", step.path)))))
    return layers


def _without(wrapped: Sequence[str], path: str) -> str:
    """A path as it is without the wrappers."""
    for inside in sorted(wrapped, key=len, reverse=True):
        if path == inside or path.startswith(f"{inside}."):
            path = ".".join(filter(None, (inside.rpartition(".")[0], path[len(inside) + 1 :])))
    return path


def _within(first: Step, second: Step) -> bool:
    """Whether the first is a function called by the second, a module that returns its result."""
    return first.site[0] == "function" and second.site[0] == "module" and first.path.startswith(f"{second.path}.")


def _field_names(steps: list[Step], vgg: bool, endings: list[Operation]) -> list[str]:
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
        elif kind in _ENDING and any(step.operation is one for one in endings):
            name = _ENDING[kind]
        names.append(name)
    return names
