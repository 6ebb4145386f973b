"""What a panel needs of the notebook around it: the cell that it is in, and a static picture beside the widgets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import WeakSet

from ..elements import sentence
from .host import WITHOUT_MANAGER, why_not_drawn


class Closable(Protocol):
    """What a cell has made, and what ends when the cell is run again."""

    def close(self) -> None: ...


@dataclass
class _Execution:
    """One execution of a cell: its message, how many keys it was given, and what it made that can be closed."""

    message: str
    keys: int = 0
    made: WeakSet[Closable] = field(default_factory=WeakSet)


_executions: dict[str, _Execution] = {}  # the last one by cell


def cell_key(made: Closable | None = None) -> str | None:
    """The key of a panel: the same for the k-th panel of a cell each time the cell is run; None outside a notebook.

    Parameters
    ----------
    made : Closable, optional
        The panel, which is closed when the cell is run again.
    """
    try:
        from IPython import get_ipython

        shell = get_ipython()
        parent = shell.kernel.get_parent("shell")
        cell, message = parent["metadata"]["cellId"], parent["header"]["msg_id"]
    except (AttributeError, KeyError, TypeError, LookupError):
        return None
    if cell not in _executions or _executions[cell].message != message:
        _end_execution(cell)
        _executions[cell] = _Execution(message)
    if _runs not in shell.events.callbacks["pre_run_cell"]:
        shell.events.register("pre_run_cell", _runs)
    execution = _executions[cell]
    if made is not None:
        execution.made.add(made)
    execution.keys += 1
    return f"{cell} {execution.keys - 1}"


def _runs(info: Any) -> None:
    """A cell is about to run: its output, with the panels of its last execution, is gone."""
    _end_execution(getattr(info, "cell_id", None))


def _end_execution(cell: str | None) -> None:
    former = _executions.pop(cell, None) if cell is not None else None
    for made in list(former.made) if former is not None else ():
        made.close()


def on_close(widget: Any, act: Callable[[], None]) -> None:
    """Call a function when a widget is closed, by `close`, by `Widget.close_all` or by the browser.

    Parameters
    ----------
    widget : ipywidgets.Widget
        One that is open.
    act : callable
        Called without arguments; perhaps more than once.
    """
    widget.observe(lambda change: act() if change["new"] is None else None, "comm")
    widget.comm.on_close(lambda message: act())


def show_closed(what: str) -> None:
    """Display a sentence in the place of something that was closed.

    Parameters
    ----------
    what : str
        One word for it.
    """
    from IPython.display import HTML, display

    display(HTML(sentence(f"this {what} is closed; make it again to see it.")))


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
    from IPython.display import HTML, Image, display

    if why := why_not_drawn():
        display(HTML(sentence(why)))
        handle = display(Image(png, format="png"), display_id=True)
        return lambda png: handle.update(Image(png, format="png"))
    shown = widget._repr_mimebundle_()  # its text/plain, a list of all widgets, would stand in an exported notebook
    display({**shown, "text/plain": WITHOUT_MANAGER}, raw=True)
    handle = display(Image(png, format="png"), display_id=True)
    return lambda png: handle.update(Image(png, format="png"))
