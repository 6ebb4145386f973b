"""A saved picture is made again to the bit, whatever made it."""

import io

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import cnnexplore as cx
from cnnexplore.results import png
from cnnexplore.widgets.views.frame_view import side_by_side

FEW = {"steps": 3, "refine": 1, "progress": False}


@pytest.fixture(scope="module")
def lenet():
    return cx.load("lenet")


@pytest.fixture(scope="module")
def worldnet():
    return cx.load("worldnet")


@pytest.fixture(scope="module")
def image_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "it's a church.png"
    Image.fromarray(cx.scene(7, "church").image).save(path)
    return path


KINDS = {
    "invert": lambda n, w, file: cx.invert(n, file, "conv2", C=20, jitter=1, seed=3, **FEW),
    "invert, a batch": lambda n, w, file: cx.invert(n, file, "conv2", seed=[1, 2], **FEW)[1],
    "invert, a mask": lambda n, w, file: cx.invert(n, file, "conv2", mask=cx.masks.central(4), **FEW),
    "invert, a schedule": lambda n, w, file: cx.invert(n, file, "conv1", schedule={1: {"C": 3.5}}, **FEW),
    "invert, a solver": lambda n, w, file: cx.invert(n, file, "conv1", solver="momentum", **FEW),
    "invert, learned": lambda n, w, file: cx.invert(w, file, "pool5", method="learned", progress=False),
    "invert, patches": lambda n, w, file: cx.invert(
        n, file, "conv2", patches=cx.PatchDatabase(n, None, "conv2", progress=False), **FEW
    ),
    "maximize": lambda n, w, file: cx.maximize(n, "conv2", 3, **FEW),
    "maximize, a place": lambda n, w, file: cx.maximize(n, "conv2", 3, position=(2, 1), **FEW),
    "maximize, a class": lambda n, w, file: cx.maximize(w, "fc8", "church", **FEW),
    "maximize, a pathway": lambda n, w, file: cx.maximize(
        w, "fc8", 3, pathway=cx.Pathway.location(1, 1, 2) & cx.Pathway.of(file, 1), **FEW
    ),
    "maximize, a generator": lambda n, w, file: cx.maximize(
        w, "fc8", "church", prior="generator", steps=3, progress=False
    ),
    "caricature": lambda n, w, file: cx.caricature(w, file, "conv3", **FEW),
    "complete": lambda n, w, file: cx.complete(w, file, (10, 10, 60, 60), **FEW),
    "complete, a painted mask": lambda n, w, file: cx.complete(w, file, np.eye(96, dtype=bool), target="castle"
                                                              if "castle" in w.labels else 1, **FEW),
    "attribute": lambda n, w, file: cx.attribute(w, file, progress=False),
    "attribute, a unit": lambda n, w, file: cx.attribute(
        w, file, method="gradcam", layer="conv4", unit=7, position=(1, 2), progress=False
    ),
    "attribute, options": lambda n, w, file: cx.attribute(w, file, 3, method="smoothgrad", samples=3, progress=False),
    "decode": lambda n, w, file: cx.decode(n, "conv2", [1, 5], progress=False),
    "decode, a part": lambda n, w, file: cx.decode(n, "conv2", 3, unpool="bicubic", progress=False).threshold(0.3),
    "filters": lambda n, w, file: cx.filters(w, "conv1"),
    "activation_maps": lambda n, w, file: cx.activation_maps(n, file, "conv2"),
    "top_patches": lambda n, w, file: cx.top_patches(n, "conv2", [1, 2], k=3, progress=False),
    "top_patches, one unit": lambda n, w, file: cx.top_patches(n, "conv2", None, k=3, progress=False).only(4),
    "receptive_field": lambda n, w, file: cx.receptive_field(n, "conv2", 1, k=2, progress=False),
    "discrepancy_maps": lambda n, w, file: cx.discrepancy_maps(
        n, file, "conv2", 3, patch=9, stride=9, progress=False
    ),
    "unit_segments": lambda n, w, file: cx.unit_segments(n, "conv2", 1, k=2, progress=False),
    "minimal_image": lambda n, w, file: cx.minimal_image(n, file, segments=8, progress=False),
    "neighbours": lambda n, w, file: cx.neighbours(n, file, "conv2", k=3, progress=False),
    "intervene": lambda n, w, file: cx.intervene(w, file, "conv5", unit=3, progress=False),
    "dissect": lambda n, w, file: cx.dissect(
        w, "conv3", cx.world.dataset(12, seed=5), k=2, cache=False, progress=False
    ).with_threshold(0.1),
    "figure": lambda n, w, file: cx.figure("inverting2015.9", n, str(file), steps=2, layers=["conv1"]),
    "ask": lambda n, w, file: cx.ask(n, "conv2", 3, parts=["filter", "top patches"], k=2, progress=False),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_picture_is_made_again_to_the_bit(kind, lenet, worldnet, image_file, tmp_path):
    made = KINDS[kind](lenet, worldnet, str(image_file))
    made.save(tmp_path / "saved.png")
    saved = cx.from_picture(tmp_path / "saved.png")
    assert np.array_equal(saved.picture, made.picture)
    assert saved.function == kind.split(",")[0]
    assert saved.needs == ()
    again = saved.make(progress=False)
    assert type(again) is type(made)
    assert again.to_python() == made.to_python()
    assert np.array_equal(again.picture, saved.picture)


def test_an_image_without_a_file_is_given(lenet, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    cx.invert(lenet, image, "conv2", **FEW).save(tmp_path / "saved.png")
    saved = cx.from_picture(tmp_path / "saved.png")
    assert saved.needs == ("image",)
    assert saved.settings["steps"] == 3
    assert np.array_equal(saved.make(image=image, progress=False).picture, saved.picture)
    with pytest.raises(cx.SettingError, match=r"make\(image=\.\.\.\)"):
        saved.make()


def test_a_picture_of_a_saved_picture_is_the_same_picture(lenet, tmp_path):
    cx.filters(lenet, "conv1").save(tmp_path / "one.png")
    one = cx.from_picture(tmp_path / "one.png")
    one.save(tmp_path / "two.png")
    two = cx.from_picture((tmp_path / "two.png").read_bytes())
    assert np.array_equal(one.picture, two.picture)
    assert one.to_python() == two.to_python()
    assert one.plot().axes[0].get_title() == "saved by cx.filters"


def text_png(text, key="cnnexplore"):
    info, file = PngInfo(), io.BytesIO()
    info.add_itxt(key, text)
    Image.new("RGB", (4, 4)).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def test_files_that_carry_no_python_are_refused(tmp_path, refused):
    Image.new("RGB", (4, 4)).save(tmp_path / "plain.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "plain.jpg")
    for file in (tmp_path / "plain.png", tmp_path / "plain.jpg", text_png("  "), text_png("cx.digit(3)", "Comment")):
        refused(cx.ImageError, lambda file=file: cx.from_picture(file), "carries no Python")
    refused(cx.ImageError, lambda: cx.from_picture(tmp_path / "none.png"), "does not exist")
    refused(cx.ImageError, lambda: cx.from_picture(3), "expected the path of a PNG file")
    (tmp_path / "cut.png").write_bytes(png(np.zeros((9, 9, 3), np.uint8), "cx.digit(3)")[:60])
    refused(cx.ImageError, lambda: cx.from_picture(tmp_path / "cut.png"), "damaged or cut short")


def test_hostile_text_in_a_png_is_refused_when_it_is_read(tmp_path, monkeypatch, refused):
    ran = tmp_path / "ran"
    for text in (
        f"open({str(ran)!r}, 'w')",
        f"__import__('pathlib').Path({str(ran)!r}).touch()",
        f"cx.features(cx.load('lenet'), None, cache={str(ran)!r})",
        f"cx.load('lenet').module.__class__.__init__.__globals__['os'].mkdir({str(ran)!r})",
    ):
        refused(cx.SettingError, lambda text=text: cx.from_picture(text_png(text)), "only calls of functions")
    assert not ran.exists()
    refused(cx.SettingError, lambda: cx.from_picture(text_png("<b>no Python</b>")), "is no Python")


@pytest.mark.parametrize(
    "text",
    ["cx.digit(3, 4, 5, 6)", "cx.invert(cx.load('lenet'))", "cx.digit(3).image", "cx.digit(3)[99]",
     "cx.load('lenet').of('conv1')", "cx.invert(cx.load('lenet'), cx.digit(3), 'conv2', colour=3)"],
)  # fmt: skip
def test_python_that_does_not_fit_gets_a_sentence(text, refused):
    refused(cx.ExploreError, lambda: cx.from_picture(text_png(text)).make(progress=False))


def saved_by(panel):
    """The file that the panel's button "save" gives, read again."""
    files = []
    panel.run_view.download = lambda name, file: files.append(file)
    panel.save()
    return cx.from_picture(files[0])


@pytest.mark.parametrize("kind", ["inversion", "maximization", "caricature", "completion", "decoding", "attribution"])
def test_what_a_panel_saves_is_made_again_to_the_bit(kind):
    make = {
        "inversion": lambda: cx.InversionPanel("lenet", layer="conv2", steps=4, seed=3),
        "maximization": lambda: cx.MaximizePanel("lenet", "conv2", 3, steps=4, thumbnails=False),
        "caricature": lambda: cx.CaricaturePanel("lenet", layer="conv2", steps=4),
        "completion": lambda: cx.CompletionPanel("worldnet", cx.scene(7, "church").image, (20, 20, 60, 60), steps=3),
        "decoding": lambda: cx.DecodingPanel("lenet", layer="conv2", unit=3),
        "attribution": lambda: cx.AttributionPanel("lenet", method="gradcam"),
    }
    panel = make[kind]()
    try:
        assert panel.wait(100)
        saved = saved_by(panel)
        given = dict.fromkeys(saved.needs, panel.selection.value.image)
        again = saved.make(progress=False, **given)
        if kind == "attribution":  # the file has the image beside the map
            picture = side_by_side([again.image, again.overlay(panel.opacity.value)])
        elif kind == "decoding":
            picture = np.kron(again.picture, np.ones((panel.save_scale, panel.save_scale, 1), np.uint8))
        else:
            picture = again.picture
        assert np.array_equal(picture, saved.picture)
    finally:
        panel.close()
