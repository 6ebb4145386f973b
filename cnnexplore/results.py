"""What public functions return: numbers with a picture, and the Python that makes them again."""

from __future__ import annotations

import io
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from .arguments import output
from .errors import SettingError, brief, brief_value

if TYPE_CHECKING:
    from matplotlib.figure import Figure


FORMATS = {".png", ".pdf", ".svg", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
"""The suffixes of files that a picture can be written to."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """A context in which a file is written; a file that cannot be written raises SettingError."""
    try:
        yield
    except OSError as error:
        raise SettingError(
            f"{brief_value(str(path))} cannot be written ({brief(error)}); give another path."
        ) from error


def png(picture: np.ndarray, python: str = "", scale: int = 1) -> bytes:
    """A PNG file of a picture, with the Python that made it in the text chunk "cnnexplore".

    Parameters
    ----------
    picture : np.ndarray
        (H, W, 3) uint8.
    python : str
        A line of Python; an empty one is left out.
    scale : int
        A whole factor by which the picture is enlarged, without interpolation.

    Returns
    -------
    bytes
        The file.
    """
    info = PngInfo()
    info.add_itxt("Software", "cnnexplore")
    if python:
        info.add_itxt("cnnexplore", python)
    image = Image.fromarray(picture)
    if scale > 1:
        image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=info)
    return file.getvalue()


def whole_scale(size: tuple[int, int], least: int = 200) -> int:
    """The whole factor that enlarges a picture of `size` until its longer side has at least `least` pixels."""
    return max(1, -(-least // max(size)))


def image_to_python(image: object) -> str:
    """The Python of an image argument: the path, a list of paths, or the name `image`."""
    return paths_to_python(image, "image")


def paths_to_python(given: object, name: str) -> str:
    """The Python of a path or a list of paths; the name for anything else."""
    several = isinstance(given, (list, tuple))
    paths = [path_text(one) for one in given] if isinstance(given, (list, tuple)) else [path_text(given)]
    if not paths or None in paths:
        return name
    return repr(paths if several else paths[0])


def images_to_python(images: object) -> str:
    """The Python of an argument for a data set, after a comma: a path, or the name `images`; nothing for None."""
    if images is None:
        return ""
    return ", images" if (text := path_text(images)) is None else f", {text!r}"


def path_text(value: object) -> str | None:
    """The text of a path, None for anything else."""
    if not isinstance(value, (str, os.PathLike)):
        return None
    try:
        text = os.fspath(value)
    except Exception:  # the user's own type, which may raise anything; it is refused where the file is read
        return None
    return text if isinstance(text, str) else None


def unit_to_python(unit: object, units: list[int]) -> str:
    """The Python of a unit argument: None, a label, or the numbers that it was resolved to."""
    if unit is None or isinstance(unit, str):
        return repr(unit)
    single = len(units) == 1 and not hasattr(unit, "__len__")
    return repr(units[0] if single else units)


def value_to_python(value: object) -> str:
    """The Python of a setting; floats in their shortest form."""
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else repr(value)


class Result(ABC):
    """The protocol of all results: `picture`, `plot()`, `save(path)`, `to_python()` and a picture in a notebook.

    A subclass is a frozen dataclass with a field `python`. Its numbers are numpy arrays on the CPU. It defines `plot`;
    `picture` is that figure as pixels unless the subclass has a picture of its own.
    """

    python: str

    @abstractmethod
    def plot(self) -> Figure:
        """A matplotlib figure of the result."""

    @property
    def picture(self) -> np.ndarray:
        """The result as one picture, (H, W, 3) uint8."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        canvas = FigureCanvasAgg(self.plot())
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()

    def to_python(self) -> str:
        """The line of Python that makes this result again."""
        return self.python

    def save(self, path: str | os.PathLike) -> None:
        """Write the picture, or the figure as a vector graphic.

        Parameters
        ----------
        path : str or os.PathLike
            A name that ends in .png (the Python is inside, in the text chunk "cnnexplore"), .pdf or .svg (the figure),
            or in .jpg, .webp, .bmp, .gif or .tif.

        Raises
        ------
        SettingError
            If the suffix is none of these, or the file cannot be written.
        """
        place = output(FORMATS)("path", path)
        with writing(place):
            if place.suffix.lower() == ".png":
                place.write_bytes(png(self.picture, self.to_python()))
            elif place.suffix.lower() in (".pdf", ".svg"):
                self.plot().savefig(place)
            else:
                Image.fromarray(self.picture).save(place)

    def _repr_png_(self) -> bytes:
        """What a notebook shows; small pictures are enlarged by a whole factor."""
        picture = self.picture
        return png(picture, self.to_python(), whole_scale(picture.shape[:2]))
