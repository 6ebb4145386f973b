"""The explorer as an application: Voila serves one page without code, whose kernels end with it."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from .errors import ExploreError

_IDLE = 30  # seconds after which the kernel of a page ends that left without a word, as when a computer sleeps
# Voila's page with its links to a CDN emptied: the icons come from Voila's own files.
_TEMPLATE = """{%- extends 'voila/templates/lab/index.html.j2' -%}
{%- block notebook_css -%}
{{ super() | replace("https://cdn.jsdelivr.net", "data:text/css,") }}
{%- endblock notebook_css -%}
"""


def explorer_notebook(net: str | None, images: list[str], state: str | None, folder: Path) -> str:
    """The notebook that Voila runs for each visitor, as JSON: one cell that shows the explorer.

    Parameters
    ----------
    net : str, optional
        A network, as `cnnexplore.load` takes it.
    images : list of str
        Paths of images, or of one folder; empty for the bundled images.
    state : str, optional
        The path of a file with a state of the explorer.
    folder : Path
        The working folder, from which paths are read.
    """
    given = [repr(net)] if net else []
    given += [f"images={(images[0] if len(images) == 1 else images)!r}"] if images else []
    given += [f"state={state!r}"] if state else []
    lines = ["import os", f"os.chdir({str(folder)!r})", "import cnnexplore as cx", f"cx.explore({', '.join(given)})"]
    cell: dict[str, object] = {
        "cell_type": "code", "id": "explorer", "metadata": {}, "execution_count": None, "outputs": [],
        "source": "\n".join(lines),
    }  # fmt: skip
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "title": "cnnexplore", "language_info": {"name": "python"}}
    return json.dumps({"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def open_app(net: str | None, images: list[str], state: str | None, folder: Path, options: list[str]) -> int:
    """Serve the explorer until it is stopped.

    Parameters
    ----------
    net, images, state, folder
        As for `explorer_notebook`.
    options : list of str
        Further options of Voila.

    Returns
    -------
    int
        Voila's exit status.

    Raises
    ------
    ExploreError
        If Voila is not installed.
    """
    if importlib.util.find_spec("voila") is None:
        raise ExploreError('the application needs Voila; install it with: pip install "cnnexplore[app]".')
    with TemporaryDirectory(prefix="cnnexplore-") as temporary:
        page, template = Path(temporary) / "explorer.ipynb", Path(temporary) / "voila" / "templates" / "cnnexplore"
        template.mkdir(parents=True)
        (template / "conf.json").write_text(json.dumps({"base_template": "lab"}))
        (template / "index.html.j2").write_text(_TEMPLATE)
        page.write_text(explorer_notebook(net, images, state, folder), encoding="utf-8")
        paths = os.pathsep.join(filter(None, [temporary, os.environ.get("JUPYTER_PATH", "")]))
        env = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000", **os.environ, "JUPYTER_PATH": paths}
        command = [sys.executable, "-m", "voila", str(page), "--template=cnnexplore", "--theme=light"]
        command += [
            "--show_tracebacks=True",
            f"--MappingKernelManager.cull_idle_timeout={_IDLE}",
            "--MappingKernelManager.cull_interval=10",
            # A page that is left asks for the end of its kernel without the token of a form, which Voila then refuses;
            # no other site knows the kernel's name, so that none can ask for it.
            "--Voila.tornado_settings={'disable_check_xsrf': True}",
        ]
        return _served([*command, *options], env)


def _served(command: list[str], env: dict[str, str]) -> int:
    """Run a server until it ends or is stopped, also by a signal to this process alone; its kernels end too."""
    server = subprocess.Popen(command, env=env)
    former = signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    try:
        while True:
            try:
                return server.wait()
            except KeyboardInterrupt:  # the terminal tells the server as well
                continue
    finally:
        signal.signal(signal.SIGTERM, former)
