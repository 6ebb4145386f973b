"""A saved notebook, its HTML and a repository's preview show the last picture of every panel and of the explorer."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from panels import PANELS
from PIL import Image

CELL = """
panel = {made}
display(panel)
panel.wait(120), panel.to_python()
"""


@pytest.fixture(scope="module")
def saved():
    """The notebook after its cells have run, as it is saved."""
    here = Path(__file__).parent
    first = f"import sys\nsys.path.insert(0, {str(here)!r})\nimport cnnexplore as cx\nfrom panels import PANELS"
    made = [f"PANELS[{name!r}]()" for name in PANELS] + ["cx.explore('lenet')"]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in (first, *(CELL.format(made=one) for one in made))]
    )
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return dict(zip([*PANELS, "explorer"], notebook.cells[1:], strict=True)), notebook


def pictures(cell) -> list[np.ndarray]:
    files = [base64.b64decode(one["data"]["image/png"]) for one in cell.outputs if "image/png" in one.get("data", {})]
    return [np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PANELS, "explorer"])
def test_the_last_picture_is_in_the_output(saved, name):
    cells, _ = saved
    (picture,) = pictures(cells[name])
    assert picture.std() > 3, "a grey picture shows nothing"
    assert min(picture.shape[:2]) >= 28
    assert not [one for one in cells[name].outputs if one.output_type == "error"]


@pytest.mark.slow
def test_the_html_shows_all_of_them(saved):
    cells, notebook = saved
    html, _ = HTMLExporter().from_notebook_node(notebook)
    for name, cell in cells.items():
        (file,) = [one["data"]["image/png"] for one in cell.outputs if "image/png" in one.get("data", {})]
        assert "".join(file.split())[:200] in "".join(html.split("\n")), name
