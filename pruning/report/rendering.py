"""Jinja2 environment and style of the report, which the web pages share.

Called by :mod:`pruning.report.page` and by ``api.pages``, which has templates of its own and serves the shared style sheet as it
is. The report contains both sheets, because it is one file without network requests.
"""

import base64
import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pruning.report.number_format import duration, number, percent, size

SHARED_STYLE = Path(__file__).parent / "static" / "common.css"
"""Colours and typography of the report and of the web pages."""
_OWN = SHARED_STYLE.with_name("report.css")


def template_environment(folder: Path) -> Environment:
    """An environment with the templates in ``folder`` and the number formats as filters.

    All text is escaped, and a name that is missing is an error: rendering raises jinja2.UndefinedError.
    """
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {"percent": percent, "size": size, "duration": duration, "number": number}
    return environment


@cache
def style_sheet() -> Markup:
    """Content of the report's ``<style>``. Raises OSError where the package is incomplete."""
    return Markup(SHARED_STYLE.read_text("utf-8") + _OWN.read_text("utf-8"))  # noqa: S704 - files of this package


def policy() -> str:
    """Content Security Policy: nothing may be loaded, run, sent or framed; the one style sheet is known by its digest."""
    digest = base64.b64encode(hashlib.sha256(style_sheet().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
