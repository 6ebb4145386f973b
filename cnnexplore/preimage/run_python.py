"""The line of Python that makes the estimate of a run again."""

from __future__ import annotations

from typing import Any, ClassVar

from ..results import value_to_python
from .pathways import Pathways
from .settings import Parameter
from .solvers import RATE, solver_of
from .steered import SteeredRun
from .variants import Variant

# Settings that are arguments of `invert` and its kin; all others are given as `settings={...}`.
_ARGUMENTS = ("C", "alpha", "beta", "jitter", "rate", "gamma")


class WrittenRun(SteeredRun):
    """A run that can be written as a call of a function."""

    _usual_refine: ClassVar[int | None] = None  # None: the solver's
    _usual_variant = "preimage2016"
    variant: Variant
    solver_name: str
    pathways: Pathways
    _one_seed: bool

    def _call(self, function: str, subject: str, step: int | None, item: int | None, **more: str) -> str:
        """A call of a function; subject: what stands between the network and the settings; more: other arguments.

        One image of a batch is taken out of the batch: alone it would differ, as convolutions of another number of
        images round differently, and a descent makes that grow.
        """
        step = self.step if step is None else step
        first = self.first
        words = {name: first[name] for name in ("C", "alpha", "beta", "jitter") if name in first}
        words["steps"] = min(step, self.steps)
        arguments = {name: value_to_python(value) for name, value in words.items()} | more
        if pathway := self.pathways.to_python():
            arguments["pathway"] = pathway
        arguments["seed"] = value_to_python(self.seeds[0] if self._one_seed else self.seeds)
        refine = solver_of(self.solver_name).refine if self._usual_refine is None else self._usual_refine
        usual: dict[str, tuple[Any, Any]] = {
            "variant": (self.variant.name, self._usual_variant),
            "solver": (self.solver_name, self.variant.solver),
            "rate": (first.rate, self._usual_value(RATE)),
            "gamma": (first.get("gamma"), None),
            "refine": (max(step - self.steps, 0), refine),
            "settings": ({p.name: first[p.name] for p in self.parameters if self._is_extra(p)}, {}),
        }
        arguments |= {name: value_to_python(value) for name, (value, default) in usual.items() if value != default}
        if changes := {k: c for k, c in self.changes.items() if k < step}:
            arguments["schedule"] = repr(changes)
        call = (
            f"cx.{function}({self.net.to_python()}, {subject}, {', '.join(f'{k}={v}' for k, v in arguments.items())})"
        )
        return call if item is None or not self.batched else f"{call}[{item}]"

    def _is_extra(self, parameter: Parameter) -> bool:
        return parameter.name not in _ARGUMENTS and self.first[parameter.name] != self._usual_value(parameter)

    def _usual_value(self, parameter: Parameter) -> float:
        """The value of a parameter of a run of this kind that is given none."""
        return parameter.default
