"""Opening a folder of images with masks of the concepts in them, in one of three layouts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..arguments import checked, optional, several, text
from ..arguments import path as a_path
from ..errors import ImageError, brief_value
from .broden import BrodenImages
from .concept_images import ConceptImages, IndexMaskImages, PolygonImages


@checked(
    folder=a_path("a folder of images with masks"),
    category=text("the category of the classes, such as 'object'"),
    categories=optional(several(text("a category"), "a list of categories, such as ['object', 'part']", 1000)),
)
def concept_images(
    folder: str | os.PathLike[str], *, category: str = "object", categories: Sequence[str] | None = None
) -> ConceptImages:
    """Open a folder of images with masks of the concepts in them, for `dissect`.

    Parameters
    ----------
    folder : str or os.PathLike
        One of three layouts. Broden's: index.csv, label.csv, c_<category>.csv and images/. Index masks: images/,
        masks/ with a picture of class numbers for each image, and classes.txt with a name per line; classes called
        "void" or "unlabelled" are left out. Polygons: images/, labels/ with a text file for each image, and
        classes.txt, as `annotated` reads them.
    category : str
        The category of the classes of index masks and polygons.
    categories : sequence of str, optional
        Of Broden's, only these; images without a label of one of them are left out.

    Returns
    -------
    ConceptImages
        The images with their masks, read one at a time.

    Raises
    ------
    ImageError
        If the folder has none of the layouts, or a table cannot be read.
    SettingError
        If a category is unknown.

    References
    ----------
    Bau et al., Network dissection, 2017, section 2.1 (Broden).

    Examples
    --------
    >>> import cnnexplore as cx
    >>> streets = cx.concept_images("camvid")  # doctest: +SKIP
    >>> found = cx.dissect(net, "conv5", streets)  # doctest: +SKIP
    """
    folder = Path(folder)
    if (folder / "index.csv").exists():
        return BrodenImages(folder, categories)
    if (folder / "masks").is_dir():
        return IndexMaskImages(folder, category)
    if (folder / "labels").is_dir():
        return PolygonImages(folder, category)
    raise ImageError(
        f"{brief_value(str(folder))} has neither index.csv, masks/ nor labels/; expected Broden's layout, or images/ "
        "with masks/ or labels/ and classes.txt."
    )
