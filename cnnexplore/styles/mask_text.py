"""Masks as text, so that the Python of a result can contain them; and the check that numbers are a mask."""

from __future__ import annotations

import base64
import math
import re
import zlib
from typing import Any

import numpy as np

from ..errors import SettingError, brief_value

_COMPRESSED = re.compile(r"(\d+(?:x\d+)*):(.+)", re.ASCII)
_MOST = 2**26  # numbers in a mask; a text that claims more is a mistake or a decompression bomb
_SHORT = 144  # numbers of a mask that is written as rows of digits


def mask_to_text(mask: np.ndarray) -> str:
    """A boolean mask as text: rows of 0 and 1 if it is small, else its shape and its compressed bits."""
    if mask.ndim <= 2 and mask.size <= _SHORT:
        return " ".join("".join("01"[int(v)] for v in row) for row in np.atleast_2d(mask))
    bits = zlib.compress(np.packbits(mask).tobytes(), 9)
    return f"{'x'.join(map(str, mask.shape))}:{base64.b85encode(bits).decode()}"


def is_mask_text(text: str) -> bool:
    """Whether a text looks like a mask, not like a path."""
    return bool(_COMPRESSED.fullmatch(text)) or (bool(text.split()) and not set(text) - set("01 "))


def text_to_mask(text: str, name: str) -> np.ndarray:
    """The mask of a text, bool. Raises SettingError, which calls it by its name, if the text is no mask."""
    rows = text.split()
    if rows and not set(text) - set("01 ") and len({len(row) for row in rows}) == 1:
        array = np.array([[digit == "1" for digit in row] for row in rows])
        return array[0] if len(rows) == 1 else array
    try:
        match = _COMPRESSED.fullmatch(text)
        if match is None:
            raise ValueError("neither rows of digits nor a shape and bits")
        sides, bits = match.groups()
        shape = tuple(int(side) for side in sides.split("x"))
        count = math.prod(shape)
        if not 0 < count <= _MOST:
            raise ValueError("too large")
        data = zlib.decompressobj().decompress(base64.b85decode(bits), (count + 7) // 8)
        if len(data) != (count + 7) // 8:
            raise ValueError("cut short")
        return np.unpackbits(np.frombuffer(data, np.uint8), count=count).astype(bool).reshape(shape)
    except (ValueError, zlib.error) as error:
        raise SettingError(
            f"{name} is the text {brief_value(text[:40])}; expected rows of 0 and 1, such as '110 110 000', or the "
            "text that the Python of a pathway or completion contains."
        ) from error


def as_mask(value: Any, name: str) -> np.ndarray:
    """An array, tensor or nested list of true and false, or of 1 and 0, as bool. Raises SettingError."""
    try:
        if isinstance(value, (range, dict, set)) or (isinstance(value, (list, tuple)) and len(value) > 100_000):
            raise ValueError("no mask")
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
        if isinstance(value, (str, bytes)) or array.size > _MOST:
            raise ValueError("no mask")
        right = array.dtype.kind in "biuf" and array.ndim in (1, 2, 3) and bool(np.isin(array, (0, 1)).all())
    except Exception:  # lists of unequal length, a tensor without numbers, or the user's own type
        right = False
    if not right or not array.size:
        raise SettingError(f"{name} is no mask; expected an array of true and false, or of 1 and 0, that is not empty.")
    return array.astype(bool)
