"""No text of a file is markup on the screen, or a formula in a figure."""

from __future__ import annotations

import io
import json
import re
import warnings
from html.parser import HTMLParser
from xml.etree import ElementTree

import ipywidgets as w
import marked
import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances
from ipywidgets.widgets.widget_description import DescriptionWidget
from matplotlib.text import Text

import cnnexplore as cx
from cnnexplore.decoding import compare
from cnnexplore.evaluation import recognition
from cnnexplore.evaluation.scorecard import ScoreCard, ScoreTable
from cnnexplore.figures import Cell, Diagram, Sheet, Table
from cnnexplore.figures.chart import Chart
from cnnexplore.figures.diagram import Edge, Node
from cnnexplore.results import Result
from cnnexplore.styles import topic_importance
from cnnexplore.units.number_of_facets import FacetCurve
from cnnexplore.widgets.explorer.pins import Pin, PinSheet
from cnnexplore.widgets.live.selection import Selection

TAGS = {"span", "div", "b", "p", "table", "thead", "tbody", "tr", "th", "td", "br"}


class Markup(HTMLParser):
    """The tags and attributes of HTML."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attributes)


def check_html(text):
    """Check that HTML consists of what the project writes itself."""
    found = Markup(text)
    assert found.tags <= TAGS, text
    assert found.attributes <= {"style", "title", "class"}, text


def check_widgets():
    """Check all widgets that are open: where HTML or a formula is read, no text of the network is."""
    for one in list(_instances.values()):
        state = {name: getattr(one, name) for name in one.keys}
        assert not isinstance(one, (w.HTMLMath, w.Label)), "reads formulae"
        for name, value in state.items():
            if name.endswith("allow_html"):
                assert value is False, type(one)
        if isinstance(one, w.HTML):
            check_html(one.value)
        if isinstance(one, DescriptionWidget) and not isinstance(one, w.Button):
            assert not re.search(r"[<$\\\n\x00]", str(one.description)), "a description is read as a formula"
        if hasattr(one, "to_plotly_json"):
            drawn = json.dumps(one.to_plotly_json(), default=str)
            assert "<" not in drawn, "plotly reads HTML"
            assert "cxScript" not in drawn


@pytest.fixture
def net():
    return marked.network()


@pytest.fixture
def panel(keep, net, tmp_path, monkeypatch):
    monkeypatch.setenv("CNNEXPLORE_CACHE", str(tmp_path / "cache"))
    masks = {label: [np.arange(16) % 2 == 0, np.arange(16) % 3 == 0] for label in marked.LABELS}
    image, images = next(iter(marked.images().values())), marked.images()
    layers = list(net.layers)
    makes = {
        "inversion": lambda: cx.InversionPanel(net, images, layers[0], steps=2),
        "maximization": lambda: cx.MaximizePanel(net, layers[-1], marked.IMAGE, steps=2),
        "caricature": lambda: cx.CaricaturePanel(net, images, layers[3], steps=2),
        "attribution": lambda: cx.AttributionPanel(net, images, marked.FORMULA, "gradcam"),
        "units": lambda: cx.UnitPanel(net, layers[-1], images=list(images.values())),
        "units with all parts": lambda: cx.UnitPanel(
            net,
            layers[0],
            images=str(marked.folder(tmp_path / "images")),
            k=2,
            concepts=marked.Concepts(),
            checkpoints=dict.fromkeys(marked.TEXTS[:3], net),
            parts=["word", "generator", "evolution", "facets"],
        ),
        "a class with all parts": lambda: cx.UnitPanel(
            net,
            layers[-1],
            marked.IMAGE,
            list(images.values()),
            k=2,
            checkpoints=dict.fromkeys(marked.TEXTS[:3], net),
            parts=["word", "generator", "evolution", "facets"],
        ),
        "generator": lambda: cx.MaximizePanel(
            net, layers[-1], marked.IMAGE, steps=2, prior="generator", generator=marked.inverter(net)
        ),
        "decoding": lambda: cx.DecodingPanel(net, images, layers[3]),
        "pathways": lambda: cx.PathwayPanel(net, marked.IMAGE, styles=masks, steps=2),
        "completion": lambda: cx.CompletionPanel(
            net, image, (4, 4, 20, 20), target=marked.MONEY, styles=masks, steps=2
        ),
        "styles": lambda: cx.StylePanel(net, str(marked.folder(tmp_path / "images")), k=2, steps=2),
        "explorer": lambda: cx.explore(net, images),
    }
    return lambda name: keep(makes[name]())


NAMES = (
    "inversion",
    "maximization",
    "caricature",
    "attribution",
    "units",
    "units with all parts",
    "a class with all parts",
    "generator",
    "decoding",
    "pathways",
    "completion",
    "styles",
    "explorer",
)


@pytest.mark.parametrize("name", NAMES)
def test_panels_show_names_as_text(panel, name):
    one = panel(name)
    assert one.wait(120)
    check_widgets()
    if name == "explorer":
        for other in one.questions:
            one.ask(other)
            one.wait(120)
            check_widgets()
        return
    if name == "styles":
        for colours in one.embedding_view.colour_box.options:
            one.embedding_view.colour_box.value = colours
        assert "<img" not in one.embedding_view.legend.value  # it names the classes that are there
        one.pick(0)
    if "parts" in name:
        assert {view for view in one.views if view in one.parts} == set(one.views)
        assert any(text in one.views["evolution"].moment.caption for text in marked.TEXTS)
        one.views["evolution"].slider.value = 0
        one.strength.slider.value = 2.0
        assert one.wait(120)
        one.save_page()
    if name == "decoding":
        assert "&lt;img" in one.detail.parts_title.value or "two" in one.detail.parts_title.value
    one.copy_python()
    one.save()
    one._on_selection(one.selection.value, one.selection.value)
    with one.run_view.show_errors():
        raise cx.SettingError(f"wrong: {marked.IMAGE}")
    check_widgets()


def test_the_check_finds_markup(keep):
    with pytest.raises(AssertionError):
        check_html(f"<b>{marked.IMAGE}</b>")
    made = keep(w.HTML(f"<b>{marked.IMAGE}</b>"))
    with pytest.raises(AssertionError):
        check_widgets()
    made.close()


def test_the_javascript_of_views_writes_text():
    from cnnexplore.widgets.views.source import javascript

    for name in ("frame_view", "run_view", "unit_grid"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", javascript(name))


def test_tables_escape_all_of_it():
    first, second = marked.IMAGE, marked.FORMULA
    card = ScoreCard([ScoreTable(first, [second, first], {first: [(0.5, 0.1), (0.2, 0.1)]}, first)])
    check_html(card._repr_html_())
    assert "&lt;img" in card._repr_html_()


@pytest.fixture
def results(net, tmp_path, monkeypatch):
    """One result of each class, of the network whose every text is markup."""
    monkeypatch.setenv("CNNEXPLORE_CACHE", str(tmp_path / "cache"))
    image, layers = next(iter(marked.images().values())), list(net.layers)
    some = cx.features(net, str(marked.folder(tmp_path / "images")))
    topics = cx.topics(some, 2)
    pictures = [np.zeros((60, 200, 3), np.uint8)] * 6
    text = " ".join(marked.TEXTS)
    nodes = [Node(layers[0], 0, text, pictures[0]), Node(layers[3], 0, text, pictures[1])]
    names = list(marked.TEXTS)
    table = Table(text, names, names, {(a, b): [0.5] for a in names for b in names}, python="x")
    many = list(marked.images().values())
    quiet = {"progress": False}
    masks = marked.Concepts()
    found = cx.dissect(net, layers[0], masks, k=1, quantile=0.3, cache=False, null="masks", **quiet)
    labelled = str(tmp_path / "images")
    further = cx.finetune(net, labelled, layers=layers[7], epochs=1, **quiet)
    grouped = cx.facets(net, layers[0], 0, labelled, k=2, method="none", nearest=2, **quiet)
    scores = net.activations(sorted((tmp_path / "images").rglob("*.png")), layers[-1])
    usual = marked.LABELS[int(scores.argmax(1).bincount().argmax())]  # a class of at least four images
    named = {text: lambda net, image, target: np.eye(32) for text in names}
    pictured = {text: lambda net, label, seed: pictures[0] for text in names}
    compared = cx.compare_dissections(dict.fromkeys(names, found))
    return [
        *(cx.attribute(net, image, target) for target in marked.LABELS),
        *(cx.maximize(net, layers[-1], label, steps=1, **quiet) for label in marked.LABELS),
        cx.invert(net, image, layers[3], steps=1, **quiet),
        cx.complete(net, image, (4, 4, 20, 20), target=marked.IMAGE, steps=1, **quiet),
        cx.neighbours(net, image, None, many, k=2, **quiet),
        cx.embed(some, steps=20, **quiet),
        cx.minimal_image(net, image, **quiet),
        cx.top_patches(net, layers[0], 0, many, k=2, **quiet),
        cx.filters(net, layers[0]),
        cx.gallery(net, [layers[0], layers[-1]], [0, 1], steps=1, cache=False, **quiet),
        cx.gallery(net, layers[-1], steps=1, cache=False, **quiet),
        cx.receptive_field(net, layers[0], 1, many, k=1, **quiet),
        cx.activation_maps(net, image, layers[0]),
        cx.discrepancy_maps(net, image, layers[0], [0], patch=8, stride=8, **quiet),
        cx.unit_segments(net, layers[3], 0, many, k=1, **quiet),
        cx.decode(net, layers[3], [0, 1], **quiet),
        compare(net, layers[3], [0, 1], many, **quiet),
        topics,
        cx.retrieve(topics, 0, k=2),
        cx.topic_curve(some, range(1, 3), splits=2),
        cx.cone(some, pairs=2, steps=3),
        Sheet(text, [[Cell(picture, one) for picture, one in zip(pictures, marked.TEXTS, strict=True)]], python="x"),
        Diagram(text, [layers[0], layers[3]], nodes, [Edge((layers[3], 0), (layers[0], 0), 0.5)], python="x"),
        table,
        cx.SavedPicture(pictures[0], f"cx.digit({text!r})"),
        PinSheet((Pin(pictures[0], text, f"cx.digit({text!r})", "inversion", Selection()),), f"cx.digit({text!r})"),
        topic_importance(topics, marked.IMAGE, count=2, designs=2, **quiet),
        found,
        compared,
        Chart(text, compared.plot, {"table": compared.table}, python="x"),
        cx.intervene(net, many, layers[0], unit=[0, 1], **quiet),
        further,
        *(cx.unit_changes(net, further.net, layers[0], labelled, concepts=one, k=1, **quiet) for one in (None, masks)),
        cx.evolution(dict.fromkeys(names, net), layers[0], [0], labelled, filters=False, **quiet),
        cx.evolution(dict.fromkeys(names[:2], net), layers[0], [0], many, concepts=masks, **quiet),
        grouped,
        FacetCurve([2, 3], np.array([0.5, 0.4]), np.array([0.9, 0.8])),
        cx.facets(net, layers[-1], usual, labelled, k=1, method="none", **quiet),
        cx.ask(
            net,
            layers[-1],
            marked.MONEY,
            many,
            concepts=masks,
            checkpoints=dict.fromkeys(names[:2], net),
            k=1,
            steps=1,
            **quiet,
        ),
        cx.ask(
            net, layers[0], 0, labelled, concepts=found, parts=["filter", "top patches", "word", "effect"], k=2, **quiet
        ),
        cx.sanity_check(net, many[:1], named, **quiet),
        recognition(net, net, pictured, names[:2]),
        cx.maximize(net, layers[-1], marked.IMAGE, prior="generator", generator=marked.inverter(net), steps=1, **quiet),
    ]


def test_every_figure_is_drawn_with_names_as_they_are(results, tmp_path):
    for one in results:
        figure = one.plot()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", DeprecationWarning)  # of old packages on new Pythons
            figure.savefig(io.BytesIO(), format="png")
        for text in figure.findobj(Text):
            if (
                any(part in text.get_text() for part in ("$", "onerror", "bold", "nul"))
                and "mathdefault" not in text.get_text()
            ):
                assert not text.get_parse_math(), (type(one), text.get_text())
        assert one._repr_png_().startswith(b"\x89PNG")
        one.save(tmp_path / "figure.svg")
        tree = ElementTree.parse(tmp_path / "figure.svg")
        for element in tree.iter():
            assert element.tag.rpartition("}")[2] not in ("script", "foreignObject", "img")
            assert not [name for name in element.attrib if name.lower().startswith("on")]
        if hasattr(one, "_repr_html_"):
            check_html(one._repr_html_())


def test_that_is_every_class_of_results(results):
    def below(cls):
        for sub in cls.__subclasses__():
            yield sub
            yield from below(sub)

    drawn = {type(one) for one in results}
    known = {cls for cls in below(Result) if cls.__module__.startswith("cnnexplore")}
    assert known - drawn == set()
