"""Networks whose weights are made random, one module after another from the class scores down to the image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import NetworkError
from .copying import weight_sharing_copy
from .network import Network


@dataclass(frozen=True)
class WeightGroup:
    """The weights of one module.

    Attributes
    ----------
    name : str
        The module's layer, such as "conv3"; its path where it is none.
    weights : tuple of torch.Tensor
        Its parameters, without those that a module nearer to the scores shares.
    module : nn.Module
        The module.
    """

    name: str
    weights: tuple[torch.Tensor, ...]
    module: nn.Module


def randomized_networks(net: Network, images: Any, *, seed: int = 0) -> Iterator[tuple[str, Network]]:
    """The network with ever more random weights, from the class scores down to the image.

    A module's new weights are its own in random order, tensor by tensor: their mean, their size and their distribution
    stay, and what they learnt is gone. Weights that several modules share stay shared, and become random with the one
    that is computed last. Batch normalisation of a module that became random divides by the mean and variance that the
    images have there now, as it would in training; with those of the trained network the maps behind it would be
    constant. The user's module is not changed.

    Parameters
    ----------
    net : Network
        The network.
    images : image or list of images
        What the statistics of batch normalisation are computed on.
    seed : int
        Of the random order.

    Yields
    ------
    str, Network
        The layer whose weights became random last, "" for the first network, in which none are; the network. All of
        them have one module: use a network before the next one is asked for.

    Raises
    ------
    NetworkError
        If the network has no weights that can be replaced.
    """
    with torch.inference_mode(False), torch.no_grad():
        module = weight_sharing_copy(net.module)
        fed = net.feed(net.pixels_of(images))
        groups = _groups(net, module, _order_of_calls(module, lambda: module(fed)))
    if not groups:
        raise NetworkError(f"{net.name} has no weights that can be replaced, so there is nothing to make random.")
    yield "", _like(net, module)
    generator = torch.Generator().manual_seed(seed)
    normalisations: list[nn.Module] = []
    for group in groups:
        normalisations += [group.module] if isinstance(group.module, _BatchNorm) else []
        with torch.inference_mode(False), torch.no_grad():
            for weights in group.weights:
                order = torch.randperm(weights.numel(), generator=generator).to(weights.device)
                weights.copy_(weights.flatten()[order].view(weights.shape))
            _estimate_statistics(normalisations, lambda: module(fed))
        yield group.name, _like(net, module)


def _like(net: Network, module: nn.Module) -> Network:
    """Another module with the network's pixels, labels and output."""
    return Network(
        module,
        net.size,
        net.pixels,
        labels=net.labels,
        name=net.name,
        output=net._wanted_output,
        probability=net._probability,
    )


def _order_of_calls(module: nn.Module, run: Callable[[], Any]) -> dict[nn.Module, int]:
    """When each module is called last in a pass."""
    order: dict[nn.Module, int] = {}
    count = iter(range(10**9))

    def note(part: nn.Module, args: Any) -> None:
        order[part] = next(count)

    hooks = [part.register_forward_pre_hook(note) for part in module.modules() if _takes_hooks(part)]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return order


def _takes_hooks(part: nn.Module) -> bool:
    return not isinstance(part, torch.jit.ScriptModule)


def _own_weights(module: nn.Module) -> None:
    """Give a copy memory of its own for its parameters; those that share memory go on sharing it."""
    made: dict[tuple, torch.Tensor] = {}
    for parameter in module.parameters():
        key = (parameter.data_ptr(), parameter.shape, parameter.stride())
        if key not in made:
            made[key] = parameter.data.clone()
        parameter.data = made[key]


def _groups(net: Network, module: nn.Module, calls: dict[nn.Module, int]) -> list[WeightGroup]:
    """The modules with weights, the one that is called last first; the copy's weights get memory of their own."""
    _own_weights(module)
    named = dict(module.named_modules())
    layers = {layer.path.split(":")[0]: layer.name for layer in net.layers.values()}
    owners: dict[str, list[torch.Tensor]] = {}
    for path, part in named.items():
        weights = [p for p in part.parameters(recurse=False) if p.numel() and p.is_floating_point()]
        while path and named[path] not in calls:  # its weights are used by a module around it
            path = path.rpartition(".")[0]
        owners.setdefault(path, []).extend(weights)
    seen: set[int] = set()
    found = []
    for path in sorted(owners, key=lambda path: -calls.get(named[path], -1)):
        own = tuple(p for p in owners[path] if p.data_ptr() not in seen)
        seen.update(p.data_ptr() for p in own)
        own = tuple({p.data_ptr(): p for p in own}.values())
        if own:
            found.append(WeightGroup(layers.get(path, path or net.name), own, named[path]))
    return found


def _estimate_statistics(modules: list[nn.Module], run: Callable[[], Any]) -> None:
    """Set the running mean and variance of batch normalisation to those of its input in a pass."""
    hooks = [one.register_forward_pre_hook(_set_statistics) for one in modules]
    if not hooks:
        return
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()


def _set_statistics(part: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
    values = args[0].transpose(0, 1).flatten(1).float()
    if isinstance(part, _BatchNorm) and part.running_mean is not None and part.running_var is not None:
        part.running_mean.copy_(values.mean(1))
        if values.shape[1] > 1:  # one value has no variance
            part.running_var.copy_(values.var(1))
