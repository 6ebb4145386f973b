"""Selectors: the row in which network, layer and image are chosen."""

from __future__ import annotations

import ipywidgets as w
import numpy as np

from ...errors import ExploreError
from ...network import Network, read_image
from ...zoo import embedded, load
from ..live.selection import Selection, SharedSelection, middle_layer
from ..views.run_view import RunView
from .images import ImageChoices

_NETWORKS = ("squeezenet1_1", "alexnet", "vgg16", "resnet18")  # offered beside the one given and the embedded ones
_IDENTITIES = ("Dropout", "Flatten", "Identity")


class Selectors:
    """Dropdowns for network, layer and image, and an upload; they write into a selection and follow it.

    Parameters
    ----------
    selection : SharedSelection
    image_choices : ImageChoices, optional
        The images that are offered; None for a panel that looks at none.
    run_view : RunView
        Shows errors.
    layer_help : str
        What the layer is chosen for.
    """

    def __init__(
        self, selection: SharedSelection, image_choices: ImageChoices | None, run_view: RunView, layer_help: str
    ):
        self.selection, self.image_choices, self.run_view = selection, image_choices, run_view
        net = selection.value.net
        assert net is not None
        names = list(dict.fromkeys([net.name, *embedded(), *_NETWORKS]))
        self._nets: dict[str, Network] = {net.name: net}
        self._quiet = False
        self.network = w.Dropdown(options=names, value=net.name, tooltip="the network")
        self.layer = w.Dropdown(
            options=_layer_options(net, selection.value.layer),
            value=selection.value.layer,
            tooltip=f"{layer_help}: rows x columns x units, and how many pixels of the image one unit sees",
        )
        self.network.observe(self._network_chosen, "value")
        self.layer.observe(self._layer_chosen, "value")
        self.row = [self.network, self.layer]
        if image_choices is not None:
            names, first = image_choices.names, image_choices.first
            self.image = w.Dropdown(options=names, value=first, tooltip="the image")
            self.upload = w.FileUpload(accept="image/*", multiple=False, description="upload")
            self.upload.layout.width = "96px"
            self.image.observe(self._image_chosen, "value")
            self.upload.observe(self._uploaded, "value")
            self.row += [self.image, self.upload]
        for chooser in self.row:
            if isinstance(chooser, w.Dropdown):
                _fit_names(chooser)
                chooser.observe(lambda change: _fit_names(change["owner"]), "options")
        selection.observe(self._follow)

    def close(self) -> None:
        """No longer follow the selection."""
        self.selection.unobserve(self._follow)

    def _network_chosen(self, change: dict) -> None:
        name, net = change["new"], self.selection.value.net
        if self._quiet or net is None or name == net.name:
            return
        with self.run_view.show_errors():
            try:
                if name not in self._nets:
                    self.run_view.set_status("loading", f"loading {name} …")
                    self._nets[name] = load(name)
            except ExploreError:
                self.network.value = change["old"]  # the choice stays that of the picture
                raise
            self.selection.set(net=self._nets[name], layer=middle_layer(self._nets[name]).name)

    def _layer_chosen(self, change: dict) -> None:
        if change["new"] and not self._quiet:
            self.selection.set(layer=change["new"])

    def _image_chosen(self, change: dict) -> None:
        if change["new"] and self.image_choices is not None:
            with self.run_view.show_errors():
                image, python = self.image_choices[change["new"]]
                self.selection.set(image=image, image_python=python)

    def _uploaded(self, change: dict) -> None:
        if not change["new"] or self.image_choices is None:
            return
        file = change["new"][0]
        with self.run_view.show_errors():
            net = self.selection.value.net
            numbers = (read_image if net is None else net.pixels.read)(bytes(file["content"])).numpy()
            picture = np.moveaxis(numbers, 0, -1).round().astype(np.uint8)
            self.image_choices.add(file["name"], picture, repr(file["name"]))
            self.image.options = self.image_choices.names
            self.image.value = file["name"]

    def _follow(self, old: Selection, new: Selection) -> None:
        """Show what is selected, also where another panel selected it."""
        net, layer = new.net, new.layer
        if net is None or not {"net", "layer"} & new.differences(old):
            return
        self._nets.setdefault(net.name, net)
        self._quiet = True
        try:
            if net.name not in self.network.options:
                self.network.options = [net.name, *self.network.options]
            self.network.value = net.name
            options = _layer_options(net, layer)
            if list(self.layer.options) != options:
                self.layer.options = options
            self.layer.value = layer
        finally:
            self._quiet = False


def _fit_names(chooser: w.Dropdown) -> None:
    """Make a dropdown as wide as its longest name, so that none is cut."""
    names = [option[0] if isinstance(option, tuple) else option for option in chooser.options]
    longest = max(map(len, names), default=0)
    chooser.layout.width = f"calc({longest}ch + 32px)"
    chooser.layout.max_width = "100%"


def _layer_options(net: Network, chosen: str) -> list[tuple[str, str]]:
    """(text, name) of the layers; the layers inside a named block are left out, but for the chosen one."""
    return [
        (f"{name}   {layer.describe()}", name)
        for name, layer in net.layers.items()
        if name == chosen or ("/" not in name and layer.kind not in _IDENTITIES)
    ]
