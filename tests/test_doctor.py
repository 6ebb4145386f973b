"""cnnexplore doctor: what it says of environments, good and bad, and what it finds in this one."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from cnnexplore import cli, doctor

GOOD = {"opened": 1.0, "acted": 0.02}
KNOWN = dict.fromkeys(doctor._PACKAGES, "9.0") | {"ipykernel": "7.4.0", "ipywidgets": "8.1.9"}


@pytest.fixture
def whole(monkeypatch):
    monkeypatch.setattr(doctor, "missing_extensions", lambda: [])


def test_what_works_is_said(whole):
    assert doctor.drawing(KNOWN, GOOD).works
    assert doctor.sliders(KNOWN, GOOD).works
    assert "at once (0.02 s) with ipykernel 7.4.0" in doctor.sliders(KNOWN, GOOD).text


@pytest.mark.parametrize(
    ("known", "answer", "words"),
    [
        ({"ipykernel": ""}, GOOD, "pip install ipykernel"),
        ({"ipywidgets": "7.8.5"}, GOOD, 'pip install -U "ipywidgets>=8.1.5"'),
        ({}, {"error": "RuntimeError: Kernel died"}, "Kernel died"),
    ],
)
def test_what_keeps_panels_from_being_drawn(whole, known, answer, words):
    found = doctor.drawing({**KNOWN, **known}, answer)
    assert found.works is False
    assert words in found.text


def test_a_missing_widget_manager_gets_its_command(monkeypatch, tmp_path):
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda *parts: [str(tmp_path)])
    found = doctor.drawing(KNOWN, GOOD)
    assert found.works is False
    assert "pip install --force-reinstall --no-deps jupyterlab_widgets anywidget" in found.text
    elsewhere = doctor.drawing({**KNOWN, "jupyterlab": "", "notebook": ""}, GOOD)
    assert elsewhere.works is None
    assert "where JupyterLab is installed" in elsewhere.text
    (tmp_path / "anywidget").mkdir()
    (tmp_path / "anywidget" / "package.json").write_text("{}")
    assert doctor.missing_extensions() == ["jupyterlab_widgets"]


def test_kernels_without_subshells_are_told_of():
    old = doctor.sliders({**KNOWN, "ipykernel": "6.31.0"}, {"opened": 1.0, "acted": None})
    assert old.works is False
    assert 'pip install -U "ipykernel>=7.1"' in old.text
    assert "waited" in doctor.sliders(KNOWN, {"opened": 1.0, "acted": 3.1}).text


def test_a_machine_without_a_browser(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    found = doctor.browser()
    assert found.works is None
    assert "apt-get install chromium" in found.text
    assert 'pip install "cnnexplore[app]"' in doctor.application({**KNOWN, "voila": ""}).text


def test_the_command_says_it_all_and_ends_with_a_status(monkeypatch, whole):
    monkeypatch.setattr(doctor, "try_kernel", lambda: GOOD)
    done = CliRunner().invoke(cli.cli, ["doctor"])
    assert done.exit_code == 0, done.output
    assert "torch " in done.output
    assert "live drawing" in done.output
    monkeypatch.setattr(doctor, "try_kernel", lambda: {"error": "it died"})
    assert CliRunner().invoke(cli.cli, ["doctor"]).exit_code == 1


@pytest.mark.slow
def test_a_kernel_is_really_tried():
    found = doctor.try_kernel()
    assert "error" not in found, found
    assert found["acted"] is not None, "the tests run with an ipykernel that has subshells"
    assert found["acted"] < doctor._BUSY
