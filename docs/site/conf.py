"""Sphinx configuration of the documentation as a site: ``make docs`` builds it strictly into ``build/docs``.

The pages are Markdown that reads on GitHub as it stands, so nothing of Sphinx is in them: the navigation is made of the lists in
``docs/index.md``, a fence ``mermaid`` becomes the picture that
``scripts.diagrams`` has drawn of it, and pictures that HTML names are copied. The site loads nothing from
other hosts. Warnings are errors: a dead link or anchor, a page that the lists do not name.
"""

import re
import shutil
import sys
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parents[2]))
from pruning import __version__
from scripts.diagrams import DIAGRAMS, file_name, title_of

_SITE = Path(__file__).parent
_SECTION = re.compile(r"(?ms)^## (?P<title>[^\n]+)\n(?P<body>.*?)(?=^## |\Z)")
_PAGE = re.compile(r"(?m)^- \[[^\]]+\]\((?P<page>[\w/-]+)\.md\)")

project = "Espalier"
author = "The Espalier authors"
copyright = author  # noqa: A001 - Sphinx's own name
release = version = __version__
extensions = ["myst_parser"]
root_doc = "index"
source_suffix = {".md": "markdown"}
exclude_patterns = ["site"]
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]
suppress_warnings = ["config.cache"]
nitpicky = True
html_theme = "furo"
html_title = "Espalier"
html_static_path = ["assets"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = html_show_sourcelink = html_show_sphinx = False
html_theme_options = {"top_of_page_buttons": []}
highlight_language = "text"


class Mermaid(Directive):
    """The SVG file of a diagram; the text itself is what GitHub draws."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The picture, with the diagram's title in words. Raises DirectiveError where it is not drawn, or its text has changed."""
        text = "\n".join(self.content)
        try:
            title, name = title_of(text), file_name(text)
        except ValueError as fault:
            raise self.error(str(fault)) from fault
        if not (DIAGRAMS / name).is_file():
            raise self.error(f"{name} is not drawn: run python -m scripts.diagrams")
        return [nodes.image(uri=f"/site/{DIAGRAMS.name}/{name}", alt=title, classes=["diagram"])]


def add_navigation(app: Sphinx, docname: str, source: list[str]) -> None:
    """Give the home page a table of contents for each of its lists of pages."""
    if docname == app.config.root_doc:
        for section in list(_SECTION.finditer(source[0])):
            pages = "\n".join(found["page"] for found in _PAGE.finditer(section["body"]))
            if pages:
                source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {section['title']}\n\n{pages}\n```\n"


def copy_images(app: Sphinx, exception: Exception | None) -> None:
    """Copy pictures to where the HTML within pages looks for them; Sphinx copies those of Markdown alone."""
    if exception is None:
        shutil.copytree(_SITE.parent / "images", Path(app.outdir) / "images", dirs_exist_ok=True)


def setup(app: Sphinx) -> None:
    """Register what is above."""
    app.add_directive("mermaid", Mermaid)
    app.add_lexer("hex", TextLexer)
    app.connect("source-read", add_navigation)
    app.connect("build-finished", copy_images)
