"""The examples of the README run, one after the other, in one kernel."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"(<!-- not run[^\n]*-->\n)?```python\n(.*?)```", re.DOTALL)


@pytest.mark.slow
def test_the_examples_run(tmp_path):
    blocks = [code for skipped, code in BLOCK.findall(README.read_text(encoding="utf-8")) if not skipped]
    assert len(blocks) >= 8
    cells = [nbformat.v4.new_code_cell(re.sub(r"steps=200", "steps=2", code)) for code in blocks]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()


def test_it_lists_the_bundled_networks():
    from cnnexplore import zoo

    table = README.read_text(encoding="utf-8").split("## Bundled networks")[1].split("##")[0]
    names = set(re.findall(r"`([\w-]+)`", " ".join(line.split("|")[1] for line in table.splitlines() if "|" in line)))
    bundled = {line.split()[0] for line in str(zoo.networks()).splitlines() if " offline " in line}
    assert names == bundled
