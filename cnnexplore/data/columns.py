"""Data sets of others: those behind a DataLoader, and those whose items are dicts, as Hugging Face's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import SettingError, brief_list, brief_value

_IMAGE_NAMES = ("image", "img", "pixel_values", "picture")
_LABEL_NAMES = ("label", "labels")


def behind_loader(source: Any) -> Any:
    """The data set of a torch DataLoader, in its own order; anything else as it is."""
    is_loader = all(hasattr(source, name) for name in ("dataset", "batch_size", "collate_fn"))
    return source.dataset if is_loader and not hasattr(source, "__getitem__") else source


def is_data_set(value: Any) -> bool:
    """Whether images are given as a data set or a loader of one, and not as an image, a list or a path."""
    value = behind_loader(value)
    known = isinstance(value, (str, bytes, bytearray, memoryview, list, tuple, Mapping)) or hasattr(value, "ndim")
    return not known and hasattr(value, "__getitem__") and hasattr(value, "__len__")


def refuse_splits(source: Any) -> None:
    """Raise SettingError for a dict of data sets, as Hugging Face gives for all splits."""
    if isinstance(source, Mapping) and source and all(hasattr(one, "features") for one in source.values()):
        raise SettingError(
            f"images has the splits {brief_list(source)}; choose one of them, such as dataset[{next(iter(source))!r}]."
        )


class Columns:
    """Where items that are dicts hold their image and their label.

    Parameters
    ----------
    source : object
        The data set. One with `features` says which columns are images and labels; else their names tell.
    columns : mapping
        The features, or an item: what has the columns as its keys.

    Raises
    ------
    SettingError
        If there is no image in the items, or several.
    """

    def __init__(self, source: Any, columns: Mapping[Any, Any]):
        features = getattr(source, "features", None)
        kinds = {name: type(one).__name__ for name, one in features.items()} if isinstance(features, Mapping) else {}
        images = [name for name, kind in kinds.items() if kind == "Image"]
        images = images or [name for name in _IMAGE_NAMES if name in columns][:1]
        if len(images) != 1:
            found = f"several images ({brief_list(images)})" if images else "no image that is known by its name"
            raise SettingError(
                f"the items of images have {found} among {brief_list(columns)}; keep one, named 'image', or give a "
                "list of images."
            )
        labels = [name for name, kind in kinds.items() if kind == "ClassLabel"]
        named = [name for name in _LABEL_NAMES if name in columns]
        self.image = images[0]
        self.label = labels[0] if len(labels) == 1 else named[0] if named else None
        names = getattr(features[self.label], "names", None) if features and self.label in features else None
        self.classes = [str(name) for name in names] if names else []

    def split(self, item: Any) -> tuple[Any, Any]:
        """The image and the label of an item; None for an item without a label."""
        try:
            image = item[self.image]
        except (KeyError, TypeError) as error:
            raise SettingError(
                f"an item of images is {brief_value(item)}; expected one with {self.image!r}."
            ) from error
        if isinstance(image, Mapping):  # a file that is not decoded
            image = image.get("bytes") or image.get("path")
        return image, None if self.label is None else item.get(self.label)
