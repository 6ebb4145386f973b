"""The package as a whole: what an import costs, which way imports point, and that public names are there."""

import ast
import importlib
import importlib.metadata
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

import cnnexplore as cx

ROOT = Path(cx.__file__).parent
BROWSER = {"ipywidgets", "anywidget", "plotly"}
LATE = BROWSER | {"matplotlib", "sklearn", "skimage", "jupyterlab", "IPython", "notebook"}
ENTRIES = {"app", "cli", "doctor", "lab"}  # what a person starts from a terminal
METHODS = {"preimage", "attribution", "units", "decoding", "representations", "styles"}
BASE = {"network", "data", "world"}
# Which rooms a room may import, beside those in EVERYWHERE; those not named may import every room.
ALLOWED = {
    "errors": set(), "drawing": set(), "results": set(), "network": set(), "world": set(), "sweep": set(),
    "data": {"network", "world"}, "zoo": BASE | {"generators"}, "generators": BASE,
    "preimage": BASE | {"generators"}, "attribution": BASE, "decoding": BASE, "representations": BASE,
    "units": BASE | {"preimage", "representations", "decoding", "zoo"},
    "styles": BASE | {"preimage", "representations"}, "evaluation": BASE | METHODS | {"generators"}, "course": BASE,
}  # fmt: skip


def loaded_after(code):
    """The top-level packages in sys.modules after some code ran in a fresh Python."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_an_import_is_light():
    assert not loaded_after("import cnnexplore") & (LATE | {"torch", "numpy"})


def test_the_core_needs_no_browser():
    names = sorted(name for room, names in cx._ROOMS.items() if not room.endswith(".widgets") for name in names)
    code = (
        "import cnnexplore as cx, torch\n"
        + "\n".join(f"cx.{name}" for name in names)
        + """
net = cx.load("lenet")
image = torch.rand(1, 28, 28)
net.predict(image), net.layers, cx.networks()
cx.invert(net, image, "conv2", steps=1, refine=1, progress=True)._repr_png_()
"""
    )
    assert not loaded_after(code) & LATE


# which way imports point


def imports(source, module):
    """(imported module, whether inside a function) of every import statement; relative ones resolved.

    Imports for type checking count too. module: the dotted name of the file's module; a package's ends in ".__init__".
    """
    found = []

    def visit(node, inside):
        if isinstance(node, ast.Import):
            found.extend((alias.name, inside) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*base, *([node.module] if node.module else [])])
            found.append((base, inside))
            found.extend((f"{base}.{alias.name}", inside) for alias in node.names)
        inside = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(ast.parse(source), False)
    return found


def room_of(module):
    parts = module.split(".")
    return parts[1] if parts[0] == "cnnexplore" and len(parts) > 1 else None


EVERYWHERE = {"arguments", "errors", "drawing", "results", "sweep"}  # what every room may import


def offences(source, module):
    """The imports of a module that point the wrong way."""
    here = room_of(module)
    wrong = []
    for imported, inside in imports(source, module):
        top, there = imported.split(".")[0], room_of(imported)
        if top in BROWSER and here != "widgets" and not (here in ENTRIES and inside):
            wrong.append(imported)
        if there is None or there == here or there in EVERYWHERE or here not in ALLOWED:
            continue
        if there not in ALLOWED[here] and (ROOT / there).exists() | (ROOT / f"{there}.py").exists():
            wrong.append(imported)
    return wrong


def circles(sources):
    """Groups of modules that import each other, by name; sources: module -> text. An `__init__` counts as its package.

    A name that a package's `__init__` re-exports is followed no further: only files that name each other count.
    """
    names = {name.removesuffix(".__init__") for name in sources}
    graph = {}
    for name, text in sources.items():
        if not name.endswith(".__init__"):
            graph[name] = {one for one, _ in imports(text, name) if one in names} - {name}
    found, order = [], {}

    def reach(start):
        seen, waiting = set(), [start]
        while waiting:
            for one in graph.get(waiting.pop(), ()):
                if one not in seen:
                    seen.add(one)
                    waiting.append(one)
        return seen

    for name in graph:
        order[name] = reach(name)
    for name in sorted(graph):
        group = sorted({name, *(other for other in order[name] if name in order.get(other, ()))})
        if len(group) > 1 and group not in found:
            found.append(group)
    return found


def modules():
    for path in sorted(ROOT.rglob("*.py")):
        yield path, ".".join(["cnnexplore", *path.relative_to(ROOT).with_suffix("").parts])


@pytest.mark.parametrize(("path", "module"), [pytest.param(*pair, id=pair[1]) for pair in modules()])
def test_imports_point_one_way(path, module):
    assert offences(path.read_text(), module) == []


@pytest.mark.parametrize(
    ("source", "module", "wrong"),
    [
        ("import ipywidgets", "cnnexplore.preimage.run", ["ipywidgets"]),
        ("def f():\n    import plotly.graph_objects", "cnnexplore.preimage.result", ["plotly.graph_objects"]),
        ("def f():\n    import ipywidgets", "cnnexplore.cli", []),
        ("import ipywidgets", "cnnexplore.cli", ["ipywidgets"]),
        ("import ipywidgets", "cnnexplore.widgets.panels.base", []),
        ("from ..preimage import Run", "cnnexplore.network.probe", ["cnnexplore.preimage", "cnnexplore.preimage.Run"]),
        ("def f():\n    from .. import zoo", "cnnexplore.network.network", ["cnnexplore.zoo"]),
        ("from . import run", "cnnexplore.preimage.__init__", []),
        ("from .. import zoo", "cnnexplore.preimage.__init__", ["cnnexplore.zoo"]),
        ("from ...network import Network\nfrom ...errors import ExploreError", "cnnexplore.zoo.readers.mat", []),
        ("import cnnexplore.widgets", "cnnexplore.data.pictures", ["cnnexplore.widgets"]),
        ("from ...cli import main", "cnnexplore.zoo.readers.mat", ["cnnexplore.cli", "cnnexplore.cli.main"]),
        ("from ... import world", "cnnexplore.zoo.training.worldnet", []),
        ("from ..zoo import load", "cnnexplore.evaluation.scorecard", ["cnnexplore.zoo", "cnnexplore.zoo.load"]),
        ("from ..preimage import Run", "cnnexplore.styles.topics", []),
        ("from ..styles import Topics", "cnnexplore.preimage.run", ["cnnexplore.styles", "cnnexplore.styles.Topics"]),
        ("from ...preimage import Run", "cnnexplore.widgets.panels.base", []),
        (
            "if TYPE_CHECKING:\n    from ..styles import Topics",
            "cnnexplore.preimage.run",
            ["cnnexplore.styles", "cnnexplore.styles.Topics"],
        ),
    ],
)
def test_the_check_of_imports(source, module, wrong):
    assert offences(source, module) == wrong


def test_no_module_imports_itself_by_way_of_others():
    assert circles({module: path.read_text() for path, module in modules()}) == []


def test_the_check_of_circles():
    sources = {
        "p.__init__": "from .a import x",
        "p.a": "from .b import y",
        "p.b": "if TYPE_CHECKING:\n    from . import c",
        "p.c": "def f():\n    from .a import x",
        "p.d": "from .a import x",
    }
    assert circles(sources) == [["p.a", "p.b", "p.c"]]
    assert circles({**sources, "p.c": ""}) == []


# public names


def test_public_names_are_there():
    for name in cx.__all__:
        home = cx._HOME[name]
        if home == "cnnexplore.widgets" and importlib.util.find_spec(home) is None:
            continue
        value = getattr(cx, name)
        assert value is getattr(importlib.import_module(home), name)
        assert (value.__doc__ or "").strip()
    assert set(cx.__all__) <= set(dir(cx))


def test_type_checkers_see_the_same_names():
    stub = ast.parse((ROOT / "__init__.pyi").read_text())
    seen = {}
    for node in stub.body:
        if isinstance(node, ast.ImportFrom):
            seen |= {
                alias.asname: ".".join(["cnnexplore", *([node.module] if node.module else [])]) for alias in node.names
            }
    assert seen == cx._HOME


def test_a_star_import_gives_them():
    space = {}
    exec("from cnnexplore import *", space)
    assert set(cx.__all__) <= set(space)


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'invrt'"):
        cx.invrt  # noqa: B018
    assert not hasattr(cx, "Networks")


def test_version():
    assert importlib.metadata.version("cnnexplore") == cx.__version__


@pytest.mark.parametrize(
    ("name", "builtin"),
    [("LayerNotFound", KeyError), ("LayerError", ValueError), ("ImageError", ValueError), ("SettingError", ValueError),
     ("NetworkError", ValueError), ("WeightsError", ValueError), ("DivergedError", ArithmeticError),
     ("WorkerError", RuntimeError)],
)  # fmt: skip
def test_errors_are_of_the_fitting_builtin_too(name, builtin):
    kind = getattr(cx, name)
    assert issubclass(kind, cx.ExploreError)
    assert issubclass(kind, builtin)
    assert str(kind("one sentence, as it is.")) == "one sentence, as it is."  # KeyError alone would quote it
    assert str(kind()) == ""


def test_nothing_mentions_a_place_on_somebodys_disk():
    """What ships must not depend on where it was written."""
    for path, _ in modules():
        assert str(ROOT.parent) not in path.read_text()
        assert "../shared" not in path.read_text()
