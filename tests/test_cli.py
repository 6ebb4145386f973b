"""The command line."""

import sys

import pytest
import torch
from click.testing import CliRunner

import cnnexplore as cx
from cnnexplore import cli
from cnnexplore.zoo.training import lenet


def run(*words):
    return CliRunner().invoke(cli.cli, words)


def test_help():
    done = run("--help")
    assert done.exit_code == 0
    for word in ("networks", "train", "lab"):
        assert word in done.output
    for words in (
        ["train", "--help"],
        ["train", "lenet", "--help"],
        ["train", "photonet", "--help"],
        ["train", "worldnet", "--help"],
        ["train", "inverter", "--help"],
    ):
        done = run(*words)
        assert done.exit_code == 0
        assert done.output.startswith("Usage: ")


def test_version():
    assert cx.__version__ in run("--version").output


def test_networks():
    done = run("networks")
    assert done.exit_code == 0
    assert done.output.strip() == repr(cx.networks())
    assert done.output.startswith("photonet ")


@pytest.mark.parametrize("words", [["netwroks"], ["train", "alexnet"], ["train", "lenet", "--epochs", "0"]])
def test_wrong_words(words):
    done = run(*words)
    assert done.exit_code == 2
    assert "Error" in done.output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["figure", "preimage2016.1", "--layers", "conv1"], "no setting 'layers'"),
        (["figure", "lecture2017.saliency", "--steps", "3"], "no setting 'steps'"),
        (["figure", "preimage2016.13", "--image", "cat.jpg"], "takes no image"),
        (["figure", "preimage2016.99"], "no figure"),
    ],
)
def test_wrong_settings_of_a_figure_fail_before_the_work(words, sentence, monkeypatch):
    monkeypatch.setattr("cnnexplore.zoo.load", lambda *args, **options: pytest.fail("a network was loaded"))
    done = run(*words, "--net", "vgg16")
    assert isinstance(done.exception, cx.SettingError)
    assert sentence in str(done.exception)


def test_training_without_data_is_one_sentence(tmp_path, monkeypatch, capsys):
    out = tmp_path / "lenet.safetensors"
    monkeypatch.setattr(sys, "argv", ["cnnexplore", "train", "lenet", "--data", str(tmp_path), "--out", str(out)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    sentence = caught.value.code
    assert sentence.startswith("cnnexplore: MNIST was not found under ")
    assert str(tmp_path) in sentence
    assert "--download" in sentence
    assert "\n" not in sentence
    assert caught.value.__cause__ is None
    assert not out.exists()


def test_an_unexpected_error_keeps_its_traceback(monkeypatch):
    """Only an ExploreError becomes a sentence."""

    def broken(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(lenet, "train", broken)
    monkeypatch.setattr(sys, "argv", ["cnnexplore", "train", "lenet"])
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_training_writes_a_network(tmp_path, monkeypatch):
    def mnist(root, train, download, pixels):
        assert (root, download) == ("somewhere", True)
        return torch.rand(256, 1, 28, 28), torch.arange(256) % 10

    monkeypatch.setattr(lenet, "_mnist", mnist)
    out = tmp_path / "my.safetensors"
    done = run("train", "lenet", "--data", "somewhere", "--download", "--out", str(out), "--epochs", "1", "--seed", "3")
    assert done.exit_code == 0, done.output
    assert "on the MNIST test set" in done.output
    assert str(out) in done.output
    assert len(cx.load(out).predict(torch.rand(28, 28))) == 5


def test_training_writes_an_inverter(tmp_path, monkeypatch):
    from PIL import Image

    from cnnexplore.generators import read_inverter
    from cnnexplore.zoo.training import inverter

    monkeypatch.setattr(inverter, "HELD_OUT", 4)
    monkeypatch.chdir(tmp_path)
    for k in range(12):
        Image.fromarray(cx.digit(k % 10)).save(tmp_path / f"{k}.png")
    words = ["train", "inverter", "--net", "lenet", "--layer", "pool2", "--data", ".", "--steps", "2", "--width", "4"]
    done = run(*words)
    assert done.exit_code == 0, done.output
    assert "activation error" in done.output
    found = read_inverter(tmp_path / "lenet-inverter-pool2.safetensors")
    assert (found.network, found.layer, found.loss, found.size) == ("lenet", "pool2", "pixel", (28, 28))
    assert found.source.startswith(
        "cnnexplore train inverter --net lenet --layer pool2 --loss pixel --data . --images 8192 (pixel, steps 2, "
    )
    assert run(*words[:5], "conv99", *words[6:]).exit_code != 0


def test_a_gallery_is_a_picture_of_each_layer(tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.setenv("CNNEXPLORE_CACHE", str(tmp_path / "cache"))
    done = run("gallery", "--net", "lenet", "--layers", "conv4", "--steps", "1", "--out", str(tmp_path / "pictures"))
    assert done.exit_code == 0, done.output
    assert str(tmp_path / "pictures" / "conv4.png") in done.output
    picture = Image.open(tmp_path / "pictures" / "conv4.png")
    assert picture.text["cnnexplore"] == "cx.gallery(cx.load('lenet'), ['conv4'], steps=1)"
    assert picture.width > 300


def test_a_table_by_two_processes(tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Image.fromarray(cx.digit(3)).save("3.png")
    words = ["figure", "preimage2016.table5", "--net", "lenet", "--image", "3.png", "--layers", "conv1", "--steps", "1"]
    done = run(*words, "--out", "many.csv", "--workers", "2")
    assert done.exit_code == 0, done.output
    assert run(*words, "--out", "one.csv").exit_code == 0
    assert (tmp_path / "many.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
    assert (tmp_path / "many.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()
    done = run("figure", "preimage2016.1", "--workers", "2")
    assert done.exit_code == 2
    assert "--workers is for tables" in done.output
