"""Settings of the documentation: `sphinx-build -W -b html notebooks/docs build/docs` in the root of the checkout."""

import os
import sys
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parents[1]

# The pages describe this checkout, also in the kernels that execute them, and one thread is enough for each of those.
sys.path[:0] = [str(ROOT), str(DOCS / "_extensions")]
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
os.environ["OMP_NUM_THREADS"] = "1"

import cnnexplore  # noqa: E402

project = "cnnexplore"
author = "the cnnexplore developers"
copyright = "the cnnexplore developers, MIT licence"
version = release = cnnexplore.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_design",
    "mathtext_images",
    "api_tables",
]
exclude_patterns = ["_build", "_extensions", "**/.ipynb_checkpoints", "versions-table.md"]

# Pages

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "attrs_inline", "attrs_block", "substitution"]
myst_heading_anchors = 3
myst_substitutions = {"version": release}

nb_execution_mode = "cache"
nb_execution_timeout = 240
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True
nb_ipywidgets_js = {}  # no scripts from elsewhere: a page with a live widget says so and shows a picture
suppress_warnings = ["mystnb.unknown_mime_type"]

# Reference

default_role = "name"
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "none"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = True
autosummary_generate = False
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
add_module_names = False
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

# Looks

html_theme = "furo"
html_title = f"cnnexplore {release}"
html_static_path = ["_static"]
html_css_files = ["cnnexplore.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#8a3b12", "color-brand-content": "#0b6170"},
    "dark_css_variables": {"color-brand-primary": "#f0a468", "color-brand-content": "#6fc6d6"},
}
pygments_style = "tango"
pygments_dark_style = "github-dark"
