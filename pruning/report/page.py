"""Report of a run as ``report.json`` and as ``report.html``: one file that asks the network for nothing and runs no script.

Called by :mod:`pruning.training.finalize`. Names in the page come from users (models, labels, data sets):
:mod:`pruning.report.markup` escapes all of them, and a Content Security Policy that allows this file's own style sheet alone
stands behind that.
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from pruning.files import atomic_write
from pruning.report.cost_section import costs
from pruning.report.density_section import density
from pruning.report.markup import Html, paragraph, section, table, tag
from pruning.report.number_format import duration, number, percent, size
from pruning.report.quality_section import quality
from pruning.report.style import CSS
from pruning.report.training_section import training

JSON_REPORT, HTML_REPORT = "report.json", "report.html"
Numbers = dict[str, Any]


def write_reports(folder: Path, numbers: dict[str, Any]) -> None:
    """Write what :func:`pruning.training.report_data.report_data` found as JSON and as a page. Raises OSError."""
    text = json.dumps(numbers, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for name, content in ((JSON_REPORT, text), (HTML_REPORT, page(numbers))):
        with atomic_write(folder / name) as unfinished:
            unfinished.write_text(content, encoding="utf-8")


def page(numbers: dict[str, Any]) -> str:
    """The whole document; ``numbers`` as :func:`pruning.training.report_data.report_data` gives them."""
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
        _header(numbers), *_warnings(numbers), training(numbers), density(numbers), quality(numbers), costs(numbers),
        _reproduction(numbers), _footer(numbers),
    )  # fmt: skip
    return "<!DOCTYPE html>\n" + tag("html", head, tag("body", tag("main", *sections)), lang="en")


def policy() -> str:
    """Nothing may be loaded, run, sent or framed; the one style sheet is known by its digest."""
    digest = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _header(numbers: Numbers) -> Html:
    """What was pruned to what, and the four numbers that matter."""
    result, model, task = numbers["result"], numbers["model"]["name"], numbers["task"]["name"]
    lead = (
        f"Method {numbers['method']} kept {number(result['kept_weights'])} of {number(result['masked_weights'])} masked "
        f"weights in {number(result['steps'])} steps."
    )
    if result["extra_parameters"]:
        much, share = number(result["extra_parameters"]), percent(result["extra_share"])
        more = size(result["weights_bytes"])
        lead += (
            f" It also trained {much} extra parameters, {share} of the masked weights; they are {more} beside the mask."
        )
    return tag("header", tag("h1", f"{model}, pruned to {task}"), paragraph(lead, class_="lead"), _tiles(numbers))


def _warnings(numbers: Numbers) -> list[Html]:
    """Why the result may be worth less than it looks; nothing where there is no reason."""
    rows = [(warning["message"], warning["remedy"], warning["code"]) for warning in numbers["warnings"]]
    if not rows:
        return []
    shown = tag("div", table(("warning", "what to do", "code"), rows, label="Warnings"), class_="words")
    return [section("Warnings", "warnings", shown)]


def _tiles(numbers: Numbers) -> Html:
    result, cost = numbers["result"], numbers["cost"]
    metric, mask, base = result["primary_metric"], result["compact_mask_bytes"], result["checkpoint_bytes"]
    before = result["before"].get(metric)
    asked = result["sparsity_asked"]
    tiles = [
        (metric.replace("_", " "), number(result["final"].get(metric)), f"{number(before)} dense, zero-shot"),
        ("weights kept", percent(result["remaining"]),
         f"{percent(1 - asked)} asked" if asked is not None else "as the method found"),
        ("mask, compact", size(mask), f"{base / mask:,.0f} times smaller than the checkpoint" if mask else ""),
        ("time", duration(cost["seconds"]), f"on {cost['device']}"),
    ]  # fmt: skip
    return tag(
        "dl",
        *(tag("div", tag("dt", name), tag("dd", value, tag("small", note))) for name, value, note in tiles),
        class_="tiles",
    )


def _reproduction(numbers: Numbers) -> Html:
    """All that has to be the same for the same mask."""
    spec = json.dumps(numbers["spec"], indent=2, ensure_ascii=False)
    model = numbers["model"]
    facts = [
        ("base model", model["name"]), ("revision", model["revision"] or "a local folder"),
        ("sha-256 of its weights", model["digest"]), ("device", numbers["cost"]["device"]),
        *numbers["versions"].items(),
    ]  # fmt: skip
    shown = [(name, tag("code", value)) for name, value in facts]
    return section(
        "How to repeat it", "repeat",
        paragraph(
            "With the same base weights, data, versions, kind of machine and number of threads the same spec gives the same "
            "mask, bit by bit: ", tag("code", "python -m pruning train --spec spec.json --work run"),
        ),
        tag("div", table(("what", "value"), shown, label="Versions"), class_="words"),
        tag("h3", "spec.json"), tag("pre", tag("code", spec), tabindex="0"),
    )  # fmt: skip


def _footer(numbers: Numbers) -> Html:
    """Where the numbers are."""
    said = ("The same numbers, and all points of the curves, are in ", tag("code", "report.json"))
    return tag("footer", paragraph(*said, f" (format version {numbers['version']})."), class_="soft")
