"""Network: any nn.Module with named layers and a pixel convention."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import nn

from ..errors import NetworkError, SettingError
from .graph import Operation
from .layers import Layer, Layers
from .pixels import Pixels, fit, read_image
from .probe import Probe
from .trace import trace


class Network:
    """A module with named layers and a pixel convention; the module itself is never changed.

    module: any nn.Module that takes (N, C, H, W). size: (rows, columns) of its input. pixels: its convention
    (default RGB with ImageNet's mean). labels: the names of its classes. name: what messages call it.
    source: the Python that makes it again. Raises NetworkError, when it is first used, if the module does not run on
    such an input.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        size: int | tuple[int, int] = (224, 224),
        pixels: Pixels | None = None,
        labels: Sequence[str] = (),
        name: str = "",
        source: str = "",
    ):
        if not isinstance(module, nn.Module):
            raise NetworkError(
                f"Network takes an nn.Module, not {type(module).__name__}; load by name with cx.load(...)."
            )
        size = (size, size) if isinstance(size, int) else tuple(size)
        if len(size) != 2 or not all(isinstance(s, int) and s > 0 for s in size):
            raise SettingError(f"size is {size}; expected (rows, columns), two positive whole numbers.")
        self.module = module
        self.size = size
        self.pixels = pixels or Pixels()
        self.labels = list(labels)
        self.name = name or type(module).__name__
        self.source = source

    def __repr__(self) -> str:
        return f"<Network {self.name}: {self.size[0]} x {self.size[1]} {self.pixels.order}, {len(self.layers)} layers>"

    @property
    def device(self) -> torch.device:
        """Where the module's owner put it."""
        tensor = next((t for t in [*self.module.parameters(), *self.module.buffers()]), None)
        return tensor.device if tensor is not None else torch.device("cpu")

    def _trace(self) -> tuple[list[Layer], bool, dict[str, Operation]]:
        return trace(self.module, (1, self.pixels.channels, *self.size), self.device)

    @cached_property
    def _traced(self) -> tuple[Layers, bool]:
        layers, in_place, _ = self._trace()  # operations hold weights: they are not kept
        return Layers(layers, self.name), in_place

    @property
    def layers(self) -> Layers:
        """Name -> Layer, in the order in which the layers are computed."""
        return self._traced[0]

    def operations(self) -> dict[str, Operation]:
        """By layer name, the last tensor operation of those that compute its code, with what feeds it.

        One pass of the module as it is now, on an image of zeros; the operations share its weights.
        """
        return self._trace()[2]

    @property
    def scores(self) -> Layer:
        """The layer of the class scores: the last one, or the one before the last if that is a softmax."""
        layers = list(self.layers.values())
        soft = len(layers) > 1 and layers[-1].kind.lower().replace("_", "") in ("softmax", "logsoftmax")
        return layers[-2] if soft else layers[-1]

    # images

    def pixels_of(self, image) -> torch.Tensor:
        """What the network's first layer is given, before division by std.

        image: a path, PIL image, array or tensor, or a list of them (all that `read_image` takes). The largest centred
        part with the input's aspect is resampled to the input's size. Returns (N, C, H, W) float32, 0..255 with the
        mean subtracted, on the network's device. Raises ImageError.
        """
        if isinstance(image, (list, tuple)) or (isinstance(image, (torch.Tensor, np.ndarray)) and image.ndim == 4):
            images = list(image)
        else:
            images = [image]
        rgb = [fit(read_image(one), self.size) for one in images]
        if not rgb:
            raise SettingError("an empty list of images was given; expected at least one image.")
        return self.pixels.encode(torch.stack(rgb)).to(self.device)

    def picture(self, x: torch.Tensor) -> np.ndarray:
        """The image of x: (C, H, W) or (1, C, H, W) -> (H, W, 3) uint8; (N, C, H, W) -> (N, H, W, 3)."""
        batch = x if x.dim() == 4 else x[None]
        pictures = self.pixels.decode(batch).cpu().numpy()
        return pictures if len(pictures) > 1 else pictures[0]

    def feed(self, x: torch.Tensor) -> torch.Tensor:
        """What the module itself is given for x: divided by std, in its number type and its fastest memory layout."""
        return self.pixels.feed(x.detach()).to(self.dtype).contiguous(memory_format=self.memory_format)

    @property
    def dtype(self) -> torch.dtype:
        """The number type of the module's weights."""
        return next((p.dtype for p in self.module.parameters() if p.is_floating_point()), torch.float32)

    @cached_property
    def memory_format(self) -> torch.memory_format:
        """The memory layout in which the module runs fastest."""
        # On a CPU convolutions run up to 1.5 times as fast with channels last; response normalisation does not.
        kinds = {layer.kind for layer in self.layers.values()}
        slow = {"LocalResponseNorm", "local_response_norm"} & kinds
        return torch.contiguous_format if slow or self.device.type != "cpu" else torch.channels_last

    # codes

    def probe(self, *layers: str) -> Probe:
        """The network truncated at the deepest of the named layers, ready to be run often. Raises LayerNotFound."""
        wanted = [self.layers[name] for name in layers]
        return Probe(self.module, wanted, max(wanted, key=self.layers.depth), self._traced[1])

    def activations(self, image, layers: str | Sequence[str]):
        """The code of an image at a layer, or a dict of codes for a list of layers.

        Returns (N, C, h, w), or (N, K) where the layer has no spatial extent; the forward pass ends at the deepest
        layer. Raises LayerNotFound, ImageError.
        """
        names = [layers] if isinstance(layers, str) else list(layers)
        if not names:
            raise SettingError("no layer was named; give one name or a list of names.")
        probe = self.probe(*names)
        with torch.no_grad():
            codes = probe(self.feed(self.pixels_of(image)))
        if isinstance(layers, str):
            return codes[self.layers[layers].name]
        return {name: codes[self.layers[name].name] for name in names}

    def predict(self, image, k: int = 5) -> list[tuple[str, float]]:
        """The k likeliest classes of one image as (label, probability). Raises NetworkError if it is no classifier."""
        if not isinstance(k, int) or k < 1:
            raise SettingError(f"k is {k!r}; expected how many classes to give, 1 or more.")
        last: Layer = list(self.layers.values())[-1]
        code = self.activations(image, last.name)
        if code.dim() not in (2, 4) or len(code) != 1 or code[0].numel() != code.shape[1]:
            shape = "x".join(map(str, code.shape))
            raise NetworkError(f"{self.name} ends in {shape}, not in one score per class of one image.")
        scores = code.flatten().float()
        p = scores if last.name == "prob" else scores.softmax(0)
        top = p.topk(min(k, len(p)))
        names = self.labels or [f"class {i}" for i in range(len(p))]
        if len(names) != len(p):
            raise NetworkError(f"{self.name} has {len(p)} scores but {len(names)} labels; give one label per class.")
        return [(names[i], v) for v, i in zip(top.values.tolist(), top.indices.tolist(), strict=True)]

    def to_python(self) -> str:
        """The Python that makes this network, or "net" for a user's own module."""
        return self.source or "net"


def path_source(path: str | os.PathLike) -> str:
    """The Python that loads a file."""
    return f"cx.load({os.fspath(path)!r})"
