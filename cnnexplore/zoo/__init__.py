"""What can be loaded by name or from a file: embedded networks, the papers', torchvision's, self-describing files."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import torch

from ..errors import NetworkError, WeightsError
from ..network import Network
from .architectures import characters, dsift, hog, published
from .architectures import torchvision_classifiers as vision
from .architectures.oriented_gradients import PIXELS
from .readers import checkpoints as history
from .readers import safetensors_file as files

_EMBEDDED = {
    "photonet": "narrow AlexNet, ten classes of photographs (Imagenette)",
    "photonet-robust": "the same, trained against L2 attacks: its pictures are cleaner",
    "worldnet": "narrow AlexNet, drawn scenes; its checkpoints: worldnet@0 ... @1000",
    "worldnet-robust": "the same, trained against L2 attacks",
    "worldnet-styles": "worldnet, trained on to tell the styles of each class apart in fc7",
    "lenet": "MatConvNet's LeNet, handwritten digits (MNIST)",
    "lenet-smooth": "the same (MNIST) with smooth filters, the best ones to decode",
}
DEFAULT = "photonet"  # what a person sees who asks for nothing in particular
_GRADIENTS = (224, PIXELS, ())
# Nothing to fill in: every number in them follows from a formula.
_FORMULAE = {
    "hog": (hog.hog, "VLFeat's HOG (UoCTTI), cells of 8 pixels; its weights are formulae", _GRADIENTS),
    "hog-bilinear": (
        lambda: hog.hog(bilinear=True),
        "VLFeat's HOG, gradients shared by the nearest two orientations",
        _GRADIENTS,
    ),
    "dsift": (dsift.dsift, "VLFeat's dense SIFT (fast), cells of 8 pixels, one every 8 pixels", _GRADIENTS),
    "characters": (
        characters.characters,
        "eight characters, made by hand of bars and corners",
        (characters.SIZE, characters.PIXELS, list(characters.CHARACTERS)),
    ),
}
_SUFFIXES = (".safetensors", ".mat", ".pth", ".pt")


@dataclass(frozen=True)
class Entry:
    """A network that can be loaded by name. megabytes: of its weights; offline: no download is needed."""

    name: str
    source: str
    megabytes: float | None
    offline: bool


class Catalogue(list):
    """The entries of `networks()`; prints as a table."""

    def __repr__(self) -> str:
        rows = [
            f"{e.name:<28} {'offline' if e.offline else 'download':<9} "
            f"{'' if e.megabytes is None else f'{e.megabytes:.1f} MB':>9}  {e.source}"
            for e in self
        ]
        return "\n".join(rows)


def embedded() -> list[str]:
    """The names of the networks that come with the package."""
    return list(_EMBEDDED)


def networks() -> Catalogue:
    """All that `load` knows by name: embedded networks, HOG and dense SIFT, the papers', torchvision's classifiers."""
    ours = [Entry(name, said, round(_embedded(name).stat().st_size / 1e6, 1), True) for name, said in _EMBEDDED.items()]
    ours += [Entry(name, said, 0.0, True) for name, (_, said, _) in _FORMULAE.items()]
    return Catalogue(ours + [Entry(*row) for row in [*published.entries(), *vision.entries()]])


def load(name_or_path: str | os.PathLike, weights: str | os.PathLike | None = None, device: str = "auto") -> Network:
    """A network by name, or from a self-describing .safetensors or a MatConvNet .mat file.

    weights: None for the published ones, "random" for none, or the path of a .safetensors, .mat or .pth file.
    device: "auto" takes a GPU when there is one. Raises NetworkError for an unknown name, WeightsError for a wrong or
    missing file.
    """
    name = os.fspath(name_or_path)
    base, _, step = name.partition("@")
    if step and _history(base).is_file() and weights is None:
        net = history.read(_history(base), base, step)
        net.source = f"cx.load({name!r})"
    elif name in _EMBEDDED and weights is None:
        net = files.read_network(_embedded(name), name)
        net.source = f"cx.load({name!r})"
    elif name in _EMBEDDED:
        like = files.read_network(_embedded(name), name)
        net = _filled(name, weights, like.size, like.pixels, like.labels)
    elif name in _FORMULAE:
        if weights is not None:
            raise WeightsError(f"{name!r} has no weights to load, they follow from formulae; leave weights= out.")
        make, _, convention = _FORMULAE[name]
        net = Network(make(), *convention, name, f"cx.load({name!r})")
    elif name.lower().endswith(_SUFFIXES) or os.sep in name or (Path(name).exists() and not _knows(name)):
        if weights is not None:
            raise WeightsError(f"{name!r} is a file that brings its own weights; leave weights= out.")
        net = files.read_network(Path(name), Path(name).stem)
        net.source = f"cx.load({name!r})"
    elif published.knows(name):
        net = published.load(name, weights)
    elif vision.knows(name):
        net = _from_torchvision(name, weights)
    else:
        close = difflib.get_close_matches(name, [*_EMBEDDED, *_FORMULAE, *published.names(), *vision.names()], 3, 0.5)
        hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "cx.networks() lists the names."
        raise NetworkError(f"{name!r} is neither a network of the zoo nor a weights file; {hint}")
    net.module.to(_device(device)).eval()
    return net


def _knows(name: str) -> bool:
    return published.knows(name) or vision.knows(name)


def _embedded(name: str) -> Path:
    return Path(str(resources.files(__package__) / "weights" / f"{name}.safetensors"))


def _history(name: str) -> Path:
    return _embedded(f"{name}-history")


def _from_torchvision(name: str, weights) -> Network:
    chosen = weights if isinstance(weights, str) and weights in vision.sets(name) else None
    size, pixels, labels = vision.convention(name, chosen)
    if weights is None or chosen:
        source = f"cx.load({name!r})" if weights is None else f"cx.load({name!r}, weights={chosen!r})"
        return Network(vision.published(name, chosen), size, pixels, labels, name, source)
    return _filled(name, weights, size, pixels, labels)


def _filled(name: str, weights, size, pixels, labels) -> Network:
    """The named architecture, untrained or with the weights of a file."""
    module = files.build(name, len(labels))
    if weights != "random":
        files.fill(module, files.read_tensors(Path(weights)), Path(weights).name)
    source = f"cx.load({name!r}, weights={os.fspath(weights)!r})"
    return Network(module, size, pixels, labels, name, source)


def _device(device: str) -> torch.device:
    if device != "auto":
        try:
            return torch.device(device)
        except RuntimeError as error:
            raise NetworkError(f"device is {device!r}; expected 'auto', 'cpu', 'cuda' or 'mps'.") from error
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
