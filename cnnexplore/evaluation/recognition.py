"""Recognition: whether another network sees in a picture the class that the picture was made for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import drawing
from ..arguments import checked, optional, several, text
from ..arguments import seed as any_seed
from ..errors import ImageError, NetworkError, SettingError, brief_value
from ..network import Network
from ..network.arguments import network
from ..results import Result
from .methods import call_method, methods_by_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Recognition(Result):
    """How often another network recognises the classes of pictures.

    Attributes
    ----------
    judge : str
        The network that looks at the pictures.
    methods : list of str
        How the pictures were made.
    labels : list of str
        The class of each picture.
    ranks : np.ndarray
        (methods, pictures) int, the place of the true class among the judge's classes, from 1.
    pictures : list of list of np.ndarray
        By method, the pictures, (H, W, 3) uint8 each.
    python : str
        The line of Python that makes it again.
    """

    judge: str
    methods: list[str]
    labels: list[str]
    ranks: np.ndarray
    pictures: list[list[np.ndarray]] = field(repr=False)
    python: str = field(default="", repr=False)

    def top(self, k: int = 1) -> dict[str, float]:
        """The share of pictures whose class is among the judge's k likeliest, by method.

        Parameters
        ----------
        k : int
            How many classes count.
        """
        return {name: float((row <= k).mean()) for name, row in zip(self.methods, self.ranks, strict=True)}

    def __str__(self) -> str:
        width = max(map(len, self.methods))
        one, five = self.top(1), self.top(5)
        lines = [f"{'recognised by ' + self.judge:<{width + 14}}  top-1  top-5"]
        lines += [f"{name:<{width + 14}}  {one[name]:5.0%}  {five[name]:5.0%}" for name in self.methods]
        return "\n".join(lines)

    def plot(self) -> Figure:
        """A matplotlib figure: the pictures, a row a method, with a green frame where the judge's first guess is right.

        At most ten pictures of a method are shown.
        """
        from matplotlib.figure import Figure

        columns = min(10, len(self.labels))
        figure = Figure(figsize=(1.15 * columns + 1.2, 1.35 * len(self.methods) + 0.5), layout="constrained")
        axes = figure.subplots(len(self.methods), columns, squeeze=False)
        one = self.top(1)
        for m, name in enumerate(self.methods):
            for k in range(columns):
                ax = axes[m, k]
                ax.imshow(self.pictures[m][k], interpolation="nearest")
                ax.set_xticks([])
                ax.set_yticks([])
                right = self.ranks[m, k] == 1
                for side in ax.spines.values():
                    side.set_color("#16a34a" if right else "0.8")
                    side.set_linewidth(3 if right else 1)
                if m == 0:
                    ax.set_title(drawing.printable(self.labels[k]), fontsize=8, parse_math=False)
            axes[m, 0].set_ylabel(f"{drawing.printable(name)}\n{one[name]:.0%}", fontsize=9, parse_math=False)
        figure.suptitle(drawing.printable(f"recognised by {self.judge} (green frame)"), fontsize=10, parse_math=False)
        return figure


def ranks_of(judge: Network, pictures: Sequence[np.ndarray], labels: Sequence[str]) -> np.ndarray:
    """The place of each picture's class among a network's classes.

    Parameters
    ----------
    judge : Network
        The network, which has labels.
    pictures : sequence of np.ndarray
        (H, W, 3) uint8.
    labels : sequence of str
        The class of each.

    Returns
    -------
    np.ndarray
        (pictures,) int, from 1.

    Raises
    ------
    NetworkError
        If the network has no such class.
    """
    unknown = [label for label in labels if label not in judge.labels]
    if unknown:
        raise NetworkError(
            f"{judge.name} has no class {brief_value(unknown[0])}; expected a network with the same classes."
        )
    if len(pictures) != len(labels):
        raise SettingError(f"{len(pictures)} pictures and {len(labels)} labels were given; expected one for each.")
    found = []
    for picture, label in zip(pictures, labels, strict=True):
        scores = judge.activations(picture, judge.scores.name)[0].flatten().float()
        found.append(int((scores > scores[judge.labels.index(label)]).sum()) + 1)
    return np.array(found, dtype=np.int64)


def _seeds(name: str, value: Any) -> list[int]:
    """One or more seeds."""
    found = several(any_seed, "a list of seeds", 10_000)(name, value)
    if not found:
        raise SettingError(f"{name} is {brief_value(value)}; expected at least one seed.")
    return found


@checked(
    net=network,
    judge=network,
    methods=methods_by_name,
    labels=optional(several(text("a class"), "a list of classes")),
    seeds=_seeds,
)
def recognition(
    net: Network,
    judge: Network,
    methods: Mapping[str, Callable[..., Any]],
    labels: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
) -> Recognition:
    """Make pictures of a network's classes and let another network name them.

    Parameters
    ----------
    net : Network
        The network whose classes are pictured.
    judge : Network
        Another network with the same classes, which looks at the pictures as they are saved: 0 to 255, rounded.
    methods : mapping
        By name, ``f(net, label, seed)``, which returns a `PreImage`, or a picture (H, W, 3) uint8.
    labels : sequence of str, optional
        The classes; None for all that both networks have.
    seeds : sequence of int
        One picture of each class for each seed.

    Returns
    -------
    Recognition
        The ranks of the true classes.

    Raises
    ------
    NetworkError
        If there is no class that both networks have.
    SettingError
        If a method fails, or there is none.
    ImageError
        If a method returns no picture.

    Examples
    --------
    >>> from functools import partial
    >>> from cnnexplore.evaluation import recognition
    >>> net, judge = cx.load("worldnet"), cx.load("worldnet-robust")
    >>> def plain(net, label, seed):
    ...     return cx.maximize(net, "fc8", label, seed=seed, steps=2, progress=False)
    >>> recognition(net, judge, {"plain": plain}, ["boat"]).ranks.shape
    (1, 1)
    """
    shared = [label for label in net.labels if label in judge.labels] if labels is None else list(labels)
    if not shared:
        raise NetworkError(f"{net.name} and {judge.name} have no class in common; expected networks of the same data.")
    wanted = [(label, seed) for seed in seeds for label in shared]
    pictures, ranks = [], []
    if not methods:
        raise SettingError("methods is empty; expected at least one function, by name.")
    for name, method in methods.items():
        made = [call_method("method", name, method, net, label, seed) for label, seed in wanted]
        pictures.append([_picture(name, one) for one in made])
        ranks.append(ranks_of(judge, pictures[-1], [label for label, _ in wanted]))
    python = f"recognition({net.to_python()}, {judge.to_python()}, methods)"
    return Recognition(judge.name, list(methods), [label for label, _ in wanted], np.array(ranks), pictures, python)


def _picture(name: str, made: Any) -> np.ndarray:
    """The picture that a method returned. Raises ImageError."""
    picture = getattr(made, "picture", made)
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8:
        raise ImageError(
            f"the method {brief_value(name)} returned {brief_value(made)}; expected a result with a picture, or an "
            "array (H, W, 3) of uint8."
        )
    return picture
