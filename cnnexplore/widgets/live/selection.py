"""What is looked at: one observable state that any number of panels share."""

from __future__ import annotations

import traitlets

from ...network import Network

EACH = -1  # the style that stands for each beside the next


class Selection(traitlets.HasTraits):
    """Network, image, layer and unit that panels look at.

    image: anything that `Network.pixels_of` takes; image_python: the Python that makes it. unit: one of the layer;
    position: a (row, column) of its map; either may be None, and both are on another layer. target: a class, None: any.
    styles: a `ClassStyles`, the known styles of the classes; style: the number of one of them, None: all.
    """

    net = traitlets.Instance(Network, allow_none=True)
    image = traitlets.Any()
    image_python = traitlets.Unicode("image")
    layer = traitlets.Unicode()
    unit = traitlets.Int(allow_none=True, default_value=None)
    position = traitlets.Tuple(allow_none=True, default_value=None)
    target = traitlets.Int(allow_none=True, default_value=None)
    styles = traitlets.Any()
    style = traitlets.Int(allow_none=True, default_value=None)

    def set(self, **choices) -> None:
        """Changes several at once: panels are told when all are in place."""
        with self.hold_trait_notifications():
            if "layer" in choices and (choices["layer"], choices.get("net", self.net)) != (self.layer, self.net):
                choices = {"unit": None, "position": None, **choices}
            if self.net is not None and choices.get("net", self.net).labels != self.net.labels:
                choices = {"target": None, "style": None, **choices}
            for name, value in choices.items():
                setattr(self, name, value)
