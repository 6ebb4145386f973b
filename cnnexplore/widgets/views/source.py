"""The JavaScript and CSS of the views as text: each view's module with the helpers of shared.js in front."""

from __future__ import annotations

import re
from pathlib import Path

_FOLDER = Path(__file__).parent
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./shared\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=function |const |class )", re.MULTILINE)


def javascript(name: str) -> str:
    """Return the ES module of a view; anywidget sends it to the browser as one text, so that it needs no server.

    Parameters
    ----------
    name : str
        Name of the file without its ending, for example "frame_view".

    Returns
    -------
    str
        shared.js without its exports, then the module without its import of shared.js.
    """
    shared, view = _read("shared.js"), _read(f"{name}.js")
    return f"{_EXPORT.sub('', shared)}\n{_IMPORT.sub('', view)}"


def css(name: str) -> str:
    """Return the style sheet of a view, given the name of its file without the ending."""
    return _read(f"{name}.css")


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
