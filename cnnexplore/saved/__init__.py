"""Saved pictures: the Python that a PNG carries is read by a parser of its own, and makes the picture again."""

from .expression import Expression, read_python
from .picture import SavedPicture, from_picture

__all__ = ["Expression", "SavedPicture", "from_picture", "read_python"]
