"""Bundled images: scikit-image's photographs and scikit-learn's digits; nothing is downloaded."""

from __future__ import annotations

import difflib
import os
from functools import lru_cache
from typing import Any

import numpy as np

from .. import world
from ..arguments import checked, flag, optional, path, plain_number
from ..errors import ImageError, brief_value
from ..network import Network

# The photographs in scikit-image's wheel; it downloads its others at their first use.
_PHOTOGRAPHS = {
    "cat": "chelsea", "astronaut": "astronaut", "coffee": "coffee", "rocket": "rocket", "motorcycle": "motorcycle_left",
    "horse": "horse", "coins": "coins", "camera": "camera", "brick": "brick", "grass": "grass",
}  # fmt: skip


def photographs() -> list[str]:
    """List the names that `photograph` takes.

    Returns
    -------
    list of str
        The names.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> cx.photographs()[:3]
    ['cat', 'astronaut', 'coffee']
    """
    return list(_PHOTOGRAPHS)


def photograph(name: str) -> np.ndarray:
    """Load a bundled photograph.

    Parameters
    ----------
    name : str
        One of `photographs()`.

    Returns
    -------
    np.ndarray
        (H, W, 3) uint8.

    Raises
    ------
    ImageError
        If the name is unknown.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> cx.photograph("cat").shape
    (300, 451, 3)
    """
    from skimage import data, io, util

    if not isinstance(name, str) or name not in _PHOTOGRAPHS:
        close = difflib.get_close_matches(brief_value(name).strip("'"), _PHOTOGRAPHS, 1, 0.4)
        hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(_PHOTOGRAPHS)}."
        raise ImageError(f"there is no photograph named {brief_value(name)}; {hint}")
    file = _PHOTOGRAPHS[name]
    if file == "motorcycle_left":  # scikit-image loads only the stereo pair
        from importlib import resources

        picture = io.imread(str(resources.files("skimage") / "data" / "motorcycle_left.png"))
    else:
        picture = getattr(data, file)()
    picture = util.img_as_ubyte(picture)
    return np.repeat(picture[..., None], 3, -1) if picture.ndim == 2 else picture[..., :3]


@checked(folder=optional(path("the folder that holds MNIST")), train=flag)
def digits(folder: str | os.PathLike[str] | None = None, train: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Load handwritten digits.

    Parameters
    ----------
    folder : str or os.PathLike, optional
        The folder that holds torchvision's MNIST (default: scikit-learn's 1,797 digits, enlarged).
    train : bool
        MNIST's training set instead of its test set.

    Returns
    -------
    images : np.ndarray
        (N, 28, 28) uint8, white on black.
    labels : np.ndarray
        (N,), 0 to 9.

    Raises
    ------
    ImageError
        If MNIST is not in the folder.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> images, labels = cx.digits()
    >>> images.shape, labels[:3]
    ((1797, 28, 28), array([0, 1, 2]))
    """
    if folder is None:
        which = np.zeros(10, int)
        labels = _small_digits().target
        images = []
        for value in labels:
            images.append(digit(value, which[value]))
            which[value] += 1
        return np.stack(images), labels.copy()
    from torchvision.datasets import MNIST

    try:
        read = MNIST(os.fspath(folder), train=train)
    except (RuntimeError, OSError) as error:
        raise ImageError(
            f"MNIST was not found under {os.fspath(folder)!r} ({error}); give the folder it is in."
        ) from error
    return read.data.numpy(), read.targets.numpy()


@lru_cache(1)
def _small_digits() -> Any:
    """scikit-learn's digits."""
    from sklearn.datasets import load_digits

    return load_digits()


def digit(value: int, which: int = 0) -> np.ndarray:
    """Load a bundled handwritten digit, enlarged from scikit-learn's 8 x 8 pixels.

    Parameters
    ----------
    value : int
        0 to 9.
    which : int
        Number of the example, 0 to about 170.

    Returns
    -------
    np.ndarray
        (28, 28) uint8, white on black, with a margin of 4 pixels as in MNIST.

    Raises
    ------
    ImageError
        If there is no such digit.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> cx.digit(3).shape
    (28, 28)
    """
    from skimage.transform import resize

    digits = _small_digits()
    wanted, number = plain_number(value), plain_number(which)
    chosen = np.flatnonzero(digits.target == (wanted if isinstance(wanted, int) else -1))
    if not isinstance(number, int) or not 0 <= number < len(chosen):
        raise ImageError(
            f"there is no digit {brief_value(value)} number {brief_value(which)}; expected 0 to 9, and number 0 to "
            "about 170."
        )
    small = digits.images[chosen[number]] / 16
    out = np.zeros((28, 28))
    out[4:24, 4:24] = np.clip(resize(small, (20, 20), order=3), 0, 1)
    # more contrast: enlarging made the edges of the strokes grey
    return np.round(255 * np.clip((out - 0.15) / 0.6, 0, 1)).astype(np.uint8)


def bundled_images(net: Network) -> list[np.ndarray]:
    """Images that come with the package, of the kind that a network reads.

    Parameters
    ----------
    net : Network
        Decides the kind: digits for a small network of grey images, else photographs and scenes.

    Returns
    -------
    list of np.ndarray
        30 digits, (28, 28) uint8, or 10 photographs and 30 scenes, (H, W, 3) uint8; for a network whose channels are no
        colours 10 photographs, (H, W, C) uint8, with their colours repeated as often as there are channels.
    """
    if net.pixels.order == "channels":  # the best there is: natural edges and textures in every channel
        colours = np.arange(net.pixels.channels) % 3
        return [photograph(name)[..., colours] for name in photographs()]
    if net.pixels.order == "grey" and max(net.size) < 64:
        return [digit(value, which) for value in range(10) for which in range(3)]
    return [photograph(name) for name in photographs()] + [world.scene(seed).image for seed in range(30)]
