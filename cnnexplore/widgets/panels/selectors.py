"""Selectors: the row in which network, layer and image are chosen."""

from __future__ import annotations

import ipywidgets as w
import numpy as np

from ...errors import ExploreError
from ...network import Network, read_image
from ...zoo import embedded, load
from ..live.selection import Selection
from ..views.run_view import RunView
from .images import ImageChoices, layer_choices, middle_layer

_NETWORKS = ("squeezenet1_1", "alexnet", "vgg16", "resnet18")  # offered beside the one given and the embedded ones


class Selectors:
    """Dropdowns for network, layer and image, and an upload, that write into a Selection and follow it.

    image_choices: None for panels that look at no image. layer_help: what the layer is chosen for. Errors are shown by
    the run view.
    """

    def __init__(self, selection: Selection, image_choices: ImageChoices | None, run_view: RunView, layer_help: str):
        self.selection, self.image_choices, self.run_view = selection, image_choices, run_view
        net = selection.net
        names = list(dict.fromkeys([net.name, *embedded(), *_NETWORKS]))
        self._nets: dict[str, Network] = {net.name: net}
        self.network = w.Dropdown(options=names, value=net.name, tooltip="the network", layout=w.Layout(width="150px"))
        self.layer = w.Dropdown(
            options=layer_choices(net, selection.layer),
            value=selection.layer,
            tooltip=f"{layer_help}: rows x columns x channels, and how much of the image one unit sees",
            layout=w.Layout(width="230px"),
        )
        self.network.observe(self._network_chosen, "value")
        self.layer.observe(self._layer_chosen, "value")
        self.row = [self.network, self.layer]
        if image_choices is not None:
            names, first = image_choices.names, image_choices.first
            self.image = w.Dropdown(options=names, value=first, layout=w.Layout(width="140px"))
            self.image.tooltip = "the image that is encoded"
            self.upload = w.FileUpload(accept="image/*", multiple=False, description="upload")
            self.upload.layout.width = "96px"
            self.image.observe(self._image_chosen, "value")
            self.upload.observe(self._uploaded, "value")
            self.row += [self.image, self.upload]
        selection.observe(lambda change: self._follow(), ["net", "layer"])

    def _network_chosen(self, change) -> None:
        name = change.new
        if name == self.selection.net.name:
            return
        with self.run_view.show_errors():
            try:
                if name not in self._nets:
                    self.run_view.set_status("loading", f"loading {name} …")
                    self._nets[name] = load(name)
            except ExploreError:
                self.network.value = change.old  # the choice stays what the picture shows
                raise
            net = self._nets[name]
            self.selection.set(net=net, layer=middle_layer(net).name)

    def _layer_chosen(self, change) -> None:
        if change.new:
            self.selection.set(layer=change.new)

    def _image_chosen(self, change) -> None:
        if change.new:
            with self.run_view.show_errors():
                picture, code = self.image_choices[change.new]
                self.selection.image_python = code
                self.selection.image = picture

    def _uploaded(self, change) -> None:
        if not change.new:
            return
        file = change.new[0]
        with self.run_view.show_errors():
            picture = np.moveaxis(read_image(bytes(file["content"])).numpy(), 0, -1).round().astype(np.uint8)
            self.image_choices.add(file["name"], picture, repr(file["name"]))
            self.image.options = self.image_choices.names
            self.image.value = file["name"]

    def _follow(self) -> None:
        """Shows what is selected, also where another panel selected it."""
        net, layer = self.selection.net, self.selection.layer
        if layer not in net.layers:
            return  # the other half of a change follows
        self._nets.setdefault(net.name, net)
        if self.network.value != net.name:
            if net.name not in self.network.options:
                self.network.options = [net.name, *self.network.options]
            self.network.value = net.name
        choices = layer_choices(net, layer)
        if list(self.layer.options) != choices:
            self.layer.unobserve(self._layer_chosen, "value")
            self.layer.options = choices
            self.layer.value = layer
            self.layer.observe(self._layer_chosen, "value")
        elif self.layer.value != layer:
            self.layer.value = layer
