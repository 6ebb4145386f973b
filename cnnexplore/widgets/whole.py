"""explore: the whole instrument, live, in a notebook."""

from __future__ import annotations

from .inversion_panel import InversionPanel


def explore(net=None, images=None) -> InversionPanel:
    """The instrument for a network (default: photonet) and images (one, a list, or a dict by name).

    Shown by being the last line of a cell. Raises ImageError, NetworkError.
    """
    return InversionPanel(net, images)
