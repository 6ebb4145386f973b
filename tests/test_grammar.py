"""The grammar of the public names: order and names of arguments, docstrings, the protocol of results."""

from __future__ import annotations

import dataclasses
import doctest
import inspect
import re
import types
import typing

import numpy as np
import pytest
from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate

import cnnexplore as cx
from cnnexplore.results import Result

PUBLIC = {name: getattr(cx, name) for name in cx.__all__}
FUNCTIONS = {name: value for name, value in PUBLIC.items() if inspect.isfunction(value)}
CLASSES = {name: value for name, value in PUBLIC.items() if inspect.isclass(value)}
ERRORS = {name for name, value in CLASSES.items() if issubclass(value, Exception)}
VIEWS = {"UnitGrid"}  # widgets, whose arguments are traits
CALLABLES = FUNCTIONS | {name: value for name, value in CLASSES.items() if name not in ERRORS | VIEWS}

# The arguments that may be given by position, in order. A method's function is about an image, about units or about
# many images; what stands after these is keyword-only.
ABOUT_AN_IMAGE = {"invert", "caricature", "attribute", "activation_maps", "discrepancy_maps", "neighbours"}
ABOUT_UNITS = {"maximize", "decode", "evolution", "facets", "top_patches", "receptive_field", "unit_segments", "ask",
               "gallery"}  # fmt: skip
ABOUT_MANY_IMAGES = {"features"}
LASTING = {
    "attribute", "invert", "maximize", "caricature", "complete", "top_patches", "discrepancy_maps", "receptive_field",
    "neighbours", "unit_segments", "minimal_image", "features", "embed", "score", "sanity_check", "facets",
    "ask", "evolution", "finetune", "unit_changes", "gallery",
}  # fmt: skip
BY_CHANCE = {"invert", "maximize", "caricature", "complete", "discrepancy_maps", "receptive_field", "topics", "embed",
             "topic_curve", "cone", "score", "sanity_check", "visualize_topic", "facets", "ask",
             "finetune", "gallery"}  # fmt: skip
# Words that the field does not use, or uses for something else, and what stands for them.
AVOIDED = {
    "code": "activation, or python", "codes": "activations", "channel": "unit", "told": "metric_name", "wake": "",
    "forgets": "resets_at", "polish": "refine", "begin": "init", "free": "update_mask", "twin": "", "hasten": "",
    "necks": "bottleneck_layers", "spread": "upsample", "own_masks": "relu_masks", "made_of": "composition",
    "Made": "Composition", "portray": "visualize_topic", "aim": "", "at_hand": "bundled_images", "Telling": "",
    "Reel": "", "Wishes": "", "Album": "", "Instrument": "Explorer", "whole": "", "survey": "", "plane": "",
    "figure_of": "", "said": "", "seen_part": "",
}  # fmt: skip


def parameters(function):
    return list(inspect.signature(function).parameters.values())


def positional(function):
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters(function) if p.kind in kinds]


@pytest.mark.parametrize("name", sorted(CALLABLES))
def test_at_most_three_arguments_after_the_first_are_positional(name):
    if dataclasses.is_dataclass(CALLABLES[name]) and issubclass(CALLABLES[name], object) and name in CLASSES:
        pytest.skip("a dataclass of numbers, which the package makes")
    assert len(positional(CALLABLES[name])) <= 4


@pytest.mark.parametrize("name", sorted(ABOUT_AN_IMAGE))
def test_functions_about_an_image(name):
    first = positional(FUNCTIONS[name])
    assert first[:2] == ["net", "image"]
    assert name == "attribute" or first[2] == "layer"


@pytest.mark.parametrize("name", sorted(ABOUT_UNITS))
def test_functions_about_units(name):
    first = positional(FUNCTIONS[name])
    assert first[:3] == ["net", "layer", "unit"]
    assert first[3:] in ([], ["images"])


@pytest.mark.parametrize("name", sorted(ABOUT_MANY_IMAGES))
def test_functions_about_many_images(name):
    assert positional(FUNCTIONS[name]) == ["net", "images", "layer"]


@pytest.mark.parametrize("name", sorted(LASTING))
def test_what_lasts_shows_its_progress(name):
    (progress,) = (p for p in parameters(FUNCTIONS[name]) if p.name == "progress")
    assert progress.kind is inspect.Parameter.KEYWORD_ONLY
    assert isinstance(progress.default, bool)


@pytest.mark.parametrize("name", sorted(BY_CHANCE))
def test_what_depends_on_chance_takes_a_seed(name):
    assert "seed" in inspect.signature(FUNCTIONS[name]).parameters


def test_a_setting_has_one_default_type_everywhere():
    kinds: dict[str, dict[str, str]] = {}
    for name, function in FUNCTIONS.items():
        for p in parameters(function):
            if p.name in {"C", "alpha", "beta", "jitter", "gamma", "steps", "seed", "progress", "rate", "refine"}:
                kinds.setdefault(p.name, {})[name] = str(p.annotation).replace(" | None", "")
    for setting, found in kinds.items():
        assert len(set(found.values())) == 1 or setting == "seed", (setting, found)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_names_are_the_fields(name):
    value = PUBLIC[name]
    names = [name]
    if name in CALLABLES:
        names += [p.name for p in parameters(value)]
    if inspect.isclass(value):
        names += [one for one in vars(value) if not one.startswith("_")]
        names += list(getattr(value, "__annotations__", {}))
    assert {one: AVOIDED[one] for one in names if one in AVOIDED} == {}


# types


@pytest.mark.parametrize("name", sorted(CALLABLES))
def test_every_argument_has_a_type(name):
    value = CALLABLES[name]
    function = value.__init__ if inspect.isclass(value) else value
    missing = [
        p.name for p in parameters(function) if p.annotation is inspect.Parameter.empty and p.name not in ("self",)
    ]
    assert missing == [] or not isinstance(function, types.FunctionType)
    if inspect.isfunction(value):
        assert inspect.signature(value).return_annotation is not inspect.Signature.empty


# results


def results_of(annotation):
    """The classes of this package in a return type."""
    if inspect.isclass(annotation):
        return {annotation} if annotation.__module__.startswith("cnnexplore") else set()
    return set().union(*(results_of(one) for one in typing.get_args(annotation)))


NO_PICTURE = {"load", "networks", "scene", "explore", "register_attribution", "concept_images", "inverters"}


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - NO_PICTURE))
def test_results_have_one_protocol(name):
    space = {**vars(__import__(FUNCTIONS[name].__module__, fromlist=["_"])), **vars(typing)}
    found = results_of(typing.get_type_hints(FUNCTIONS[name], globalns=space)["return"])
    for kind in found:
        if kind.__name__ in ("Features", "ScoreCard"):  # tables of numbers
            assert hasattr(kind, "to_python")
            continue
        assert issubclass(kind, Result), kind
        assert dataclasses.is_dataclass(kind), kind
        for member in ("picture", "plot", "save", "to_python", "_repr_png_"):
            assert hasattr(kind, member), (kind, member)


# docstrings

CHECKED = {
    "GL08", "SS01", "SS02", "SS03", "SS04", "PR01", "PR02", "PR03", "PR04", "PR07", "RT01", "RT02", "RT03", "YD01",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - {"world", "masks"} - VIEWS))
def test_docstrings_are_numpydoc(name):
    value = PUBLIC[name]
    path = f"{value.__module__}.{value.__qualname__}"
    checked = CHECKED - {"PR01"} if dataclasses.is_dataclass(value) else CHECKED
    assert [f"{rule}: {text}" for rule, text in validate(path)["errors"] if rule in checked] == []
    text = inspect.getdoc(value)
    if dataclasses.is_dataclass(value):  # its fields are what one reads, as well as its arguments
        sections = NumpyDocString(text)
        described = {
            part.strip()
            for section in ("Attributes", "Parameters")
            for one in sections[section]
            for part in one.name.split(",")
        }
        assert {
            field.name for field in dataclasses.fields(value) if field.init and field.name[0] != "_"
        } - described == set()
    if inspect.isfunction(value):
        raised = set(re.findall(r"^(\w+(?:Error|NotFound))$", text, re.M))
        assert raised <= set(ERRORS) | {"ValueError", "TypeError", "ImportError"}
        assert "Examples\n--------" in text
        assert "rguments as " not in text


def methods() -> list:
    found = []
    for name, kind in sorted(CLASSES.items()):
        if name in ERRORS | VIEWS:
            continue
        for attribute, value in sorted(vars(kind).items()):
            if not attribute.startswith("_") and (
                inspect.isfunction(value) or isinstance(value, (property, classmethod))
            ):
                found.append(pytest.param(kind, attribute, id=f"{name}.{attribute}"))
    return found


@pytest.mark.parametrize(("kind", "attribute"), methods())
def test_public_methods_have_docstrings(kind, attribute):
    found = validate(f"{kind.__module__}.{kind.__qualname__}.{attribute}")["errors"]
    checked = {"GL08", "PR02", "PR03", "PR04", "PR07"}
    assert [f"{rule}: {text}" for rule, text in found if rule in checked] == []


@pytest.mark.parametrize("name", sorted(set(CALLABLES)))
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space = {"cx": cx, "np": np}
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(optionflags=flags)
    value = CALLABLES[name]
    text = inspect.getdoc(value) or ""
    example = doctest.DocTestParser().get_doctest(text, space, name, None, 0)
    lines: list[str] = []
    runner.run(example, out=lines.append)
    assert not runner.failures, "".join(lines)
