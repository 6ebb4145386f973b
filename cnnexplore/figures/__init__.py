"""The papers' figures and tables, each by one call, on any network; every one returns the data behind the picture."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable

from ..errors import SettingError
from ..zoo import DEFAULT, load
from . import decoding2015, intraclass2015, inverting2015, lecture2017, preimage2016
from .diagram import Diagram
from .sheet import Cell, Sheet
from .table import Table

__all__ = ["Cell", "Diagram", "Sheet", "Table", "figure", "names"]

PAPERS = {
    "decoding2015": decoding2015.FIGURES,
    "intraclass2015": intraclass2015.FIGURES,
    "inverting2015": inverting2015.FIGURES,
    "lecture2017": lecture2017.FIGURES,
    "preimage2016": preimage2016.FIGURES,
}
_STYLED = ("intraclass2015.1", "intraclass2015.6")  # need images of which the network knows styles


def names() -> dict[str, str]:
    """What can be made: "paper.number" -> one line on what it shows."""
    return {
        f"{paper}.{number}": (make.__doc__ or "").split("\n")[0].rstrip(".")
        for paper, made in PAPERS.items()
        for number, make in made.items()
    }


def figure(name: str, net=None, image=None, **options) -> Sheet | Diagram | Table:
    """The figure or table "paper.number" (see `names`) for a network and an image, or images.

    net, image: ones that come with the package, and suit the figure, unless given. options: what the function of that
    figure takes, such as steps, layers or seed. Raises SettingError for an unknown name, and what the figure's method
    raises.
    """
    make = find(name)
    parameters = inspect.signature(make).parameters
    for option in options:
        if option not in parameters and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            takes = ", ".join(list(parameters)[1:])
            raise SettingError(f"the figure {name!r} has no setting {option!r}; it takes {takes}.")
    net = load("worldnet-styles" if name in _STYLED else DEFAULT) if net is None else net
    return make(net, **options) if image is None else make(net, image, **options)


def find(name: str) -> Callable:
    """What makes the figure or table of that name. Raises SettingError for an unknown one."""
    paper, _, number = name.partition(".")
    made = PAPERS.get(paper, {})
    if number not in made:
        close = difflib.get_close_matches(name, names(), 1, 0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(names())}."
        raise SettingError(f"there is no figure {name!r}; {hint}")
    return made[number]
