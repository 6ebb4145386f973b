"""What a panel needs of the notebook around it: which cell it is in, and a still picture for when no kernel runs."""

from __future__ import annotations

from collections.abc import Callable

_panels: dict[str, int] = {}


def cell_key() -> str | None:
    """The same for the k-th panel of a cell each time the cell is run; None outside a notebook."""
    try:
        from IPython import get_ipython

        parent = get_ipython().kernel.get_parent("shell")
        cell, message = parent["metadata"]["cellId"], parent["header"]["msg_id"]
    except (AttributeError, KeyError, TypeError, LookupError):
        return None
    k = _panels[message] = _panels.get(message, -1) + 1
    return f"{cell} {k}"


def show_with_still(widget, poster: bytes) -> Callable[[bytes], None]:
    """Displays a widget and, behind it, a still PNG that is hidden while the widget lives.

    The still is what nbconvert, a repository's web view, or a notebook without a kernel shows. Returns the function
    that puts another PNG in its place.
    """
    from IPython.display import Image, display

    display(widget)
    handle = display(Image(poster, format="png"), display_id=True)
    return lambda png: handle.update(Image(png, format="png"))
