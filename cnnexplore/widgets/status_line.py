"""StatusLine: one line that says what a panel without a run is doing, or what went wrong."""

from __future__ import annotations

import anywidget
import traitlets

from .frame_view import STATIC
from .run_view import Sentences


class StatusLine(anywidget.AnyWidget):
    """A sentence at the foot of a panel, with a traceback one click away; also clipboard and downloads."""

    _esm = STATIC / "status_line.js"
    _css = STATIC / "status_line.css"
    status = traitlets.Dict().tag(sync=True)

    def tell(self, state: str, text: str, trace: str = "") -> None:
        """Another sentence; the state "failed" makes it stand out."""
        self.status = {"state": state, "text": text, "trace": trace}

    def sentences(self) -> Sentences:
        """A context in which an error on purpose becomes the sentence, and all else stays as it was."""
        return Sentences(self)

    def copy(self, text: str) -> None:
        """Puts text on the clipboard of whoever looks."""
        self.send({"kind": "copy", "text": text})

    def download(self, name: str, png: bytes) -> None:
        """Hands a PNG file to the browser."""
        self.send({"kind": "download", "name": name}, buffers=[png])
