"""What the choosers of a panel offer: images and layers."""

from __future__ import annotations

import os

import numpy as np

from ... import world
from ...data import digit, photograph, photographs
from ...errors import ImageError
from ...network import Layer, Network, read_image

_IDENTITIES = ("Dropout", "Flatten", "Identity")
_FIRST = {"photographs": "cat", "scenes": "scene: church", "digits": "digit 2"}
_SEED = 7


class ImageChoices:
    """The images that a chooser offers: name -> (image, the Python that makes it).

    images: None for the pictures at hand, else one image, a list, or a dict by name; each is read once, so that a
    wrong one is refused now. suits: the network whose kind of picture comes first. Raises ImageError.
    """

    def __init__(self, images=None, suits: Network | None = None):
        self._makers: dict[str, tuple] = {}
        if isinstance(images, dict):
            given = images.items()
        elif images is None or (isinstance(images, (list, tuple)) and not images):
            given = []
        else:
            given = [(_name(one, k), one) for k, one in enumerate(several(images))]
        for name, one in given:
            read_image(one)
            self.add(str(name), one)
        self.first = next(iter(self._makers), "")
        bundled = {
            "photographs": {k: (lambda k=k: photograph(k), f"cx.photograph({k!r})") for k in photographs()},
            "scenes": {f"scene: {k}": _scene(k) for k in world.CLASSES},
            "digits": {f"digit {k}": (lambda k=k: digit(k), f"cx.digit({k})") for k in range(10)},
        }
        kind = _kind(suits)
        for offered in [bundled.pop(kind), *bundled.values()]:
            self._makers.update({name: made for name, made in offered.items() if name not in self._makers})
        self.first = self.first or _FIRST[kind]

    def add(self, name: str, image, code: str = "") -> None:
        """One more image."""
        is_path = isinstance(image, (str, os.PathLike))
        self._makers[name] = (lambda: image, code or (repr(os.fspath(image)) if is_path else "image"))

    @property
    def names(self) -> list[str]:
        return list(self._makers)

    def __getitem__(self, name: str) -> tuple:
        if name not in self._makers:
            raise ImageError(f"there is no image named {name!r}; expected one of {', '.join(self._makers)}.")
        make, code = self._makers[name]
        return make(), code


def _scene(name: str) -> tuple:
    """A scene of the procedural world that shows a class well."""
    return lambda: world.scene(_SEED, name).image, f"cx.scene({_SEED}, {name!r}).image"


def _kind(net: Network | None) -> str:
    """The kind of picture that a network is made for."""
    if (
        net is not None and net.pixels.order == "grey" and max(net.size) < 64
    ):  # HOG is grey, too, but no reader of digits
        return "digits"
    return "scenes" if net is not None and net.labels == list(world.CLASSES) else "photographs"


def several(images) -> list:
    """One image, a list or a batch as a list."""
    is_batch = isinstance(images, np.ndarray) and images.ndim == 4
    return list(images) if isinstance(images, (list, tuple)) or is_batch else [images]


def _name(image, k: int) -> str:
    if isinstance(image, str) or hasattr(image, "__fspath__"):
        return str(image).replace("\\", "/").rsplit("/", 1)[-1]
    return "image" if k == 0 else f"image {k + 1}"


def middle_layer(net: Network) -> Layer:
    """A layer that makes a good first picture: in the middle of those with spatial extent."""
    names = [name for name, layer in net.layers.items() if max(layer.size) > 1 and "/" not in name]
    return net.layers[names[len(names) // 2]] if names else next(iter(net.layers.values()))


def layer_choices(net: Network, chosen: str) -> list[tuple[str, str]]:
    """(what is shown, name) of the layers; the inside of a named block only if it is the one chosen."""
    return [
        (f"{name}   {layer.describe()}", name)
        for name, layer in net.layers.items()
        if name == chosen or ("/" not in name and layer.kind not in _IDENTITIES)
    ]
