"""How the pages are built: sphinx-build -W docs docs/_build/html."""

import shutil
from importlib.metadata import version as version_of
from pathlib import Path

FOLDER = Path(__file__).parent
shutil.copyfile(FOLDER.parent / "examples" / "eleven_lines.ipynb", FOLDER / "tutorial.ipynb")

project = "Shoal"
author = "The Shoal developers"
copyright = author
release = version = version_of("shoal")

extensions = [
    "myst_nb",  # pages in Markdown, and the notebook with its outputs
    "sphinx.ext.autodoc",
    "numpydoc",
]
default_role = "code"  # what docstrings have in single backticks
exclude_patterns = ["_build"]
suppress_warnings = ["misc.highlighting_failure"]

nb_execution_mode = "off"  # the tests run the notebook; the page shows the outputs that it has
myst_enable_extensions = ["colon_fence"]

numpydoc_show_class_members = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say types

html_theme = "pydata_sphinx_theme"
html_title = "Shoal"
html_theme_options = {"show_prev_next": True, "navigation_with_keys": False}
html_sidebars = {"**": []}  # the pages are few: the header has them all
