"""ImageChoices: the images that a panel offers."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ... import world
from ...data import Images, digit, photograph, photographs
from ...data.columns import is_data_set
from ...errors import ImageError, brief_list, brief_value
from ...network import Network, read_image
from .image_python import items_python

_FIRST = {"photographs": "cat", "scenes": "scene: church", "digits": "digit 2"}
_SEED = 7
_MOST = 40  # images of a data set that are offered by name


class ImageChoices:
    """Images by name, each with the Python that makes it.

    Parameters
    ----------
    images : object, optional
        An image, a list, a dict by name, or a data set, of which the first 40 are taken; they come first. Each is read
        once, so that an unreadable one raises at once. The bundled images follow.
    net : Network, optional
        The bundled images of the kind that it was trained on come first.

    Raises
    ------
    ImageError
    """

    def __init__(self, images: Any = None, net: Network | None = None):
        self._makers: dict[str, tuple[Callable[[], Any], str]] = {}
        self.given: set[str] = set()  # the names of those that do not come with the package
        given: list[tuple[Any, Any]]
        if isinstance(images, dict):
            given = list(images.items())
        elif images is None or (isinstance(images, (list, tuple)) and not images):
            given = []
        else:
            given = [(_name(one, k), one) for k, one in enumerate(as_list(images))]
        python = items_python(images) if is_data_set(images) else lambda k: ""
        for k, (name, one) in enumerate(given):
            (read_image if net is None else net.pixels.read)(one)
            self.add(str(name), one, python(k))
        self.first = next(iter(self._makers), "")
        if net is not None and net.pixels.order == "channels":  # no bundled image has these channels
            if not self.first:
                raise ImageError(
                    f"no image with {net.pixels.channels} channels comes with the package; give images of your own, "
                    f"arrays (H, W, {net.pixels.channels})."
                )
            return
        bundled: dict[str, dict[str, Any]] = {
            "photographs": {k: (lambda k=k: photograph(k), f"cx.photograph({k!r})") for k in photographs()},
            "scenes": {f"scene: {k}": _scene(k) for k in world.CLASSES},
            "digits": {f"digit {k}": (lambda k=k: digit(k), f"cx.digit({k})") for k in range(10)},
        }
        kind = _kind(net)
        for offered in [bundled.pop(kind), *bundled.values()]:
            self._makers.update({name: made for name, made in offered.items() if name not in self._makers})
        self.first = self.first or _FIRST[kind]

    def add(self, name: str, image: Any, python: str = "") -> None:
        """Offer one more image.

        Parameters
        ----------
        name : str
        image : object
        python : str
            The Python that makes it; "": its path, or `image`.
        """
        is_path = isinstance(image, (str, os.PathLike))
        self.given.add(name)
        self._makers[name] = (lambda: image, python or (repr(os.fspath(image)) if is_path else "image"))

    def named(self, python: str) -> str | None:
        """The name of the first image that a line of Python makes.

        Parameters
        ----------
        python : str

        Returns
        -------
        str or None
        """
        return next((name for name, (_, line) in self._makers.items() if line == python), None)

    @property
    def names(self) -> list[str]:
        """The names of all images."""
        return list(self._makers)

    def __getitem__(self, name: str) -> tuple[Any, str]:
        """The image of a name and the Python that makes it."""
        if name not in self._makers:
            raise ImageError(
                f"there is no image named {brief_value(name)}; expected one of {brief_list(self._makers)}."
            )
        make, python = self._makers[name]
        return make(), python


def as_list(images: Any) -> list[Any]:
    """One image, a list, a batch or the first images of a data set as a list."""
    if is_data_set(images):
        source = images if isinstance(images, Images) else Images(images)
        return [source[k] for k in range(min(len(source), _MOST))]
    is_batch = isinstance(images, (np.ndarray, torch.Tensor)) and images.ndim == 4
    return list(images) if isinstance(images, (list, tuple)) or is_batch else [images]


def _scene(name: str) -> tuple[Callable[[], Any], str]:
    """A scene of the procedural world that shows a class well."""
    return lambda: world.scene(_SEED, name).image, f"cx.scene({_SEED}, {name!r}).image"


def _kind(net: Network | None) -> str:
    """The kind of image that a network is trained on."""
    if (
        net is not None and net.pixels.order == "grey" and max(net.size) < 64
    ):  # HOG is grey, too, but no digits' network
        return "digits"
    return "scenes" if net is not None and net.labels == list(world.CLASSES) else "photographs"


def _name(image: Any, k: int) -> str:
    if isinstance(image, str) or hasattr(image, "__fspath__"):
        return str(image).replace("\\", "/").rsplit("/", 1)[-1]
    return "image" if k == 0 else f"image {k + 1}"
