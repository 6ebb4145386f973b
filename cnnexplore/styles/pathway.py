"""Pathway: fixed ReLU masks m5, m6 and m7 that an optimisation goes through (intraclass2015, section 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..arguments import checked, flag, number, seed, whole
from ..errors import SettingError, brief_value
from ..network import Network
from ..network.arguments import network
from ..preimage import masks as named_masks
from ..preimage.published import paper_weight
from ..results import image_to_python
from .classifier_head import classifier_head
from .mask_text import as_mask, mask_to_text, text_to_mask
from .masked_pass import MaskedPass, ReluMasks, masked_passes, relu_masks

_DEPTHS = {1: ("m7",), 2: ("m6", "m7"), 3: ("m5", "m6", "m7")}


class Pathway:
    """Fixed masks in place of the ReLUs: which units of pool5, fc6 and fc7 are open, whatever the image.

    A unit of m6 or m7 that is open lets its value through whatever its sign, as equation 4 has it, unless `relu` is
    set. `a & b` opens what both open.

    Parameters
    ----------
    m5 : array_like, str or callable, optional
        Mask of the input of the first fully-connected layer (pool5), (h, w) or (C, h, w): true or 1 is open. As text,
        rows such as "110 110 000"; or one of `cx.masks`. Default: as it is.
    m6 : array_like, str or callable, optional
        Mask of the last hidden layer but one (fc6), one number per unit. Default: its ReLU.
    m7 : array_like, str or callable, optional
        Mask of the last hidden layer before the class scores (fc7), one number per unit. Default: its ReLU.
    relu : bool
        Keep the ReLUs in force, so that masks can only close units, as dropout does.

    Raises
    ------
    SettingError
        If a mask is no mask. Where the pathway is used, also if it does not fit the network.

    References
    ----------
    Wei, Zhou, Torralba and Freeman, Understanding intra-class knowledge inside CNN, 2015, equation 4.

    Examples
    --------
    >>> net = cx.load("worldnet")
    >>> pathway = cx.Pathway.location(1, 1, 3) & cx.Pathway.ensemble(5)
    >>> pathway.to_python()
    'cx.Pathway.location(1, 1, 3) & cx.Pathway.ensemble(5)'
    >>> r = cx.maximize(net, net.scores.name, "church", pathway=pathway, M=10, steps=3, progress=False)
    """

    @checked(relu=flag)
    def __init__(self, m5: Any = None, m6: Any = None, m7: Any = None, *, relu: bool = False):
        self.relu = bool(relu)
        self._parts: dict[str, list[Callable[[Network], torch.Tensor]]] = {}
        arguments = []
        for name, value in {"m5": m5, "m6": m6, "m7": m7}.items():
            if value is not None:
                named = callable(value) and not isinstance(value, type)
                mask = value if named else _Array(name, value)
                self._parts[name] = [_Shaped(name, mask)]
                arguments.append(f"{name}={'cx.masks.' * named}{mask!r}")
        self._python = f"cx.Pathway({', '.join([*arguments, *(['relu=True'] if relu else [])])})"

    def __repr__(self) -> str:
        return self._python.removeprefix("cx.")

    def __and__(self, other: Pathway) -> Pathway:
        if not isinstance(other, Pathway):
            return NotImplemented
        with_relus = [one for one in (self, other) if one.relu or {"m6", "m7"} & set(one._parts)]
        if len({one.relu for one in with_relus}) > 1:
            raise SettingError(
                f"{brief_value(self)} and {brief_value(other)} cannot be joined: the relus stay in force in one of "
                "them and not in the other."
            )
        names = dict.fromkeys([*self._parts, *other._parts])
        parts = {name: [*self._parts.get(name, ()), *other._parts.get(name, ())] for name in names}
        return _build(parts, any(one.relu for one in with_relus), f"{self._python} & {other._python}")

    def with_relu(self) -> Pathway:
        """The same masks with the ReLUs in force: they only close units, as dropout does."""
        python = f"({self._python})" if " & " in self._python else self._python
        return self if self.relu else _build(self._parts, True, f"{python}.with_relu()")

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

    @checked(net=network)
    def masks(self, net: Network) -> ReluMasks:
        """The masks for a network.

        Parameters
        ----------
        net : Network
            Any network with a classifier head.

        Returns
        -------
        ReluMasks
            m5, m6 and m7 as tensors.

        Raises
        ------
        SettingError
            If a mask does not fit the network.
        NetworkError
            If the network has no such layers.
        """
        found: dict[str, torch.Tensor] = {}
        for name, parts in self._parts.items():
            for part in parts:
                mask = part(net)
                found[name] = mask & found[name] if name in found else mask
        return ReluMasks(found.get("m5"), found.get("m6"), found.get("m7"), self.relu)

    @classmethod
    @checked(
        row=whole(0, what="a row"),
        column=whole(0, what="a column"),
        k=whole(1, what="how many rows and columns are open"),
    )
    def location(cls, row: int, column: int, k: int = 3) -> Pathway:
        """Open only k x k positions of pool5 (section 4.1).

        Parameters
        ----------
        row, column : int
            The first row and column that are open.
        k : int
            Rows and columns that are open.
        """
        python = f"cx.Pathway.location({row!r}, {column!r}, {k!r})"
        return _build({"m5": [_Window(named_masks.window(row, column, row + k, column + k))]}, False, python)

    @classmethod
    def topic(cls, topic: Any) -> Pathway:
        """Open only the units of a topic at fc7 (section 4.2).

        Parameters
        ----------
        topic : Topic or array_like
            One of `topics`, or a mask m7, one number per unit.
        """
        return cls(m7=getattr(topic, "mask", topic))

    @classmethod
    @checked(seed=seed, keep=number(0, 1, "which part of the units to keep", above=True), relu=flag)
    def ensemble(cls, seed: int = 0, keep: float = 0.5, *, relu: bool = False) -> Pathway:
        """Open random units of fc6 and fc7: one of the networks that dropout trains (section 4.3).

        Every computer draws the same units for a seed.

        Parameters
        ----------
        seed : int
            Which of the networks, 0 or more.
        keep : float
            Part of the units of each layer that is open, above 0 and at most 1; the number is rounded.
        relu : bool
            Keep the ReLUs in force.
        """
        keep = float(keep)
        arguments = [repr(int(seed)), *([f"keep={keep!r}"] if keep != 0.5 else []), *(["relu=True"] if relu else [])]
        parts = {name: [_Random(name, int(seed), keep)] for name in ("m6", "m7")}
        return _build(parts, relu, f"cx.Pathway.ensemble({', '.join(arguments)})")

    @classmethod
    @checked(depth=whole(1, 3, "1 for m7, 2 for m6 and m7, 3 for m5, m6 and m7"), relu=flag)
    def of(cls, image: Any, depth: int = 3, *, relu: bool = False) -> Pathway:
        """Open what an image itself opens, its hierarchical binary code (section 4.4).

        Parameters
        ----------
        image : image
            What `Network.pixels_of` takes, one image.
        depth : {1, 2, 3}
            1 fixes m7, 2 also m6, 3 also m5.
        relu : bool
            Keep the ReLUs in force.
        """
        parts = {name: [_OfImage(name, image)] for name in _DEPTHS[depth]}
        more = ", relu=True" if relu else ""
        return _build(parts, relu, f"cx.Pathway.of({image_to_python(image)}, {int(depth)}{more})")


def as_pathway(topic: Any) -> Pathway:
    """A style as a pathway.

    Parameters
    ----------
    topic : Pathway, Topic or array_like
        A pathway, which is returned; a topic, through its distinctive units; or a mask m7, one number per unit.

    Returns
    -------
    Pathway
        The pathway.

    Raises
    ------
    SettingError
        If it is none of these.
    """
    if isinstance(topic, Pathway):
        return topic
    try:
        return Pathway.topic(getattr(topic, "distinctive_mask", topic))
    except SettingError as error:
        raise SettingError(
            f"topic is {type(topic).__name__}; expected a topic, a cx.Pathway, or a mask of fc7, one number per unit."
        ) from error


def pathway_weight(net: Network) -> float:
    """The usual C for a class through a pathway: four times the paper's, as its scores depend less on the image.

    Parameters
    ----------
    net : Network
        A classifier.

    Returns
    -------
    float
        C for `maximize` with a pathway.
    """
    return 4 * paper_weight(net.scores, net.size)


def _build(parts: dict[str, Any], relu: bool, python: str) -> Pathway:
    pathway = Pathway(relu=relu)
    pathway._parts, pathway._python = parts, python
    return pathway


def _shape(net: Network, name: str) -> tuple[int, ...]:
    """The shape of a mask of a network."""
    head = classifier_head(net)
    return head.shape if name == "m5" else (head.relu(name)[1],)


@dataclass(frozen=True)
class _Shaped:
    """A mask that must fit the network's shape, or is computed for it."""

    name: str
    mask: _Array | Callable[[tuple[int, ...]], np.ndarray]

    def __call__(self, net: Network) -> torch.Tensor:
        shape = _shape(net, self.name)
        if isinstance(self.mask, _Array):
            found = torch.from_numpy(self.mask.array)
            fits = found.shape in (shape, shape[1:])
        else:
            found = torch.from_numpy(named_masks.computed(self.name, self.mask, shape) != 0)
            fits = found.dim() == len(shape)
        if not fits:
            wanted = " x ".join(map(str, shape))
            either = f"{shape[1]} x {shape[2]}, or {wanted}" if len(shape) == 3 else wanted
            given = " x ".join(map(str, found.shape))
            raise SettingError(f"{self.name} is a mask of {given}; that of {net.name} is {either}.")
        return found.expand(shape)


@dataclass(frozen=True)
class _Window:
    """A window of positions of pool5."""

    window: named_masks.window

    def __call__(self, net: Network) -> torch.Tensor:
        rows, columns = classifier_head(net).grid
        shape = classifier_head(net).shape
        w = self.window
        whole = all(isinstance(v, (int, np.integer)) for v in (w.top, w.left, w.bottom, w.right))
        if not whole or not (0 <= w.top < w.bottom <= rows and 0 <= w.left < w.right <= columns):
            raise SettingError(
                f"rows {w.top} to {w.bottom - 1} and columns {w.left} to {w.right - 1} are not within pool5 of "
                f"{net.name}, which has {rows} x {columns} positions."
            )
        return torch.from_numpy(w(shape) != 0).expand(shape)


class _Array:
    """A mask that was given as numbers or text; its repr is text."""

    def __init__(self, name: str, value: Any):
        self.array = text_to_mask(value, name) if isinstance(value, str) else as_mask(value, name)

    def __repr__(self) -> str:
        return repr(mask_to_text(self.array))


@dataclass(frozen=True)
class _Random:
    """Random units of a layer."""

    name: str
    seed: int
    keep: float

    def __call__(self, net: Network) -> torch.Tensor:
        (count,) = _shape(net, self.name)
        draw = np.random.Generator(np.random.PCG64([self.seed, int(self.name[1])])).permutation(count)
        return torch.from_numpy(draw < max(1, round(self.keep * count)))


@dataclass(frozen=True)
class _OfImage:
    """The units that an image itself opens."""

    name: str
    image: Any

    def __call__(self, net: Network) -> torch.Tensor:
        _shape(net, self.name)
        if len(net.pixels_of(self.image)) != 1:
            raise SettingError("several images were given; expected the one that the pathway is made of.")
        return getattr(relu_masks(net, self.image), self.name)
