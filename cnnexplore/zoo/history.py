"""The checkpoints of a training, one after the other: those that ship with the package, files, or networks."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..arguments import path
from ..errors import NetworkError, brief_value
from ..network import Network
from .catalogue import embedded, history_file, load
from .readers.checkpoints import steps

_DESCRIBED = {".safetensors", ".mat"}  # files that say which network they are for


@dataclass(frozen=True)
class Checkpoint:
    """A network at one moment of its training.

    Attributes
    ----------
    label : str
        The moment, such as "step 100", or a file's name.
    python : str
        The Python that loads it; empty for a network of the user's own module.
    """

    label: str
    python: str
    _load: Callable[[], Network] = field(repr=False)

    def load(self) -> Network:
        """The network, read each time it is asked for."""
        return self._load()


def checkpoints_of(source: Any) -> list[Checkpoint]:
    """The checkpoints of a training.

    Parameters
    ----------
    source : str, os.PathLike, Network, sequence or mapping
        The name of a network whose checkpoints ship with the package, or that network; a folder of weights files, in
        the order of the numbers in their names; a list of networks, names or files; or a dict of such by label.

    Returns
    -------
    list of Checkpoint
        In order; those that ship end with the trained network.

    Raises
    ------
    NetworkError
        If there are none.

    Examples
    --------
    >>> from cnnexplore.zoo.history import checkpoints_of
    >>> [one.label for one in checkpoints_of("worldnet")][-2:]
    ['step 1000', 'trained']
    """
    if isinstance(source, Network):
        source = source.name
    if isinstance(source, (str, os.PathLike)):
        source = os.fspath(path("the name of a network, or a folder of weights files")("checkpoints", source))
    if isinstance(source, str) and history_file(source).is_file():
        names = {f"step {step}": f"{source}@{step}" for step in steps(history_file(source))}
        return [_of(label, name) for label, name in {**names, "trained": source}.items()]
    if isinstance(source, (str, os.PathLike)):
        folder = Path(source)
        files = [one for one in folder.iterdir() if one.suffix in _DESCRIBED] if folder.is_dir() else []
        if not files:
            raise NetworkError(_none(source))
        return [_of(one.stem, str(one)) for one in sorted(files, key=_numbers)]
    if isinstance(source, Mapping):
        found = [_of(str(label), one) for label, one in source.items()]
    elif isinstance(source, Sequence) and not isinstance(source, (bytes, bytearray)):
        found = [_of("", one) for one in source]
    else:
        found = []
    if not found:
        raise NetworkError(_none(source))
    return found


def _of(label: str, one: Any) -> Checkpoint:
    if isinstance(one, Network):
        return Checkpoint(label or one.name, one.source, lambda: one)
    if not isinstance(one, (str, os.PathLike)) or not os.fspath(one):
        raise NetworkError(f"a checkpoint is {brief_value(one)}; expected a Network, the path of a file, or a name.")
    place = os.fspath(one)
    return Checkpoint(label or Path(place).stem, f"cx.load({place!r})", lambda: load(place))


def _numbers(path: Path) -> list[tuple[int, str]]:
    """The parts of a file's name, so that 20 comes before 100."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.stem)]


def _none(source: Any) -> str:
    known = " or ".join(repr(name) for name in embedded() if history_file(name).is_file())
    return (
        f"{brief_value(source)} has no checkpoints; expected {known}, a folder of weights files, or a list of networks "
        "or files, such as `cnnexplore train worldnet --checkpoints` writes."
    )
