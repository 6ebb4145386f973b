"""Photographs with polygons of the objects in them, as a folder of images beside a folder of text files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ..arguments import checked
from ..arguments import path as a_path
from ..errors import ImageError, brief, brief_value
from ..network import read_image
from ..network.image_file import image_files

_LARGEST = 16_000_000  # bytes of a text file
_FARTHEST = 10  # of a corner from the image, in widths and heights


@checked(folder=a_path("a folder with images/, labels/ and classes.txt"))
def annotated(folder: str | os.PathLike[str]) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Read photographs with a mask for every class in them.

    Parameters
    ----------
    folder : str or os.PathLike
        Holds images/, labels/ with a text file per image, and classes.txt with a name per line. A line of a text file
        is a polygon: the class's number, then x and y of each corner as shares of the width and height (the layout of
        YOLO's segmentation sets). Images without a text file are left out.

    Yields
    ------
    image : np.ndarray
        (H, W, 3) uint8.
    masks : dict of str to np.ndarray
        Class to (H, W) bool.

    Raises
    ------
    ImageError
        If classes.txt, an image or a polygon cannot be read.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> for image, masks in cx.annotated("pets"):  # doctest: +SKIP
    ...     print(image.shape, {name: mask.mean() for name, mask in masks.items()})
    """
    folder = Path(folder)
    classes = class_names(folder)
    for path in image_files(folder / "images"):
        outlines = folder / "labels" / f"{path.stem}.txt"
        if outlines.exists():
            image = read_image(path).permute(1, 2, 0).round().byte().numpy()
            yield image, polygon_masks(outlines, classes, (image.shape[0], image.shape[1]))


def class_names(folder: Path) -> list[str]:
    """The lines of classes.txt in a folder. Raises ImageError."""
    if not (folder / "classes.txt").exists():
        raise ImageError(
            f"{brief_value(str(folder))} has no classes.txt; expected images/, labels/ and classes.txt in it."
        )
    return _text(folder / "classes.txt").rstrip("\n").split("\n")


def polygon_masks(outlines: Path, classes: list[str], shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """The masks (H, W) of a text file of polygons, by class; shape: (H, W) of the image. Raises ImageError."""
    masks: dict[str, Image.Image] = {}
    for line in _text(outlines).splitlines():
        try:
            first, *numbers = line.split()
            number = int(first)
            if not 0 <= number < len(classes):
                raise ValueError(f"there is no class {number}")
            corners = np.array(numbers, np.float64).reshape(-1, 2) * (shape[1], shape[0])
            if not bool((np.abs(corners) <= _FARTHEST * max(*shape, 3)).all()):
                raise ValueError("a corner far outside the image")
            name = classes[number]
            mask = masks.setdefault(name, Image.new("1", (shape[1], shape[0])))
            ImageDraw.Draw(mask).polygon([tuple(corner) for corner in corners.tolist()], fill=1)
        except (ValueError, IndexError, TypeError) as error:
            raise ImageError(
                f"{outlines} has the line {line[:40]!r}; expected a class's number and x y of two or more corners."
            ) from error
    return {name: np.array(mask) for name, mask in masks.items()}


def _text(path: Path) -> str:
    """The text of a small file. Raises ImageError."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            raise ValueError(f"no file of at most {_LARGEST // 10**6} MB")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} cannot be read ({brief(error)}); expected a text file in UTF-8.") from error
