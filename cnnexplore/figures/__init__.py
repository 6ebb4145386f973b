"""The papers' figures and tables, each by one call, on any network, with the data behind the picture."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from ..arguments import checked, optional, text
from ..errors import SettingError, brief_value
from ..network import Network
from ..network.arguments import network
from ..preimage import caricature, invert, maximize
from ..results import image_to_python, value_to_python
from ..styles import complete, visualize_topic
from ..zoo import DEFAULT, load
from . import decoding2015, intraclass2015, inverting2015, lecture2017, preimage2016
from .arguments import checked_options
from .chart import Chart
from .diagram import Diagram
from .sheet import Cell, Sheet
from .table import Table

__all__ = ["Cell", "Chart", "Diagram", "Sheet", "Table", "check", "figure", "find", "names", "settings"]

PAPERS: dict[str, dict[str, Callable[..., Any]]] = {
    "decoding2015": decoding2015.FIGURES,
    "intraclass2015": intraclass2015.FIGURES,
    "inverting2015": inverting2015.FIGURES,
    "lecture2017": lecture2017.FIGURES,
    "preimage2016": preimage2016.FIGURES,
}
_STYLED = ("intraclass2015.1", "intraclass2015.6")  # need a network that separates styles
_WORLD = ("dissection", "unique-detectors", "axis-alignment", "training-detectors", "silenced")  # shown on the world


def names() -> dict[str, str]:
    """List the figures and tables.

    Returns
    -------
    dict of str to str
        "paper.number" to one line about what it shows.
    """
    return {
        f"{paper}.{number}": (make.__doc__ or "").split("\n")[0].rstrip(".")
        for paper, makers in PAPERS.items()
        for number, make in makers.items()
    }


@checked(net=optional(network))
def figure(name: str, net: Network | None = None, image: Any = None, **options: Any) -> Sheet | Diagram | Table | Chart:
    """Make a figure or table of a paper.

    Parameters
    ----------
    name : str
        "paper.number", such as "preimage2016.5" or "inverting2015.table3"; `cnnexplore figure` lists all of them.
    net : Network, optional
        The network to show (default: an embedded one that suits the figure).
    image : optional
        An image that `Network.pixels_of` takes, a list of images, or a data set, as the figure needs it (default:
        images that come with the package).
    **options
        Settings of the figure's own function, such as `layers`, and settings of its method, such as `steps`, `seed`
        or `progress`.

    Returns
    -------
    Sheet, Diagram, Table or Chart
        The figure with the results behind it.

    Raises
    ------
    SettingError
        If the name or a setting is unknown; the figure's method raises further errors.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> sheet = cx.figure("lecture2017.filters", cx.load("lenet"))
    >>> sheet.picture.shape[2]
    3
    >>> sheet.to_python()
    "cx.figure('lecture2017.filters', cx.load('lenet'))"
    """
    options = check(name, image, options)
    make = find(name)
    python = _to_python(name, net, image, options)
    if net is None:
        of_world = name in [f"lecture2017.{one}" for one in _WORLD]
        net = load("worldnet-styles" if name in _STYLED else "worldnet" if of_world else DEFAULT)
    result = make(net, **options) if image is None else make(net, image, **options)
    return dataclasses.replace(result, python=python)


def check(name: str, image: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Check the arguments of `figure` before any work.

    Parameters
    ----------
    name : str
        "paper.number".
    image : optional
        The image, or None.
    options : mapping
        The settings.

    Returns
    -------
    dict
        The settings, numbers of numpy and torch as Python's.

    Raises
    ------
    SettingError
        If the name or a setting is unknown, a setting is out of its range, or the figure takes no image.
    """
    known = settings(name)
    for option in options:
        if option not in known:
            close = difflib.get_close_matches(option, known, 1, 0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"it takes {', '.join(known)}."
            raise SettingError(f"the figure {name!r} has no setting {brief_value(option)}; {hint}")
    if image is not None and known[0] not in ("image", "images"):
        raise SettingError(f"the figure {name!r} takes no image; it takes {', '.join(known)}.")
    return checked_options(options)


def find(name: str) -> Callable[..., Sheet | Diagram | Table]:
    """Find the function that makes a figure or table.

    Parameters
    ----------
    name : str
        "paper.number".

    Returns
    -------
    callable
        The function.

    Raises
    ------
    SettingError
        If the name is unknown.
    """
    name = text("'paper.number', such as 'preimage2016.5'")("name", name)
    paper, _, number = name.partition(".")
    makers = PAPERS.get(paper, {})
    if number not in makers:
        close = difflib.get_close_matches(name[:80], names(), 1, 0.5)
        hint = f"did you mean {close[0]!r}?" if close else "`cnnexplore figure` lists all of them."
        raise SettingError(f"there is no figure {brief_value(name)}; {hint}")
    return makers[number]


def settings(name: str) -> list[str]:
    """List the settings that a figure or table takes.

    Parameters
    ----------
    name : str
        "paper.number".

    Returns
    -------
    list of str
        The figure's own settings, then those of the pre-image runs behind it, if any.
    """
    own: list[str] = []
    for parameter in list(inspect.signature(find(name)).parameters.values())[1:]:
        own += _run_settings() if parameter.kind is parameter.VAR_KEYWORD else [parameter.name]
    return list(dict.fromkeys(own))


@cache
def _run_settings() -> list[str]:
    """The keyword-only settings of all functions that make pre-images."""
    methods: list[Callable[..., Any]] = [invert, maximize, caricature, complete, visualize_topic]
    found = [p for method in methods for p in inspect.signature(method).parameters.values()]
    return list(dict.fromkeys(p.name for p in found if p.kind is p.KEYWORD_ONLY))


def _to_python(name: str, net: Network | None, image: Any, options: dict[str, Any]) -> str:
    """The call of `figure`; what has no short Python is called by the name of its argument."""
    arguments = [repr(name)]
    if net is not None:
        arguments.append(net.to_python())
    if image is not None:
        text = image_to_python(image) if not isinstance(image, (list, tuple)) else _value_to_python("image", image)
        arguments.append(text if net is not None else f"image={text}")
    said = {key: value for key, value in options.items() if key not in ("log", "executor")}
    arguments += [f"{key}={_value_to_python(key, value)}" for key, value in said.items()]
    return f"cx.figure({', '.join(arguments)})"


def _value_to_python(name: str, value: Any) -> str:
    """Numbers, text and lists of them as they are; anything else by its argument's name."""
    parts = value if isinstance(value, (list, tuple)) else [value]
    plain = all(part is None or isinstance(part, (bool, int, float, str)) for part in parts)
    return value_to_python(value) if plain else name
