"""The notebooks run from top to bottom, offline, and leave pictures behind."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

from cnnexplore import figures
from cnnexplore.course import checking

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = [path for name in ("labs", "figures") for path in sorted((FOLDER / name).glob("*.ipynb"))]
SAID_ONLY = {figures.preimage2016.figure6}  # the same as figure 5 with fewer layers
LAB1 = next(path for path in NOTEBOOKS if path.name.startswith("01_"))


def run(notebook):
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_and_a_web_view_shows_its_pictures(path):
    notebook = nbformat.read(path, 4)
    of_a_paper = path.parent.name == "figures"
    for cell in notebook.cells:  # the same path, sooner
        cell.source = re.sub(r"^steps = \d+ ", f"steps = {2 if of_a_paper else 40} ", cell.source, flags=re.M)
        cell.source = cell.source.replace("steps=quick)", "steps=quick, refine=5)")
    outputs = run(notebook)
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) >= 3
    pictures = [output for output in pictures if "text/html" not in output["data"]]  # the page shows a table as such
    live = any("application/vnd.jupyter.widget-view+json" in output.get("data", {}) for output in outputs)
    assert live or of_a_paper
    if not of_a_paper:  # the model answers of a lab are right, by its own checks
        said = [output["data"]["text/plain"] for output in outputs if "text/plain" in output.get("data", {})]
        verdicts = [text for text in said if re.match(r"Q\d+: ", text)]
        assert len(verdicts) == len(checking.questions(int(path.name[:2])))
        assert [text for text in verdicts if not re.match(r"Q\d+: right", text)] == []
    html, _ = HTMLExporter().from_notebook_node(notebook)
    assert html.count("data:image/png;base64,") >= len(pictures)


@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if path.parent.name == "figures"], ids=lambda p: p.stem)
def test_a_notebook_of_a_paper_makes_all_its_figures(path):
    text = "\n".join(cell.source for cell in nbformat.read(path, 4).cells)
    numbers = re.findall(rf'^(?:\w+ = )?cx\.figure\("{path.stem}\.(\w+)"', text, re.M)
    made = {figures.PAPERS[path.stem][number] for number in numbers}
    assert made == set(figures.PAPERS[path.stem].values()) - SAID_ONLY


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_committed_without_outputs(path):
    for cell in nbformat.read(path, 4).cells:
        assert cell.cell_type != "code" or (cell.outputs == [] and cell.execution_count is None)


@pytest.mark.slow
def test_the_first_lab_on_another_network_by_changing_one_line(shared):
    notebook = nbformat.read(LAB1, 4)
    weights = shared / "weights" / "squeezenet1_0-imagenet.safetensors"
    changed = 0
    for cell in notebook.cells:
        if 'cx.load("photonet")\n' in cell.source and cell.cell_type == "code":
            cell.source = cell.source.replace('cx.load("photonet")', f"cx.load({str(weights)!r})")
            cell.source = cell.source.replace("steps = 200", "steps = 3")  # the same path, sooner
            changed += 1
        cell.source = cell.source.replace("steps=quick)", "steps=quick, refine=2)")
    assert changed == 1
    run(notebook)


@pytest.mark.parametrize(
    ("paper", "layers", "published", "transposed"),
    [
        ("preimage2016", figures.preimage2016._LAYERS5, figures.preimage2016._PUBLISHED5, False),
        ("inverting2015", figures.inverting2015._LAYERS3, figures.inverting2015._PUBLISHED3, True),
    ],
)
def test_published_numbers_stand_beside_a_table_of_another_network(paper, layers, published, transposed):
    """photonet has no published numbers; what a notebook says of the paper's network is what the figure knows."""
    cells = nbformat.read(FOLDER / "figures" / f"{paper}.ipynb", 4).cells
    text = next(c.source for c in cells if c.cell_type == "markdown" and c.source.startswith("Published for"))
    header, _, *rows = [[x.strip() for x in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", text, re.M)]
    assert len(rows) == 3
    for first, *numbers in rows:
        for name, value in zip(header[1:], numbers, strict=True):
            layer, weight = (name, first) if transposed else (first, name)
            assert float(value) == published[int(re.search(r"\d+", weight)[0])][layers.index(layer)]
