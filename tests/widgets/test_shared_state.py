"""The explorer's state: shared as JSON, opened again, and refused with a sentence where it does not fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn
from waiting import until

import cnnexplore as cx
from cnnexplore.widgets.explorer import QUESTIONS, Explorer
from cnnexplore.widgets.explorer.shared_state import read_state


@pytest.fixture
def explore(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    made = []

    def one(*args, **settings):
        made.append(Explorer(*args, **settings))
        return made[-1]

    yield one
    for each in made:
        each.close()


MASK = " ".join(["0" * 12] * 4 + ["000011110000"] * 4 + ["0" * 12] * 4)
CHOSEN = {
    "inversion": {"C": 7.5, "jitter": 1, "steps": 4, "seed": 3, "window": [0, 1, 3, 4]},
    "maximization": {"C": 12, "beta": 1.5, "steps": 4, "seeds": 2},
    "caricature": {"alpha": 5, "steps": 3, "seed": 9},
    "attribution": {"method": "smoothgrad", "opacity": 0.45, "samples": 4},
    "units": {},
    "decoding": {"unpooling": "nearest", "show": "strong", "threshold": 0.5},
    "pathways": {"steps": 3, "relus": True},
    "completion": {"steps": 3, "fill": "noise", "C": 40},
}


@pytest.mark.parametrize("question", CHOSEN)
def test_a_state_is_opened_as_it_was_shared(explore, question):
    net, layer = ("worldnet", "conv3") if question in ("pathways", "completion") else ("lenet", "conv2")
    first = explore(net, name=question)
    first.selection.set(layer=layer, unit=5, position=(2, 3), target=4)
    first.panel.take_settings(CHOSEN[question])
    shared = json.dumps(first.state())
    assert len(shared) < 1500
    other = explore(state=shared)
    assert other.state() == first.state()
    assert {name: other.state()["settings"][name] for name in CHOSEN[question]} == CHOSEN[question]
    s, t = first.selection.value, other.selection.value
    assert (s.layer, s.unit, s.position, s.target) == (t.layer, t.unit, t.position, t.target)
    assert other.questions[question].value
    if question != "units":
        assert first.panel.wait(100)
        assert other.panel.wait(100)
        assert first.panel.to_python() == other.panel.to_python()
        assert np.array_equal(first.picture, other.picture)


def test_files_are_found_by_name_and_missing_ones_are_named(explore, tmp_path, refused):
    weights = Path(cx.__file__).parent / "zoo" / "weights" / "lenet.safetensors"
    (tmp_path / "sub").mkdir()
    shutil.copy(weights, tmp_path / "sub" / "mine.safetensors")
    Image.fromarray(cx.digit(3)).save(tmp_path / "sub" / "three.png")
    first = explore("sub/mine.safetensors", "sub/three.png")
    state = first.state()
    assert state["network"]["path"] == "sub/mine.safetensors"
    assert state["image"]["path"] == "sub/three.png"
    (tmp_path / "state.json").write_text(json.dumps(state))
    again = explore(state=tmp_path / "state.json")
    assert again.state() == state
    assert again.panel.wait(100)
    assert again.to_python().startswith("cx.invert(cx.load('sub/mine.safetensors'), 'sub/three.png', ")

    for name in ("mine.safetensors", "three.png"):
        (tmp_path / "sub" / name).rename(tmp_path / name)
    assert explore(state="state.json").state()["image"]["path"] == "three.png", "beside the notebook they are found"
    (tmp_path / "three.png").unlink()
    refused(cx.ImageError, lambda: explore(state=state), "'sub/three.png'", "working folder")
    (tmp_path / "mine.safetensors").unlink()
    refused(cx.ImageError, lambda: explore(state=state), "'sub/three.png', 'sub/mine.safetensors'")
    Image.fromarray(cx.digit(4)).save(tmp_path / "three.png")
    shutil.copy(weights, tmp_path / "mine.safetensors")
    refused(cx.ImageError, lambda: explore(state=state), "three.png", "content differs")
    del state["image"]["sha256"]
    assert explore(state=state).selection.image == "three.png"


def test_a_module_and_an_image_of_the_author_are_given_again(explore, refused):
    net = cx.Network(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(784, 3)), size=16, name="my")
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    state = explore(net, {"photo": image}).state()
    assert state["network"] == {"own": "my"}
    assert set(state["image"]) == {"name", "sha256"}
    refused(cx.NetworkError, lambda: explore(state=state), "'my'", "cx.explore(net, state=...)")
    refused(cx.ImageError, lambda: explore(net, state=state), "images=[...]")
    refused(cx.ImageError, lambda: explore(net, [image + 1], state=state), "images=[...]")
    assert explore(net, [image + 1, image], state=state).selection.image is not None
    refused(cx.LayerNotFound, lambda: explore("worldnet", [image], state={**state, "layer": "conv77"}), "conv77")


def test_an_image_that_is_bundled_is_chosen_on_the_shelf(explore):
    state = explore("lenet").state()
    assert state["image"] == {"python": "cx.digit(2)"}
    other = explore(state={**state, "image": {"python": "cx.digit(7)"}})
    assert other.shelf.grid.captions[other.shelf.grid.selected] == "digit 7"
    another = explore(state={**state, "image": {"python": "cx.digit(7, 1)"}})
    assert np.array_equal(another.selection.image, cx.digit(7, 1))


def test_the_button_copies_the_state_and_an_upload_is_kept(explore, tmp_path, said):
    explorer = explore("lenet", cx.digit(3))
    explorer.selection.set(image=np.stack([cx.digit(5)] * 3, -1), image_python="'five.png'")
    explorer.share_button.click()
    (copied,) = [content["text"] for content, _ in said if content.get("kind") == "copy"]
    state = json.loads(copied)
    kept = state["image"]["path"]
    assert kept.startswith("five-")
    assert (tmp_path / kept).is_file()
    assert any(kept in content.get("text", "") for content, _ in said if content.get("kind") == "message")
    assert np.array_equal(np.asarray(Image.open(explore(state=copied).selection.image)), explorer.selection.image)


def test_settings_that_do_not_fit_are_said_and_the_rest_is_shown(explore):
    state = explore("lenet").state()
    for settings, words in (
        ({"C": -1}, "C is -1"), ({"warmth": 3}, "no setting 'warmth'"), ({"start_from": "nowhere"}, "does not offer"),
        ({"window": [0, 0, 99, 99]}, "window"), ({"steps": 10**9}, "steps"), ({"patches": [1]}, "patches"),
    ):  # fmt: skip
        other = explore(state={**state, "settings": settings})
        assert words in other._message.message, settings
        until(lambda other=other: other.panel.run is not None, 60)


WRONG = [
    ("", "expected the state"), ("[]", "cannot be read"), ("nowhere.json", "cannot be read"), (3, "expected the state"),
    ({}, "no version"), ({"cnnexplore": 99}, "later than this package"), ({"cnnexplore": True}, "no version"),
    ({"question": "weather"}, "question"), ({"unit": -1}, "unit"), ({"position": [1]}, "position"),
    ({"network": {"name": "a", "path": "b"}}, "network"), ({"network": {}}, "network"),
    ({"image": {"name": "x"}}, "sha256"),
    ({"image": {"python": "cx.load('lenet')"}}, "expected cx.photograph"), ({"image": {"python": "open('x')"}}, "call"),
    ({"surprise": 1}, "surprise"), ({"settings": [1]}, "settings"), ({"layer": 3}, "layer"), ("{" * 5000, "expected"),
    ({"network": {"name": "../../etc/passwd"}}, "passwd"), ({"unit": 10**6}, "unit"), ({"target": 77}, "77"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), WRONG, ids=lambda one: repr(one)[:40])
def test_what_is_no_state_gets_one_sentence(explore, refused, change, words):
    good = {
        "cnnexplore": 1, "network": {"name": "lenet"}, "image": {"python": "cx.digit(3)"}, "layer": "conv2",
        "question": "inversion",
    }  # fmt: skip
    whole = change in ({}, {"cnnexplore": 99}, {"cnnexplore": True}) or not isinstance(change, dict)
    refused(cx.ExploreError, lambda: explore(state=change if whole else {**good, **change}), words)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(list(QUESTIONS)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "path", "python", "sha256", "own", "C", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = ["cnnexplore", "network", "image", "layer", "unit", "position", "target", "question", "settings"]


@given(st.dictionaries(st.sampled_from(NAMES), values, max_size=9).map(lambda words: {"cnnexplore": 1, **words}))
def test_any_json_is_read_or_refused(words):
    try:
        read = read_state(words)
    except cx.ExploreError:
        return
    assert read.as_dict()["question"] in QUESTIONS


@given(st.text(max_size=40))
def test_any_text_is_refused(text):
    with pytest.raises(cx.ExploreError):
        read_state(text)
