"""ask: all that is known of a unit, on one page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from ..arguments import checked, choice, flag, optional, several, whole
from ..arguments import seed as any_seed
from ..data import Images
from ..data.concepts import concept_data
from ..network import Layer, Network, resolve_unit, unit_name
from ..network.arguments import layer_name, network
from ..preimage.arguments import steps as run_steps
from ..results import Result, images_to_python, paths_to_python
from ..units import Dissection
from ..zoo.history import checkpoints_of
from .page import draw_page
from .parts import PARTS, Part, Question, part_stream

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class UnitReport(Result):
    """All that is known of a unit: its parts by name, and a page that shows them.

    Attributes
    ----------
    net : Network
        The network.
    layer : Layer
        The unit's layer.
    unit : int
        The unit.
    images : Images
        The data set.
    parts : dict
        By name, the parts that were made so far; each has its pictures and numbers, and the result that it is made of.
    python : str
        The Python that makes it again.

    Examples
    --------
    >>> report = cx.ask(cx.load("lenet"), "conv2", 7, parts=["top patches", "projections"], progress=False)
    >>> sorted(report.parts), report["top patches"].value.indices.shape
    (['projections', 'top patches'], (1, 9))
    """

    net: Network = field(repr=False)
    layer: Layer
    unit: int
    images: Images = field(repr=False)
    parts: dict[str, Part] = field(repr=False)
    python: str = field(default="", repr=False)

    def __getitem__(self, name: str) -> Part:
        """A part by its name. Raises SettingError if there is none."""
        return self.parts[choice(self.parts)("the name of a part", name)]

    @property
    def title(self) -> str:
        """The unit in words."""
        name = unit_name(self.net, self.layer, self.unit)
        return f"{name} of {self.layer.name} of {self.net.name} ({self.layer.describe()})"

    def plot(self) -> Figure:
        """A matplotlib figure: the page, with a sentence in place of each part that cannot be made."""
        return draw_page(self.title, [self.parts.get(name) for name in PARTS])

    def _repr_png_(self) -> bytes:
        from .. import drawing

        return drawing.shown(self.plot())


def checkpoints_given(name: str, value: Any) -> Any:
    """The checkpoints of a training, once it is known that there are some. Raises NetworkError."""
    checkpoints_of(value)
    return value


def concepts_given(name: str, value: Any) -> Any:
    """Images with masks, or a dissection."""
    return value if isinstance(value, Dissection) else concept_data(name, value)


def report_to_python(
    net: Network,
    layer: str,
    unit: int | str,
    images: object,
    concepts: Any,
    checkpoints: Any,
    parts: list[str] | None,
    k: int = 9,
    steps: int | None = None,
    seed: int = 0,
) -> str:
    """The call of `ask` that makes a report; the names `images` and `concepts` stand for what is no plain value."""
    options = [f"concepts={_concepts_to_python(concepts)}"] * (concepts is not None)
    options += [f"checkpoints={paths_to_python(checkpoints, 'checkpoints')}"] * (checkpoints is not None)
    options += [f"parts={parts}"] * (parts is not None) + [f"k={k}"] * (k != 9)
    options += [f"steps={steps}"] * (steps is not None) + [f"seed={seed}"] * (seed != 0)
    shown = repr(unit) + images_to_python(images)
    return f"cx.ask({', '.join([net.to_python(), repr(layer), shown, *options])})"


def _concepts_to_python(concepts: Any) -> str:
    return concepts.to_python() if hasattr(concepts, "to_python") and concepts.to_python() else "concepts"


_CHECKS: dict[str, Any] = {
    "net": network,
    "layer": layer_name,
    "concepts": optional(concepts_given),
    "checkpoints": optional(checkpoints_given),
    "parts": optional(several(choice(PARTS), f"a list of parts among {', '.join(PARTS)}", 100)),
    "k": whole(1, 25, "how many patches"),
    "steps": optional(run_steps),
    "seed": any_seed,
}


@checked(**_CHECKS, progress=flag)
def ask(
    net: Network,
    layer: str,
    unit: int | str,
    images: object = None,
    *,
    concepts: Any = None,
    checkpoints: Any = None,
    parts: Sequence[str] | None = None,
    k: int = 9,
    steps: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> UnitReport:
    """Ask a unit everything: its filter, what excites it, what it wants, on one page.

    A part that cannot be made for this unit says why, in its place on the page.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The unit's layer.
    unit : int or str
        The unit: a number, or a class's label where the layer is the class scores.
    images : list, str, os.PathLike, torch data set or Images, optional
        The images among which those that excite it are looked for: a list, a folder or a data set. Default: the
        bundled images.
    concepts : ConceptData or Dissection, optional
        Images with masks of concepts for the unit's word, as `dissect` takes them, or what `dissect` found of this
        layer. Default: 300 scenes of the world, for a network of its classes.
    checkpoints : str, os.PathLike, list or dict, optional
        The networks or weights files of a training, in order, as `evolution` takes them. Default: those that ship with
        the network, such as worldnet's.
    parts : sequence of str, optional
        Some of "filter", "decoded filter", "top patches", "projections", "receptive field", "effect" (of silencing it
        on the class scores), "word", "maximisation", "generator", "evolution" and "facets". Default: all, which can
        take minutes.
    k : int
        How many patches, 1 to 25.
    steps : int, optional
        Of a maximisation; None: the usual number.
    seed : int
        Of what is left to chance.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    UnitReport
        The parts, with their page as picture.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    SettingError
        If the layer has no such unit, or a setting is out of its range.
    ImageError
        If an image cannot be read.

    Examples
    --------
    >>> report = cx.ask(cx.load("lenet"), "conv1", 3, parts=["filter", "decoded filter"], progress=False)
    >>> report["decoded filter"].note
    '5 x 5 pixels, from the weights alone'
    """
    report: Any = None
    resolve_unit(net, net.layers[layer], unit)  # before its text is shown
    names = list(PARTS) if parts is None else list(parts)
    with tqdm(total=len(names), desc=f"{layer}, {unit}", unit="part", disable=not progress) as bar:
        stream = ask_stream(
            net,
            layer,
            unit,
            images,
            concepts=concepts,
            checkpoints=checkpoints,
            parts=parts,
            k=k,
            steps=steps,
            seed=seed,
        )
        for report in stream:
            bar.update(sum(part.done for part in report.parts.values()) - bar.n)
    return report


@checked(**_CHECKS)
def ask_stream(
    net: Network,
    layer: str,
    unit: int | str,
    images: object = None,
    *,
    concepts: Any = None,
    checkpoints: Any = None,
    parts: Sequence[str] | None = None,
    k: int = 9,
    steps: int | None = None,
    seed: int = 0,
) -> Iterator[UnitReport]:
    """`ask` as a stream: the report so far, each time a part is made or has grown.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The unit's layer.
    unit : int or str
        The unit.
    images : list, str, os.PathLike, torch data set or Images, optional
        The images. Default: the bundled images.
    concepts : ConceptData or Dissection, optional
        Images with masks of concepts, or what `dissect` found of this layer.
    checkpoints : str, os.PathLike, list or dict, optional
        The networks or weights files of a training, in order.
    parts : sequence of str, optional
        Some of the parts. Default: all.
    k : int
        How many patches.
    steps : int, optional
        Of a maximisation.
    seed : int
        Of what is left to chance.

    Yields
    ------
    UnitReport
        What is known so far.

    Raises
    ------
    SettingError
        For arguments that `ask` refuses.
    """
    where = net.layers[layer]
    number = resolve_unit(net, where, unit)
    source = Images.of(net, images)
    names = list(PARTS) if parts is None else [name for name in PARTS if name in parts]
    python = report_to_python(net, where.name, unit if isinstance(unit, str) else number, images, concepts, checkpoints,
                              None if parts is None else names, k, steps, seed)  # fmt: skip
    made: dict[str, Part] = {}
    for part in part_stream(
        Question(net, where, number, source, k, steps, seed, concepts=concepts, checkpoints=checkpoints), names
    ):
        made = {**made, part.name: part}
        yield UnitReport(net, where, number, source, made, python)
