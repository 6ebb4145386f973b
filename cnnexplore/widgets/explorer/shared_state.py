"""SharedState: what the explorer looks at as a small JSON text, which another person opens."""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...arguments import choice, text, whole
from ...errors import ExploreError, ImageError, NetworkError, SettingError, brief_list, brief_value
from ...network import Network, read_image, resolve_position, resolve_unit
from ...saved import read_python
from ...zoo import load
from ..live.selection import Selection
from ..panels.images import ImageChoices
from .questions import QUESTIONS

FORMAT = 1
_MOST = 1_000_000  # characters; one with a painted mask has some thousands
_MAKES_IMAGE = {"digit", "photograph", "scene", "world.scene"}  # what a state may call to make its image
_WANTED = 'the state of an explorer, as its button "share" copies it'


@dataclass(frozen=True)
class SharedState:
    """What an explorer looks at, without what is large: files are named by their path and the digest of their bytes.

    Attributes
    ----------
    network : dict
        "name" for `load`, or "path" and "sha256" of a weights file; perhaps "weights", a name, or "weights_path" and
        "weights_sha256". "own" is the name of a module of the user.
    image : dict
        "path" and "sha256" of a file, "python" of a bundled image, or "name" and "sha256" of the pixels of another one.
    layer : str
    unit, target : int, optional
    position : list of int, optional
    question : str
    settings : dict
        What the panel of the question gave.
    """

    network: dict[str, str]
    image: dict[str, str]
    layer: str
    question: str
    unit: int | None = None
    position: list[int] | None = None
    target: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    # from an explorer

    @classmethod
    def of(cls, selection: Selection, image: str, question: str, settings: Mapping[str, Any]) -> SharedState:
        """The state of what is selected.

        Parameters
        ----------
        selection : Selection
        image : str
            The Python of the image.
        question : str
        settings : mapping
            What the panel of the question gave.
        """
        assert selection.net is not None
        position = None if selection.position is None else list(selection.position)
        return cls(
            _network_words(selection.net),
            _image_words(selection.image, image),
            selection.layer,
            question,
            selection.unit,
            position,
            selection.target,
            dict(settings),
        )

    def as_dict(self) -> dict[str, Any]:
        """The state as plain values for JSON, without what is not set."""
        words = {name: getattr(self, name) for name in ("network", "image", "layer", "unit", "position", "target")}
        words |= {"question": self.question, "settings": self.settings}
        return {"cnnexplore": FORMAT, **{name: value for name, value in words.items() if value not in (None, {})}}

    # into an explorer

    def open_network(self, given: Network | None) -> Network:
        """The network of the state, or the one that was given in its place, with the layer of the state.

        Parameters
        ----------
        given : Network or None

        Raises
        ------
        NetworkError, WeightsError, LayerNotFound
            Also if a file is missing: the sentence names all that are.
        """
        self._check_files(given)
        if given is None and "own" in self.network:
            raise NetworkError(
                f"the state is of a module of its author, {brief_value(self.network['own'])}; give it: "
                "cx.explore(net, state=...)."
            )
        net = given
        if net is None:
            words = self.network
            weights = _found(words["weights_path"]) if "weights_path" in words else words.get("weights")
            net = load(words["name"] if "name" in words else _found(words["path"]), weights=weights)
        net.layers[self.layer]  # raises LayerNotFound with what is there
        return net

    def offer_image(self, choices: ImageChoices) -> str:
        """Offer the image of the state beside others.

        Parameters
        ----------
        choices : ImageChoices

        Returns
        -------
        str
            The name of the image in `choices`.

        Raises
        ------
        ImageError
        """
        if "path" in self.image:
            path = _found(self.image["path"])
            name = Path(path).name
            choices.add(name, path)
            return name
        if "python" in self.image:
            python = self.image["python"]
            known = choices.named(python)
            if known is None:
                choices.add("shared", read_python(python).evaluate({}), python)
            return known or "shared"
        wanted = self.image["name"]
        for name in sorted(choices.names, key=lambda one: one != wanted):
            if name in choices.given and _pixels_digest(choices[name][0]) == self.image["sha256"]:
                return name
        raise ImageError(
            f"the image {brief_value(wanted)} of the state has no file; give it: cx.explore(images=[...], state=...)."
        )

    def choose(self, net: Network) -> dict[str, Any]:
        """The unit, the position and the class of the state, checked against a network, for `Selection.changed`.

        Parameters
        ----------
        net : Network

        Raises
        ------
        SettingError, LayerError
        """
        layer, chosen = net.layers[self.layer], dict[str, Any](layer=self.layer)
        if self.target is not None:
            chosen["target"] = resolve_unit(net, net.scores, self.target)
        if self.unit is not None:
            chosen["unit"] = resolve_unit(net, layer, self.unit)
        if self.position is not None:
            chosen["position"] = resolve_position(layer, tuple(self.position))
        return chosen

    def _check_files(self, given: Network | None) -> None:
        """Raise if a file is missing, or has another content than when the state was shared."""
        files = [(self.image.get("path"), self.image.get("sha256"))]
        if given is None:
            files += [(self.network.get(f"{k}path"), self.network.get(f"{k}sha256")) for k in ("", "weights_")]
        named = [(path, digest) for path, digest in files if path is not None]
        if missing := [path for path, _ in named if not Path(_found(path)).is_file()]:
            them = "it" if len(missing) == 1 else "them"
            raise ImageError(
                f"the state needs {brief_list(missing, quoted=True)}; put {them} into the working folder, {Path.cwd()}."
            )
        if other := [path for path, digest in named if digest not in (None, _file_digest(_found(path)))]:
            raise ImageError(
                f"{brief_list(other, quoted=True)} is not what was shared: its content differs; ask for the file, or "
                "take its sha256 out of the state."
            )


def read_state(state: Any) -> SharedState:
    """Read a state: its JSON text, the path of a file with it, or the dict that it means.

    Parameters
    ----------
    state : dict, str or path

    Raises
    ------
    SettingError
        If it is no state, or one of a later version.
    """
    words = _json(state)
    version = words.pop("cnnexplore", None)
    if type(version) is not int or version < 1:
        raise SettingError(f'state has no version "cnnexplore"; expected {_WANTED}.')
    if version > FORMAT:
        raise SettingError(f"the state is of version {version}, which is later than this package; update cnnexplore.")
    wanted = {"network", "image", "layer", "question"}
    unknown = [name for name in words if name not in SharedState.__dataclass_fields__]
    if unknown or wanted - set(words):
        wrong = f"also has {brief_list(unknown)}" if unknown else f"has no {brief_list(sorted(wanted - set(words)))}"
        raise SettingError(f"the state {wrong}; expected {_WANTED}.")
    network = _texts("network", words["network"], ("name", "path", "own"), ("sha256", "weights"))
    image = _texts("image", words["image"], ("path", "python", "name"), ("sha256",))
    if "path" not in image and "python" not in image and "sha256" not in image:
        raise SettingError(f"the image of the state has no sha256; expected {_WANTED}.")
    if "python" in image:
        made = read_python(image["python"])
        if made.function not in _MAKES_IMAGE or made.names:
            raise SettingError(
                f"the image of the state is {brief_value(image['python'])}; expected cx.photograph, cx.digit or "
                "cx.scene."
            )
    position = words.get("position")
    if position is not None and not (isinstance(position, (list, tuple)) and len(position) == 2):
        raise SettingError(f"the position of the state is {brief_value(position)}; expected [row, column].")
    settings = words.get("settings", {})
    if not isinstance(settings, Mapping) or not all(isinstance(name, str) for name in settings):
        raise SettingError(f"the settings of the state are {brief_value(settings)}; expected values by name.")
    number = whole(0, what="a whole number")
    return SharedState(
        network,
        image,
        text("the name of a layer")("the layer of the state", words["layer"]),
        choice(QUESTIONS)("the question of the state", words["question"]),
        None if words.get("unit") is None else number("the unit of the state", words["unit"]),
        None if position is None else [number("the position of the state", one) for one in position],
        None if words.get("target") is None else number("the target of the state", words["target"]),
        dict(settings),
    )


def _json(state: Any) -> dict[str, Any]:
    """The dict of a state. Raises SettingError."""
    if isinstance(state, Mapping):
        return dict(state)
    content = state
    try:
        if isinstance(state, os.PathLike) or (isinstance(state, str) and state.strip()[:1] != "{"):
            path = Path(state)
            if path.stat().st_size > _MOST:
                raise ValueError("too long")
            content = path.read_text(encoding="utf-8")
        if not isinstance(content, str) or len(content) > _MOST:
            raise ValueError("no text, or too long")
        found = json.loads(content)
    except OSError as error:
        raise SettingError(f"the file {brief_value(state)} cannot be read; expected {_WANTED}, or its file.") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise SettingError(f"state is {brief_value(state)}; expected {_WANTED}.") from error
    if not isinstance(found, dict):
        raise SettingError(f"state is {brief_value(state)}; expected {_WANTED}.")
    return found


def _texts(name: str, value: Any, one_of: tuple[str, ...], more: tuple[str, ...]) -> dict[str, str]:
    """A dict of texts with exactly one of some names. Raises SettingError."""
    known = {*one_of, *more, "weights_path", "weights_sha256"} if name == "network" else {*one_of, *more}
    right = isinstance(value, Mapping) and set(value) <= known and sum(key in value for key in one_of) == 1
    if not right or not all(isinstance(one, str) and 0 < len(one) < 4096 and "\0" not in one for one in value.values()):
        raise SettingError(f"the {name} of the state is {brief_value(value)}; expected {_WANTED}.")
    return dict(value)


def _network_words(net: Network) -> dict[str, str]:
    """What names a network: for `load`, or a file; else the name of the user's own module."""
    try:
        made = ast.parse(net.to_python(), mode="eval").body
    except SyntaxError:
        made = None
    if not isinstance(made, ast.Call) or ast.unparse(made.func) != "cx.load" or len(made.args) != 1:
        return {"own": net.name}
    given = ast.literal_eval(made.args[0])
    weights = next((ast.literal_eval(word.value) for word in made.keywords if word.arg == "weights"), None)
    words = _file_words("", given) or {"name": given}
    return words | ({} if weights is None else _file_words("weights_", weights) or {"weights": weights})


def _image_words(image: Any, python: str) -> dict[str, str]:
    """What names an image, of which `python` is the Python."""
    try:
        read = read_python(python)
        if read.function in _MAKES_IMAGE and not read.names:
            return {"python": python}
        path = ast.literal_eval(python)
    except (ExploreError, ValueError, SyntaxError):
        path = None
    if isinstance(path, str) and (words := _file_words("", path)):
        return words
    return {"name": python[:80], "sha256": _pixels_digest(image)}


def _file_words(kind: str, path: str) -> dict[str, str]:
    """The path of a file, from the working folder if it is inside it, and the digest of its bytes; {} for no file."""
    if not Path(path).is_file():
        return {}
    absolute, here = Path(path).absolute(), Path.cwd()
    inside = absolute.relative_to(here).as_posix() if absolute.is_relative_to(here) else str(absolute)
    return {f"{kind}path": inside, f"{kind}sha256": _file_digest(path)}


def _found(path: str) -> str:
    """A path of a state, or the file of that name in the working folder if that is where it is now."""
    name = path.replace("\\", "/").rsplit("/", 1)[-1]
    return name if not Path(path).is_file() and Path(name).is_file() else path


def _file_digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pixels_digest(image: Any) -> str:
    """A digest of an image's numbers in 0..255, with as many channels as it has."""
    try:
        numbers = read_image(image)
    except ImageError:  # no colours: as many channels as its last side has, or its first
        numbers = read_image(image, min(image.shape[0], image.shape[-1]))
    found = hashlib.sha256(repr(tuple(numbers.shape)).encode())
    found.update(numbers.round().byte().contiguous().numpy().tobytes())
    return found.hexdigest()
