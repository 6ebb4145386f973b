"""What all runs have in common: a stream of frames that is steered while it goes on, its records and its results."""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from tqdm.auto import tqdm

from ..arguments import checked, flag, optional, whole
from ..errors import SettingError, brief_value
from ..network import Layer, Network
from .losses import Loss
from .priors import Prior
from .result import PreImage, Term
from .settings import Parameter, Settings, Values

MOST_STEPS = 1_000_000


@dataclass(frozen=True)
class Frame:
    """The estimate after a step, with the energy before that step.

    Attributes
    ----------
    step : int
        How many steps were taken.
    total : int
        How many steps the run takes.
    values : Values
        The settings of the step.
    x : torch.Tensor
        (N, C, H, W) the estimate, in the network's units.
    terms : torch.Tensor
        (K, N) the terms of the energy, named by `run.term_names`, on the run's device.
    run : SteeredRun
        The run.

    Examples
    --------
    >>> frame = cx.Inversion(cx.load("lenet"), cx.digit(3), "conv2", steps=3).advance()
    >>> frame.step, frame.picture.shape
    (1, (28, 28, 3))
    >>> list(frame.energies)
    ['energy', 'data', 'alpha', 'tv']
    """

    step: int
    total: int
    values: Values
    x: torch.Tensor = field(repr=False)
    terms: torch.Tensor = field(repr=False)
    run: SteeredRun = field(repr=False)

    @property
    def picture(self) -> np.ndarray:
        """The estimate, (H, W, 3) uint8, or (N, H, W, 3) for a batch."""
        return self.run.net.picture(self.x)

    @property
    def energies(self) -> dict[str, float]:
        """The terms by name, means over the batch."""
        return dict(zip(self.run.term_names, self.terms.mean(1).tolist(), strict=True))

    @property
    def metric(self) -> float:
        """The number that judges the run, before the step, mean over the batch: the relative error, or the response."""
        return float(self.run.loss.metric(self.terms[1]).mean())

    @property
    def error(self) -> float:
        """||Phi(x) - Phi0|| / ||Phi0|| before the step, mean over the batch; not a number if the run has no Phi0."""
        return self.metric if self.run.loss.metric_name == "error" else math.nan


class SteeredRun(ABC):
    """An optimisation as a stream of frames, whose settings may change while it goes on.

    A kind of run sets the attributes below and takes a step in `advance`.

    Attributes
    ----------
    net : Network
        The network.
    layer : Layer
        The layer of the data term.
    loss : Loss
        The data term.
    settings : Settings
        The mailbox that is read before each step.
    parameters : tuple of Parameter
        What can be steered.
    seeds : list of int
        One per image of the batch.
    size : tuple of int
        (H, W) of the estimate.
    steps, refine : int
        How many steps there are, and how many follow for refinement.
    step : int
        How many steps were taken.
    priors : tuple of Prior
        The terms of the energy beside the data term.
    changes : dict
        {step: {setting: value}}, the changes that were made.
    """

    _kind: ClassVar[type[PreImage]] = PreImage  # of the results
    net: Network
    layer: Layer
    loss: Loss
    settings: Settings
    parameters: tuple[Parameter, ...]
    seeds: list[int]
    size: tuple[int, int]
    steps: int
    refine: int
    step: int
    priors: Sequence[Prior]
    batched: bool
    first: Values
    changes: dict[int, dict[str, float]]
    _applied: Values
    _rows: list[torch.Tensor]
    _generators: list[torch.Generator]

    def _prepare_stream(self) -> None:
        """The stream before the first step."""
        self.step = 0
        self._rows = []
        self._open = threading.Event()
        self._open.set()
        self._stopped = False

    # what a kind of run defines

    @property
    @abstractmethod
    def x(self) -> torch.Tensor:
        """The estimate, (N, C, H, W), in the network's units."""

    @property
    @abstractmethod
    def term_names(self) -> tuple[str, ...]:
        """The names of the terms of the energy: energy, data, then the priors."""

    @abstractmethod
    def advance(self) -> Frame:
        """Take one step."""

    @abstractmethod
    def result(self) -> PreImage | list[PreImage]:
        """The estimate as it is now; a list for a batch."""

    @abstractmethod
    def to_python(self, *, item: int | None = None, step: int | None = None) -> str:
        """The line of Python that makes the estimate again."""

    # the stream

    @property
    def total(self) -> int:
        """How many steps the run takes, refinement included."""
        return self.steps + self.refine

    def frames(self) -> Iterator[Frame]:
        """Take steps until the end or `stop`; settings, pause and stop act from any thread.

        Yields
        ------
        Frame
            One per step.
        """
        self._stopped = False
        while self.step < self.total:
            self._open.wait()
            if self._stopped:
                break
            yield self.advance()
        self._release()

    def _release(self) -> None:  # noqa: B027  # most runs hold nothing
        """Free what only the next step needs."""

    @checked(progress=flag)
    def finish(self, progress: bool = True) -> PreImage | list[PreImage]:
        """Run to the end.

        Parameters
        ----------
        progress : bool
            Whether a progress bar is shown.

        Returns
        -------
        PreImage or list of PreImage
            The result; a list for a batch.
        """
        name = f"{type(self).__name__} {self.layer.name}"
        with tqdm(total=self.total, desc=name, disable=not progress, leave=False) as bar:
            for frame in self.frames():
                bar.update()
                if frame.step % 25 == 0 and progress:
                    bar.set_postfix({self.loss.metric_name: f"{frame.metric:.3f}"}, refresh=False)
        return self.result()

    def pause(self) -> None:
        """Make the stream wait before its next step."""
        self._open.clear()

    def resume(self) -> None:
        """Let the stream continue."""
        self._open.set()

    @property
    def paused(self) -> bool:
        """Whether the stream waits."""
        return not self._open.is_set()

    def stop(self) -> None:
        """End the stream before its next step; `frames` may be called again later."""
        self._stopped = True
        self._open.set()

    def _snapshot(self) -> Values:
        """The values of this run's own parameters, as they are now."""
        return self.settings.snapshot().only(self.parameters)

    # results

    def _results(self, numbers: Callable[[int], dict[str, Any]]) -> Any:
        """The estimates as they are now; numbers(k) gives the fields of the k-th one. A list for a batch."""
        history, x = self.history, self.x.clone().cpu()
        terms = tuple(Term(prior.name, prior.label, prior.colour) for prior in self.priors)
        made = [
            self._kind(
                x=x[k : k + 1],
                net=self.net,
                history=history if history.ndim == 1 else history[:, k],
                python=self.to_python(item=k if self.batched else None),
                layer=self.layer.name,
                terms=terms,
                **numbers(k),
            )
            for k in range(len(x))
        ]
        return made if self.batched else made[0]

    @property
    def history(self) -> np.ndarray:
        """One record per step: step, the terms by name, and the error or response; (steps,), or (steps, N)."""
        out = self.records()
        return out[:, 0] if len(self.seeds) == 1 else out

    def records(self, first: int = 0) -> np.ndarray:
        """The history from a step on, always (steps, N).

        Parameters
        ----------
        first : int
            The first step.
        """
        first = whole(0, what="the first step")("first", first)
        rows = self._rows[first:]
        terms = (
            torch.stack(rows).cpu().double().numpy() if rows else np.zeros((0, len(self.term_names), len(self.seeds)))
        )
        names = ("step", *self.term_names, self.loss.metric_name)
        out = np.zeros((len(terms), terms.shape[-1]), [(n, float) for n in names])
        out["step"] = np.arange(first, first + len(terms))[:, None]
        for k, name in enumerate(self.term_names):
            out[name] = terms[:, k]
        out[self.loss.metric_name] = self.loss.metric(torch.from_numpy(out["data"])).numpy()
        return out

    def _check_moment(self, image: object, item: object, step: object) -> None:
        """The arguments of `to_python`, checked; an empty image stands for the image's own Python."""
        if not isinstance(image, str):
            raise SettingError(f"image is {brief_value(image)}; expected the Python of the image, a text.")
        optional(whole(0, len(self.seeds) - 1, "the number of an image of the batch"))("item", item)
        optional(whole(0, self.total, "after how many steps"))("step", step)

    def __getstate__(self) -> dict[str, Any]:
        random = [generator.get_state() for generator in self._generators]
        return {**self.__dict__, "_open": self._open.is_set(), "_generators": random}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _open=threading.Event(), _generators=[])
        if state["_open"]:
            self._open.set()
        for known in state["_generators"]:
            self._generators.append(torch.Generator())
            self._generators[-1].set_state(known)
