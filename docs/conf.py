"""Sphinx configuration."""

import sys
from pathlib import Path

from insignia import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "insignia"
author = "the insignia developers"
release = version = __version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "generated"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "force"  # a cache would not notice that the package changed
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_output_stderr = "error"  # with -W, a warning in a tutorial stops the build
default_role = "code"
html_theme = "furo"
html_title = "insignia"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
exclude_patterns = ["_build"]
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = True
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_param = False
napoleon_custom_sections = [("Warns", "Warns")]
suppress_warnings = ["autodoc.mocked_object"]
