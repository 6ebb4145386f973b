"""A run: one optimisation, a stream of frames whose settings may change while it goes on."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from tqdm.auto import tqdm

from ..errors import DivergedError, LayerError, SettingError
from ..network import Network
from .canvas import fitted, read_update_mask
from .frame import Frame
from .pathways import Pathways
from .priors import Scale
from .result import PreImage
from .settings import Settings, Values
from .solvers import solver_of
from .state import restore, saved
from .variants import variant_of


class Run:
    """Minimises C * loss + priors from noise by a named solver.

    loss: called with a code, gives (N,) and its gradient; `loss.metric` turns its value into what a person is told,
    named `loss.metric_name`. settings: the mailbox that is read before each step. size: of the estimate (default: the
    network's input). init: (N, C, H, W) to start from in place of noise.
    After `steps` steps come `refine` more at a tenth of the rate, without jitter, from a reset solver.
    schedule: {step: {setting: value}}, changes made before that step. variant: the published method, from which the
    solver comes unless given, and from that steps and refine. priors: more than the variant's own, each with a `name`,
    called as those are, whose `state` and `restore` continue it elsewhere. pathway: what the passes go through (see
    `Pathways`). update_mask: (H, W) or (N, H, W), the part of the loss's gradient that each pixel follows, 0 to 1;
    pixels with 0 stay as they were, to the bit.
    """

    _usual_refine: int | None = None  # None: the solver's
    _kind = PreImage  # of the results

    @torch.inference_mode(False)  # what is made in inference mode could not be used outside it
    def __init__(
        self,
        net: Network,
        layer: str,
        loss,
        settings: Settings,
        *,
        seeds: list[int],
        steps: int | None = None,
        refine: int | None = None,
        solver: str | None = None,
        schedule: dict[int, dict[str, float]] | None = None,
        size: tuple[int, int] | None = None,
        init: torch.Tensor | None = None,
        variant: str = "preimage2016",
        priors: Sequence = (),
        pathway=None,
        update_mask=None,
    ):
        kind = variant_of(variant)
        solver = solver or kind.solver
        how = solver_of(solver)
        steps = how.steps if steps is None else steps
        refine = how.refine if refine is None else refine
        for name, count in (("steps", steps), ("refine", refine)):
            if not isinstance(count, int) or count < 0:
                raise SettingError(f"{name} is {count!r}; expected a whole number, 0 or more.")
        self.net, self.loss = net, loss
        self.layer = net.layers[layer]
        self.steps, self.refine, self.solver_name = steps, refine, solver
        self.seeds = seeds
        self.schedule = {int(step): dict(changes) for step, changes in (schedule or {}).items()}
        self.settings, values = settings, settings.snapshot()
        for changes in self.schedule.values():
            Settings(values).update(**changes)  # a wrong one is refused now, not in the middle of the run
        self.first = self._applied = values
        self.changes: dict[int, dict[str, float]] = {}
        self.size = size or net.size
        self.scale = Scale(net.pixels.norm, math.prod(self.size))
        self.variant = kind(self.layer, net.size, self.scale)
        self._more_priors = tuple(priors)
        self.priors = (*self.variant.priors, *self._more_priors)
        self.term_names = ("energy", "data", *(prior.name for prior in self.priors))
        self.probe = net.probe(layer)
        self.pathways = Pathways(net, layer, pathway)
        self.step = 0
        self._rows: list[torch.Tensor] = []
        self._open = threading.Event()
        self._open.set()
        self._stopped = False
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        shifts = max(values.jitter, 1)
        if init is None:
            full = tuple(side + shifts - 1 for side in self.size)
            noise = self.variant.init(self._generators, net.pixels.channels, full)
            self.canvas = how(noise).init(noise).to(net.device)
        else:
            self.canvas = init.clone()
        self.solver = how(self.canvas)
        if init is None and update_mask is not None:
            raise SettingError("update_mask was given without an init; the pixels that stay would be noise.")
        self.update_mask = None if update_mask is None else read_update_mask(update_mask, self.canvas.shape, net.device)
        self._resize(shifts)
        self._fit_update_mask()
        self._good = self.canvas  # the last one whose energy was seen to be finite

    # the stream

    @property
    def total(self) -> int:
        """Steps and refinement steps together."""
        return self.steps + self.refine

    def frames(self) -> Iterator[Frame]:
        """One frame per step until the end or `stop`; settings, pause and stop act from any thread."""
        self._stopped = False
        while self.step < self.total:
            self._open.wait()
            if self._stopped:
                return
            yield self.advance()

    def _finish(self, verb: str, progress: bool) -> PreImage | list[PreImage]:
        """Runs to the end under a progress bar and gives the result."""
        with tqdm(total=self.total, desc=f"{verb} {self.layer.name}", disable=not progress, leave=False) as bar:
            for frame in self.frames():
                bar.update()
                if frame.step % 25 == 0 and progress:
                    bar.set_postfix({self.loss.metric_name: f"{frame.metric:.3f}"}, refresh=False)
        return self.result()

    def pause(self) -> None:
        """The stream waits before its next step."""
        self._open.clear()

    def resume(self) -> None:
        """The stream goes on."""
        self._open.set()

    @property
    def paused(self) -> bool:
        return not self._open.is_set()

    def stop(self) -> None:
        """The stream ends before its next step; `frames` may be called again later."""
        self._stopped = True
        self._open.set()

    @torch.inference_mode(False)  # as in __init__
    def advance(self) -> Frame:
        """Takes one step. Raises DivergedError if the estimate is no longer finite; the last good one stays."""
        if self.step in self.schedule:
            self.settings.update(**self.schedule[self.step])
        values = self.settings.snapshot()
        if values != self._applied:
            self.changes[self.step] = self._applied.changed(values)
            self._applied = values
            self.solver.on_settings_changed()
        refinement = self.step >= self.steps
        if (refinement and self.step == self.steps) or self.variant.resets_at(self.step):
            self.solver.reset()
        self._resize(1 if refinement else max(values.jitter, 1))
        rate = self.variant.rate(self.step, values) * self.solver.unit(values, self.scale)
        rate *= self.solver.fine if refinement else 1
        terms = []
        canvas = self.solver.step(self.canvas, lambda x: self._gradient(x, values, terms), rate)
        if canvas.device.type == "cpu" or self.step % 25 == 0:  # on a GPU looking at a number waits for it
            if not math.isfinite(float(terms[0].sum())):
                self.canvas = self._good
                self.solver = solver_of(self.solver_name)(self.canvas)
                raise DivergedError(
                    f"the energy is no longer finite at step {self.step} (C {values.C:g}, rate {values.rate:g}); "
                    "lower C or the rate and go on from the last good picture."
                )
            self._good = self.canvas
        canvas = self.variant.bounded(canvas)
        self.canvas = canvas if self._update_mask is None else torch.where(self._update_mask > 0, canvas, self.canvas)
        self._rows.append(terms[0])
        self.step += 1
        return Frame(self.step, self.total, values, self.x, terms[0], self)

    @property
    def x(self) -> torch.Tensor:
        """The estimate: the canvas's centre, (N, C, H, W)."""
        return self._crop(self.canvas, [((self._shifts - 1) // 2,) * 2] * len(self.canvas))

    @property
    def _shifts(self) -> int:
        return self.canvas.shape[-1] - self.size[1] + 1

    # the energy

    def _gradient(self, canvas: torch.Tensor, values: Values, terms: list[torch.Tensor]) -> torch.Tensor:
        """The energy's gradient; its terms (K, N) are appended to `terms`."""
        shifts = self._shifts
        places = [tuple(torch.randint(0, shifts, (2,), generator=g).tolist()) for g in self._generators]
        # a batch of images with one seed, or of seeds: each is shifted as it would be alone
        data, seen = self.data_term(self._crop(canvas, places))
        seen.mul_(values.C)
        if shifts == 1:
            gradient = seen
        else:
            gradient = torch.zeros_like(canvas)
            h, w = self.size
            for k, (top, left) in enumerate(places):
                gradient[k, :, top : top + h, left : left + w] = seen[k]
        if self._update_mask is not None:
            gradient.mul_(self._update_mask)
        energy, parts = data * values.C, [data]
        for prior in self.priors:
            value = prior(canvas, values, self.scale, gradient)
            energy = energy + value
            parts.append(value)
        terms.append(torch.stack([energy, *parts]))
        return gradient if self._update_mask is None else gradient.mul_(self._update_mask > 0)

    def data_term(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss (N,) of x and its gradient with respect to x, without the weight C."""
        with torch.inference_mode(False), torch.enable_grad():
            fed = self.net.feed(x.clone() if x.is_inference() else x).requires_grad_()
            with self.pathways():
                code = self.probe(fed)[self.layer.name]
            if not code.requires_grad:
                raise LayerError(f"the code of {self.layer.name!r} has no gradient with respect to the image.")
            loss, slope = self.loss(code)
            (gradient,) = torch.autograd.grad(code, fed, slope)
        gradient = self.net.pixels.feed(gradient.to(x.dtype))
        return loss, gradient.contiguous()  # that of a sum is expanded: not to be written to

    def _crop(self, canvas: torch.Tensor, places: list[tuple[int, int]]) -> torch.Tensor:
        h, w = self.size
        if canvas.shape[-2:] == (h, w):
            return canvas
        return torch.stack([canvas[k, :, top : top + h, left : left + w] for k, (top, left) in enumerate(places)])

    def _resize(self, shifts: int) -> None:
        """Fits the canvas to another jitter: its centre stays, its border grows by repetition or is cut."""
        old = self._shifts
        if shifts == old:
            return
        before = (shifts - 1) // 2 - (old - 1) // 2
        after = shifts - old - before
        self.canvas = fitted(self.canvas, before, after)
        self._fit_update_mask()
        memory = self.solver.state()
        plane = self.canvas.dim()
        self.solver.restore({k: fitted(t, before, after) if t.dim() == plane else t for k, t in memory.items()})

    def _fit_update_mask(self) -> None:
        """Fits the update mask to the canvas; beyond the image the mask repeats its edge."""
        before = (self._shifts - 1) // 2
        self._update_mask = (
            None if self.update_mask is None else fitted(self.update_mask, before, self._shifts - 1 - before)
        )

    # what is left behind

    def _results(self, numbers) -> PreImage | list[PreImage]:
        """The estimates as they are now: numbers(k) gives the k-th one's error or response; a list for a batch."""
        history, x = self.history, self.x.clone()
        made = [
            self._kind(
                x=x[k : k + 1],
                net=self.net,
                history=history if history.ndim == 1 else history[:, k],
                python=self.to_python(item=k if self.batched else None),
                layer=self.layer.name,
                **numbers(k),
            )
            for k in range(len(x))
        ]
        return made if self.batched else made[0]

    @property
    def history(self) -> np.ndarray:
        """One record per step: step, the terms by name, and error or response; (steps,), or (steps, N)."""
        out = self.records()
        return out[:, 0] if len(self.seeds) == 1 else out

    def records(self, first: int = 0) -> np.ndarray:
        """The history from step `first` on, always (steps, N)."""
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

    def state(self) -> dict:
        """All that continues this run elsewhere: tensors and plain values, fit for torch.save."""
        return saved(self)

    def restore(self, state: dict) -> None:
        """Continues from `state`. Raises SettingError if it belongs to another layer, solver or size."""
        restore(self, state)
