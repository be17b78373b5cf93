"""Sphinx configuration: `make docs` builds the guide and the API reference, warnings as errors."""

import importlib
import pkgutil
import re
from pathlib import Path

import meshlearn

project = "meshlearn"
author = "The meshlearn developers"
copyright = "The meshlearn developers, Apache-2.0"
version = release = meshlearn.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "meshlearn"
html_static_path = ["_static"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_default_options = {"members": True, "show-inheritance": False}
suppress_warnings = ["myst.header"]

ROOMS = ["ops", "mesh", "io", "fem", "nn", "train", "sim", "models", "grids", "viz", "cli", "testing"]
HERE = Path(__file__).parent


def docstring_as_text(app, what, name, obj, options, lines):
    """Docstrings are aligned plain text: the first paragraph is prose, the rest is shown as it stands."""
    text = "\n".join(lines).strip()
    first, _, rest = text.partition("\n\n")
    first = re.sub(r"(?<!`)`([^`\n]+)`(?!`)", r"``\1``", first.replace("\\", "\\\\").replace("*", "\\*"))
    first = re.sub(r"(\w)_(?=\W|$)", r"\1\\_", first) if "``" not in first else first
    first = first.replace("|", "\\|")
    lines[:] = [" ".join(first.split()), ""]
    if rest.strip():
        lines += ["::", "", *("    " + line for line in rest.splitlines()), ""]


def write_api_pages(app):
    """One page per room, listing every module that has public names of its own."""
    folder = HERE / "api" / "generated"
    folder.mkdir(parents=True, exist_ok=True)
    for room in ROOMS:
        package = importlib.import_module(f"meshlearn.{room}")
        names = [m.name for m in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
        title = f"meshlearn.{room}"
        parts = [title, "=" * len(title), "", f".. automodule:: {title}", "   :no-members:", ""]
        for name in names:
            module = importlib.import_module(name)
            own = [n for n, v in vars(module).items() if not n.startswith("_") and getattr(v, "__module__", "") == name]
            if own and not name.rpartition(".")[2].startswith("_"):
                short = name.removeprefix("meshlearn.")
                parts += [short, "-" * len(short), "", f".. automodule:: {name}", ""]
        page = folder / f"{room}.rst"
        text = "\n".join(parts)
        if not page.exists() or page.read_text() != text:
            page.write_text(text)


def setup(app):
    app.connect("builder-inited", write_api_pages)
    app.connect("autodoc-process-docstring", docstring_as_text)
