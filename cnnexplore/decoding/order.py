"""Orders of a layer's filters: by shape, by class, by response."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..arguments import checked_integer
from ..errors import SettingError

_MOST_ORDERED = 1000  # filters: with more of them, the optimal order of a tree takes minutes


def similarity(filters: np.ndarray) -> np.ndarray:
    """The correlation of every two filters.

    Parameters
    ----------
    filters : np.ndarray
        (U, C, h, w).

    Returns
    -------
    np.ndarray
        (U, U), -1 to 1; 0 for a filter without contrast.

    Examples
    --------
    >>> import numpy as np
    >>> from cnnexplore.decoding import similarity
    >>> filters = np.arange(4.0).reshape(1, 1, 2, 2)
    >>> similarity(np.concatenate([filters, -filters])).round(6).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    flat = np.asarray(filters, np.float64).reshape(len(filters), -1)
    flat = flat - flat.mean(1, keepdims=True)
    flat = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    return (flat @ flat.T).clip(-1, 1)


def by_shape(filters: np.ndarray) -> list[int]:
    """Order filters so that neighbours look alike: the leaves of a tree of average linkage, optimally ordered.

    Parameters
    ----------
    filters : np.ndarray
        (U, C, h, w).

    Returns
    -------
    list of int
        The filters' numbers.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> from cnnexplore.decoding import by_shape
    >>> filters = cx.decode(cx.load("lenet-smooth"), "conv1").filters
    >>> sorted(by_shape(filters)) == list(range(len(filters)))
    True
    """
    if len(filters) < 3:
        return list(range(len(filters)))
    from scipy.cluster.hierarchy import leaves_list

    return leaves_list(_tree(filters)).tolist()


def groups(filters: np.ndarray, count: int) -> list[list[int]]:
    """Cluster filters into groups of similar shape.

    Parameters
    ----------
    filters : np.ndarray
        (U, C, h, w).
    count : int
        How many groups at most, 1 to U.

    Returns
    -------
    list of list of int
        The filters' numbers by group; groups and their members in the order of `by_shape`.

    Raises
    ------
    SettingError
        If there are fewer filters than that.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> from cnnexplore.decoding import groups
    >>> len(groups(cx.decode(cx.load("lenet-smooth"), "conv1").filters, 4))
    4
    """
    number = checked_integer("count", count, 1, len(filters), what="how many groups")
    if len(filters) < 3:
        return [[k] for k in range(len(filters))] if number == len(filters) else [list(range(len(filters)))]
    from scipy.cluster.hierarchy import fcluster, leaves_list

    tree = _tree(filters)
    which = fcluster(tree, number, "maxclust")
    found: dict[int, list[int]] = {}
    for k in leaves_list(tree).tolist():
        found.setdefault(int(which[k]), []).append(k)
    return list(found.values())


def _tree(filters: np.ndarray) -> np.ndarray:
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    apart = 1 - similarity(filters)
    apart = (apart + apart.T) / 2
    np.fill_diagonal(apart, 0)
    return linkage(squareform(apart.clip(0), checks=False), "average", optimal_ordering=len(apart) <= _MOST_ORDERED)


def class_means(responses: np.ndarray, labels: Sequence[int] | np.ndarray) -> np.ndarray:
    """The mean response of each unit to the images of each class.

    Parameters
    ----------
    responses : np.ndarray
        (N, U), or (N, U, h, w), of which the largest over positions counts.
    labels : sequence of int
        (N,), the images' classes, numbered from 0.

    Returns
    -------
    np.ndarray
        (classes, U); NaN for a class without images.

    Raises
    ------
    SettingError
        If there is not one label for each image, or a label is no whole number from 0.

    Examples
    --------
    >>> import numpy as np
    >>> from cnnexplore.decoding import class_means
    >>> class_means(np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 5.0]]), [0, 0, 1]).tolist()
    [[2.0, 0.0], [0.0, 5.0]]
    """
    peaks, classes = _peaks(responses), np.asarray(labels)
    if classes.shape != peaks.shape[:1]:
        raise SettingError(f"{len(classes)} labels were given for {len(peaks)} images; expected one for each.")
    if classes.dtype.kind not in "iu" or not len(classes) or classes.min() < 0:
        raise SettingError(f"labels are {classes.tolist()[:10]}; expected whole numbers from 0, one for each image.")
    members = [classes == k for k in range(int(classes.max()) + 1)]
    return np.stack([peaks[which].mean(0) if which.any() else np.full(peaks.shape[1], np.nan) for which in members])


def by_class(responses: np.ndarray, labels: Sequence[int] | np.ndarray) -> dict[int, list[int]]:
    """Group units by the class that they respond to most.

    A unit's selectivity is the distance of its mean response to that class from its mean over all classes, in standard
    deviations.

    Parameters
    ----------
    responses : np.ndarray
        (N, U), or (N, U, h, w), of which the largest over positions counts.
    labels : sequence of int
        (N,), the images' classes, numbered from 0.

    Returns
    -------
    dict of int to list of int
        Class -> its units, the most selective first.

    Raises
    ------
    SettingError
        If there is not one label for each image.

    Examples
    --------
    >>> import numpy as np
    >>> from cnnexplore.decoding import by_class
    >>> by_class(np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 5.0]]), [0, 0, 1])
    {0: [0], 1: [1]}
    """
    means = class_means(responses, labels).astype(np.float64)
    present = np.flatnonzero(~np.isnan(means).all(1))
    seen = means[present]
    best = present[seen.argmax(0)]
    spread = seen.std(0, ddof=1) if len(seen) > 1 else np.zeros(seen.shape[1])
    selectivity = (seen.max(0) - seen.mean(0)) / np.maximum(spread, 1e-12)
    order = np.argsort(-selectivity, kind="stable").tolist()
    return {k: [unit for unit in order if best[unit] == k] for k in range(len(means))}


def by_response(responses: np.ndarray) -> list[int]:
    """Order units by their largest response to any of the images, the strongest first.

    Parameters
    ----------
    responses : np.ndarray
        (N, U), or (N, U, h, w).

    Returns
    -------
    list of int
        The units' numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from cnnexplore.decoding import by_response
    >>> by_response(np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 5.0]]))
    [1, 0]
    """
    return np.argsort(-_peaks(responses).max(0), kind="stable").tolist()


def _peaks(responses: np.ndarray) -> np.ndarray:
    responses = np.asarray(responses)
    return responses.reshape(*responses.shape[:2], -1).max(2)
