"""A scene: a picture of the procedural world with its ground truth."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import SettingError, brief_value
from .brush import OBJECT
from .classes import CLASSES, STYLES
from .plan import Plan, plan_scene
from .render import Rendering, render, samples_per_side

_LAYERS = ("object", "shadow", "clutter")


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture of the procedural world with its ground truth.

    All masks are (H, W) bool arrays and are computed at their first use.

    Attributes
    ----------
    image : np.ndarray
        (H, W, 3) uint8.
    label : int
        Index of the class in `cx.world.CLASSES`.
    name : str
        The class.
    style : str
        The style within the class.
    style_index : int
        Index of the style in `cx.world.STYLES[name]`.
    axes : dict
        The axes of variation: "scale" (of the object's frame, as a share of the picture), "angle" (degrees), "colour",
        "status" and "content".
    background : str
        The kind of background, such as "meadow".
    location : tuple of float
        (row, column) of the centre of the object's frame, 0..1.
    seed : int
        The seed that the scene was drawn from.
    """

    image: np.ndarray
    label: int
    name: str
    style: str
    style_index: int
    axes: dict[str, Any]
    background: str
    location: tuple[float, float]
    seed: int
    _plan: Plan = field(repr=False)
    _rendering: Rendering = field(repr=False)

    @functools.cached_property
    def _inks(self) -> np.ndarray:
        """One ink for every pixel: the object's if it covers a part of the pixel, else the one at the centre."""
        size, step = self._plan.size, samples_per_side(self._plan.size)
        canvas = self._rendering.canvas
        middle = canvas[step // 2 :: step, step // 2 :: step]
        rows = canvas.reshape(size, step, -1).max(1)
        highest = functools.reduce(np.maximum, [rows[:, k::step] for k in range(step)])
        return np.where((highest >= OBJECT) & (middle < OBJECT), highest, middle)

    @functools.cached_property
    def _numbers(self) -> list[int]:
        """The inks that are seen."""
        return np.flatnonzero(np.bincount(self._inks.ravel(), minlength=256)).tolist()

    def _masks_by(self, field: str, object_only: bool = False) -> dict[str, np.ndarray]:
        """name -> mask, by a field of the inks."""
        table = self._rendering.inks.table
        seen = {n: getattr(table[n], field) for n in self._numbers if n >= OBJECT or not object_only}
        names = sorted(set(seen.values()))
        which = np.full(256, 255, np.uint8)  # ink -> number of its name
        for number, name in seen.items():
            which[number] = names.index(name)
        at = which[self._inks]
        return {name: at == k for k, name in enumerate(names)}

    @functools.cached_property
    def mask(self) -> np.ndarray:
        """The pixels that show a part of the object, its anti-aliased rim included."""
        return self._inks >= OBJECT

    @functools.cached_property
    def shadow(self) -> np.ndarray:
        """The pixels outside the object that its shadow darkens."""
        return (self._rendering.shadow > 0) & ~self.mask

    @functools.cached_property
    def box(self) -> tuple[int, int, int, int]:
        """The bounding box of the mask, (top, left, bottom, right), half open."""
        rows, columns = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        if not len(rows):
            return 0, 0, 0, 0
        return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1

    @functools.cached_property
    def parts(self) -> dict[str, np.ndarray]:
        """Masks by part of the object; disjoint, together the object's mask."""
        return self._masks_by("part", object_only=True)

    @functools.cached_property
    def materials(self) -> dict[str, np.ndarray]:
        """Masks by material; each pixel is in exactly one."""
        return self._masks_by("material")

    @functools.cached_property
    def textures(self) -> dict[str, np.ndarray]:
        """Masks by texture; each pixel is in exactly one."""
        return self._masks_by("texture")

    @functools.cached_property
    def colours(self) -> dict[str, np.ndarray]:
        """Masks by named colour of the surface, before light and shade; each pixel is in exactly one."""
        return self._masks_by("colour")

    def without(self, *what: str) -> np.ndarray:
        """The same picture with parts left out.

        Parameters
        ----------
        *what : str
            Any of "object", "shadow", "clutter".

        Returns
        -------
        np.ndarray
            (H, W, 3) uint8.

        Raises
        ------
        SettingError
            If a name is unknown.
        """
        for layer in what:
            if layer not in _LAYERS:
                raise SettingError(
                    f"{brief_value(layer)} cannot be left out of a scene; choose among {', '.join(_LAYERS)}."
                )
        return render(self._plan, frozenset(what)).picture

    def concepts(self) -> dict[str, np.ndarray]:
        """Masks by concept for network dissection: "object/church", "part/church/dome", "material/stone", ..."""
        out = {f"object/{self.name}": self.mask}
        out |= {f"part/{self.name}/{part}": mask for part, mask in self.parts.items()}
        for category, masks in (("material", self.materials), ("texture", self.textures), ("colour", self.colours)):
            out |= {f"{category}/{name}": mask for name, mask in masks.items()}
        out[f"scene/{self.background}"] = np.ones_like(self.mask)
        return out


def scene_of(plan: Plan) -> Scene:
    """The scene of a plan."""
    rendering, look = render(plan), plan.look
    axes: dict[str, Any] = {"scale": plan.scale, "angle": plan.angle}
    axes |= {"colour": look.colour, "status": look.status, "content": look.content}
    return Scene(
        rendering.picture, CLASSES.index(plan.name), plan.name, look.style, STYLES[plan.name].index(look.style), axes,
        plan.background, rendering.centre, plan.seed, plan, rendering,
    )  # fmt: skip


def scene(seed: int, name: str | None = None, style: str | None = None, size: int = 96, **axes: Any) -> Scene:
    """Draw a scene of the procedural world.

    What is not given is drawn from the seed; a given argument changes none of the others. The same arguments give the
    same picture on every machine.

    Parameters
    ----------
    seed : int
        From 0, of at most 128 bits.
    name : str, optional
        The class, one of `cx.world.CLASSES`.
    style : str, optional
        The style, one of `cx.world.STYLES[name]`.
    size : int
        Height and width in pixels, 16 to 1024.
    **axes
        Axes of variation: `scale` (of the object's frame, as a share of the picture), `angle` (degrees), `colour`,
        `status`, `content`. `cx.world.AXES[name]` holds their ranges.

    Returns
    -------
    Scene
        The picture with masks of the object, its parts, materials, textures and colours.

    Raises
    ------
    SettingError
        If an argument is unknown or outside its range.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> scene = cx.scene(7, "church", colour="red")
    >>> scene.image.shape, scene.style
    ((96, 96, 3), 'two towers')
    >>> sorted(scene.parts)[:3]
    ['cross', 'door', 'nave']
    """
    return scene_of(plan_scene(seed, name, style, size, **axes))
