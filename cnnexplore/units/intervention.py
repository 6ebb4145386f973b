"""Intervention: the class scores when units of a layer are silenced, set, scaled or raised."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm

from .. import drawing
from ..arguments import array, checked, choice, flag, is_folder, whole
from ..data.images import BATCH, Images
from ..errors import LayerError, SettingError
from ..network import Layer, Network, as_maps, class_score_layer, from_maps, layers_behind, resolve_unit, resolve_units
from ..network.arguments import layer_name, network
from ..results import Result, image_to_python, unit_to_python, value_to_python

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HOW = ("set", "add", "scale")


@dataclass(frozen=True, eq=False)
class Intervention(Result):
    """The class scores of images before and after units were changed.

    Attributes
    ----------
    before, after : np.ndarray
        (N, K) float32, the class scores.
    labels : list of str
        The K classes.
    classes : np.ndarray
        (N,) int, the label of each image, as the data set gives it; -1 for none.
    units : list of int
        The units that were changed.
    value : np.ndarray
        (U,) float32, for each of them.
    how : str
        "set", "add" or "scale".
    layer : Layer
        Their layer.
    net : Network
        The network.
    python : str
        The call that makes this result again.
    """

    before: np.ndarray = field(repr=False)
    after: np.ndarray = field(repr=False)
    labels: list[str] = field(repr=False)
    classes: np.ndarray = field(repr=False)
    units: list[int]
    value: np.ndarray = field(repr=False)
    how: str
    layer: Layer
    net: Network = field(repr=False)
    python: str = field(default="", repr=False)

    @property
    def change(self) -> np.ndarray:
        """(N, K) float32, what the intervention added to each score."""
        return self.after - self.before

    def effect(self, target: int | str) -> np.ndarray:
        """What the intervention added to a class's score in each image.

        Parameters
        ----------
        target : int or str
            The class: its number, or its label.

        Returns
        -------
        np.ndarray
            (N,) float32.
        """
        return self.change[:, resolve_unit(self.net, class_score_layer(self.net), target)]

    @property
    def flips(self) -> float:
        """The share of images whose largest score is another class's than before."""
        return float((self.before.argmax(1) != self.after.argmax(1)).mean())

    @checked(most=whole(1, 200, "how many classes"))
    def plot(self, most: int = 10) -> Figure:
        """A matplotlib figure: mean scores before and after, of the classes that had or have the largest, or changed.

        Parameters
        ----------
        most : int
            How many classes.
        """
        from matplotlib.figure import Figure

        before, after = self.before.mean(0), self.after.mean(0)
        worth = np.maximum.reduce([_rank(before), _rank(after), _rank(np.abs(after - before))])
        chosen = np.argsort(-worth, kind="stable")[:most]
        chosen = chosen[np.argsort(before[chosen], kind="stable")]
        figure = Figure(figsize=(5.2, 0.34 * len(chosen) + 1.0), layout="constrained", dpi=110)
        axis = figure.subplots()
        rows = np.arange(len(chosen))
        axis.barh(rows + 0.2, before[chosen], 0.36, color="#9aa5b1", label="before")
        axis.barh(rows - 0.2, after[chosen], 0.36, color="#c2622d", label="after")
        names = [drawing.printable(f"{self.labels[k]}  {after[k] - before[k]:+.2f}") for k in chosen]
        axis.set_yticks(rows, names, fontsize=8, parse_math=False)
        axis.axvline(0, color="black", lw=0.6)
        axis.set_xlabel("class score" if len(self.before) == 1 else f"class score, mean of {len(self.before)} images",
                        fontsize=8)  # fmt: skip
        axis.tick_params(axis="x", labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(fontsize=8, frameon=False, loc="lower right")
        axis.set_title(drawing.printable(self.describe()), fontsize=9, loc="left", parse_math=False)
        return figure

    def describe(self) -> str:
        """The intervention in words: "conv5: unit 7 set to 0"."""
        few = ", ".join(map(str, self.units[:6])) + (", ..." if len(self.units) > 6 else "")
        named = f"unit {few}" if len(self.units) == 1 else f"{len(self.units)} units ({few})"
        same = len(set(self.value.tolist())) == 1
        value = f"{float(self.value[0]):g}" if same else "a value each"
        verb = {"set": "set to", "add": "raised by", "scale": "multiplied by"}[self.how]
        return f"{self.layer.name}: {named} {verb} {value}"


def _rank(values: np.ndarray) -> np.ndarray:
    """For each value how many are not larger."""
    return values.argsort(kind="stable").argsort(kind="stable")


class Interventions:
    """The class scores of images with units of one layer changed; made once, to be asked often.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The layer's name.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    LayerError
        If the class scores do not depend on the layer.
    NetworkError
        If the network does not end in one score per class.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> from cnnexplore.units import Interventions
    >>> net = cx.load("lenet")
    >>> silence = Interventions(net, "conv2")
    >>> silence.scores(net.pixels_of(cx.digit(3)), [4, 7]).shape
    (1, 10)
    """

    @checked(net=network, layer=layer_name)
    def __init__(self, net: Network, layer: str):
        self.net, self.layer = net, net.layers[layer]
        self.output = class_score_layer(net)
        if self.layer.name not in [one.name for one in [*layers_behind(net, self.output), self.output]]:
            raise LayerError(
                f"the class scores of {net.name} are not computed from {self.layer.name}; choose a layer before "
                f"{self.output.name}."
            )
        self._probe = net.probe(self.layer.name, self.output.name)

    def scores(
        self, x: torch.Tensor, units: Sequence[int] = (), value: float | Sequence[float] = 0.0, how: str = "set"
    ) -> np.ndarray:
        """The class scores with some units changed at all positions of their maps.

        Parameters
        ----------
        x : torch.Tensor
            (N, C, H, W) images in the units of `Network.pixels_of`.
        units : sequence of int
            The units; none for the scores as they are.
        value : float or sequence of float
            A number, or one for each unit.
        how : {"set", "add", "scale"}
            Whether activations become the value, or it is added to them, or they are multiplied by it.

        Returns
        -------
        np.ndarray
            (N, K) float32.
        """
        replace = {self.layer.name: self._change(list(units), value, how)} if len(units) else None
        with torch.no_grad():
            found = self._probe(self.net.feed(x), replace)[self.output.name]
        return found.reshape(len(x), -1).float().cpu().numpy()

    def _change(self, units: list[int], value: Any, how: str) -> Any:
        layer = self.layer

        def change(activations: torch.Tensor) -> torch.Tensor:
            shape = activations.shape[1:]
            maps = torch.zeros_like(as_maps(activations, layer))
            mask, values = maps.clone(), maps
            mask[:, units] = 1
            values[:, units] = torch.as_tensor(value, dtype=maps.dtype, device=maps.device).reshape(-1, 1, 1)
            where = from_maps(mask, layer, shape).bool().reshape(activations.shape)  # not tokens without a position
            new = from_maps(values, layer, shape).reshape(activations.shape)
            if how != "set":
                new = activations + new if how == "add" else activations * new
            return torch.where(where, new, activations)

        return change


@checked(net=network, layer=layer_name, how=choice(HOW), batch=whole(1, 10_000, "how many images to compute at a time"),
         progress=flag)  # fmt: skip
def intervene(
    net: Network,
    image: object,
    layer: str,
    *,
    unit: object,
    value: float | Sequence[float] = 0.0,
    how: str = "set",
    batch: int = BATCH,
    progress: bool = True,
) -> Intervention:
    """Change units of a layer and compute what that does to each class score: what the units cause.

    The units are changed at all positions of their maps, and the rest of the network is computed from that. A unit
    whose word is a concept (see `dissect`) overlaps with it; whether the network uses the unit is shown by this.

    Parameters
    ----------
    net : Network
        A classifier.
    image : image, list, str, os.PathLike, torch data set or Images
        One image, as `Network.pixels_of` takes it, or many: a list, a folder or a data set.
    layer : str
        The layer's name.
    unit : int, str, list or integer array
        The units: numbers, or class labels where the layer is the class scores.
    value : float or sequence of float
        A number, or one for each unit; 0 silences a unit after a rectifier.
    how : {"set", "add", "scale"}
        Whether activations become the value, or it is added to them, or they are multiplied by it.
    batch : int
        How many images to compute at a time.
    progress : bool
        Whether to show a progress bar, for many images.

    Returns
    -------
    Intervention
        The class scores before and after.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    LayerError
        If the class scores do not depend on the layer.
    NetworkError
        If the network does not end in one score per class.
    SettingError
        If the layer has no such unit, or for values that are not finite or not as many as the units.
    ImageError
        If an image cannot be read.

    References
    ----------
    Bau et al., Understanding the role of individual units in a deep neural network, 2020.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> found = cx.intervene(cx.load("lenet"), cx.digit(3), "conv2", unit=[4, 7], progress=False)
    >>> found.change.shape, found.describe()
    ((1, 10), 'conv2: 2 units (4, 7) set to 0')
    """
    where = Interventions(net, layer)
    if unit is None:
        raise SettingError("unit is None; expected the units to change, such as unit=[4, 7].")
    units = list(dict.fromkeys(resolve_units(net, where.layer, unit)))
    values = array("value", value, "a number, or one for each unit", bools=False).reshape(-1)
    if len(values) not in (1, len(units)):
        raise SettingError(f"value has {len(values)} numbers for {len(units)} units; expected one, or one for each.")
    before, after, classes = [], [], []
    for x, labels in _batches(net, image, batch, progress):
        before.append(where.scores(x))
        after.append(where.scores(x, units, values.tolist(), how))
        classes.append(labels)
    words = [net.to_python(), image_to_python(image), repr(where.layer.name), f"unit={unit_to_python(unit, units)}"]
    if values.any() or how != "set":
        given = values.tolist() if len(values) > 1 else float(values[0])
        words.append(f"value={value_to_python(given)}")
    words += [f"how={how!r}"] * (how != "set")
    width = before[0].shape[1]
    names = net.labels if len(net.labels) == width else [f"class {k}" for k in range(width)]
    return Intervention(
        np.concatenate(before), np.concatenate(after), list(names), np.concatenate(classes), units,
        np.broadcast_to(values, len(units)).copy(), how, where.layer, net, f"cx.intervene({', '.join(words)})",
    )  # fmt: skip


def _batches(net: Network, image: Any, batch: int, progress: bool) -> Any:
    """(x, labels) of one image, or of many in batches."""
    if not _is_many(image):
        x = net.pixels_of(image)
        yield x, np.full(len(x), -1, np.int32)
        return
    source = Images.of(net, image)
    with tqdm(total=len(source), desc="intervention", unit="image", disable=not progress) as bar:
        for _, x, labels in source.labelled_batches(net, batch):
            yield x, labels
            bar.update(len(x))


def _is_many(image: Any) -> bool:
    """Whether an argument is a data set, a folder or a list rather than one image."""
    if isinstance(image, (str, os.PathLike)):
        return is_folder(image)
    if isinstance(image, (np.ndarray, torch.Tensor, bytes, bytearray, memoryview)):
        return False
    return isinstance(image, Images) or (hasattr(image, "__getitem__") and hasattr(image, "__len__"))
