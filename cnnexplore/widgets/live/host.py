"""The host of a panel: a sentence where it cannot draw panels. anywidget switches on Colab's widget manager."""

from __future__ import annotations

import ipywidgets

IN_MARIMO = (
    "Panels need Jupyter's widget containers, which marimo does not have; one view alone works: "
    "mo.ui.anywidget(cx.UnitGrid(...))."
)
WITHOUT_MANAGER = (
    "A live panel; run the cell to use it. If this line stays, the notebook has no widget manager: in a terminal, "
    '"cnnexplore doctor" says what helps.'
)


def why_not_drawn() -> str:
    """A sentence where the kernel's own packages cannot open a panel, with the command that helps; else empty."""
    if int(ipywidgets.__version__.split(".")[0]) < 8:
        return (
            f"Panels cannot be drawn with ipywidgets {ipywidgets.__version__}; run: "
            'pip install -U "ipywidgets>=8.1.5", then restart the kernel.'
        )
    return ""
