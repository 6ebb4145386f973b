"""Transformations: random changes of the image before the network sees it, drawn anew for each step."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F

from .settings import Parameter, Values


class Transformation(ABC):
    """A random change of the image, by which what only this exact image would excite is not found.

    A subclass declares its parameters and draws a map of places; ``maximize(..., transforms=[MyChange()])`` then
    shows the network a differently changed image in each step. Where there are several, the image is resampled once,
    bilinearly, and is the mean colour beyond its edge.

    Attributes
    ----------
    parameters : tuple of Parameter
        What can be steered; without an effect where all are 0.

    Examples
    --------
    >>> import torch
    >>> from cnnexplore.preimage import Parameter, Transformation
    >>> class Mirror(Transformation):
    ...     parameters = (Parameter("mirrored", 0, 1, "linear", 0.5, "share of steps in which left and right change"),)
    ...
    ...     def draw(self, generator, values, size):
    ...         if float(torch.rand((), generator=generator)) >= values.mirrored:
    ...             return None
    ...         return torch.diag(torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64))
    >>> r = cx.maximize(cx.load("lenet"), "conv4", 3, transforms=[Mirror()], steps=2, progress=False)
    >>> "transforms=[Mirror()]" in r.python
    True
    """

    parameters: ClassVar[tuple[Parameter, ...]] = ()

    @abstractmethod
    def draw(self, generator: torch.Generator, values: Values, size: tuple[int, int]) -> torch.Tensor | None:
        """Draw the map from a place of the changed image to the one in the image that is seen there.

        Parameters
        ----------
        generator : torch.Generator
            Of this image of the batch.
        values : Values
            The values of the parameters.
        size : tuple of int
            (H, W) of the image.

        Returns
        -------
        torch.Tensor or None
            (3, 3) float64, which takes (x, y, 1), in pixels to the right of and below the fixed point; None for no
            change.
        """

    def added(self, generator: torch.Generator, values: Values, shape: tuple[int, int, int]) -> torch.Tensor | None:
        """Draw what is added to the changed image.

        Parameters
        ----------
        generator : torch.Generator
            Of this image of the batch.
        values : Values
            The values of the parameters.
        shape : tuple of int
            (C, H, W) of the image.

        Returns
        -------
        torch.Tensor or None
            (C, H, W) float32, 0..255; None for nothing.
        """
        return None

    def to_python(self) -> str:
        """The Python that makes this transformation again."""
        inside = __name__.rpartition(".")[0]
        name = f"cx.preimage.{type(self).__name__}" if type(self).__module__.startswith(inside) else type(self).__name__
        return name + (repr(self)[len(type(self).__name__) :] if dataclasses.is_dataclass(self) else "()")


ROTATION = Parameter(
    "rotation", 0, 180, "linear", 10, "rotation: by how many degrees the image is turned at random, to either side",
    shown=(0, 45),
)  # fmt: skip
SCALING = Parameter(
    "scaling", 0, 2, "linear", 0.2,
    "scaling: the image is shown larger or smaller at random; 0.2 is from 1 / 1.2 to 1.2 times its size", shown=(0, 1),
)  # fmt: skip
CROP = Parameter(
    "crop", 0, 1, "linear", 0.25, "crop: the side of the random part that is seen, as a share of the image's; 0: all",
)  # fmt: skip
NOISE = Parameter(
    "noise", 0, 128, "linear", 10, "noise: the deviation of random noise in the image that is seen, of 0..255",
    shown=(0, 64),
)  # fmt: skip


@dataclass(frozen=True)
class Rotation(Transformation):
    """A turn by a random angle, uniform from -`rotation` to `rotation` degrees.

    Examples
    --------
    >>> from cnnexplore.preimage import Rotation
    >>> net = cx.load("lenet")
    >>> run = cx.Maximization(net, "conv4", 3, transforms=[Rotation()], settings={"rotation": 30}, steps=2)
    >>> run.settings.rotation
    30
    """

    parameters = (ROTATION,)

    def draw(self, generator: torch.Generator, values: Values, size: tuple[int, int]) -> torch.Tensor | None:
        if values.rotation == 0:
            return None
        angle = math.radians(values.rotation) * _symmetric(generator)
        cosine, sine = math.cos(angle), math.sin(angle)
        return _map([cosine, -sine, 0], [sine, cosine, 0])


@dataclass(frozen=True)
class Scaling(Transformation):
    """An enlargement by a random factor, whose logarithm is uniform from -log(1 + `scaling`) to log(1 + `scaling`).

    Examples
    --------
    >>> from cnnexplore.preimage import Scaling
    >>> net = cx.load("lenet")
    >>> cx.Maximization(net, "conv4", 3, transforms=[Scaling()], steps=2).settings.scaling
    0.2
    """

    parameters = (SCALING,)

    def draw(self, generator: torch.Generator, values: Values, size: tuple[int, int]) -> torch.Tensor | None:
        if values.scaling == 0:
            return None
        smaller = (1 + values.scaling) ** -_symmetric(generator)
        return _map([smaller, 0, 0], [0, smaller, 0])


@dataclass(frozen=True)
class Crop(Transformation):
    """A random part of the image, enlarged to the whole (MACO).

    Its side is uniform from `crop` to 1.2 times that, at most the image's. Its middle is normal about that of the image
    with a deviation of 0.15 of the image's side, and the part stays inside the image.

    References
    ----------
    T. Fel et al., Unlocking feature visualization for deeper networks with magnitude constrained optimization,
    NeurIPS 2023.

    Examples
    --------
    >>> from cnnexplore.preimage import Crop
    >>> net = cx.load("lenet")
    >>> cx.Maximization(net, "conv4", 3, transforms=[Crop()], settings={"crop": 0.5}, steps=2).settings.crop
    0.5
    """

    parameters = (CROP,)

    def draw(self, generator: torch.Generator, values: Values, size: tuple[int, int]) -> torch.Tensor | None:
        if values.crop == 0:
            return None
        share = min(values.crop * (1 + 0.2 * (_symmetric(generator) + 1) / 2), 1)
        room = (1 - share) / 2
        middle = 0.15 * torch.randn(2, generator=generator, dtype=torch.float64).clamp(-room / 0.15, room / 0.15)
        x, y = float(middle[0]) * size[1], float(middle[1]) * size[0]
        return _map([share, 0, x], [0, share, y])


@dataclass(frozen=True)
class Noise(Transformation):
    """Normal noise with a deviation of `noise` in each number of the image, which covers faint patterns.

    Examples
    --------
    >>> from cnnexplore.preimage import Noise
    >>> net = cx.load("lenet")
    >>> cx.Maximization(net, "conv4", 3, transforms=[Noise()], settings={"noise": 20}, steps=2).settings.noise
    20
    """

    parameters = (NOISE,)

    def draw(self, generator: torch.Generator, values: Values, size: tuple[int, int]) -> torch.Tensor | None:
        return None

    def added(self, generator: torch.Generator, values: Values, shape: tuple[int, int, int]) -> torch.Tensor | None:
        if values.noise == 0:
            return None
        return torch.randn(shape, generator=generator, dtype=torch.float32) * values.noise


class Shift(Transformation):
    """A shift by whole pixels, as a run's `jitter` makes it where the image has no border to cut from."""

    def draw(self, generator: torch.Generator, values: Values, size: tuple[int, int]) -> torch.Tensor | None:
        shifts = max(int(values.jitter), 1)
        if shifts == 1:
            return None
        down, right = (torch.randint(0, shifts, (2,), generator=generator) - (shifts - 1) // 2).tolist()
        return _map([1, 0, right], [0, 1, down])


def _map(right: Sequence[float], down: Sequence[float]) -> torch.Tensor:
    """The map whose image's place to the right, and below, is a sum of (x, y, 1) with weights."""
    return torch.tensor([right, down, (0, 0, 1)], dtype=torch.float64)


def _symmetric(generator: torch.Generator) -> float:
    """A random number from -1 to 1."""
    return 2 * float(torch.rand((), generator=generator, dtype=torch.float64)) - 1


class View:
    """Transformed images of a batch, and the gradient that goes back through the resampling.

    Parameters
    ----------
    x : torch.Tensor
        (N, C, H, W).
    places : torch.Tensor
        (N, 2, 3), as `places_of` gives.
    noise : torch.Tensor, optional
        (N, C, H, W) what is added to the transformed images.

    Attributes
    ----------
    seen : torch.Tensor
        (N, C, H, W) the transformed images.
    """

    def __init__(self, x: torch.Tensor, places: torch.Tensor, noise: torch.Tensor | None = None) -> None:
        with torch.enable_grad():
            self._x = x.detach().requires_grad_()
            grid = _grid(places.to(x.dtype), x.shape[-2:])
            self._seen = F.grid_sample(self._x, grid, "bilinear", "zeros", align_corners=False)
        self.seen = self._seen.detach() if noise is None else self._seen.detach() + noise

    def pull(self, gradient: torch.Tensor) -> torch.Tensor:
        """A gradient with respect to the transformed images, as one with respect to the images.

        Parameters
        ----------
        gradient : torch.Tensor
            (N, C, H, W).
        """
        (found,) = torch.autograd.grad(self._seen, self._x, gradient)
        return found


def _grid(maps: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """The places that maps (N, 2, 3) take a grid to, (N, H, W, 2), in torch's coordinates from -1 to 1.

    By sums, as an autocast would round torch's own function, which multiplies matrices.
    """
    y, x = ((2 * torch.arange(side, device=maps.device, dtype=maps.dtype) + 1) / side - 1 for side in size)
    each = maps[:, :, None, None, :]
    found = each[..., 0] * x + each[..., 1] * y[:, None] + each[..., 2]
    return found.movedim(1, -1)


def places_of(maps: torch.Tensor, size: Sequence[int], centre: tuple[float, float]) -> torch.Tensor:
    """The maps of places of a transformed image to those of the image, as a grid takes them.

    Parameters
    ----------
    maps : torch.Tensor
        (N, 3, 3) float64, in pixels about the fixed point, as `Transformation.draw` gives.
    size : tuple of int
        (H, W) of the images.
    centre : tuple of float
        (row, column) of the fixed point.

    Returns
    -------
    torch.Tensor
        (N, 2, 3) float64, in torch's coordinates from -1 to 1.
    """
    height, width = size
    # u in -1 to 1 is the middle of column u W / 2 + (W - 1) / 2
    to_pixels = torch.tensor(
        [
            [width / 2, 0, (width - 1) / 2 - centre[1]],
            [0, height / 2, (height - 1) / 2 - centre[0]],
            [0, 0, 1],
        ],
        dtype=torch.float64,
    )
    return (torch.linalg.inv(to_pixels) @ maps @ to_pixels)[:, :2]


class Draw(NamedTuple):
    """The random changes of the images of a batch: maps (N, 3, 3), and what is added, (N, C, H, W)."""

    maps: torch.Tensor
    noise: torch.Tensor | None


def draw_changes(
    transformations: Sequence[Transformation],
    generators: Sequence[torch.Generator],
    values: Values,
    shape: tuple[int, int, int],
) -> Draw | None:
    """A change of each image (C, H, W) of a batch, the first transformation acting first; None for no change at all.

    Each image draws from its own generator, so that it is changed as it would be alone.
    """
    size = shape[1:]
    drawn: list[list[torch.Tensor | None]] = []
    sums: list[torch.Tensor | None] = []
    for generator in generators:
        found, noise = [], None
        for one in transformations:
            found.append(one.draw(generator, values, size))
            if (more := one.added(generator, values, shape)) is not None:
                noise = more if noise is None else noise + more
        drawn.append(found)
        sums.append(noise)
    changed = any(one is not None for found in drawn for one in found)
    noisy = any(one is not None for one in sums)
    if not (changed or noisy):
        return None
    same, nothing = torch.eye(3, dtype=torch.float64), torch.zeros(shape if noisy else 0, dtype=torch.float32)
    maps = same.expand(len(generators), 3, 3)
    for each in zip(*drawn, strict=True):  # of one transformation: a product for the batch
        if any(one is not None for one in each):
            maps = maps @ torch.stack([same if one is None else one for one in each])
    return Draw(maps, torch.stack([nothing if one is None else one for one in sums]) if noisy else None)
