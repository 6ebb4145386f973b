"""PathwayPanel: what maximizes a class through a part of the network, growing while that part is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as w

from ...arguments import checked, flag, whole
from ...errors import SettingError, brief_value
from ...network import Layer, resolve_unit, unit_name
from ...preimage import Maximization, Run, Values, paper_jitter
from ...styles import Pathway, pathway_weight
from ...styles.classifier_head import classifier_head
from ..elements import dropdown
from ..live.selection import Selection, SharedSelection
from ..views.location_map import LocationMap
from ..views.relu_mask_view import ReluMaskView
from .base import NetworkLike
from .class_selector import ClassSelector, caption_through, each_with_each
from .run_panel import RunPanel


class PathwayPanel(RunPanel):
    """Live activation maximization of a class through pathways: places of pool5, a style's m7, dropout's m6 and m7.

    Parameters
    ----------
    net : Network or str or path, optional
        A network, or what `load` takes (default: "photonet").
    unit : int or str, optional
        A class's number or label (default: the first).
    styles : Topics or list or dict, optional
        A `Topics`, a list of masks or pathways, or a dict of either by class.
    places : array_like of bool, optional
        (rows, columns) of pool5, true where open (default: everywhere).
    ensembles : int
        How many networks of dropout are shown below each other, 1, 2 or 4; 0: the whole network.
    relu : bool
        Keep the relus: a mask only closes units.
    C : float, optional
        The weight of the class against the priors; None: the usual choice.
    alpha, beta : float
        Exponents of the bounded range and of total variation.
    jitter : int, optional
        Pixels by which the image is shifted at random; None: the paper's choice.
    steps : int
        The length of a run.
    seed : int
        The first seed.
    seeds : int
        How many seeds stand beside each other, 1 to 16.
    start : bool
        Begin at once.
    selection : SharedSelection, optional
        Shares what is looked at with other panels.

    Raises
    ------
    SettingError, NetworkError, WeightsError

    Examples
    --------
    >>> import cnnexplore as cx
    >>> panel = cx.PathwayPanel("worldnet", "church", steps=3)
    >>> panel.wait(60)
    True
    >>> panel.estimate.caption
    'church'
    >>> panel.close()
    """

    looks_at_image = False
    weighed = "class"
    loading = "finding the fully-connected layers …"
    metric_unit = " M"
    metric_help = "the class's score through the pathway, in units of its largest one (M) to the bundled images"

    @checked(ensembles=whole(0, 4, "how many networks"), relu=flag)
    def __init__(
        self,
        net: NetworkLike = None,
        unit: int | str | None = None,
        *,
        styles: Any = None,
        places: Any = None,
        ensembles: int = 0,
        relu: bool = False,
        C: float | None = None,
        alpha: float = 6,
        beta: float = 2,
        jitter: int | None = None,
        steps: int = 200,
        seed: int = 0,
        seeds: int = 1,
        start: bool = True,
        selection: SharedSelection | None = None,
    ):
        if ensembles not in (0, 1, 2, 4):
            raise SettingError(
                f"ensembles is {brief_value(ensembles)}; expected 0 for the whole network, or 1, 2 or 4."
            )
        self._given_paths = unit, styles, places, ensembles, relu
        values = {"C": C, "alpha": alpha, "beta": beta, "jitter": jitter}
        super().__init__(net, None, None, selection, values=values, steps=steps, seed=seed, seeds=seeds, start=start)

    def _prepare(self) -> None:
        super()._prepare()
        unit, styles, places, _, _ = self._given_paths
        self.locations = LocationMap(self.net, places)
        self.relu_masks = ReluMaskView()
        if unit is not None:
            self.selection.set(target=resolve_unit(self.net, self.net.scores, unit))
        self.class_selector = ClassSelector(self.selection, styles)
        self._followers.append(self.class_selector)

    def _usual(self, layer: Layer, size: tuple[int, int]) -> Values:
        return Values(self.parameters, C=pathway_weight(self.net), jitter=paper_jitter(self.net.scores))

    def _looked_at(self) -> tuple:
        return self.net, self.class_selector.chosen

    # the masks

    def pathways(self) -> dict[str, Pathway | None]:
        """The chosen pathways, one per row of pictures, by name; None: the whole network."""
        relu = self.relus.value
        rows = dict(zip(self.class_selector.names, self.class_selector.styles, strict=True))
        if relu:
            rows = {name: one and one.with_relu() for name, one in rows.items()}
        if self.ensembles.value:
            networks = {f"network {k + 1}": Pathway.ensemble(k, relu=relu) for k in range(self.ensembles.value)}
            rows = {
                " · ".join(filter(None, (name, other))): networks[other] if one is None else one & networks[other]
                for name, one in rows.items()
                for other in networks
            }
        if not self.locations.mask.all():
            place = Pathway(m5=self.locations.mask)
            rows = {name: place if one is None else one & place for name, one in rows.items()}
        return rows

    def _make(self) -> Callable[[], Run]:
        net, target = self.net, self.class_selector.target
        classifier_head(net)
        rows = self.pathways()
        pathways, seed, self._columns = each_with_each(list(rows.values()), self.starts.seed_or_seeds)
        options = {**self._options(), "seed": seed}
        if any(rows.values()):
            options["pathway"] = pathways
        self._names = list(rows)
        return lambda: Maximization(net, net.scores.name, target, preset="paper2016", **options)

    def _begin(self, paused: bool = False) -> None:
        with self.run_view.show_errors():
            super()._begin(paused)

    def _run_to_python(self, run: Maximization, step: int | None) -> str:
        return run.to_python(step=step)

    def _caption(self, run: Any) -> str:
        some = f" in {self.locations.text}" if self.locations.text else ""
        return caption_through(unit_name(run.net, run.net.scores, run.units[0]) + some, self._names)

    # what is on the screen

    def _above(self) -> list[w.Widget]:
        _, _, _, ensembles, relu = self._given_paths
        self.selectors.layer.layout.display = "none"
        choices = [("off", 0), ("1 network", 1), ("2 networks", 2), ("4 networks", 4)]
        tip = "random halves of fc6 and fc7: the networks that dropout trains together"
        self.ensembles = dropdown(choices, "dropout", tip, 170, ensembles)
        self.relus = w.Checkbox(value=relu, description="keep the relus", indent=False, layout=w.Layout(width="120px"))
        self.relus.tooltip = "on: a mask only closes units; off: an open unit also passes negative values (equation 4)"
        for box in (self.ensembles, self.relus):
            box.observe(lambda change: self._begin(), "value")
        self._offer_masks()
        row = [self.class_selector.class_box, self.class_selector.style_box, self.ensembles, self.relus]
        return [w.HBox(row, layout=w.Layout(flex_flow="row wrap", align_items="center"))]

    def _shared_controls(self) -> dict[str, w.Widget]:
        return {**super()._shared_controls(), "dropout": self.ensembles, "relus": self.relus}

    def _beside(self) -> list[w.Widget]:
        self.locations.on_change = self._begin
        return [self.locations.widget, self.relu_masks.widget]

    def _offer_masks(self) -> None:
        """Offer only masks of layers that the network has."""
        relus = classifier_head(self.net).relus[-2:]
        both = len(relus) == 2 and None not in relus
        self.ensembles.value = self.ensembles.value if both else 0
        self.ensembles.layout.display = "" if both else "none"
        self.relus.layout.display = "" if relus and relus[-1] is not None else "none"

    def _selected(self, old: Selection, new: Selection) -> None:
        if self._begun == self._looked_at():
            return
        if self.net is not self.locations.net:
            self.locations.set_network(self.net)
            self._offer_masks()
            usual = self._usual(self.net.scores, self.net.size)
            self.settings.update(C=usual.C, jitter=usual.jitter)
            self.controls.show(self.settings.snapshot())
            self.controls.set_layer(self.net.scores, self.net.size)
        self._begin()

    def _show_run(self, run: Any) -> None:
        self.estimate.columns = self._columns if len(run.seeds) > self._columns > 0 else 0
        self.run_pictures.set_box(self.locations.box)
        self.relu_masks.show(run.net, run.pathways.each[:: self._columns])
