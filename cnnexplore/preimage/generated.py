"""Activation maximisation with a generator as its prior: the code of a trained decoder is optimised, not the pixels.

The method and its settings are those of A. Nguyen et al., Synthesizing the preferred inputs for neurons in neural
networks via deep generator networks, NIPS 2016 (DGN-AM).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .. import drawing
from ..arguments import checked, optional, whole
from ..errors import SettingError, brief_value
from ..generators import Inverter, find_generator, for_network, given_inverter
from ..network import Network, resolve_position
from ..network.precision import full_precision, repeatable
from ..results import value_to_python
from .arguments import POSITION, RUN
from .arguments import M as RESPONSE
from .arguments import images as given_images
from .batch import batch_seeds
from .energy import Energy
from .losses import InnerProduct
from .pathways import Pathways
from .priors import Scale
from .result import PreImage
from .settings import Parameter, Settings, Values
from .steered import Frame, SteeredRun
from .unit_canvas import middle_position
from .unit_target import UnitTarget

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = 200
# The published rate of 8, and the start N(0, 1), are for bounds of 11.9 on average: here both are in units of the mean
# bound, so that they hold for every network.
_MEAN_BOUND = 11.9
_LAST_RATE = 1e-10 / 8  # of the last step, over the first
_DRAWS = 8  # of a first code, until the unit answers
_DEVIATIONS = 3.0  # of the upper bounds that a file holds

CODE_RATE = Parameter(
    "code_rate", 1e-4, 100, "log", 8 / _MEAN_BOUND,
    "code rate: the mean change of the code in the first step, in units of its mean upper bound", label="rate",
    shown=(0.01, 10),
)  # fmt: skip
DECAY = Parameter(
    "decay", 0, 1, "linear", 0.99, "decay: the code is multiplied by it in each step; lower is closer to a plain image",
    shown=(0.8, 1),
)  # fmt: skip
BOUND = Parameter(
    "bound", 0, 20, "linear", _DEVIATIONS,
    "bound: the highest value of each unit of the code, in deviations above its mean over images", shown=(0, 6),
)  # fmt: skip


@dataclass(frozen=True)
class GeneratedImage(PreImage):
    """An image that a generator makes for a unit: a `PreImage` with the code that it is made of.

    Attributes
    ----------
    activation : float
        The unit's activation that is reached, not divided by M.
    code : np.ndarray
        (C, h, w) float32, the activations that the generator makes the image of.
    generator : str
        The network and the layer that the generator inverts.
    """

    activation: float = float("nan")
    code: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32), repr=False)
    generator: str = ""

    def plot(self) -> Figure:
        """A matplotlib figure: the picture beside the response in each step."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
        left.imshow(self.picture, interpolation="nearest")
        left.set_axis_off()
        left.set_title(drawing.printable(self._title()), fontsize=10, parse_math=False)
        right.plot(self.history["step"], self.history["response"], color="#c2410c", lw=1.6)
        right.axhline(1, color="0.6", lw=1, ls=":")
        right.set_xlabel("step")
        right.set_ylabel("response, in units of M")
        right.set_title(drawing.printable(f"generator: {self.generator}"), fontsize=9, color="0.4", parse_math=False)
        right.spines[["top", "right"]].set_visible(False)
        return figure


class GeneratorMaximization(SteeredRun):
    """The run that looks for the code of a generator whose image a unit responds to most (DGN-AM).

    Parameters
    ----------
    net : Network
        Any network of the generator's kind of images; they are resized to its input.
    layer : str
        The layer of the unit.
    unit : int, str, a list or integer array of them, or None
        A channel, or a class by its label; a list is one batch, None all units in one batch.
    direction : array, optional
        (C,) or (C, h, w) weights of the activation that is maximised in place of a unit.
    position : tuple of int, optional
        (row, column) of the unit on the layer's map; None for the middle.
    generator : str, path or Inverter, optional
        Another generator than the network's own: the name of the network whose generator is taken, a file that
        ``cnnexplore train inverter --loss adversarial`` wrote, or an inverter.
    steps : int, optional
        How many steps; None for 200.
    seed : int or list of int
        Of the first code; a list is one batch.
    M : float, optional
        The response that counts as 1; None for the largest one to `images`.
    images : list, optional
        What `Network.pixels_of` takes, to measure M; None for the bundled images.
    schedule : dict, optional
        {step: {setting: value}}, changes made before these steps.
    settings : Settings or dict, optional
        Values of code_rate, decay and bound by name, or a mailbox that has them.

    Attributes
    ----------
    units : list of int or None
        The units of the batch; [None] for a direction.
    code : torch.Tensor
        (N, C, h, w) the code after the last step.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    NetworkError
        If the network has no generator, and none was given.
    SettingError
        If the layer has no such unit or position, or a setting is outside its range.

    Examples
    --------
    >>> from cnnexplore.preimage import GeneratorMaximization
    >>> run = GeneratorMaximization(cx.load("worldnet"), "fc8", "boat", steps=2)
    >>> run.about(), run.size
    ('unit 4 of fc8 (boat)', (96, 96))
    """

    _kind = GeneratedImage
    parameters = (CODE_RATE, DECAY, BOUND)
    term_names = ("energy", "data")
    priors = ()
    refine = 0

    @torch.inference_mode(False)
    @checked(
        **{name: RUN[name] for name in ("net", "layer", "steps", "seed", "schedule", "settings")},
        M=RESPONSE,
        position=POSITION,
        images=optional(given_images),
    )
    def __init__(
        self,
        net: Network,
        layer: str,
        unit: Any = 0,
        *,
        direction: Any = None,
        position: tuple[int, int] | None = None,
        generator: Any = None,
        steps: int | None = None,
        seed: int | Sequence[int] = 0,
        M: float | None = None,
        images: Any = None,
        schedule: Mapping[int, Mapping[str, float]] | None = None,
        settings: Settings | Mapping[str, float] | None = None,
    ) -> None:
        self.net, self.layer, self.size = net, net.layers[layer], net.size
        self.generator = find_generator(net, chosen_generator(generator)).to(net.device)
        self._named_generator = generator
        self.position = None if position is None else resolve_position(self.layer, position)
        place = self.position or middle_position(self.layer, net.size)
        target = UnitTarget(net, self.layer, unit, direction, place, net.size)
        self.units, self.unit, self.direction, self.M = target.units, target.unit, direction, M
        self.seeds = batch_seeds(seed, units=len(target.weights))
        count = len(self.seeds)
        self.scales = target.scales(M, None, images).expand(count)
        self.loss = InnerProduct(target.weights.expand(count, *target.weights.shape[1:]), self.scales)
        self.steps = STEPS if steps is None else steps
        if not isinstance(settings, Settings):
            settings = Settings(Values(self.parameters, **(settings or {})))
        self.settings = settings
        values = self._snapshot()
        self.schedule: dict[int, dict[str, float]] = {}
        for at, changes in (schedule or {}).items():  # a wrong one is refused now, not in the middle of the run
            then = values.replace(**changes)
            self.schedule[int(at)] = {name: then[name] for name in changes}
        self.first = self._applied = values
        self.changes = {}
        self._prepare_stream()
        self.batched = any(isinstance(one, (list, tuple)) for one in (self.unit, seed))
        self._one_seed = not isinstance(seed, list)
        self._generators = [torch.Generator().manual_seed(one) for one in self.seeds]
        scale = Scale(net.pixels.norm, net.size[0] * net.size[1])
        self._energy = Energy(net, layer, self.loss, (), scale, Pathways(net, layer, None))
        self.code = self._first_code()
        self._image, _, self._terms = self._evaluate(self.code)

    # the code and its image

    @property
    def x(self) -> torch.Tensor:
        """The image of the code before its last update, (N, C, H, W): the one whose response is in the history."""
        return self._image

    @property
    def unit_of_code(self) -> float:
        """The mean upper bound of the code's units: the unit of `code_rate`."""
        return float(self.generator.statistics["upper"].mean())

    def bounds(self, deviations: float) -> tuple[torch.Tensor, torch.Tensor]:
        """The least and the highest value of each unit of the code, (1, C, 1, 1) each.

        Parameters
        ----------
        deviations : float
            How many deviations above the mean the upper bound is.
        """
        known = self.generator.statistics
        upper = known["mean"] + deviations * known["deviation"]
        return known["lower"].view(1, -1, 1, 1), torch.maximum(upper, known["lower"]).view(1, -1, 1, 1)

    def _first_code(self) -> torch.Tensor:
        """Noise; drawn again where the unit does not answer to its image at all, from the units' own statistics."""
        plan, known = self.generator.decoder.plan, self.generator.statistics
        shape = (plan.channels, *plan.map)
        code = torch.zeros(len(self.seeds), *shape, dtype=torch.float32, device=self.net.device)
        silent = list(range(len(self.seeds)))
        mean, deviation = (known[name].view(-1, 1, 1) for name in ("mean", "deviation"))
        for draw in range(_DRAWS):
            for k in silent:
                noise = torch.randn(shape, generator=self._generators[k], dtype=torch.float32).to(code.device)
                code[k] = noise * (self.unit_of_code / _MEAN_BOUND) if draw == 0 else mean + draw * deviation * noise
                if draw:
                    code[k] = code[k].clamp(*(bound[0] for bound in self.bounds(_DEVIATIONS)))
            _, slope, _ = self._evaluate(code)
            silent = [k for k in silent if not bool((slope[k] != 0).any())]
            if not silent:
                break
        return code

    @full_precision()
    def _evaluate(self, code: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The image of a code, the direction in which the code raises the response, and the terms (2, N)."""
        with torch.inference_mode(False), torch.enable_grad():
            free = code.detach().clone().requires_grad_()
            image = for_network(self.generator(free), self.generator.pixels, self.net)
            loss, gradient = self._energy.data_term(image.detach(), self._snapshot())
            slope = -gradient / _mean_size(gradient).clamp_min(1e-30)  # its length would cancel in the step
            (direction,) = torch.autograd.grad(image, free, slope)
        return image.detach(), direction, torch.stack([loss, loss]).detach()

    @repeatable()
    @torch.inference_mode(False)
    def advance(self) -> Frame:
        """Take one step: the code along its normalised gradient, then into its bounds, then towards zero.

        Returns
        -------
        Frame
            The image of the code before the step, with its response.
        """
        if self.step in self.schedule:
            self.settings.update(**self.schedule[self.step])
        values = self._snapshot()
        if values != self._applied:
            self.changes[self.step] = self._applied.changed(values)
            self._applied = values
        rate = values.code_rate * self.unit_of_code
        rate += (rate * _LAST_RATE - rate) * self.step / max(self.steps, 1)
        self._image, direction, self._terms = self._evaluate(self.code)
        self.code = next_code(self.code, direction, rate, self.bounds(values.bound), values.decay)
        self._rows.append(self._terms)
        self.step += 1
        return Frame(self.step, self.total, values, self.x, self._terms, self)

    # results

    @property
    def responses(self) -> torch.Tensor:
        """The unit's response to the image, in units of M, (N,)."""
        return -self._terms[0]

    def result(self) -> Any:
        """The `GeneratedImage` as it is now; a list for a batch."""
        responses, scales = self.responses.tolist(), self.scales.tolist()
        code = self.code.detach().cpu().numpy()
        name = f"{self.generator.layer} of {self.generator.network}"
        return self._results(
            lambda k: {
                "response": responses[k],
                "activation": responses[k] * scales[k],
                "about": self.about(k),
                "code": code[k],
                "generator": name,
            }
        )

    def about(self, item: int = 0) -> str:
        """What the image shows, in words.

        Parameters
        ----------
        item : int
            The number of an image of the batch.
        """
        item = whole(0, len(self.seeds) - 1, "the number of an image of the batch")("item", item)
        return UnitTarget.words(self.net, self.layer, self.units[item % len(self.units)])

    def to_python(self, *, item: int | None = None, step: int | None = None) -> str:
        """The line of Python that makes the image again.

        Parameters
        ----------
        item : int, optional
            The number of an image of the batch, which the line takes out of it; None for all.
        step : int, optional
            After how many steps; None for now.
        """
        self._check_moment("", item, step)
        step = self.step if step is None else step
        words = {"unit": repr(self.unit)} if self.direction is None else {"direction": "direction"}
        words["prior"] = "'generator'"
        given = self._named_generator
        if given is not None:
            words["generator"] = "generator" if isinstance(given, Inverter) else value_to_python(str(given))
        if self.position is not None:
            words["position"] = repr(self.position)
        if self.M is not None:
            words["M"] = repr(self.M)
        words |= {"steps": repr(self.steps), "seed": repr(self.seeds[0] if self._one_seed else self.seeds)}
        changed = {p.name: self.first[p.name] for p in self.parameters if self.first[p.name] != p.default}
        if changed:
            words["settings"] = repr(changed)
        if changes := {k: c for k, c in self.changes.items() if k < step}:
            words["schedule"] = repr(changes)
        arguments = ", ".join(f"{name}={value}" for name, value in words.items())
        call = f"cx.maximize({self.net.to_python()}, {self.layer.name!r}, {arguments})"
        return call if item is None or not self.batched else f"{call}[{item}]"


def next_code(
    code: torch.Tensor,
    direction: torch.Tensor,
    rate: float,
    bounds: tuple[torch.Tensor, torch.Tensor],
    decay: float,
) -> torch.Tensor:
    """The step of DGN-AM.

    Parameters
    ----------
    code : torch.Tensor
        (N, C, h, w).
    direction : torch.Tensor
        (N, C, h, w) the gradient through the generator; a code whose gradient is zero or not a number stays.
    rate : float
        The mean absolute change of a code.
    bounds : tuple of torch.Tensor
        The least and the highest value of each unit.
    decay : float
        What the code is multiplied by.

    Returns
    -------
    torch.Tensor
        (N, C, h, w).
    """
    size = _mean_size(direction)
    moved = (code + rate * direction / size).clamp(*bounds) * decay
    usable = (size > 0) & torch.isfinite(size)
    return torch.where(usable, moved, code)


def _mean_size(x: torch.Tensor) -> torch.Tensor:
    """The mean absolute value of each image of a batch, (N, 1, 1, 1)."""
    return x.abs().flatten(1).mean(1).view(-1, 1, 1, 1)


def chosen_generator(generator: Any) -> Inverter | str | None:
    """A generator as `find_generator` takes it; the path of a file is read."""
    if generator is None or isinstance(generator, Inverter):
        return generator
    if isinstance(generator, str) and not generator.endswith(".safetensors"):
        if generator:
            return generator
        raise SettingError(f"generator is {brief_value(generator)}; expected the name of a network, or a file.")
    return given_inverter("generator", generator)
