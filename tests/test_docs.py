"""The site: it builds without a warning, and everything public is in it."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cnnexplore as cx
from cnnexplore import figures

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "notebooks" / "docs"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for name in ("sphinx", "myst_nb", "furo", "numpydoc", "sphinx_design"):
        pytest.importorskip(name, reason=f'the site needs {name}: pip install -e ".[docs]"')
    out = tmp_path_factory.mktemp("site") / "docs"
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(DOCS), str(out)]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    return out


@pytest.fixture(scope="module")
def inventory(site):
    """{(domain, type): {name: address}} of the site's objects.inv."""
    from sphinx.util.inventory import InventoryFile

    with (site / "objects.inv").open("rb") as file:
        found = InventoryFile.load(file, "", lambda base, path: base + path)
    return {kind: {name: entry[2] for name, entry in entries.items()} for kind, entries in found.items()}


def test_every_public_name_has_an_entry(inventory):
    entries = {name for kind, names in inventory.items() if kind.startswith("py:") for name in names}
    assert {f"cnnexplore.{name}" for name in cx.__all__} <= entries
    assert {f"cnnexplore.masks.{name}" for name in ("central", "window", "channels", "groups")} <= entries


def test_every_figure_is_in_the_gallery_with_its_call(inventory):
    labels = inventory["std:label"]
    for name in figures.names():
        paper = name.split(".")[0]
        assert labels[name.lower()].startswith(f"gallery/{paper}.html#")
        assert f'cx.figure("{name}"' in (DOCS / "gallery" / f"{paper}.md").read_text(encoding="utf-8") or re.search(
            rf"^## Figures .*{name.split('.')[1]}", (DOCS / "gallery" / f"{paper}.md").read_text(encoding="utf-8"), re.M
        )


def test_pages_are_executed_and_have_pictures(site):
    for page in ("start", "guide/inversion", "guide/units", "gallery/preimage2016", "gallery/lecture2017"):
        text = (site / f"{page}.html").read_text(encoding="utf-8")
        assert '<img alt="' in text
        assert "_images/" in text


def test_nothing_is_loaded_from_elsewhere(site):
    """No script, style sheet, font, frame or picture with an address of its own host."""
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe|source|video)\b[^>]*\bsrc="((?:https?:)?//[^"]*)"', text)
        loaded += re.findall(r'<link\b(?![^>]*rel="(?:canonical|license)")[^>]*\bhref="((?:https?:)?//[^"]*)"', text)
        assert loaded == [], page.name
    for sheet in site.rglob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.S)
        assert not re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", text), sheet.name


def test_links_inside_of_the_site_lead_somewhere(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for address in re.findall(r'<a\b[^>]*\bhref="([^"]+)"', text):
            path, _, anchor = address.partition("#")
            if re.match(r"[a-z]+:", address) or (not path and not anchor):
                continue
            target = page if not path else (page.parent / path)
            assert target.exists(), (page.name, address)
            if anchor and target.suffix == ".html":
                there = target.read_text(encoding="utf-8")
                assert f'id="{anchor}"' in there or f"id={anchor}" in there, (page.name, address)


def test_the_notebooks_that_pages_name_exist():
    for page in DOCS.rglob("*.md"):
        for name in re.findall(r"\b(?:figures|labs)/[\w/]+\.ipynb", page.read_text(encoding="utf-8")):
            assert (ROOT / "notebooks" / name).is_file(), (page.name, name)


def test_the_names_that_pages_mention_are_public():
    """In prose and in code that is not executed, too."""
    for page in [*DOCS.rglob("*.md"), *(ROOT / ".github").glob("*.md")]:
        for name in re.findall(r"\bcx\.([A-Za-z]\w*)", page.read_text(encoding="utf-8")):
            assert name in cx.__all__, (page.name, name)
        for path in re.findall(r"\bcnnexplore((?:\.[A-Za-z]\w*)+)", page.read_text(encoding="utf-8")):
            value = cx
            for part in path.split(".")[1:]:
                value = getattr(value, part, None) or importlib.import_module(f"{value.__name__}.{part}")
