"""The parser of saved Python: what it takes, what it refuses, and that it runs nothing by itself."""

import ast
import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cnnexplore as cx
from cnnexplore.saved import grammar, read_python

HOSTILE = [
    "__import__('os').system('true')",
    "cx.load.__globals__['os']",
    "cx.load('lenet').module",
    "cx.zoo.catalogue.os.system('true')",
    "cx.finetune(cx.load('lenet'), 'photos')",
    "cx.features(cx.load('lenet'), 'photos', cache='/tmp/elsewhere')",
    "cx.figure('preimage2016.5', log='/tmp/elsewhere')",
    "cx.annotated(folder='/etc')",
    "cx.invert(*[1, 2])",
    "cx.invert(**{'net': 1})",
    "cx.invert(cx.load('lenet'), C=1, C=2)",
    "(lambda: 1)()",
    "[x for x in (1, 2)]",
    "[0] * 10**9",
    "2 ** 99999999",
    "f'{1}'",
    "open('/etc/passwd')",
    "image(1)",
    "'a'.format(1)",
    "cx = 1\ncx",
    "_x = 1\n_x",
    "import os\nos",
    "exec('1')",
    "cx.invert.__class__",
    "cx.load('lenet')[__import__]",
    "image[1:2]",
    "{**image}",
    "b'bytes'",
    "...",
    "1j",
    "x: int = 1\nx",
    "x = y = cx.digit(3)\nx",
    "if 1: pass",
    "def f(): pass",
    "",
    "# cx.digit(3)",
    "[" * 60 + "1" + "]" * 60,
    "-" * 20_000 + "1",
    "cx" + ".a" * 20_000,
    "(" * 100_000,
    "9" * 10_000,
    "\0",
    "\ud800",
    "cx.digit(3)  " + " " * 1_000_001,
    "@",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:30]))
def test_hostile_text_is_refused_with_one_sentence(text):
    with pytest.raises(cx.ExploreError) as caught:
        read_python(text)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert len(sentence) < 350
    assert "\n" not in sentence


def test_what_is_written_is_read():
    text = (
        "cx.maximize(cx.load('lenet'), 'ip2', [1, -2], C=1e-3, M=None, schedule={3: {'C': 5}}, "
        "pathway=cx.Pathway.location(1, 2, 3) & cx.Pathway(m7=[0.5, 1.0]))[1]"
    )
    read = read_python(text)
    assert read.function == "maximize"
    assert read.settings["schedule"] == {3: {"C": 5}}
    assert read.settings["C"] == 1e-3
    assert read.settings["M"] is None
    assert read.settings["pathway"].startswith("cx.Pathway.location(1, 2, 3) & ")
    assert read.names == ()
    two = read_python("top = cx.top_patches(net, 'conv2', 3)\ncx.activation_maps(net, top.images[3], 'conv2')")
    assert (two.function, two.names) == ("activation_maps", ("net",))
    assert read_python("cx.decode(net, 'conv2', 3).threshold(0.3, 'both')").function == "decode"


def test_a_value_is_what_the_line_says():
    image = np.arange(12).reshape(2, 2, 3)
    assert read_python("image[1][-1]").evaluate({"image": image}).tolist() == [9, 10, 11]
    assert np.array_equal(read_python("cx.digit(3)").evaluate({}), cx.digit(3))
    assert np.array_equal(read_python("cx.scene(7, 'church').image").evaluate({}), cx.scene(7, "church").image)
    assert read_python("x = (1, -2.5)\n{'a': [x, None], 3: True}").evaluate({}) == {"a": [(1, -2.5), None], 3: True}


def test_variables_are_asked_for_by_name(refused):
    read = read_python("cx.invert(net, image, 'conv2')")
    refused(cx.SettingError, lambda: read.evaluate({"net": 1}), "image", "make(image=...)")
    refused(cx.SettingError, lambda: read.evaluate({"net": 1, "image": 2, "photo": 3}), "photo", "net, image")


def test_every_public_function_is_either_taken_or_left_out_on_purpose():
    """A new public function belongs into the grammar if it makes a picture and writes nothing."""
    left_out = {
        "UnitGrid", "explore", "finetune", "from_picture", "attribution_methods", "inverters", "networks",
        "photographs", "register_attribution", "solvers",
    }  # fmt: skip
    functions = {name for name in cx.__all__ if inspect.isfunction(getattr(cx, name))}
    assert functions - grammar.MAKERS - left_out == set()
    assert set(cx.__all__) >= grammar.MAKERS
    for name in grammar.INSIDE:
        found = cx
        for part in name.split("."):
            found = getattr(found, part)
        assert callable(found)


def test_no_function_of_the_grammar_writes_where_an_argument_says():
    """Arguments that name a place to write are refused; what else is called like one only reads."""
    reads = {"folder": {"annotated", "concept_images", "digits"}}
    for name in grammar.MAKERS:
        for word in inspect.signature(getattr(cx, name)).parameters:
            if word in {"out", "path", "file", "folder", "cache", "log", "save"}:
                assert word in grammar.REFUSED_ARGUMENTS, (name, word)
                assert word != "folder" or name in reads["folder"]


words = st.sampled_from(
    ["cx", "cx.load", "cx.digit", "cx.invert", "image", "net", "of", "only", "__class__", "eval", "'lenet'", "3", "-1",
     "1e9", "(", ")", "[", "]", "{", "}", ",", ":", "=", ".", "&", "**", "*", "lambda", "for", "in", "\n", "\\", "#",
     "None", "True", "\u2028", "'", '"""', ";", "await", "if"]
)  # fmt: skip


lines = st.lists(words, max_size=14)


@given(st.one_of(st.text(max_size=60), lines.map(" ".join), lines.map("".join)))
def test_any_text_is_read_or_refused(text):
    """Whatever is read consists of the grammar alone: no name of Python's own, no attribute outside it."""
    try:
        read = read_python(text)
    except cx.ExploreError:
        return
    for node in ast.walk(ast.parse(text)):
        assert not isinstance(node, (ast.Lambda, ast.ListComp, ast.Starred, ast.Slice))
    assert all(name.isidentifier() and not name.startswith("_") for name in read.names)
