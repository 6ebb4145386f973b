"""SavedPicture: a PNG that cnnexplore saved, with the Python that it carries."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import checked, flag
from ..errors import ExploreError, ImageError, SettingError, brief, brief_value
from ..network.image_file import open_picture
from ..results import Result
from .expression import Expression, read_python

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class SavedPicture(Result):
    """A picture that was saved, and how it was made.

    Attributes
    ----------
    pixels : np.ndarray
        (H, W, 3) uint8, the picture of the file.
    python : str
        The Python that the file carries.
    """

    pixels: np.ndarray = field(repr=False)
    python: str = ""

    @property
    def picture(self) -> np.ndarray:
        """The picture of the file, (H, W, 3) uint8."""
        return self.pixels

    @property
    def function(self) -> str:
        """The name of the function that made it, such as "invert"."""
        return self._expression.function

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of that function by name; of one that is no plain value, its Python."""
        return self._expression.settings

    @property
    def needs(self) -> tuple[str, ...]:
        """The variables that the Python uses, which `make` is to be given: an image that had no file, for example."""
        return self._expression.names

    @property
    def _expression(self) -> Expression:
        return read_python(self.python)

    @checked(progress=flag)
    def make(self, *, progress: bool = True, **given: Any) -> Any:
        """Make the picture again.

        The Python is read by a parser that takes only calls of functions of cnnexplore, plain values and names.

        Parameters
        ----------
        progress : bool
            Show the progress of what takes long.
        **given
            The values of `needs` by name.

        Returns
        -------
        Result
            What the function returns; its `picture` is the saved one, to the bit, on the same machine.

        Raises
        ------
        SettingError
            If a variable is missing; what the functions raise is passed on, such as ImageError for a file that is not
            there.

        Examples
        --------
        >>> import cnnexplore as cx
        >>> cx.filters(cx.load("lenet"), "conv1").save("filters.png")
        >>> again = cx.from_picture("filters.png").make()
        >>> again.weights.shape
        (20, 1, 5, 5)
        """
        expression = self._expression
        try:
            return expression.evaluate(given, progress)
        except (TypeError, AttributeError, LookupError) as error:  # Python of another version, or by another hand
            if isinstance(error, ExploreError):
                raise
            raise SettingError(
                f"the Python of the picture does not fit this version of cnnexplore ({brief(error)}); it is "
                f"{brief_value(self.python)}."
            ) from error

    def plot(self) -> Figure:
        """A matplotlib figure of the picture with the name of its function."""
        from matplotlib.figure import Figure

        height, width = self.pixels.shape[:2]
        figure = Figure(figsize=(5, 5 * height / width + 0.4), layout="constrained", dpi=110)
        axis = figure.subplots()
        axis.imshow(self.pixels, interpolation="nearest")
        axis.set_axis_off()
        axis.set_title(f"saved by cx.{self.function}" if self.function else "a saved picture", fontsize=9)
        return figure

    def __repr__(self) -> str:
        return f"SavedPicture({brief_value(self.python)})"


def from_picture(path: str | os.PathLike[str] | bytes) -> SavedPicture:
    """Read a PNG that cnnexplore saved: its picture, and the Python and the settings that made it.

    Nothing is run: the Python is taken only if it consists of calls of functions of cnnexplore that make pictures, of
    plain values and of names of variables.

    Parameters
    ----------
    path : str, os.PathLike or bytes
        The file, or its bytes.

    Returns
    -------
    SavedPicture
        `make()` makes the picture again.

    Raises
    ------
    ImageError
        If the file is missing, is damaged or carries no Python.
    SettingError
        If the Python is not of the kind that cnnexplore writes.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> cx.maximize(cx.load("lenet"), "conv2", 3, steps=5, progress=False).save("kept.png")
    >>> saved = cx.from_picture("kept.png")
    >>> saved.function, saved.settings["steps"], saved.needs
    ('maximize', 5, ())
    >>> bool((saved.make(progress=False).picture == saved.picture).all())
    True
    """
    if not isinstance(path, (str, os.PathLike, bytes)):
        raise ImageError(f"path is {brief_value(path)}; expected the path of a PNG file, or its bytes.")
    opened = open_picture(path)
    name = "the file" if isinstance(path, bytes) else brief_value(os.fspath(path))
    python = getattr(opened, "text", {}).get("cnnexplore")
    if not isinstance(python, str) or not python.strip():
        raise ImageError(f"{name} carries no Python; only a PNG that cnnexplore saved does, and none made from it.")
    made = SavedPicture(np.asarray(opened.convert("RGB")).copy(), python)
    made._expression  # noqa: B018 (a text that is refused is refused now)
    return made
