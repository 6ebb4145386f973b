"""Folders of images with masks of the concepts in them, in three layouts."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import ImageError, brief_value
from ..network.image_file import image_files, open_picture
from .annotated import class_names, polygon_masks

_NO_CONCEPT = ("void", "unlabelled", "unlabeled", "ignore")
_IGNORED = 255  # the number that index masks often have where nothing is labelled


class ConceptImages(ABC):
    """Images of a folder with masks of the concepts in them; `concept_images` makes it.

    Its length is the number of images, ``data[k]`` is the path of the k-th, and ``data.concepts(k)`` that path with a
    dict of masks by "category/name". Functions that take images take it too.

    Parameters
    ----------
    folder : Path
        The folder.

    Attributes
    ----------
    folder : Path
        The folder.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> str: ...

    @abstractmethod
    def concepts(self, index: int) -> tuple[Any, dict[str, Any]]:
        """An image and the masks of its concepts.

        Parameters
        ----------
        index : int
            Number of the image.

        Returns
        -------
        tuple
            The path of the image, and a dict of "category/name" to a mask (H, W) of bool, or to True where the whole
            image shows the concept.

        Raises
        ------
        ImageError
            If a mask cannot be read.
        """

    @abstractmethod
    def files(self) -> Iterator[Path]:
        """The files that images and concepts depend on."""

    def digest(self) -> str:
        """A digest that changes when one of the files is replaced; it counts their sizes and times of change."""
        found = hashlib.blake2b(repr((type(self).__name__, self._options(), len(self))).encode(), digest_size=20)
        for path in self.files():
            state = os.stat(path) if path.exists() else None  # a missing file is an error when it is read
            found.update(repr((str(path.absolute()), state and (state.st_size, state.st_mtime_ns))).encode())
        return found.hexdigest()

    def to_python(self) -> str:
        """The Python that makes this data set again."""
        return f"cx.concept_images({str(self.folder)!r}{self._options()})"

    def _options(self) -> str:
        """The settings as Python, each after a comma; none where they are the usual ones."""
        return ""


class _Classes(ConceptImages):
    """Images in images/ with a file of labels each, and the names of the classes in classes.txt."""

    def __init__(self, folder: Path, category: str, labels: str, suffixes: Sequence[str]):
        super().__init__(folder)
        self.category, self.classes = category, [name.strip() for name in class_names(folder)]
        self._pairs: list[tuple[Path, Path]] = []
        for image in image_files(folder / "images"):
            found = (folder / labels / f"{image.stem}{suffix}" for suffix in suffixes)
            path = next((one for one in found if one.exists()), None)
            if path is not None:
                self._pairs.append((image, path))
        if not self._pairs:
            raise ImageError(f"{brief_value(str(folder))} has no image in images/ with a file in {labels}/.")

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> str:
        return str(self._pairs[index][0])

    def files(self) -> Iterator[Path]:
        yield self.folder / "classes.txt"
        for pair in self._pairs:
            yield from pair

    def _options(self) -> str:
        return "" if self.category == "object" else f", category={self.category!r}"


class PolygonImages(_Classes):
    """Images with polygons in labels/, as in YOLO's segmentation sets."""

    def __init__(self, folder: Path, category: str):
        super().__init__(folder, category, "labels", (".txt",))

    def concepts(self, index: int) -> tuple[Any, dict[str, Any]]:
        """An image's path and its masks by "category/name"."""
        image, outlines = self._pairs[index]
        picture = open_picture(image)
        masks = polygon_masks(outlines, self.classes, (picture.height, picture.width))
        return str(image), {f"{self.category}/{name}": mask for name, mask in masks.items()}


class IndexMaskImages(_Classes):
    """Images with a mask each in masks/, whose pixels are numbers of the lines of classes.txt, from 0."""

    def __init__(self, folder: Path, category: str):
        super().__init__(folder, category, "masks", (".png", ".bmp", ".tif", ".tiff", ".gif"))

    def concepts(self, index: int) -> tuple[Any, dict[str, Any]]:
        """An image's path and its masks by "category/name"."""
        image, path = self._pairs[index]
        picture: Image.Image = open_picture(path)
        numbers = np.asarray(picture)
        if numbers.ndim != 2 or numbers.dtype.kind not in "ui":
            raise ImageError(
                f"{path} is a picture of mode {picture.mode}; expected the numbers of classes, mode L or P."
            )
        masks: dict[str, Any] = {}
        for number in np.unique(numbers).tolist():
            if number >= len(self.classes) and number != _IGNORED:
                raise ImageError(f"{path} has the number {number}; classes.txt has {len(self.classes)} lines, from 0.")
            name = self.classes[number] if number < len(self.classes) else ""
            if name and name.lower() not in _NO_CONCEPT:
                masks[f"{self.category}/{name}"] = numbers == number
        return str(image), masks
