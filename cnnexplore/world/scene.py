"""A picture of the world with everything that is true about it."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np

from ..errors import SettingError
from .brush import OBJECT
from .classes import CLASSES, STYLES
from .paint import Painted, paint, samples
from .plan import Plan, plan

_LAYERS = ("object", "shadow", "clutter")


@dataclass(frozen=True, eq=False)
class Scene:
    """One picture and its ground truth; the masks, all (H, W) bool, are made when asked for.

    image: (H, W, 3) uint8; label: index into CLASSES; axes: scale (of the object's frame, in pictures), angle
    (degrees), colour, status, content; location: (row, column) of the frame's centre, 0..1.
    """

    image: np.ndarray
    label: int
    name: str
    style: str
    style_index: int
    axes: dict
    background: str
    location: tuple
    seed: int
    _plan: Plan = field(repr=False)
    _painted: Painted = field(repr=False)

    @functools.cached_property
    def _inks(self) -> np.ndarray:
        """One ink for every pixel: the object's where the object touches it at all, else the middle one."""
        size, step = self._plan.size, samples(self._plan.size)
        canvas = self._painted.canvas
        middle = canvas[step // 2 :: step, step // 2 :: step]
        highest = canvas.reshape(size, step, size, step).max((1, 3))
        return np.where((highest >= OBJECT) & (middle < OBJECT), highest, middle)

    def _split(self, what: str, within=True) -> dict:
        """name -> mask, by a field of the inks."""
        by_name: dict[str, np.ndarray] = {}
        table = self._painted.inks.table
        for number in np.unique(self._inks).tolist():
            if within or number >= OBJECT:
                name, here = getattr(table[number], what), self._inks == number
                by_name[name] = by_name[name] | here if name in by_name else here
        return dict(sorted(by_name.items()))

    @functools.cached_property
    def mask(self) -> np.ndarray:
        """Every pixel in which the object is seen, its anti-aliased rim included."""
        return self._inks >= OBJECT

    @functools.cached_property
    def shadow(self) -> np.ndarray:
        """Every pixel that the object's shadow darkens, outside the object."""
        return (self._painted.shadow > 0) & ~self.mask

    @functools.cached_property
    def box(self) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) around the mask, half open."""
        rows, columns = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        if not len(rows):
            return 0, 0, 0, 0
        return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1

    @functools.cached_property
    def parts(self) -> dict:
        """part -> mask; disjoint, together the object's mask."""
        return self._split("part", within=False)

    @functools.cached_property
    def materials(self) -> dict:
        """material -> mask; each pixel of the picture in exactly one."""
        return self._split("material")

    @functools.cached_property
    def textures(self) -> dict:
        """texture -> mask; each pixel of the picture in exactly one."""
        return self._split("texture")

    @functools.cached_property
    def colours(self) -> dict:
        """named colour of the surface, before light and shade -> mask; each pixel of the picture in exactly one."""
        return self._split("colour")

    def without(self, *what: str) -> np.ndarray:
        """The picture with 'object', 'shadow' or 'clutter' not drawn, (H, W, 3) uint8. Raises SettingError."""
        for layer in what:
            if layer not in _LAYERS:
                raise SettingError(f"{layer!r} cannot be left out of a scene; choose among {', '.join(_LAYERS)}.")
        return paint(self._plan, frozenset(what)).picture

    def concepts(self) -> dict:
        """Masks by category and name, as network dissection wants them: object/church, part/church/dome, ..."""
        out = {f"object/{self.name}": self.mask}
        out |= {f"part/{self.name}/{part}": mask for part, mask in self.parts.items()}
        for category, masks in (("material", self.materials), ("texture", self.textures), ("colour", self.colours)):
            out |= {f"{category}/{name}": mask for name, mask in masks.items()}
        out[f"scene/{self.background}"] = np.ones_like(self.mask)
        return out


def _scene(todo: Plan) -> Scene:
    painted, look = paint(todo), todo.look
    axes = {"scale": todo.scale, "angle": todo.angle}
    axes |= {"colour": look.colour, "status": look.status, "content": look.content}
    return Scene(
        painted.picture, CLASSES.index(todo.name), todo.name, look.style, STYLES[todo.name].index(look.style), axes,
        todo.ground, painted.centre, todo.seed, todo, painted,
    )  # fmt: skip


def scene(seed, name=None, style=None, size=96, **axes) -> Scene:
    """The scene of a seed, an int of at least 0, at size x size pixels, 16 to 1024.

    name, style and the axes (scale, angle, colour, status, content; see AXES) are drawn from the seed unless given;
    giving one changes none of the others. Raises SettingError.
    """
    return _scene(plan(seed, name, style, size, **axes))
