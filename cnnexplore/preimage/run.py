"""Run: an optimisation of an image, which minimises C * loss + priors with a solver, one step per frame."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..arguments import checked, several, whole
from ..errors import DivergedError, SettingError, brief_value
from ..network import Network
from ..network.precision import full_precision, repeatable
from .canvas import JITTER, Canvas, CodedCanvas, Offsets
from .captures import Captures, graphs_on
from .colours import colour_mixtures
from .energy import DATA_WEIGHT, Energy
from .inputs import Change, Inputs, sent
from .losses import Euclidean, Loss
from .parameterizations import Parameterization
from .pathways import PassModifier, Pathways
from .priors import Prior, Scale
from .result import PreImage
from .run_python import WrittenRun
from .run_state import SavedRun
from .settings import Parameter, Settings, Values, combine
from .solvers import RATE, Spectral, solver_of
from .steered import MOST_STEPS, Frame
from .step import Step
from .transformations import Draw, Shift, Transformation, draw_changes, places_of
from .variants import variant_of

APPROACH = 50  # steps without shifts; more of them find no lower energies in the end


class Run(WrittenRun, SavedRun):
    """An optimisation: it minimises C * loss + priors with a solver, one step per frame.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The layer of the data term.
    loss : Loss
        The data term.
    settings : Settings
        The mailbox that is read before each step.
    seeds : list of int
        One per image of the batch.
    steps : int, optional
        How many steps; None for the solver's usual number.
    refine : int, optional
        How many steps follow at a smaller rate and without jitter; None for the solver's number.
    solver : str, optional
        One of `cnnexplore.solvers()`; None for the variant's.
    schedule : dict, optional
        {step: {setting: value}}, changes made before these steps.
    size : tuple of int, optional
        (H, W) of the estimate; None for the network's input.
    init : torch.Tensor, optional
        (N, C, H, W) the start; None for noise.
    variant : str
        The published method: "preimage2016", "inverting2015" or "inverting2015:10".
    priors : sequence of Prior
        Terms of the energy beside those of the variant.
    pathway : Pathway, list of Pathway, optional
        What the passes go through.
    update_mask : array, optional
        (H, W) or (N, H, W), the part of the loss's gradient that each pixel follows, 0 to 1; pixels with 0 keep their
        value. Needs `init`.
    transforms : sequence of Transformation
        Random changes of the image before the network sees it, except in the refinement.
    centre : tuple of float, optional
        (row, column) that the transformations turn and scale about; None for the middle.
    images : list, optional
        What a variant measures colours and frequencies on; None for the bundled images.

    Attributes
    ----------
    parameters : tuple of Parameter
        What can be steered.
    changes : dict
        {step: {setting: value}}, the changes that were made.
    captured : str
        Whether the last step was replayed from a CUDA graph, and if not, why.

    Raises
    ------
    SettingError
        If an argument is outside its range.
    LayerNotFound
        If the network has no such layer.

    Examples
    --------
    >>> from cnnexplore.preimage import InnerProduct, Run, Settings, Values
    >>> net = cx.load("lenet")
    >>> loss = InnerProduct(net.activations(cx.digit(3), "conv2"), 1e4)
    >>> run = Run(net, "conv2", loss, Settings(Values(Run.parameters_for(), C=10)), seeds=[0], steps=2, refine=0)
    >>> [frame.step for frame in run.frames()]
    [1, 2]
    """

    @torch.inference_mode(False)  # tensors made in inference mode could not be used outside it
    def __init__(
        self,
        net: Network,
        layer: str,
        loss: Loss,
        settings: Settings,
        *,
        seeds: list[int],
        steps: int | None = None,
        refine: int | None = None,
        solver: str | None = None,
        schedule: Mapping[int, Mapping[str, float]] | None = None,
        size: tuple[int, int] | None = None,
        init: torch.Tensor | None = None,
        variant: str = "preimage2016",
        priors: Sequence[Prior] = (),
        pathway: PassModifier | Sequence[PassModifier | None] | None = None,
        update_mask: Any = None,
        transforms: Sequence[Transformation] = (),
        centre: tuple[float, float] | None = None,
        images: Any = None,
    ) -> None:
        kind = variant_of(variant)
        solver = solver or kind.solver
        make = solver_of(solver)
        self.net, self.loss = net, loss
        self.layer = net.layers[layer]
        count = whole(0, MOST_STEPS, "how many steps, a whole number")
        self.steps = make.steps if steps is None else count("steps", steps)
        self.refine = make.refine if refine is None else count("refine", refine)
        self.solver_name = solver
        self.seeds = seeds
        self.batched = len(seeds) > 1
        self._one_seed = len(seeds) == 1  # whether one seed was given for all images of the batch, not a list
        self.parameters = combine(self.parameters_for(variant, priors, transforms), loss.parameters)
        self.settings = settings
        values = self._snapshot()
        self.schedule: dict[int, dict[str, float]] = {}
        for at, changes in (schedule or {}).items():  # a wrong one is refused now, not in the middle of the run
            then = values.replace(**changes)
            self.schedule[int(at)] = {name: then[name] for name in changes}
        self.first = self._applied = values
        self.changes: dict[int, dict[str, float]] = {}
        self.size = size or net.size
        self.scale = Scale(net.pixels.norm, math.prod(self.size))
        self.variant = kind(self.layer, net.size, self.scale)
        self.more_priors = tuple(priors)
        self.priors = (*self.variant.priors, *self.variant.measured_priors(net, images), *self.more_priors)
        self.pathways = Pathways(net, layer, pathway)
        self._energy = Energy(net, layer, loss, self.priors, self.scale, self.pathways)
        self._prepare_stream()
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.transforms = tuple(transforms)
        self._centre = ((self.size[0] - 1) / 2, (self.size[1] - 1) / 2) if centre is None else centre
        self.importance: torch.Tensor | None = None  # of each pixel, (N, H, W), where the variant sums it up
        self._canvas: Canvas
        border = max(int(values.jitter), 1) - 1
        coded = self.variant.parameterization(net, self.size, images)
        if coded is not None:
            self._canvas = self._coded_canvas(coded, solver, init, update_mask)
            if self.variant.weighs_gradients:
                self.importance = self.x.new_zeros(len(seeds), *self.size)
        elif init is None:
            if update_mask is not None:
                raise SettingError("update_mask was given without an init; the pixels that stay would be noise.")
            around = self.size[0] + border, self.size[1] + border
            noise = self.variant.init(self._generators, net.pixels.channels, around)
            self._canvas = Canvas(make(noise).init(noise).to(net.device), self.size)
        else:
            self._canvas = Canvas(init.clone(), self.size, update_mask)
        self._mixtures: torch.Tensor | None = None
        if self.variant.mixes_colours and solver_of(solver) is Spectral:
            # the longest mixture, grey, is to move each channel as far as a channel moves alone
            self._mixtures = (math.sqrt(net.pixels.channels) * colour_mixtures(net, images)).to(net.device)
        self.solver = self._new_solver(self._canvas.variables)
        self._set_border(border)
        self._good = self._canvas.variables  # the last ones that had a finite energy
        self._captures = Captures(graphs_on(net.device))

    def _coded_canvas(
        self, parameterization: Parameterization, solver: str, init: torch.Tensor | None, update_mask: Any
    ) -> CodedCanvas:
        if update_mask is not None:
            raise SettingError("update_mask holds pixels, but what moves are Fourier coefficients; leave one of them.")
        if solver_of(solver) is Spectral:
            raise SettingError(
                f"solver is {solver!r}, which moves pixels; expected another for Fourier coefficients, such as 'nadam'."
            )
        parameterization = parameterization.to(self.net.device)
        if init is None:
            code = parameterization.start(self._generators).to(self.net.device)
        else:
            code = parameterization.code(init)
        return CodedCanvas(code, self.size, parameterization)

    @staticmethod
    def parameters_for(
        variant: str = "preimage2016",
        priors: Sequence[Prior | type[Prior]] = (),
        transforms: Sequence[Transformation] = (),
    ) -> tuple[Parameter, ...]:
        """The parameters of a run, by which a mailbox or a panel can be made before the run.

        Parameters
        ----------
        variant : str
            The published method.
        priors : sequence of Prior
            Terms of the energy beside those of the variant, or their classes.
        transforms : sequence of Transformation
            Random changes of the image.

        Returns
        -------
        tuple of Parameter
            C, the variant's, jitter, rate, and those of the other priors and of the transformations.

        Raises
        ------
        SettingError
            If two terms declare different parameters of the same name, or a prior is none.
        """
        several(_prior, "a list of cnnexplore.preimage.Prior objects")("priors", priors)
        return combine(
            (DATA_WEIGHT,),
            variant_of(variant).parameters,
            (JITTER, RATE),
            *(prior.parameters for prior in priors),
            *(one.parameters for one in transforms),
        )

    # the stream

    @property
    def canvas(self) -> torch.Tensor:
        """The estimate with its border for jitter, (N, C, H + border, W + border)."""
        return self._canvas.x

    @property
    def term_names(self) -> tuple[str, ...]:
        """The names of the terms of the energy: energy, data, then the priors."""
        return self._energy.term_names

    @property
    def x(self) -> torch.Tensor:
        """The estimate, (N, C, H, W), in the network's units."""
        return self._canvas.centre

    @repeatable()
    @torch.inference_mode(False)  # as in __init__
    def advance(self) -> Frame:
        """Take one step.

        Returns
        -------
        Frame
            The estimate after the step.

        Raises
        ------
        DivergedError
            If the energy is no longer finite; the last good estimate stays.
        """
        if self.step in self.schedule:
            self.settings.update(**self.schedule[self.step])
        values = self._snapshot()
        if values != self._applied:
            self.changes[self.step] = self._applied.changed(values)
            self._applied = values
            self.solver.on_settings_changed()
        approaching = self.step < self._approach
        self.solver.approach(approaching)
        refining = self.step >= self.steps and not approaching
        if refining and self.step == self.steps:
            self.solver.on_refinement()
        if self.variant.resets_at(self.step):
            self.solver.reset()
        changeless = refining or approaching
        self._set_border(0 if changeless else max(int(values.jitter), 1) - 1)
        coded = isinstance(self._canvas, CodedCanvas)
        rate = self.variant.rate(self.step, values) * (1 if coded else self.solver.unit(values, self.scale))
        rate *= self.solver.fine if refining else self.solver.near if 0 < self._approach <= self.step else 1
        inputs = self._inputs(values, changeless, self.solver.numbers(rate))
        following, terms = self._captures(self._step_of_now(), inputs, self.total - self.step)
        self.solver.count()
        if terms.device.type == "cpu" or self.step % 25 == 0:  # on a GPU reading a number waits for it
            if not math.isfinite(float(terms.sum())):
                self._canvas.replace_variables(self._good)
                self.solver = self._new_solver(self._good)
                raise DivergedError(
                    f"the energy is no longer finite at step {self.step} (C {values.C:g}, rate {values.rate:g}); "
                    "lower C or the rate and go on from the last good picture."
                )
            self._good = self._canvas.variables
        self._canvas.take(following)
        self._rows.append(terms)
        self.step += 1
        if self.step >= self.total:
            self._release()
        return Frame(self.step, self.total, values, self.x, terms, self)

    @property
    def _approach(self) -> int:
        """How many of the first steps have no shifts and no transformations, so that the solver can learn the energy.

        A run that has no shifts later would end in a somewhat higher energy (1 to 6 % in shallow layers of small
        networks), a response has no lowest point, and what is moved through masks or codes is not moved as the solver
        says: there are no such steps.
        """
        distance = isinstance(self.loss, Euclidean) and self.first.jitter > 1
        whole_pixels = self._canvas.update_mask is None and not isinstance(self._canvas, CodedCanvas)
        if not (distance and whole_pixels and self.solver.can_approach):
            return 0
        return APPROACH if self.steps > APPROACH else self.total

    def _release(self) -> None:
        self._captures.release()

    def _step_of_now(self) -> Step:
        return Step(self._canvas, self._energy, self.solver, self.variant.bounded, self.importance)

    @property
    def captured(self) -> str:
        """Whether the last step was replayed from a CUDA graph: "yes", or "no: " and why not.

        Examples
        --------
        >>> cx.Inversion(cx.load("lenet"), cx.digit(3), "conv2", steps=3).captured
        'no: the network is not on a CUDA device.'
        """
        return self._captures.why

    @property
    def applied(self) -> Values:
        """The settings of the last step."""
        return self._applied

    @checked(steps=whole(1, MOST_STEPS, "how many more steps, a whole number"))
    def lengthen(self, steps: int) -> None:
        """Have at least some steps of refinement follow, also after the end; `frames` then goes on.

        The refinement goes to the lowest energy of the settings of now. It does not use the jitter.

        Parameters
        ----------
        steps : int
            How many, from the step of now on.

        Examples
        --------
        >>> run = cx.Inversion(cx.load("lenet"), cx.digit(3), "conv2", steps=3, refine=0)
        >>> first = run.finish(progress=False)
        >>> run.settings.update(C=20)
        >>> run.lengthen(2)
        >>> run.finish(progress=False).python[-52:]
        "steps=3, seed=0, refine=2, schedule={3: {'C': 20}})"
        """
        self.refine = max(self.refine, self.step + steps - self.steps)

    def _set_border(self, border: int) -> None:
        if border != self._canvas.border:
            self.solver.restore(self._canvas.set_border(border, self.solver.state()))

    # the energy

    def energy(self, canvas: torch.Tensor, values: Values) -> tuple[torch.Tensor, torch.Tensor]:
        """The terms of the energy of a canvas, seen through a random crop and transformation, and its gradient.

        Parameters
        ----------
        canvas : torch.Tensor
            (N, C, H + border, W + border) in the network's units.
        values : Values
            The settings.

        Returns
        -------
        terms : torch.Tensor
            (K, N), named by `term_names`.
        gradient : torch.Tensor
            Of the canvas's shape.

        Raises
        ------
        SettingError
            If the canvas is not of the run's shape and finite, or the settings are not `Values`.
        """
        self._check_tensor("canvas", canvas, self.canvas.shape)
        return self._energy(canvas, self._canvas, self._inputs(self._checked_values(values)))

    def _inputs(self, values: Values, changeless: bool = False, numbers: Mapping[str, float] | None = None) -> Inputs:
        """What varies in a step; draws random numbers."""
        border, device = self._canvas.border, self._canvas.x.device  # to ask the network takes long
        # one draw per image: an image of a batch is shifted as it would be alone
        drawn = torch.stack([torch.randint(0, border + 1, (2,), generator=g) for g in self._generators])
        changes = () if changeless else self._drawn_changes(values)
        looks = device.type == "cpu" or self.step < 50 or self.step % 5 == 0  # to look waits for a GPU
        offsets: Offsets | None = None
        if border:
            offsets = sent(drawn, device) if device.type != "cpu" or self._captures.possible else drawn.tolist()
        return Inputs(values, offsets, changes, numbers or {}, "asks" if looks else "never")

    def _drawn_changes(self, values: Values) -> tuple[Change, ...]:
        """The random transformations of each view of a step; none where nothing is changed."""
        transforms = self.transforms
        if isinstance(self._canvas, CodedCanvas):
            transforms = (*transforms, Shift())
        if not transforms:
            return ()
        views = int(values.get("views", 1))
        shape = (self.net.pixels.channels, *self.size)
        drawn = [draw_changes(transforms, self._generators, values, shape) for _ in range(views)]
        unchanged = Draw(torch.eye(3, dtype=torch.float64).expand(len(self.seeds), 3, 3), None)
        if all(one is None for one in drawn):
            return ()
        made = []
        for maps, noise in (unchanged if one is None else one for one in drawn):
            places = sent(places_of(maps, self.size, self._centre).float(), self._canvas.x.device)
            made.append(Change(places, None if noise is None else sent(noise, self._canvas.x.device)))
        return tuple(made)

    @full_precision()
    def data_term(self, x: torch.Tensor, values: Values | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss and its gradient, without the weight C.

        Parameters
        ----------
        x : torch.Tensor
            (N, C, H, W) in the network's units.
        values : Values, optional
            The settings; None for those of now.

        Returns
        -------
        loss : torch.Tensor
            (N,).
        gradient : torch.Tensor
            (N, C, H, W) with respect to x.

        Raises
        ------
        LayerError
            If no gradient flows from the layer to the image.
        SettingError
            If x is not of the estimate's shape and finite, or the settings are not `Values`.
        """
        self._check_tensor("x", x, self.x.shape)
        loss, gradient = self._energy.data_term(x, self._snapshot() if values is None else self._checked_values(values))
        return loss, gradient.contiguous()

    def _check_tensor(self, name: str, value: Any, shape: torch.Size) -> None:
        dense = isinstance(value, torch.Tensor) and value.layout == torch.strided and not value.is_meta
        usable = dense and value.shape == shape and value.is_floating_point()
        if not usable or not bool(torch.isfinite(value).all()):
            raise SettingError(
                f"{name} is {brief_value(value)}; expected a tensor of {' x '.join(map(str, shape))} finite numbers."
            )

    def _checked_values(self, values: object) -> Values:
        if not isinstance(values, Values):
            raise SettingError(f"values is {brief_value(values)}; expected the run's settings.snapshot().")
        return values.only(self.parameters)

    # results

    def result(self) -> PreImage | list[PreImage]:
        """The estimate as it is now; a list for a batch."""
        metric = self.loss.metric(self.data_term(self.x)[0]).tolist()
        named = self.loss.metric_name in ("error", "response")
        return self._results(lambda k: {self.loss.metric_name: metric[k]} if named else {})

    # the Python that makes it again

    def to_python(self, *, item: int | None = None, step: int | None = None) -> str:
        """The line of Python that makes the estimate again.

        Parameters
        ----------
        item : int, optional
            The number of an image of the batch, which the line takes out of it; None for all.
        step : int, optional
            After how many steps; None for now.
        """
        return ""  # a loss that was put together by hand has no line of Python


def settings_for(
    settings: Settings | Mapping[str, float] | None,
    variant: str,
    priors: Sequence[Prior],
    numbers: Mapping[str, float],
    transforms: Sequence[Transformation] = (),
) -> Settings:
    """The mailbox of a run: the one given, or a new one with the arguments' numbers and others by name."""
    if isinstance(settings, Settings):
        return settings
    return Settings(Values(Run.parameters_for(variant, priors, transforms), **{**numbers, **(settings or {})}))


def _prior(name: str, value: Any) -> Any:
    if isinstance(value, Prior) or (isinstance(value, type) and issubclass(value, Prior)):
        return value
    raise SettingError(f"{name} is {brief_value(value)}; expected a cnnexplore.preimage.Prior.")
