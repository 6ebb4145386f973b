"""Broden's layout on disk: images with masks of colours, objects, materials, parts, scenes and textures."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, TextIO

import numpy as np

from ..errors import ImageError, SettingError, brief, brief_list, brief_value
from ..network.image_file import open_picture
from .concept_images import ConceptImages

_LARGEST = 200_000_000  # bytes of a table
_ROWS = 1_000_000  # of a table
_FIXED = ("image", "split", "ih", "iw", "sh", "sw")  # the columns of index.csv that are no categories


class BrodenImages(ConceptImages):
    """The images that an index.csv lists, with their masks.

    A cell of a category's column holds items that are separated by semicolons: the number of a label of the whole
    image, or the name of a PNG whose pixels are 256 times green plus red. Label 0 is none. A label that occurs in
    several categories counts for the one in which it covers most, as its c_<category>.csv says.

    Parameters
    ----------
    folder : Path
        Holds index.csv, label.csv, c_<category>.csv, and the images and masks in images/.
    categories : sequence of str, optional
        Only these; images without a label of one of them are left out (default: all columns of index.csv).

    Raises
    ------
    ImageError
        If a table cannot be read.
    SettingError
        If a category is no column of index.csv.
    """

    def __init__(self, folder: Path, categories: Sequence[str] | None = None):
        super().__init__(folder)
        index = folder / "index.csv"
        known = _categories(index)
        for name in categories or ():
            if name not in known:
                raise SettingError(f"{brief_value(name)} is no category of {folder}; it has {brief_list(known)}.")
        self.categories = known if categories is None else list(categories)
        self.labels = _labels(folder, known)
        self._rows: list[tuple[str, list[str]]] = []
        for row in _table(index, "image"):
            items = [item for name in self.categories for item in row.get(name, "").split(";") if item]
            if items:
                self._rows.append((row["image"], items))
        if not self._rows:
            raise ImageError(f"{_named(index)} lists no image with a label of {brief_list(self.categories)}.")

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> str:
        return str(self._inside(self._rows[index][0]))

    def concepts(self, index: int) -> tuple[Any, dict[str, Any]]:
        """An image's path and its masks by "category/name"."""
        masks: dict[str, Any] = {}
        for item in self._rows[index][1]:
            if item.isdecimal():
                self._add(masks, _whole(item, self.folder / "index.csv"), None)
                continue
            path = self._inside(item)
            pixels = np.asarray(open_picture(path).convert("RGB")).astype(np.int64)  # before the product
            numbers = pixels[..., 0] + 256 * pixels[..., 1]
            for number in np.unique(numbers).tolist():
                self._add(masks, number, numbers == number)
        return self[index], masks

    def _add(self, masks: dict[str, Any], number: int, mask: np.ndarray | None) -> None:
        if number == 0:
            return
        if number not in self.labels:
            raise ImageError(f"a mask of {self.folder} has the label {number}, which label.csv does not list.")
        name = self.labels[number]
        known = masks.get(name)
        if mask is None or known is True:
            masks[name] = True
        else:
            masks[name] = mask if known is None or known.shape != mask.shape else known | mask

    def _inside(self, name: str) -> Path:
        """The path of a file below images/. Raises ImageError for one that leads elsewhere."""
        parts = PurePosixPath(name)
        if not name or parts.is_absolute() or ".." in parts.parts or "\\" in name or "\0" in name:
            raise ImageError(f"index.csv names the file {brief_value(name)}; expected one below images/.")
        return self.folder / "images" / parts

    def files(self) -> Iterator[Path]:
        """The files that the concepts depend on."""
        yield from sorted(self.folder.glob("*.csv"))
        for name, items in self._rows:
            yield from (self._inside(one) for one in (name, *items) if not one.isdecimal())

    def _options(self) -> str:
        return "" if len(self.categories) == len(self._columns()) else f", categories={self.categories}"

    def _columns(self) -> list[str]:
        return _categories(self.folder / "index.csv")


def _categories(index: Path) -> list[str]:
    """The categories that the header of index.csv names."""
    with _opened(index) as file:
        names = [name for name in _reader(file, index, "image").fieldnames or () if name not in _FIXED]
    wrong = [name for name in names if not re.fullmatch(r"[^/\\\0]{1,100}", name)]
    if wrong or not names:
        shown = brief_value(wrong[0]) if wrong else "none"
        raise ImageError(f"{_named(index)} has the category {shown}; expected Broden's layout.")
    return names


def _labels(folder: Path, categories: list[str]) -> dict[int, str]:
    """Number to "category/name"."""
    most: dict[int, tuple[float, str]] = {}
    for category in categories:
        path = folder / f"c_{category}.csv"
        for row in _table(path, "number", "coverage") if path.exists() else ():
            number, coverage = _whole(row["number"], path), _number(row["coverage"], path)
            if number not in most or coverage > most[number][0]:
                most[number] = coverage, category
    found = {}
    path = folder / "label.csv"
    for row in _table(path, "number", "name", "category"):
        number = _whole(row["number"], path)
        first = re.split(r"[(;]", row["category"], maxsplit=1)[0]  # "material(36);object(3)"
        category = most[number][1] if number in most else first
        if number and category:
            found[number] = f"{category}/{row['name']}"
    return found


def _number(cell: str, path: Path) -> float:
    with suppress(ValueError):
        number = float(cell)
        if math.isfinite(number):
            return number
    raise ImageError(f"{_named(path)} has {brief_value(cell)} where a number is expected.")


def _whole(cell: str, path: Path) -> int:
    """The number of a label."""
    number = _number(cell, path)
    if number != int(number) or not 0 <= number < 2**31:
        raise ImageError(f"{_named(path)} has {brief_value(cell)} where the number of a label is expected.")
    return int(number)


def _table(path: Path, *columns: str) -> Iterator[dict[str, str]]:
    """The rows of a table; a cell that is missing is empty. Raises ImageError if it cannot be read or lacks columns."""
    with _opened(path) as file:
        reader = _reader(file, path, *columns)
        for count, row in enumerate(reader):
            if count == _ROWS:
                raise ImageError(f"{_named(path)} has more than {_ROWS} rows; expected fewer.")
            yield {name: cell or "" for name, cell in row.items() if isinstance(name, str)}


def _reader(file: TextIO, path: Path, *columns: str) -> csv.DictReader[str]:
    reader = csv.DictReader(file)
    missing = [name for name in columns if name not in (reader.fieldnames or ())]
    if missing:
        raise ImageError(f"{_named(path)} has no column {missing[0]!r}; expected Broden's layout.")
    return reader


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """A file of text; what is wrong with it is an ImageError."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:  # a pipe would be waited for
            raise OSError(f"no file of at most {_LARGEST // 10**6} MB")
        with open(path, newline="", encoding="utf-8") as file:
            yield file
    except (OSError, UnicodeError, csv.Error) as error:
        raise ImageError(f"{_named(path)} cannot be read ({brief(error)}); expected a table in UTF-8.") from error


def _named(path: Path) -> str:
    return brief_value(str(path))
