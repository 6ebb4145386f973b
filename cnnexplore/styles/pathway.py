"""Pathway: fixed relu masks m5, m6 and m7 that an optimisation goes through (intraclass2015, section 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import SettingError
from ..network import Network
from ..preimage import masks as named_masks
from ..preimage.maximization import paper_weight
from ..results import image_to_python
from .classifier_head import classifier_head
from .masked_pass import MaskedPass, ReluMasks, masked_passes, relu_masks
from .packed import binary, packed, unpacked

_DEPTHS = {1: ("m7",), 2: ("m6", "m7"), 3: ("m5", "m6", "m7")}


class Pathway:
    """Which numbers of pool5, fc6 and fc7 pass, whatever the image, in the place of the relus' own choice.

    m5: (h, w) or (C, h, w) of pool5, what the first fully-connected layer is given; m6 and m7: one per unit of the
    last two hidden layers, m7 before the class scores. Each is true where it passes: an array, a name of `cx.masks`,
    text such as "110 110 000", or None for what passes of itself. relu: whether the relus stay in force, so that masks
    only close units, as dropout does; else a unit of m6 or m7 passes whatever its sign, as equation 4 has it.
    Joined with `&`, what passes must pass both.
    Raises SettingError, and where it is used NetworkError for a network without such layers.
    Source: intraclass2015, equation 4.
    """

    def __init__(self, m5=None, m6=None, m7=None, relu: bool = False):
        self.relu = bool(relu)
        self._parts: dict[str, list[Callable[[Network], torch.Tensor]]] = {}
        given = {"m5": m5, "m6": m6, "m7": m7}
        said = []
        for name, value in given.items():
            if value is not None:
                named = callable(value)
                mask = value if named else _Array(name, value)
                self._parts[name] = [_Shaped(name, mask)]
                said.append(f"{name}={'cx.masks.' * named}{mask!r}")
        self._python = f"cx.Pathway({', '.join([*said, *(['relu=True'] if relu else [])])})"

    def __repr__(self) -> str:
        return self._python.removeprefix("cx.")

    def __and__(self, other: Pathway) -> Pathway:
        if not isinstance(other, Pathway):
            return NotImplemented
        gated = [one for one in (self, other) if one.relu or {"m6", "m7"} & set(one._parts)]
        if len({one.relu for one in gated}) > 1:
            raise SettingError(
                f"{self!r} and {other!r} cannot be joined: the relus stay in force in one of them and not in the other."
            )
        names = dict.fromkeys([*self._parts, *other._parts])
        parts = {name: [*self._parts.get(name, ()), *other._parts.get(name, ())] for name in names}
        return _made(parts, any(one.relu for one in gated), f"{self._python} & {other._python}")

    def closing(self) -> Pathway:
        """The same masks with the relus in force: they only close units, as dropout does."""
        python = f"({self._python})" if " & " in self._python else self._python
        return self if self.relu else _made(self._parts, True, f"{python}.closing()")

    def to_python(self) -> str:
        """The Python that makes this pathway again."""
        return self._python

    @staticmethod
    def pass_context(net: Network, layer: str, pathways: Sequence[Pathway | None]) -> Callable[[], MaskedPass]:
        """A function that makes the context for each pass of a batch.

        Parameters
        ----------
        net : Network
            Any network with a classifier head.
        layer : str
            The layer at which the passes end.
        pathways : sequence of Pathway or None
            One per image of the batch; None leaves the network as it is.
        """
        return masked_passes(net, layer, [ReluMasks() if one is None else one.masks(net) for one in pathways])

    def masks(self, net: Network) -> ReluMasks:
        """The masks for a network, as tensors. Raises SettingError, NetworkError."""
        found = {}
        for name, parts in self._parts.items():
            for part in parts:
                mask = part(net)
                found[name] = mask & found[name] if name in found else mask
        return ReluMasks(**found, relu=self.relu)

    @classmethod
    def location(cls, row: int, column: int, k: int = 3) -> Pathway:
        """Only the k x k positions of pool5 from (row, column) on (section 4.1)."""
        python = f"cx.Pathway.location({row!r}, {column!r}, {k!r})"
        return _made({"m5": [_Window(named_masks.window(row, column, row + k, column + k))]}, False, python)

    @classmethod
    def topic(cls, topic) -> Pathway:
        """Only the units of a topic at fc7 (section 4.2).

        topic: what has a `mask`, as the topics of cx.topics, or the mask itself, one per unit.
        """
        return cls(m7=getattr(topic, "mask", topic))

    @classmethod
    def ensemble(cls, seed: int = 0, keep: float = 0.5, relu: bool = False) -> Pathway:
        """One of the networks that dropout trains: random units of fc6 and fc7 (section 4.3).

        keep: which part of them; of each layer exactly that many, rounded. Any computer draws the same for a seed.
        """
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise SettingError(f"seed is {seed!r}; expected a whole number, 0 or more.")
        if isinstance(keep, bool) or not isinstance(keep, (int, float)) or not 0 < keep <= 1:
            raise SettingError(f"keep is {keep!r}; expected which part of the units to keep, above 0 and at most 1.")
        said = [repr(int(seed)), *([f"keep={keep!r}"] if keep != 0.5 else []), *(["relu=True"] if relu else [])]
        parts = {name: [_Random(name, int(seed), keep)] for name in ("m6", "m7")}
        return _made(parts, relu, f"cx.Pathway.ensemble({', '.join(said)})")

    @classmethod
    def of(cls, image, depth: int = 3, relu: bool = False) -> Pathway:
        """What an image itself opens, its binary code (section 4.4).

        image: anything that `Network.pixels_of` takes, one. depth: 1 fixes m7, 2 also m6, 3 also m5.
        """
        if depth not in _DEPTHS or isinstance(depth, bool):
            raise SettingError(f"depth is {depth!r}; expected 1 for m7, 2 for m6 and m7, 3 for m5, m6 and m7.")
        parts = {name: [_Own(name, image)] for name in _DEPTHS[depth]}
        more = ", relu=True" if relu else ""
        return _made(parts, relu, f"cx.Pathway.of({image_to_python(image)}, {depth!r}{more})")


def as_pathway(style) -> Pathway:
    """A style as a pathway: a Pathway, a topic, whose own units pass, or a mask m7. Raises SettingError."""
    if isinstance(style, Pathway):
        return style
    try:
        return Pathway.topic(getattr(style, "distinctive_mask", style))
    except SettingError as error:
        raise SettingError(
            f"style is {type(style).__name__}; expected a topic, a cx.Pathway, or a mask of fc7, one per unit."
        ) from error


def pathway_weight(net: Network) -> float:
    """C for a class through a part of a network, which says less than the whole: four times the paper's."""
    return 4 * paper_weight(net.scores, net.size)


def _made(parts: dict[str, list], relu: bool, python: str) -> Pathway:
    pathway = Pathway(relu=relu)
    pathway._parts, pathway._python = parts, python
    return pathway


def _shape(net: Network, name: str) -> tuple[int, ...]:
    head = classifier_head(net)
    return head.shape if name == "m5" else (head.relu(name)[1],)


@dataclass(frozen=True)
class _Shaped:
    """A mask that is made for the network's shape, or has one that must fit it."""

    name: str
    mask: _Array | Callable[[tuple[int, ...]], np.ndarray]

    def __call__(self, net: Network) -> torch.Tensor:
        shape = _shape(net, self.name)
        if isinstance(self.mask, _Array):
            found = torch.from_numpy(self.mask.array)
            fits = found.shape in (shape, shape[1:])
        else:
            found = torch.as_tensor(np.asarray(self.mask(shape)) != 0)
            fits = found.dim() == len(shape)
        if not fits:
            wanted = " x ".join(map(str, shape))
            either = f"{shape[1]} x {shape[2]}, or {wanted}" if len(shape) == 3 else wanted
            given = " x ".join(map(str, found.shape))
            raise SettingError(f"{self.name} is a mask of {given}; that of {net.name} is {either}.")
        return found.expand(shape)


@dataclass(frozen=True)
class _Window:
    window: named_masks.window

    def __call__(self, net: Network) -> torch.Tensor:
        rows, columns = classifier_head(net).grid
        shape = classifier_head(net).shape
        w = self.window
        whole = all(isinstance(v, int) for v in (w.top, w.left, w.bottom, w.right))
        if not whole or not (0 <= w.top < w.bottom <= rows and 0 <= w.left < w.right <= columns):
            raise SettingError(
                f"rows {w.top} to {w.bottom - 1} and columns {w.left} to {w.right - 1} are not within pool5 of "
                f"{net.name}, which has {rows} x {columns} positions."
            )
        return torch.from_numpy(w(shape) != 0).expand(shape)


class _Array:
    """A mask that was given as numbers or text; its Python is text."""

    def __init__(self, name: str, value):
        self.array = unpacked(value, name) if isinstance(value, str) else binary(value, name)

    def __repr__(self) -> str:
        return repr(packed(self.array))


@dataclass(frozen=True)
class _Random:
    name: str
    seed: int
    keep: float

    def __call__(self, net: Network) -> torch.Tensor:
        (count,) = _shape(net, self.name)
        draw = np.random.Generator(np.random.PCG64([self.seed, int(self.name[1])])).permutation(count)
        return torch.from_numpy(draw < max(1, round(self.keep * count)))


@dataclass(frozen=True)
class _Own:
    name: str
    image: object

    def __call__(self, net: Network) -> torch.Tensor:
        _shape(net, self.name)
        if len(net.pixels_of(self.image)) != 1:
            raise SettingError("several images were given; expected one, whose code the pathway is.")
        return getattr(relu_masks(net, self.image), self.name)
