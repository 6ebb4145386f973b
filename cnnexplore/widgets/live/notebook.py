"""What a panel needs of the notebook around it: the cell that it is in, and a static picture beside the widgets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_panels: dict[str, int] = {}


def cell_key() -> str | None:
    """The key of a panel: the same for the k-th panel of a cell each time the cell is run; None outside a notebook."""
    try:
        from IPython import get_ipython

        parent = get_ipython().kernel.get_parent("shell")
        cell, message = parent["metadata"]["cellId"], parent["header"]["msg_id"]
    except (AttributeError, KeyError, TypeError, LookupError):
        return None
    k = _panels[message] = _panels.get(message, -1) + 1
    return f"{cell} {k}"


def show_with_png(widget: Any, png: bytes) -> Callable[[bytes], None]:
    """Display a widget and a PNG behind it, which is hidden while the widget lives.

    The PNG is what nbconvert, a repository's web view, or a notebook without a kernel shows.

    Parameters
    ----------
    widget : ipywidgets.Widget
    png : bytes
        The file.

    Returns
    -------
    callable
        Puts another PNG in its place.
    """
    from IPython.display import Image, display

    display(widget)
    handle = display(Image(png, format="png"), display_id=True)
    return lambda png: handle.update(Image(png, format="png"))
