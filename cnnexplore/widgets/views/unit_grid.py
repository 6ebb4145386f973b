"""UnitGrid: thumbnails to choose from, filled in as they are made."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import traitlets

from ... import drawing
from ...arguments import checked, several, whole
from ...errors import SettingError, brief_value
from ..live.open_views import OpenViews
from .messages import MalformedMessage, Message
from .view import View

_CHUNK = 64  # thumbnails in one message, at most


def _caption(name: str, value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    raise SettingError(f"{name} is {brief_value(value)}; expected a text.")


class UnitGrid(View):
    """A grid of square thumbnails, of which a click or the arrow keys select one.

    Parameters
    ----------
    count : int
        Number of thumbnails.
    side : int
        Their size in pixels.
    captions : sequence of str
        A name for each; "unit 7" where there is none.
    **traits
        Values of the attributes below, or of any other trait of a widget.

    Attributes
    ----------
    order : list of int
        The thumbnails in the order in which they are shown; empty for as numbered.
    shown : int
        Size on the screen, by default `side`, at most 64.
    rows : float
        Number of rows in sight; the rest is scrolled.
    selected : int
        The selected thumbnail, or -1.
    labelled : bool
        Whether a caption stands under each thumbnail, in one line, with an ellipsis where it is too long; the whole
        is shown under the mouse.
    label : str
        What the thumbnails are, for screen readers: "units".
    words : dict
        For thumbnails that are words: the word and its reason, by number; `say` fills it.
    note : str
        Text beside the caption of the selected thumbnail.
    action : str
        Text of a button behind it; empty for none.
    resets : int
        How often the grid was emptied; a view does not draw the thumbnails of an earlier number.
    on_action : callable
        Called without arguments when that button is pressed.
    on_views : callable
        Called with the number of open views when it has changed.

    Examples
    --------
    >>> import numpy as np
    >>> import cnnexplore as cx
    >>> grid = cx.UnitGrid(3, 8, captions=["edge", "corner"])
    >>> grid.put([0, 2], np.zeros((2, 8, 8, 3), np.uint8))
    >>> grid.done
    2
    """

    _files = "unit_grid"
    _from_browser = frozenset({"selected"})
    count = traitlets.Int(0).tag(sync=True)
    side = traitlets.Int(64).tag(sync=True)
    shown = traitlets.Int(64).tag(sync=True)
    rows = traitlets.Float(3.5).tag(sync=True)
    captions = traitlets.List(traitlets.Unicode()).tag(sync=True)
    order = traitlets.List(traitlets.Int()).tag(sync=True)
    selected = traitlets.Int(-1).tag(sync=True)
    labelled = traitlets.Bool(False).tag(sync=True)
    label = traitlets.Unicode("units").tag(sync=True)
    words = traitlets.Dict().tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)
    resets = traitlets.Int(0).tag(sync=True)
    action = traitlets.Unicode("").tag(sync=True)

    @checked(
        count=whole(0, 100_000, "how many thumbnails"),
        side=whole(1, 4096, "pixels"),
        captions=several(_caption, "a list of texts"),
    )
    def __init__(self, count: int = 0, side: int = 64, captions: Sequence[str] = (), **traits: Any):
        traits.setdefault("shown", min(side, 64))
        super().__init__(count=count, side=side, captions=list(captions), **traits)
        self._sprites: dict[int, np.ndarray] = {}
        self._lock = threading.RLock()  # thumbnails come from a loop's thread, messages from the kernel's
        self.on_action: Callable[[], object] = lambda: None
        self.on_views: Callable[[int], None] = lambda count: None
        self.open_views = OpenViews(lambda count: self.on_views(count))

    @property
    def done(self) -> int:
        """Number of thumbnails that are filled in, by a picture or a word."""
        return len(self._sprites) + len(self.words)

    def put(self, index: int | Sequence[int], rgb: np.ndarray) -> None:
        """Fill in thumbnails.

        Parameters
        ----------
        index : int or sequence of int
            Which one, or which N.
        rgb : ndarray of uint8
            One picture, (H, W, 3), or N, (N, H, W, 3), of any size; it is made to fit.

        Raises
        ------
        IndexError
            If the grid has no such thumbnail.
        """
        indices = [int(index)] if isinstance(index, (int, np.integer)) else [int(k) for k in index]
        pictures = rgb[None] if rgb.ndim == 3 else rgb
        self.open_views.expire()
        with self._lock:
            for k, picture in zip(indices, pictures, strict=True):
                self._refuse_missing(k)
                self._sprites[k] = fit_to_square(picture, self.side)
            if self.words:
                self._set_words(dict.fromkeys(indices))
            if len(self.open_views):
                self._transfer(indices)

    def say(self, index: int | Sequence[int], word: str, why: str = "") -> None:
        """Put a word in the place of thumbnails that have no picture.

        Parameters
        ----------
        index : int or sequence of int
            Which one, or which.
        word : str
            One or two words, such as "silent".
        why : str
            The reason, a sentence; it is shown under the mouse and when the thumbnail is selected.

        Raises
        ------
        IndexError
            If the grid has no such thumbnail.
        """
        indices = [int(index)] if isinstance(index, (int, np.integer)) else [int(k) for k in index]
        with self._lock:
            for k in indices:
                self._refuse_missing(k)
            gone = [k for k in indices if self._sprites.pop(k, None) is not None]
            if gone:
                self.send({"kind": "gone", "units": gone, **self._sizes()})
            self._set_words({k: [word, why] for k in indices})

    def _refuse_missing(self, k: int) -> None:
        if not 0 <= k < self.count:
            raise IndexError(f"{k} is no place in a grid of {self.count}; expected 0 to {self.count - 1}.")

    def _set_words(self, changes: dict[int, list[str] | None]) -> None:
        words = {**self.words, **{str(k): word for k, word in changes.items()}}
        words = {k: word for k, word in words.items() if word is not None}
        if words != self.words:
            self.words = words

    def picture(self, index: int) -> np.ndarray | None:
        """Return a thumbnail, (side, side, 3) uint8; None if it is not filled in.

        Parameters
        ----------
        index : int
            Which one.
        """
        return self._sprites.get(index)

    def on_select(self, act: Callable[[int], object]) -> None:
        """Call a function whenever another thumbnail is selected, by the user or by the program.

        Parameters
        ----------
        act : callable
            Called with its index.
        """
        self.observe(lambda change: act(change.new) if change.new >= 0 else None, "selected")

    def reset(self, count: int, side: int, captions: Sequence[str] = (), order: Sequence[int] = ()) -> None:
        """Empty the grid for other thumbnails; nothing is selected.

        Parameters
        ----------
        count, side : int
            Their number, and their size in pixels.
        captions : sequence of str
            A name for each.
        order : sequence of int
            The order in which they are shown; empty for as numbered.
        """
        with self._lock:
            self._sprites = {}
            with self.hold_sync():
                self.resets += 1
                self.count, self.captions, self.order = count, list(captions), [int(k) for k in order]
                self.side, self.shown = side, min(side, 64)
                self.selected, self.words = -1, {}
            self.send({"kind": "clear", **self._sizes()})

    def probe(self) -> None:
        """Ask the open views for an answer, once a second at most; those that stay silent are dropped."""
        if self.open_views.probe() is not None:
            self.send({"kind": "probe"})

    def _sizes(self) -> dict[str, int]:
        """What a view needs to draw the thumbnails: its traits can arrive later than they."""
        return {"resets": self.resets, "side": self.side, "shown": self.shown}

    def _transfer(self, indices: list[int]) -> None:
        for first in range(0, len(indices), _CHUNK):
            some = indices[first : first + _CHUNK]
            sheet = np.concatenate([self._sprites[k] for k in some])
            self.open_views.send()
            self.send({"kind": "sprites", "units": some, **self._sizes()}, buffers=[sheet.data])

    def _read(self, message: Message) -> Callable[[], object] | None:
        if message.kind == "ready":
            return partial(self._view_ready, message.text("view"))
        if message.kind == "ack":
            return partial(self.open_views.answer, message.text("view"))
        if message.kind == "gone":
            return partial(self.open_views.gone, message.text("view"))
        return (lambda: self.on_action()) if message.kind == "action" else None

    def _view_ready(self, view: str) -> None:
        if not self.open_views.ready(view):
            return
        with self._lock:
            self._transfer(list(self._sprites))
            self.send({"kind": "here", "view": view, "done": len(self._sprites), **self._sizes()})

    def _check(self, name: str, value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value < self.count:
            raise MalformedMessage(name)
        return value


def fit_to_square(picture: np.ndarray, side: int) -> np.ndarray:
    """Put a picture in the middle of a grey square.

    Parameters
    ----------
    picture : ndarray of uint8
        Shape (H, W, 3). It is enlarged by a whole factor, or reduced to fit.
    side : int
        Size of the square in pixels.

    Returns
    -------
    ndarray of uint8
        Shape (side, side, 3).
    """
    h, w = picture.shape[:2]
    if max(h, w) > side:
        picture = drawing.thumbnail(picture, side)
    else:
        times = side // max(h, w)
        picture = picture.repeat(times, 0).repeat(times, 1)
    h, w = picture.shape[:2]
    square = np.full((side, side, 3), 128, np.uint8)
    top, left = (side - h) // 2, (side - w) // 2
    square[top : top + h, left : left + w] = picture
    return square
