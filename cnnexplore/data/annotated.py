"""Photographs with polygons of the objects in them, as a folder of images beside a folder of text files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ..errors import ImageError
from ..network import read_image

_SUFFIXES = (".jpg", ".jpeg", ".png")


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
    try:
        classes = (folder / "classes.txt").read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise ImageError(f"{folder} has no classes.txt; expected images/, labels/ and classes.txt in it.") from error
    for path in sorted((folder / "images").glob("*")):
        outlines = folder / "labels" / f"{path.stem}.txt"
        if path.suffix.lower() not in _SUFFIXES or not outlines.exists():
            continue
        image = read_image(path).permute(1, 2, 0).round().byte().numpy()
        masks: dict[str, Image.Image] = {}
        for line in outlines.read_text(encoding="utf-8").splitlines():
            try:
                number, *numbers = line.split()
                corners = np.array(numbers, np.float64).reshape(-1, 2) * (image.shape[1], image.shape[0])
                name = classes[int(number)]
                mask = masks.setdefault(name, Image.new("1", (image.shape[1], image.shape[0])))
                ImageDraw.Draw(mask).polygon([tuple(corner) for corner in corners.tolist()], fill=1)
            except (ValueError, IndexError, TypeError) as error:
                raise ImageError(
                    f"{outlines} has the line {line[:40]!r}; expected a class's number and x y of two or more corners."
                ) from error
        yield image, {name: np.array(mask) for name, mask in masks.items()}
