"""Small ipywidgets that all panels use, and text that is safe inside HTML."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as w
import numpy as np

from .. import drawing

WRAP = {"flex_flow": "row wrap", "align_items": "flex-start"}  # a row that wraps on a narrow screen
MUTED, WRONG = "ui-font-color2", "error-color1"  # JupyterLab's colours for a remark and for an error


def escaped(text: object) -> str:
    """Text of a file, a network or a user, for use inside HTML.

    Parameters
    ----------
    text : object
        Anything; `str` is applied first.

    Returns
    -------
    str
        The text in which `<`, `>`, `&` and quotes are character references.
    """
    return html.escape(str(text), quote=True)


def sentence(text: str, colour: str = MUTED) -> str:
    """The HTML of one escaped sentence in one of JupyterLab's colours."""
    return f'<span style="display:block;line-height:1.3;color:var(--jp-{colour})">{escaped(text)}</span>'


def button(name: str, icon: str, tooltip: str, act: Callable[[], None], width: int | None = None) -> w.Button:
    """A button that calls a function without arguments; as wide as its name needs, or so many pixels."""
    width = width or 40 + 8 * len(name)
    made = w.Button(description=name, icon=icon, tooltip=tooltip, layout=w.Layout(width=f"{width}px"))
    made.on_click(lambda _: act())
    return made


def dropdown(options: Sequence[Any], name: str, tooltip: str, width: int, value: object = None) -> w.Dropdown:
    """A dropdown with a label that takes no more room than it needs; the first option is chosen unless one is given."""
    style, layout = {"description_width": "initial"}, w.Layout(width=f"{width}px")
    made = w.Dropdown(options=options, description=name, tooltip=tooltip, layout=layout, style=style)
    if value is not None:
        made.value = value
    return made


def colour_bar(low: float, high: float, signed: bool, width: int) -> str:
    """HTML of the colour scale of `drawing.heat` with its end values, `width` screen pixels wide."""
    steps = drawing.heat(np.linspace(low, high, 9), signed, (low, high))
    colours = ", ".join(f"rgb({r},{g},{b})" for r, g, b in steps.tolist())
    middle = "<span>0</span>" if signed else ""
    title = "against … for" if signed else ""
    return (
        f'<div style="width:{width}px;line-height:1.4;color:var(--jp-ui-font-color2)">'
        f'<div style="height:8px;background:linear-gradient(to right,{colours})" title="{title}"></div>'
        f'<div style="display:flex;justify-content:space-between;font-size:11px"><span>{low:.2g}</span>{middle}'
        f"<span>{high:.2g}</span></div></div>"
    )
