"""The networks that can be loaded by name, and `load`."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import torch
from torch import nn

from ..arguments import path
from ..errors import NetworkError, WeightsError, brief_value
from ..network import Network, Pixels
from . import published
from .architectures import characters, dsift, hog, torchvision_classifiers
from .architectures.build import build, fill
from .architectures.oriented_gradients import PIXELS
from .readers import checkpoints
from .readers.weights_file import SUFFIXES, read_network, read_tensors

DEFAULT = "photonet"  # of panels, figures and the explorer

_EMBEDDED = {
    "photonet": "narrow AlexNet, ten classes of photographs (Imagenette)",
    "photonet-robust": "the same, trained against L2 attacks: its pre-images are cleaner",
    "worldnet": "narrow AlexNet, drawn scenes; its checkpoints: worldnet@0 ... @1000",
    "worldnet-robust": "the same, trained against L2 attacks",
    "worldnet-styles": "worldnet, trained further to separate the styles of each class in fc7",
    "lenet": "MatConvNet's LeNet, handwritten digits (MNIST)",
    "lenet-smooth": "the same (MNIST) with smooth filters, the best ones to decode",
}


@dataclass(frozen=True)
class _Formula:
    """A network all of whose weights follow from formulae: there is no weights file."""

    make: Callable[[], nn.Module]
    description: str
    size: int
    pixels: Pixels
    labels: tuple[str, ...] = ()


_FORMULAE = {
    "hog": _Formula(hog.hog, "VLFeat's HOG (UoCTTI), cells of 8 pixels; its weights are formulae", 224, PIXELS),
    "hog-bilinear": _Formula(
        lambda: hog.hog(bilinear=True), "VLFeat's HOG, gradients shared by the nearest two orientations", 224, PIXELS
    ),
    "dsift": _Formula(dsift.dsift, "VLFeat's dense SIFT (fast), cells of 8 pixels, one every 8 pixels", 224, PIXELS),
    "characters": _Formula(
        characters.characters,
        "eight characters, made by hand of bars and corners",
        characters.SIZE,
        characters.PIXELS,
        tuple(characters.CHARACTERS),
    ),
}


@dataclass(frozen=True)
class Entry:
    """A network that can be loaded by name.

    Attributes
    ----------
    name : str
        The name for `load`.
    source : str
        What it is and where its weights come from.
    megabytes : float or None
        The size of its weights; None if unknown.
    offline : bool
        Whether it loads without a download.
    """

    name: str
    source: str
    megabytes: float | None
    offline: bool


class Catalogue(list[Entry]):
    """A list of entries that prints as a table."""

    def __repr__(self) -> str:
        rows = [
            f"{e.name:<28} {'offline' if e.offline else 'download':<9} "
            f"{'' if e.megabytes is None else f'{e.megabytes:.1f} MB':>9}  {e.source}"
            for e in self
        ]
        return "\n".join(rows)


def embedded() -> list[str]:
    """List the networks whose weights ship with the package.

    Returns
    -------
    list of str
        Their names.
    """
    return list(_EMBEDDED)


def networks() -> Catalogue:
    """List all networks that `load` knows by name.

    Returns
    -------
    Catalogue
        A list of `Entry`, printed as a table: embedded networks, HOG and dense SIFT, the networks of the pre-image
        papers, torchvision's classifiers.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> [entry.name for entry in cx.networks()][:3]
    ['photonet', 'photonet-robust', 'worldnet']
    """
    ours = [Entry(name, about, _megabytes(_embedded_file(name)), True) for name, about in _EMBEDDED.items()]
    ours += [Entry(name, formula.description, 0.0, True) for name, formula in _FORMULAE.items()]
    return Catalogue(ours + [Entry(*row) for row in [*published.entries(), *torchvision_classifiers.entries()]])


def load(
    name_or_path: str | os.PathLike[str], *, weights: str | os.PathLike[str] | None = None, device: str = "auto"
) -> Network:
    """Load a network by name or from a weights file.

    Parameters
    ----------
    name_or_path : str or os.PathLike
        A name from `networks()`, `"worldnet@<step>"` for a checkpoint of worldnet's training, or the path of a
        self-describing .safetensors or a MatConvNet .mat file.
    weights : str or os.PathLike, optional
        None for the published weights, `"random"` for an untrained network (always the same), the name of one of
        torchvision's sets of weights, or the path of a .safetensors, .mat or .pth file. Only with a name.
    device : str
        `"auto"` (a GPU if there is one), `"cpu"`, `"cuda"` or `"mps"`.

    Returns
    -------
    Network
        In evaluation mode.

    Raises
    ------
    NetworkError
        If the name, a checkpoint's step or the device is unknown, or the device cannot be used on this computer.
    WeightsError
        If a weights file is missing, damaged or made for another architecture, or a download fails.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> net = cx.load("worldnet", device="cpu")
    >>> net.size
    (96, 96)
    >>> cx.load("worldnet@100", device="cpu").layers["conv1"].channels
    48
    """
    name = str(path("a name of cx.networks(), or the path of a weights file")("name_or_path", name_or_path))
    if weights is not None:
        weights = str(path("'random', a name of weights, or the path of a weights file")("weights", weights))
    place = _device(device)
    base, _, step = name.partition("@")
    python = f"cx.load({name!r})"
    if step and history_file(base).is_file() and weights is None:
        net = checkpoints.read_step(history_file(base), base, step)
        net.source = python
    elif name in _EMBEDDED:
        net = read_network(_embedded_file(name), name)
        net.source = python
        if weights is not None:
            net = _filled(name, weights, net.size, net.pixels, net.labels)
    elif name in _FORMULAE:
        if weights is not None:
            raise WeightsError(f"the weights of {name!r} follow from formulae and cannot be loaded; omit weights=.")
        formula = _FORMULAE[name]
        net = Network(
            formula.make(),
            size=formula.size,
            pixels=formula.pixels,
            labels=list(formula.labels),
            name=name,
            source=python,
        )
    elif name.lower().endswith(SUFFIXES) or os.sep in name or (Path(name).exists() and not _is_known(name)):
        if weights is not None:
            raise WeightsError(f"{brief_value(name)} is a weights file itself; omit weights=.")
        net = read_network(Path(name), Path(name).stem)
        net.source = python
    elif published.knows(name):
        net = published.load(name, weights)
    elif torchvision_classifiers.knows(name):
        net = _torchvision_classifier(name, weights)
    else:
        names = [*_EMBEDDED, *_FORMULAE, *published.names(), *torchvision_classifiers.names()]
        close = difflib.get_close_matches(name[:80], names, 3, 0.5)
        hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "cx.networks() lists the names."
        raise NetworkError(f"{brief_value(name)} is neither a network of the zoo nor a weights file; {hint}")
    net.module.to(place).eval()
    return net


def _is_known(name: str) -> bool:
    return published.knows(name) or torchvision_classifiers.knows(name)


def _embedded_file(name: str) -> Path:
    return Path(str(resources.files(__package__) / "weights" / f"{name}.safetensors"))


def history_file(name: str) -> Path:
    """The checkpoints of a network's training."""
    return _embedded_file(f"{name}-history")


def _megabytes(path: Path) -> float:
    return round(path.stat().st_size / 1e6, 1)


def _torchvision_classifier(name: str, weights: str | os.PathLike[str] | None) -> Network:
    chosen = weights if isinstance(weights, str) and weights in torchvision_classifiers.weight_sets(name) else None
    size, pixels, labels = torchvision_classifiers.convention(name, chosen)
    if weights is not None and chosen is None:
        return _filled(name, weights, size, pixels, labels)
    source = f"cx.load({name!r})" if chosen is None else f"cx.load({name!r}, weights={chosen!r})"
    return Network(
        torchvision_classifiers.published(name, chosen),
        size=size,
        pixels=pixels,
        labels=labels,
        name=name,
        source=source,
    )


def _filled(
    name: str, weights: str | os.PathLike[str], size: int | tuple[int, int], pixels: Pixels, labels: list[str]
) -> Network:
    """The named architecture, untrained or with the weights of a file."""
    module = build(name, len(labels))
    if weights != "random":
        fill(module, read_tensors(Path(weights)), Path(weights).name)
    source = f"cx.load({name!r}, weights={os.fspath(weights)!r})"
    return Network(module, size=size, pixels=pixels, labels=labels, name=name, source=source)


def _device(device: str) -> torch.device:
    if isinstance(device, str) and device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    expected = "expected 'auto', 'cpu', 'cuda' or 'mps'."
    try:
        if not isinstance(device, (str, torch.device)):
            raise TypeError("neither a name nor a device")
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise NetworkError(f"device is {brief_value(device)}; {expected}") from error
    try:
        # Whether a device can be used is known for certain only by using it: drivers and numbers of GPUs differ.
        torch.zeros(1, device=chosen).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        usable = [name for name in ("cuda", "mps") if getattr(torch, name).is_available()]
        there = f"what can is {', '.join(map(repr, ['cpu', *usable]))}"
        raise NetworkError(
            f"device is {brief_value(device)}, which cannot be used on this computer; {there}."
        ) from error
    return chosen
