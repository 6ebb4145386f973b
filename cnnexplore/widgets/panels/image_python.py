"""The Python of the image of a panel, as it is written into a copied line."""

from __future__ import annotations

import ast
import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...data import Images
from ...data.columns import Columns
from ..live.selection import Selection


def image_python(selection: Selection) -> str:
    """The Python that makes the image of a selection.

    Parameters
    ----------
    selection : Selection

    Returns
    -------
    str
        What the selection says; for an image of a variable of the notebook the name of that variable, and for an
        uploaded one the file that `keep_upload` writes.
    """
    python = selection.image_python
    if (name := _uploaded(selection)) is not None:
        return repr(name)
    return _variable(selection.image) or python if python == "image" else python


def items_python(images: Any) -> Callable[[int], str]:
    """What gives the Python of an image of a data set, by its number.

    Parameters
    ----------
    images : Images or data set

    Returns
    -------
    callable
        It names the notebook's variable that is the data set, or `images`.
    """
    name = _variable(images) or "images"
    if isinstance(images, Images):
        return lambda k: f"{name}[{k}]"
    if not hasattr(images, "__getitem__"):  # a loader, whose items have no numbers
        return lambda k: "image"
    first = images[0]
    if isinstance(first, Mapping):
        column = Columns(images, first).image
        return lambda k: f"{name}[{k}][{column!r}]"
    return lambda k: f"{name}[{k}][0]" if isinstance(first, (tuple, list)) else f"{name}[{k}]"


def keep_upload(selection: Selection) -> str | None:
    """Write an uploaded image into the working folder, which a copied line reads it from.

    Parameters
    ----------
    selection : Selection

    Returns
    -------
    str or None
        The name of the file; None where the image was not uploaded, or the file is there already.

    Raises
    ------
    OSError
        If the folder cannot be written to.
    """
    name = _uploaded(selection)
    if name is None or Path(name).exists():
        return None
    Image.fromarray(selection.image).save(name)
    return name


def _uploaded(selection: Selection) -> str | None:
    """The name of the file for an uploaded image: its pixels are in the name, so that it is never another's."""
    image = selection.image
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        return None
    try:
        given = ast.literal_eval(selection.image_python)
    except (ValueError, SyntaxError):
        return None
    if not isinstance(given, str):
        return None
    stem = "".join(c if c.isalnum() or c in "-_ " else "_" for c in os.path.splitext(os.path.basename(given))[0])
    return f"{stem[:80] or 'upload'}-{zlib.crc32(image.tobytes()):08x}.png"


def _variable(image: Any) -> str | None:
    """The name of the notebook's variable that is this very image, or of the list or dict that holds it."""
    try:
        from IPython import get_ipython

        names = dict(get_ipython().user_ns)
    except (ImportError, AttributeError, TypeError):
        return None
    if image is None:
        return None
    own = {name: value for name, value in names.items() if not name.startswith("_") and name.isidentifier()}
    for name, value in own.items():
        if value is image:
            return name
    for name, value in own.items():
        items = dict(enumerate(value)) if isinstance(value, (list, tuple)) else value
        for key, one in items.items() if isinstance(items, dict) else ():
            if one is image and isinstance(key, (int, str)):
                return f"{name}[{key!r}]"
    return None
