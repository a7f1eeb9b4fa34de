"""``report.html`` from the numbers of ``report.json``: one file that asks the network for nothing and runs no script.

Names in it come from users (models, labels, data sets): ``markup`` escapes all of them, and a Content Security Policy that
allows this file's own style sheet alone stands behind that. Called by ``write``.
"""

import base64
import hashlib
from typing import Any

from pruning.report import parts
from pruning.report.markup import Html, tag
from pruning.report.quality import quality
from pruning.report.size import sizes
from pruning.report.style import CSS
from pruning.report.where import where


def page(numbers: dict[str, Any]) -> str:
    """The whole document; ``numbers`` as :func:`pruning.report.collect.collect` gives them."""
    title = f"{numbers['model']['name']}, pruned to {numbers['task']['name']}"
    head = tag(
        "head",
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy()}">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<meta name="referrer" content="no-referrer">'),
        tag("title", title),
        Html(f"<style>{CSS}</style>"),
    )
    sections = (
        parts.head(numbers), parts.training(numbers), where(numbers), quality(numbers), sizes(numbers),
        parts.reproduce(numbers), parts.foot(numbers),
    )  # fmt: skip
    return "<!DOCTYPE html>\n" + tag("html", head, tag("body", tag("main", *sections)), lang="en")


def policy() -> str:
    """Nothing may be loaded, run, sent or framed; the one style sheet is known by its digest."""
    digest = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
