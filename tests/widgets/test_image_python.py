"""The Python that a panel shows of its image: variables by their own names, uploads by a file that is written."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from waiting import until

import cnnexplore as cx
from cnnexplore.widgets.live.selection import Selection
from cnnexplore.widgets.panels.image_python import image_python, keep_upload


@pytest.fixture
def notebook(monkeypatch):
    """A notebook's variables."""
    names: dict = {}

    class Shell:
        user_ns = names

    monkeypatch.setattr("IPython.get_ipython", Shell)
    return names


def test_a_variable_has_its_own_name_also_in_a_list(notebook, keep):
    notebook["koala"] = cx.digit(4)
    panel = keep(cx.InversionPanel("lenet", notebook["koala"], "conv2", steps=5))
    assert panel.wait(60)
    assert ", koala, 'conv2'" in panel.to_python()
    notebook["many"] = [cx.digit(1), cx.digit(3)]
    panel = keep(cx.InversionPanel("lenet", notebook["many"], "conv2", steps=5))
    assert panel.wait(60)
    assert ", many[0], 'conv2'" in panel.to_python()
    found = eval(panel.to_python(), {"cx": cx, **notebook})
    assert np.array_equal(found.picture, panel.picture)
    panel.selectors.image.value = "image 2"
    until(lambda: panel.run is not None and panel.runner.state == "finished" and "many[1]" in panel.to_python())


def test_an_uploaded_image_is_written_when_its_python_is_copied(notebook, keep, tmp_path, monkeypatch, said):
    monkeypatch.chdir(tmp_path)
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    panel = keep(cx.AttributionPanel("worldnet", method="gradient"))
    panel.selection.set(image=picture, image_python="'my <holiday>.jpg'")
    until(lambda: "gradient" in panel.found and panel.runner.state == "finished", 60)
    assert not list(tmp_path.iterdir()), "nothing is written without being asked for"
    panel.copy_python()
    (file,) = tmp_path.iterdir()
    assert repr(file.name) in panel.python_box.value
    assert "<" not in file.name
    assert any(file.name in content.get("text", "") for content, _ in said)
    found = eval(panel.python_box.value, {"cx": cx})
    assert np.array_equal(found.map, panel.attribution.map)
    before = file.stat().st_mtime_ns
    panel.copy_python()
    assert panel.python_box.layout.display == "none", "a second press hides it"
    panel.copy_python()
    assert panel.python_box.layout.display == ""
    assert file.stat().st_mtime_ns == before
    panel.opacity.value = 0.25
    assert panel.to_python().endswith("  # on the screen: .overlay(0.25)")
    assert np.array_equal(eval(panel.to_python(), {"cx": cx}).overlay(0.25), panel.attribution.overlay(0.25))


def test_a_folder_that_cannot_be_written_to_is_a_sentence(keep, monkeypatch, said):
    def refuse(selection):
        raise PermissionError("read-only folder")

    monkeypatch.setattr("cnnexplore.widgets.panels.base.keep_upload", refuse)
    panel = keep(cx.AttributionPanel("lenet"))
    assert panel.wait(60)
    panel.copy_python()
    assert any("read-only folder" in content.get("text", "") for content, _ in said)


def test_what_is_no_upload_is_written_nowhere(notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for image, python in ((cx.digit(3), "cx.digit(3)"), ("a.png", "'a.png'"), (cx.digit(3), "image")):
        selection = Selection(image=image, image_python=python)
        assert keep_upload(selection) is None
        assert image_python(selection) == python
    assert not list(tmp_path.iterdir())


class Pairs:
    """A data set of images with labels, made anew each time."""

    def __len__(self):
        return 12

    def __getitem__(self, k):
        if not 0 <= k < 12:
            raise IndexError(k)
        return cx.digit(k % 10, k // 10), k


@pytest.mark.parametrize("kind", ["pairs", "folder"])
def test_an_image_of_a_data_set_is_made_again(notebook, tmp_path, kind):
    for k in range(3):
        Image.fromarray(cx.digit(k)).save(tmp_path / f"{k}.png")
    mine = Pairs() if kind == "pairs" else str(tmp_path)
    notebook["mine"] = mine
    explorer = cx.explore("lenet", mine)
    explorer.shelf.grid.set_state({"selected": 2})
    python = explorer.selection.value.image_python
    assert python == ("mine[2][0]" if kind == "pairs" else repr(str(tmp_path / "2.png")))
    explorer.ask("caricature")
    assert explorer.wait(60)
    again = eval(explorer.to_python(), {"cx": cx, "mine": mine}).picture
    assert np.array_equal(again, explorer.picture)
    explorer.close()
    panel = cx.CaricaturePanel("lenet", mine, "conv2", steps=2) if kind == "pairs" else None
    if panel is not None:
        assert panel.wait(60)
        assert np.array_equal(eval(panel.to_python(), {"cx": cx, "mine": mine}).picture, panel.picture)
        panel.close()
