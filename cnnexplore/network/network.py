"""Network: any nn.Module with named layers and a pixel convention."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np
import torch
from torch import nn

from ..arguments import checked, choice, instance, optional, plain_number, plain_pair, several, whole
from ..errors import ExploreWarning, ImageError, LayerNotFound, NetworkError, SettingError, brief_value
from .graph import Operation
from .images import crop_and_resize
from .input_channels import default_pixels
from .layers import Layer, Layers
from .outputs import PROBABILITIES
from .pixels import Pixels
from .probe import Probe
from .trace import Output, Trace, trace

_LARGEST = 16_384  # rows or columns of an input: more would be a mistake


def layer_name(name: str, value: Any) -> str:
    """The check of an argument that names a layer; `Layers` says whether there is such a layer.

    Raises LayerNotFound.
    """
    if isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable():
        return str(value)
    raise LayerNotFound(f"{name} is {brief_value(value)}; expected the name of a layer, one of net.layers.")


_layer_names = several(layer_name, "the name of a layer, or a list of names", 10_000)


def _label(name: str, value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    raise SettingError(f"{name} is {brief_value(value)}; expected the name of a class, a text.")


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    raise SettingError(f"{name} is {brief_value(value)}; expected a text.")


def _output(name: str, value: Any) -> str | int:
    """The name or the number of an output."""
    number = plain_number(value)
    if isinstance(value, str) or isinstance(number, int):
        return value if isinstance(value, str) else int(number or 0)
    raise SettingError(f"{name} is {brief_value(value)}; expected the name or the number of an output.")


class Network:
    """A module with named layers and a pixel convention; the module itself is never changed.

    Parameters
    ----------
    module : nn.Module
        Takes (N, C, H, W).
    size : int or tuple of int
        (rows, columns) of its input, or the side of a square.
    pixels : Pixels, optional
        Its pixel convention; by default what a module of timm says, ImageNet's mean and std for one of torchvision,
        with a warning, and else that of the channels that its first convolution takes: of three, RGB with ImageNet's
        mean and a std of 1; of one, grey; of another number, a mean of 128 each.
    labels : sequence of str, optional
        The names of its classes.
    name : str
        What messages call it; by default the module's class.
    source : str
        The Python that makes it again.
    output : str or int, optional
        Of a module that returns several tensors, the one that holds the class scores: its key, field or index.
    probability : {"softmax", "sigmoid", "exp", "none"}, optional
        The function that makes probabilities of what the module returns; by default it is found: none after a softmax
        or sigmoid, exp after a log-softmax, a sigmoid of one score, else a softmax.

    Attributes
    ----------
    module : nn.Module
        The module.
    size : tuple of int
        (rows, columns) of the input.
    pixels : Pixels
        The pixel convention.
    labels : list of str
        The names of the classes.
    name : str
        What messages call it.

    Raises
    ------
    NetworkError
        If `module` is no nn.Module; and, when a layer is first asked for, if it does not run on such an input.
    SettingError
        If `size` is not positive, or for an unknown `probability`.

    Examples
    --------
    >>> from torch import nn
    >>> module = nn.Sequential(nn.Conv2d(3, 8, 5), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 28 * 28, 10))
    >>> net = cx.Network(module, size=32, pixels=cx.Pixels("RGB", std=(58, 57, 57)), name="mine")
    >>> net.layers
    conv1  Conv2d             28 x 28 x 8, sees 5 px
    relu1  ReLU               28 x 28 x 8, sees 5 px
    2      Flatten            1 x 1 x 6272, sees 32 px
    fc2    Linear             1 x 1 x 10, sees 32 px
    """

    @checked(
        pixels=optional(instance(lambda: Pixels, "a cx.Pixels")),
        labels=optional(several(_label, "a list of the classes' names")),
        name=_text,
        source=_text,
        output=optional(_output),
        probability=optional(choice(PROBABILITIES)),
    )
    def __init__(
        self,
        module: nn.Module,
        size: int | tuple[int, int] = (224, 224),
        pixels: Pixels | None = None,
        *,
        labels: Sequence[str] | None = None,
        name: str = "",
        source: str = "",
        output: str | int | None = None,
        probability: str | None = None,
    ):
        if not isinstance(module, nn.Module):
            raise NetworkError(
                f"Network takes an nn.Module, not {type(module).__name__}; load by name with cx.load(...)."
            )
        side = plain_number(size)
        sides = [s for s in (plain_pair(size) if side is None else [side, side]) if isinstance(s, int)]
        if len(sides) != 2 or not all(0 < s <= _LARGEST for s in sides):
            raise SettingError(
                f"size is {brief_value(size)}; expected (rows, columns), two positive whole numbers up to {_LARGEST}."
            )
        self.module = module
        self.size: tuple[int, int] = (sides[0], sides[1])
        self.pixels = pixels or default_pixels(module, self.size)
        self.labels = list(labels or ())
        self.name = name or type(module).__name__
        self.source = source
        self._wanted_output = output
        self._operations: tuple[tuple[tuple[int, int, int], ...], dict[str, Operation]] | None = None
        self._probability = probability

    def __repr__(self) -> str:
        return f"<Network {self.name}: {self.size[0]} x {self.size[1]} {self.pixels}, {len(self.layers)} layers>"

    @property
    def device(self) -> torch.device:
        """The device of the module's weights."""
        tensor = next((t for t in [*self.module.parameters(), *self.module.buffers()]), None)
        return tensor.device if tensor is not None else torch.device("cpu")

    def _trace(self) -> tuple[Trace, dict[str, Operation]]:
        generator = torch.Generator().manual_seed(0)
        shape = (2, self.pixels.channels, *self.size)  # dark and light, so unlike zeros
        rgb = torch.rand(shape, generator=generator, dtype=torch.float32)
        low, high = (torch.tensor(v, dtype=torch.float32).view(2, 1, 1, 1) for v in ((0.0, 60.0), (200.0, 255.0)))
        mean = torch.tensor(self.pixels.mean, dtype=torch.float32).view(1, -1, 1, 1)
        x = (rgb * (high - low) + low - mean).to(self.device)
        return trace(self.module, self.pixels.feed(x).to(self.dtype), self.name)

    @cached_property
    def _traced(self) -> Trace:
        found, operations = self._trace()
        self._operations = self._state_of_weights(), operations
        if found.varies:
            warnings.warn(
                f"the answers of {self.name} differ each time for the same image, as with dropout that stays on in "
                "evaluation mode; what is computed from them varies.",
                ExploreWarning,
                stacklevel=2,
            )
        return found

    @property
    def layers(self) -> Layers:
        """The layers by name, in the order of computation."""
        return self._traced.layers

    def operations(self) -> dict[str, Operation]:
        """The tensor operation that computes each layer's activations, with the operations that it depends on.

        Traced in a pass of the module as it is now, on an image of noise. The operations share its weights.

        Returns
        -------
        dict of str to Operation
            By layer name.
        """
        state = self._state_of_weights()
        if self._operations is None or self._operations[0] != state:  # they hold what was computed of the weights
            self._operations = state, self._trace()[1]
        return self._operations[1]

    def _state_of_weights(self) -> tuple[tuple[int, int, int], ...]:
        """What changes when weights are replaced or trained."""
        tensors = [*self.module.parameters(), *self.module.buffers()]
        places = [t.data_ptr() if t.layout == torch.strided else 0 for t in tensors]
        versions = [0 if t.is_inference() else t._version for t in tensors]
        return tuple(zip(map(id, tensors), places, versions, strict=True))

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_operations": None}  # they are traced again

    @cached_property
    def _output(self) -> Output:
        """What the module returns; of several tensors, the one that was chosen."""
        found = self._traced.outputs
        names = [str(one.name) for one in found]
        listed = ", ".join(f"{brief_value(one.name)} ({' x '.join(map(str, one.shape))})" for one in found[:6])
        listed += ", ..." * (len(found) > 6)
        wanted = self._wanted_output
        if wanted is not None and found != () and not (len(found) == 1 and names == [""]):
            if str(wanted) in names:
                return found[names.index(str(wanted))]
            if isinstance(wanted, int) and -len(found) <= wanted < len(found):
                return found[wanted]
            raise NetworkError(f"output is {brief_value(wanted)}; {self.name} returns {listed}.")
        if len(found) == 1:
            return found[0]
        if not found:
            raise NetworkError(
                f"{self.name} returns no tensor of numbers that depend on the image, so it has no class scores; name "
                "the layer to look at."
            )
        raise NetworkError(
            f"{self.name} returns several tensors: {listed}; say which one holds the class scores, as in "
            f"cx.Network(module, output={found[0].name!r})."
        )

    @property
    def output(self) -> Layer:
        """What the module returns, as a layer; of several tensors, the one chosen with ``output=``."""
        return self.layers[self._output.layer]

    @property
    def scores(self) -> Layer:
        """The layer of the class scores: what the module returns, or what a final softmax or sigmoid is given."""
        return self.layers[self._output.scores]

    # images

    def pixels_of(self, image: Any) -> torch.Tensor:
        """x: the images as the network takes them, before the division by std.

        The largest centred part with the aspect ratio of the input is resampled to the size of the input.

        Parameters
        ----------
        image : image or list of images
            A path, bytes, PIL image, array (H, W[, C]) or tensor (C, H, W); a list of them, or a 4-D array or tensor.

        Returns
        -------
        torch.Tensor
            (N, C, H, W) float32, 0..255 with the mean subtracted, on the network's device.

        Raises
        ------
        ImageError
            If an image cannot be read.
        SettingError
            If the list is empty.
        """
        if isinstance(image, (list, tuple)) or (isinstance(image, (torch.Tensor, np.ndarray)) and image.ndim == 4):
            images = list(image)
        else:
            images = [image]
        found = [crop_and_resize(self.pixels.read(one), self.size) for one in images]
        if not found:
            raise SettingError("an empty list of images was given; expected at least one image.")
        return self.pixels.encode(torch.stack(found)).to(self.device)

    def picture(self, x: torch.Tensor) -> np.ndarray:
        """The picture of x.

        Parameters
        ----------
        x : torch.Tensor
            (C, H, W) or (N, C, H, W), 0..255 with the mean subtracted.

        Returns
        -------
        np.ndarray
            (H, W, 3) uint8, or (N, H, W, 3) for N > 1; where the channels are no colours each is drawn in grey, side by
            side, so that H and W are multiples of the image's.
        """
        if isinstance(x, torch.Tensor) and x.is_meta:
            raise ImageError("x is a tensor on the meta device, which holds no numbers; expected one that does.")
        batch = x[None] if isinstance(x, torch.Tensor) and x.dim() == 3 else x
        pictures = self.pixels.decode(batch).cpu().numpy()
        return pictures if len(pictures) > 1 else pictures[0]

    def feed(self, x: torch.Tensor) -> torch.Tensor:
        """The module's input of x: divided by std, in its number type and its fastest memory layout.

        Parameters
        ----------
        x : torch.Tensor
            (N, C, H, W), 0..255 with the mean subtracted.

        Returns
        -------
        torch.Tensor
            (N, C, H, W), detached from x.
        """
        fed = self.pixels.feed(x.detach() if isinstance(x, torch.Tensor) else x)
        return fed.to(self.dtype).contiguous(memory_format=self.memory_format)

    @property
    def dtype(self) -> torch.dtype:
        """The number type of the module's weights."""
        return next((p.dtype for p in self.module.parameters() if p.is_floating_point()), torch.float32)

    @cached_property
    def memory_format(self) -> torch.memory_format:
        """The memory layout in which the module runs fastest."""
        # On a CPU convolutions run up to 1.5 times as fast with channels last; response normalisation does not. A
        # module that views its maps as they lie in memory does not run, or errs, with channels last.
        if not self._traced.channels_last:
            return torch.contiguous_format
        kinds = {layer.kind for layer in self.layers.values()}
        slow = {"LocalResponseNorm", "local_response_norm"} & kinds
        return torch.contiguous_format if slow or self.device.type != "cpu" else torch.channels_last

    # activations

    def probe(self, *layers: str) -> Probe:
        """A copy of the network, truncated at the deepest of the layers, to be run often.

        Parameters
        ----------
        *layers : str
            Names of layers.

        Returns
        -------
        Probe
            Maps the module's input to the activations by layer name.

        Raises
        ------
        LayerNotFound
            If there is no such layer.
        """
        wanted = [self.layers[layer_name("layer", name)] for name in layers]
        traced = self._traced
        return Probe(self.module, wanted, max(wanted, key=self.layers.depth), traced.in_place, traced.batches)

    @overload
    def activations(self, image: Any, layers: str) -> torch.Tensor: ...

    @overload
    def activations(self, image: Any, layers: Sequence[str]) -> dict[str, torch.Tensor]: ...

    def activations(self, image: Any, layers: str | Sequence[str]) -> torch.Tensor | dict[str, torch.Tensor]:
        """The activations of an image at one or several layers; the pass ends at the deepest of them.

        Parameters
        ----------
        image : image or list of images
            What `pixels_of` takes.
        layers : str or sequence of str
            A name, or several.

        Returns
        -------
        torch.Tensor or dict of str to torch.Tensor
            (N, C, h, w), or (N, K) where the layer has no map; for several layers by name.

        Raises
        ------
        LayerNotFound
            If there is no such layer.
        ImageError
            If the image cannot be read.
        """
        names = [layer_name("layers", layers)] if isinstance(layers, str) else _layer_names("layers", layers)
        if not names:
            raise SettingError("no layer was named; give one name or a list of names.")
        probe = self.probe(*names)
        with torch.no_grad():
            found = probe(self.feed(self.pixels_of(image)))
        if isinstance(layers, str):
            return found[self.layers[layers].name]
        return {name: found[self.layers[name].name] for name in names}

    def predict(self, image: Any, k: int = 5) -> list[tuple[str, float]]:
        """The likeliest classes of an image.

        Parameters
        ----------
        image : image
            What `pixels_of` takes; one.
        k : int
            How many classes.

        Returns
        -------
        list of (str, float)
            (label, probability), the likeliest first.

        Raises
        ------
        NetworkError
            If the network does not end in one score per class, or has another number of labels than scores.
        SettingError
            If k is not positive.
        """
        k = whole(1, what="how many classes to give")("k", k)
        output = self._output
        found = self.activations(image, output.layer)
        if len(found) != 1 or found[0].numel() != found.shape[1]:
            shape = " x ".join(map(str, found.shape))
            raise NetworkError(f"{self.name} returns {shape} numbers, not one score per class of one image.")
        p = self._probabilities(found.flatten().float(), output.ending)
        top = p.topk(min(k, len(p)))
        names = self.labels or [f"class {i}" for i in range(len(p))]
        if len(names) != len(p):
            raise NetworkError(f"{self.name} has {len(p)} scores but {len(names)} labels; give one label per class.")
        return [(names[i], v) for v, i in zip(top.values.tolist(), top.indices.tolist(), strict=True)]

    def _probabilities(self, values: torch.Tensor, ending: str) -> torch.Tensor:
        """What the module returns for an image, (K,), as probabilities."""
        function = self._probability
        if function is None and ending in ("softmax", "sigmoid", "probabilities"):
            function = "none"
        if function is None and ending in ("log_softmax", "log_sigmoid"):
            function = "exp"
        if function is None:
            function = "sigmoid" if len(values) == 1 else "softmax"
        return {"softmax": lambda: values.softmax(0), "sigmoid": values.sigmoid, "exp": values.exp}.get(
            function, lambda: values
        )()

    def to_python(self) -> str:
        """The Python that makes this network again, or "net" for a module of the user."""
        return self.source or "net"
