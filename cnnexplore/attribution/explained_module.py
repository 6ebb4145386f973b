"""The module that code of others explains: a copy with weights of its own, which returns a number for each unit."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import nn

from ..errors import LayerError
from ..network import Layer, as_maps, layers_behind
from ..network.copying import weight_sharing_copy
from ..network.guard import unguard
from ..network.outputs import named_tensors
from ..network.probe import FunctionTap
from .last_map import last_map
from .target import Target


class Explained(NamedTuple):
    """What a method of others is given for one image.

    Attributes
    ----------
    module : nn.Module
        Maps (N, C, H, W) to (N, K), the response of each of the K units of the target's layer, in eval mode. It is a
        copy: whatever is done to it, the user's module stays as it is.
    input : torch.Tensor
        (1, C, H, W), what the module takes: the image minus the mean, divided by std. A leaf that requires gradients.
    unit : int
        The unit that is explained, 0 to K - 1.
    inside : nn.Module
        The copy of the user's module: `module` itself, or a part of it.
    """

    module: nn.Module
    input: torch.Tensor
    unit: int
    inside: nn.Module


def explained_module(target: Target) -> Explained:
    """The module, its input and the unit of a target of one image.

    The copy is the user's module where that returns the responses, or is a chain that can end at the layer: peers that
    know modules by their class then see nothing else. Its functions do not work in place, where that changes no number,
    because backward hooks of a module that works in place give wrong derivatives.

    Parameters
    ----------
    target : Target
        Of one image.

    Returns
    -------
    Explained
        What the method is called with.
    """
    response, net = target.evaluate(), target.net
    fed = net.feed(target.x).contiguous()
    for wrapped, in_place in ((False, False), (True, False), (True, True)):
        found = _responses(target, wrapped)
        if not in_place:
            for part in found[0].modules():
                if getattr(part, "inplace", False) is True:
                    setattr(part, "inplace", False)  # noqa: B010 (no attribute that nn.Module declares)
        with torch.no_grad():
            values = found[0](fed.clone())
        unguard(found[1])
        if _agrees(values, response, target):
            break
    return Explained(found[0], fed.clone().requires_grad_(), target.units[0], found[1])


def _responses(target: Target, wrapped: bool) -> tuple[nn.Module, nn.Module]:
    """A module that returns the responses, and the copy of the user's module in it."""
    layer = target.layer
    own = weight_sharing_copy(target.net.module, own_weights=True)
    kind, path, call = layer.site
    if kind == "module" and call == 0:
        _cut(own, path)
    return (_AtPosition(own, layer, target.positions[0]) if wrapped else own), own


def _cut(module: nn.Module, path: str) -> None:
    """Removes what a chain computes after one of its modules; a module that is no chain stays as it is."""
    chains: list[tuple[nn.Module, str]] = []
    for part in path.split("."):
        if type(module).forward is not nn.Sequential.forward or part not in module._modules:
            return
        chains.append((module, part))
        module = module.get_submodule(part)
    for chain, part in chains:
        names = list(chain._modules)
        for later in names[names.index(part) + 1 :]:
            del chain._modules[later]


class _AtPosition(nn.Module):
    """The responses of all units of a layer at a position, (N, K), taken from a pass of the whole module.

    The pass does not end at the layer, as that of a `Probe` does, because the hooks of others on the layer itself must
    run, too.
    """

    def __init__(self, inside: nn.Module, layer: Layer, position: tuple[int, int]):
        super().__init__()
        self.inside = inside
        self._layer, self._position = layer, position
        self._calls, self._found = 0, torch.empty(0)
        kind, path, _ = layer.site
        self._hooks: dict[int, Any] = {}
        if kind == "module":
            part = inside.get_submodule(path)
            self._hooks, self._hook = part._forward_hooks, part.register_forward_hook(self._keep_output).id

    def _keep_output(self, module: nn.Module, args: Any, output: Any) -> None:
        self._keep(("module", self._layer.site[1], self._calls), output)
        self._calls += 1

    def _keep(self, site: tuple[str, str, int], output: Any) -> Any:
        if site == self._layer.site:
            self._found = output.clone()  # what follows may work in place on it
        return output

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        layer, (row, column) = self._layer, self._position
        self._calls, self._found = 0, torch.empty(0)
        if self._hooks:  # after the hooks of others, which may replace the output
            self._hooks[self._hook] = self._hooks.pop(self._hook)
        with FunctionTap(self._keep) if layer.site[0] == "function" else nullcontext():
            returned = self.inside(x)
        for name, tensor in named_tensors(returned):
            self._keep(("output", name, 0), tensor)
        found = layer.layout.image.first(self._found, len(x)) if layer.layout.image else self._found
        return as_maps(found, layer)[:, :, row, column]


def _agrees(values: object, response: torch.Tensor, target: Target) -> bool:
    """Whether a module's answer is (1, K), with the target's response at its unit."""
    if not isinstance(values, torch.Tensor) or values.shape != (1, target.layer.channels):
        return False
    allowed = max(1e-4, 16 * torch.finfo(values.dtype).eps) * float(values.abs().max())
    return bool((values[0, target.units[0]] - response[0]).abs() <= allowed)


def module_of_layer(explained: Explained, target: Target, at: str | None) -> tuple[Layer, nn.Module]:
    """The layer that a method looks at, and the module of the copy that computes it.

    Parameters
    ----------
    explained : Explained
        What the method is called with.
    target : Target
        The same, of one image.
    at : str or None
        The layer's name; None: the last one with a map through which the response depends on positions.

    Returns
    -------
    Layer, nn.Module
        The layer and its module.

    Raises
    ------
    LayerError
        If the layer is computed by a function, by a module that is used several times, or after the target.
    """
    net = target.net
    if at is None:
        last = last_map(target, "this method")[0]
        behind = [*layers_behind(net, target.layer)]
        before = [layer for layer in behind if layer.has_map and net.layers.depth(layer) <= net.layers.depth(last)]
        layer = next((one for one in reversed(before) if one.site[0] == "module"), last)
    else:
        layer = net.layers[at]
    kind, path, call = layer.site
    several = [one.name for one in net.layers.values() if one.site[:2] == layer.site[:2]]
    if kind != "module" or call or len(several) > 1:
        why = "several uses of one module" if kind == "module" else "a function"
        raise LayerError(
            f"{layer.name} of {net.name} is computed by {why}, and this method looks at a module that is used once; "
            "name such a layer with at=."
        )
    try:
        return layer, explained.inside.get_submodule(path)
    except AttributeError as error:
        raise LayerError(
            f"{layer.name} of {net.name} does not come before {target.layer.name}, which is explained; name a layer "
            "before it with at=."
        ) from error
