"""The learned inverters that ship with the package, and the one that a network and a layer have."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ..arguments import path
from ..errors import LayerError, NetworkError, SettingError, brief_value
from ..network import Network
from ..network.tensor_file import read_metadata
from .decoder import Plan
from .inverter import Inverter, weights_digest
from .inverter_file import read_inverter

_FOLDER = Path(str(resources.files("cnnexplore") / "zoo" / "weights"))
_FILES = "*-inverter-*.safetensors"


@dataclass(frozen=True)
class InverterEntry:
    """A learned inverter that ships with the package.

    Attributes
    ----------
    network : str
        The network that it was trained for.
    layer : str
        The layer that it inverts.
    loss : str
        "pixel", "feature" or "adversarial"; one of the last kind is also a prior for `maximize`.
    image_error : float
        ||x' - x|| / ||x|| on images that were left out, with the mean subtracted.
    activation_error : float
        ||Phi(x') - Phi(x)|| / ||Phi(x)|| on the same images.
    megabytes : float
        The size of its file.
    file : str
        The path of its file.
    """

    network: str
    layer: str
    loss: str
    image_error: float
    activation_error: float
    megabytes: float
    file: str


class Inverters(list[InverterEntry]):
    """A list of entries that prints as a table."""

    def __repr__(self) -> str:
        head = f"{'network':<16} {'layer':<8} {'loss':<12} {'image error':>11} {'activation error':>17} {'MB':>5}"
        rows = [
            f"{e.network:<16} {e.layer:<8} {e.loss:<12} {e.image_error:>11.2f} {e.activation_error:>17.2f} "
            f"{e.megabytes:>5.1f}"
            for e in self
        ]
        return "\n".join([head, *rows])


@functools.lru_cache(maxsize=1)
def _metadata() -> tuple[tuple[Path, dict[str, str]], ...]:
    return tuple((file, read_metadata(file)) for file in sorted(_FOLDER.glob(_FILES)))


@functools.lru_cache(maxsize=32)
def _read(file: Path) -> Inverter:
    return read_inverter(file)


def inverters() -> Inverters:
    """List the learned inverters that ship with the package.

    Returns
    -------
    Inverters
        A list of `InverterEntry`, printed as a table.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> [entry.layer for entry in cx.inverters() if entry.network == "worldnet"]
    ['pool5', 'relu3', 'relu6']
    """
    found = Inverters()
    for file, known in _metadata():
        errors = json.loads(known["errors"])
        size = round(file.stat().st_size / 1e6, 1)
        found.append(
            InverterEntry(
                known["network"], known["layer"], known["loss"], errors["image"], errors["activation"], size, str(file)
            )
        )
    return found


def given_inverter(name: str, value: Any) -> Inverter:
    """An inverter that a user gave: itself, or the path of its file. Raises WeightsError, SettingError."""
    if isinstance(value, Inverter):
        return value
    if isinstance(value, (str, os.PathLike)):
        return read_inverter(path("the path of a file that cnnexplore train inverter wrote")(name, value))
    raise SettingError(
        f"{name} is {brief_value(value)}; expected the path of a file that cnnexplore train inverter wrote, or a "
        "cnnexplore.generators.Inverter."
    )


def layers_with_inverter(net: Network) -> list[str]:
    """The layers of a network that have a shipped inverter, in the order of the network."""
    mine = _of_network(net)
    return [name for name in net.layers if name in mine]


def has_inverter(net: Network, layer: str) -> bool:
    """Whether a layer has a shipped inverter."""
    name = net.layers[layer].name
    return any(known["layer"] == name for _, known in _metadata()) and name in _of_network(net)


def _of_network(net: Network) -> dict[str, Path]:
    """The files of a network's shipped inverters, by layer."""
    shape = (net.pixels.channels, *net.size)
    fits = [(file, known) for file, known in _metadata() if Plan.from_json(known["plan"]).image == shape]
    if not fits:
        return {}
    digest = weights_digest(net)
    return {known["layer"]: file for file, known in fits if known["digest"] == digest}


def find_inverter(net: Network, layer: str, given: Inverter | None = None) -> Inverter:
    """The inverter of a layer: the one given, or the one that ships with the package.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The layer.
    given : Inverter, optional
        The user's own.

    Returns
    -------
    Inverter
        On the CPU.

    Raises
    ------
    LayerError
        If there is none, or the one given inverts another layer.
    NetworkError
        If the one given was trained for another network.
    """
    where = net.layers[layer]
    if given is not None:
        given.check_network(net)
        if given.layer != where.name:
            raise LayerError(f"the inverter that was given inverts {given.layer}, not {where.name}; give that layer.")
        return given
    file = _of_network(net).get(where.name)
    if file is not None:
        return _read(file)
    raise LayerError(
        f"there is no learned inverter of {where.name} of {net.name}; there are some of {_known()}; train one with "
        f"{_command(net, where.name)} and give its file as inverter=."
    )


def find_generator(net: Network, given: Inverter | str | None = None) -> Inverter:
    """The generator of a network: the inverter that was trained with the adversarial loss, of the deepest layer.

    Parameters
    ----------
    net : Network
        The network.
    given : Inverter or str, optional
        Another network's generator: the name of that network, or an inverter.

    Returns
    -------
    Inverter
        On the CPU.

    Raises
    ------
    NetworkError
        If there is none, or its images are of other channels than the network takes.
    """
    if isinstance(given, Inverter):
        found = given
    else:
        rows = [row for row in inverters() if row.loss == "adversarial"]
        if given is not None:
            files = [row.file for row in rows if row.network == given]
        else:
            mine = {str(file) for file in _of_network(net).values()}
            files = [row.file for row in rows if row.file in mine]
        if not files:
            names = sorted({row.network for row in rows})
            wanted = f"{brief_value(given)} has" if given is not None else f"{net.name} has"
            raise NetworkError(
                f"{wanted} no generator; there are those of {_listed(names)}, which any network of colour images can "
                f"use, as in generator={(names or ['worldnet'])[0]!r}; or train one with cnnexplore train inverter "
                "--loss adversarial and give its file."
            )
        found = _read(Path(files[-1]))
    colours = "channels" not in (found.pixels.order, net.pixels.order)
    if not colours and found.pixels != net.pixels:
        raise NetworkError(f"the generator makes images of {found.pixels}, and {net.name} takes {net.pixels}.")
    return found


def _known() -> str:
    by_network: dict[str, list[str]] = {}
    for entry in inverters():
        by_network.setdefault(entry.network, []).append(entry.layer)
    return " and ".join(f"{_listed(layers)} of {network}" for network, layers in by_network.items()) or "no network"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1] if names else "no network"


def _command(net: Network, layer: str) -> str:
    if net.source.startswith("cx.load("):
        return f"cnnexplore train inverter --net {net.name} --layer {layer}"
    return f"cnnexplore.zoo.training.inverter.train(net, {layer!r}, ...)"
