"""LayerStrip: a network's layers as blocks drawn to scale, of which one is chosen."""

from __future__ import annotations

import re
from typing import Any

import torch.nn
import traitlets

from ...network import Layer, Network
from .messages import MalformedMessage
from .view import View

_IDENTITIES = ("Dropout", "Flatten", "Identity")
_KINDS = {  # what a layer is called in the legend, by a pattern of the name of its kind; the first that fits counts
    "convolution": r"conv",
    "activation": r"relu|gelu|silu|sigmoid|tanh|swish|elu|mish|softmax",
    "normalisation": r"norm|lrn|local_?response",
    "pooling": r"pool",
    "linear": r"linear|matmul|addmm|bmm",
    "attention": r"attention|attn",
    "sum or concatenation": r"\badd\b|cat|stack|\bmul\b|sum",
}


class LayerStrip(View):
    """Blocks in the order of computation: the height is the map's side, the width the number of units, both as logs.

    Layers with maps of one size stand together. In a network of many layers, those inside a repeated block are drawn as
    one, until the block is chosen.

    Parameters
    ----------
    net : Network
    selected : str
        The name of the chosen layer.
    **traits
        Values of any other trait of a widget.

    Attributes
    ----------
    layers : list of dict
        What is drawn of each layer: its name, kind, size, units, block, and a text of all of it.
    selected : str
        The name of the chosen layer.
    """

    _files = "layer_strip"
    _from_browser = frozenset({"selected"})
    layers = traitlets.List(traitlets.Dict()).tag(sync=True)
    selected = traitlets.Unicode("").tag(sync=True)

    def __init__(self, net: Network, selected: str, **traits: Any):
        super().__init__(layers=strip_layers(net, selected), selected=selected, **traits)
        self.net = net

    def show(self, net: Network, selected: str) -> None:
        """Show a layer of a network, perhaps of another one.

        Parameters
        ----------
        net : Network
        selected : str
            The name of the chosen layer.
        """
        with self.hold_sync():
            if net is not self.net or all(layer["name"] != selected for layer in self.layers):
                self.net, self.layers = net, strip_layers(net, selected)
            self.selected = selected

    def _check(self, name: str, value: object) -> object:
        if not isinstance(value, str) or value not in self.net.layers:
            raise MalformedMessage(name)
        return value


def strip_layers(net: Network, chosen: str) -> list[dict[str, Any]]:
    """What is drawn of a network's layers; layers inside a named block are left out, but for the chosen one."""
    drawn = {
        name: layer
        for name, layer in net.layers.items()
        if name == chosen or ("/" not in name and layer.kind not in _IDENTITIES)
    }
    blocks = {block_of(name) for name in drawn}
    return [
        {
            "name": name,
            "kind": kind_of(layer),
            "size": list(layer.size),
            "units": layer.channels,
            "block": name if name in blocks else block_of(name),
            "text": f"{name} · {kind_of(layer)} · {layer.describe()}",
        }
        for name, layer in drawn.items()
    ]


def kind_of(layer: Layer) -> str:
    """The kind of a layer in words of the legend; "block" for what several operations compute, else "other"."""
    kind = layer.kind.lower()
    word = next((word for word, pattern in _KINDS.items() if re.search(pattern, kind)), "other")
    is_module = layer.kind[:1].isupper() and not hasattr(torch.nn, layer.kind)
    return "block" if word == "other" and is_module else word


def block_of(name: str) -> str:
    """The repeated block that a layer's name puts it in, such as "layer1.0" for "layer1.0.conv2"; "" for none."""
    *outer, _ = name.split(".")
    numbers = [k for k, part in enumerate(outer) if part.isdigit()]
    numbered = [k for k, part in enumerate(outer) if part[-1:].isdigit()]
    if not numbers and not numbered:
        return ""
    return ".".join(outer[: (numbers[0] if numbers else numbered[-1]) + 1])
