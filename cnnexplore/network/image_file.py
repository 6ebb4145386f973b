"""Opening a picture from a file, a stream of bytes or Pillow, without starting other programs, as an array."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import struct
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import ImageError, brief, brief_value

MAX_PIXELS = 64_000_000  # a picture above this is a mistake or a decompression bomb
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
# Pillow reads more formats: those that are documents start another program, others are as rare as their readers' tests.
_FORMATS = (
    "PNG", "JPEG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF", "HEIF", "TGA", "ICO", "PCX", "SGI",
)  # fmt: skip
_UPRIGHT = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270",
            7: "TRANSVERSE", 8: "ROTATE_90"}  # fmt: skip
_SPECIAL = {stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket", stat.S_ISCHR: "a device", stat.S_ISBLK: "a device"}


def refuse_address(source: Any) -> None:
    """Raise ImageError for the address of something in a network: nothing is fetched that was not asked for."""
    if isinstance(source, str) and (scheme := re.match(r"[A-Za-z][A-Za-z0-9+.-]+://|data:", source)):
        raise ImageError(
            f"{brief_value(source)} is an address ({scheme[0]}), and cnnexplore fetches nothing from a network; save "
            "the picture, and give the path of the file."
        )


def open_picture(source: Any) -> Image.Image:
    """The first picture of a file or of a file's bytes, loaded. Raises ImageError."""
    is_bytes = isinstance(source, (bytes, bytearray, memoryview))
    name = "the uploaded file"
    refuse_address(source)
    if not is_bytes:
        try:
            source = os.fspath(source)
        except Exception as error:  # the user's own type
            raise ImageError(f"image is {brief_value(source)}; expected the path of an image file.") from error
        name = brief_value(source)
    try:
        if not is_bytes:
            _check_is_file(name, source)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(source) if is_bytes else source, formats=_formats())
            check_size(name, *picture.size)
            picture.load()
    except FileNotFoundError as error:
        raise ImageError(f"{name} does not exist; expected the path of an image file.") from error
    except IsADirectoryError as error:
        raise ImageError(f"{name} is a folder; expected the path of an image file.") from error
    except PermissionError as error:
        raise ImageError(f"{name} may not be read ({error.strerror}); change its permissions, or copy it.") from error
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{name} is far too large; at most {MAX_PIXELS // 10**6} million pixels are read: scale it down."
        ) from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} is not an image that Pillow can read; give a PNG or JPEG file.") from error
    except MemoryError as error:
        raise ImageError(f"{name} needs more memory than there is; scale it down.") from error
    except (OSError, SyntaxError, ValueError, LookupError, TypeError, ArithmeticError, EOFError, struct.error) as error:
        if isinstance(error, ImageError):
            raise
        if isinstance(error, OSError) and error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
            raise ImageError(f"{name} cannot be opened ({error.strerror}); expected the path of an image.") from error
        raise ImageError(f"{name} is damaged or cut short ({brief(error)}); save it again as PNG or JPEG.") from error
    return picture


def image_files(folder: Path, pattern: str = "*") -> list[Path]:
    """The image files in a folder, sorted; a pattern of "**/*" also finds those in its subfolders.

    Names that begin with a dot are left out, and what lies in folders of such a name: macOS and notebooks keep notes
    about pictures there, under the suffixes of pictures. Links, pipes and devices that lead to no file are left out.
    """
    found = (path for path in folder.glob(pattern) if path.suffix.lower() in IMAGE_SUFFIXES)
    seen = (path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))
    return sorted(path for path in seen if path.is_file())


def check_size(name: str, width: int, height: int) -> None:
    """Raise ImageError for more pixels than are read."""
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{name} has {width} x {height} pixels; at most {MAX_PIXELS // 10**6} million are read: scale it down."
        )


def picture_array(picture: Image.Image, channels: int | None) -> np.ndarray:
    """The numbers of a picture, upright: (H, W) grey, (H, W, 3) or (H, W, 4); (H, W, C) where C channels are asked for.

    Sixteen bits are uint16, so that what is dark stays dark. Raises ImageError.
    """
    check_size("the image", *picture.size)
    try:
        picture = _upright(picture)
        return (
            _deep(picture)
            if picture.mode in ("I", "F") or picture.mode.startswith("I;16")
            else _bands(picture, channels)
        )
    except (OSError, SyntaxError, ValueError, LookupError, TypeError, EOFError, MemoryError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(
            f"a picture of mode {picture.mode!r} cannot be read ({brief(error)}); give picture.convert('RGB')."
        ) from error


def _check_is_file(name: str, source: Any) -> None:
    """Raise unless a path is a file: a pipe or a device could be waited for without end."""
    mode = os.stat(source).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError
    if not stat.S_ISREG(mode):
        kind = next((what for test, what in _SPECIAL.items() if test(mode)), "no file")
        raise ImageError(f"{name} is {kind}; expected the path of an image file.")


@lru_cache(1)
def _formats() -> tuple[str, ...]:
    """The formats that are read, of those that this Pillow knows."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _deep(picture: Image.Image) -> np.ndarray:
    """The numbers of a picture of 16 or 32 bits in one band."""
    array = np.asarray(picture)
    if picture.mode == "F":
        return array
    if picture.mode == "I":  # 32 bits, which Pillow also uses for 16
        low, high = int(array.min(initial=0)), int(array.max(initial=0))
        if low < 0 or high > 65535:
            raise ImageError(
                f"the image has 32-bit values from {low} to {high}; expected 0..65535: scale it, for example to "
                "floats in 0..1."
            )
        if picture.format not in ("PNG", "PPM") and high <= 255:
            return array
    array = array.astype(np.uint16)
    clear = picture.info.get("transparency")
    if isinstance(clear, int):  # one grey value stands for transparent
        return np.stack([array, array, array, np.where(array == clear, 0, 65535).astype(np.uint16)], -1)
    return array


def _bands(picture: Image.Image, channels: int | None) -> np.ndarray:
    """The numbers of a picture of 8 bits or fewer a band: RGB or RGBA, or its own bands if there are `channels`."""
    plain = {"RGBa": "RGBA", "La": "LA"}.get(picture.mode)  # the alpha is multiplied into the colours
    if plain:
        picture = picture.convert(plain)
    if channels is not None and picture.mode not in ("P", "PA", "1") and len(picture.getbands()) == channels:
        return np.asarray(picture).reshape(picture.height, picture.width, channels)
    if channels == 1 and picture.mode == "1":
        return np.asarray(picture.convert("L"))
    if "A" in picture.getbands() or "transparency" in picture.info:
        return np.asarray(picture.convert("RGBA"))
    return np.asarray(picture.convert("RGB"))


def _upright(picture: Image.Image) -> Image.Image:
    """Turned upright by its EXIF orientation; unlike ImageOps.exif_transpose, other broken EXIF tags do no harm."""
    try:
        method = _UPRIGHT.get(picture.getexif().get(0x0112, 1))
    except Exception:
        method = None  # the picture itself is whole
    if method is None:
        return picture
    turned = picture.transpose(Image.Transpose[method])
    turned.format = picture.format  # decides how 32-bit values are read
    return turned
