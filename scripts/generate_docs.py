"""Generator of the pages in ``docs/reference/`` that repeat what the code says: ``python -m scripts.generate_docs``.

A test fails when a page and the code differ.
"""

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import get_args

from pydantic_core import PydanticUndefined

from api.errors.catalog import PROBLEMS
from api.errors.failures import FAILURES, FAULTS, Entry
from pruning.events import Event, ExitCode
from pruning.models.checks import MODEL_TYPES
from pruning.quality.catalog import WARNINGS
from pruning.spec.methods import METHODS
from pruning.spec.schema import PruningSpec
from pruning.spec.tasks import TASKS
from pruning.spec.verbalizer import first_words
from scripts.cli_page import cli_pages
from scripts.metrics_page import metrics_page
from scripts.models_page import models_page
from service.settings import Settings

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
NOTE = "<!-- made by scripts/generate_docs.py; change the code, not this page -->\n\n"


def _cell(text: object) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def _table(header: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    lines = [f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(_cell, row))} |" for row in rows)]) + "\n"


def settings_page() -> str:
    """Every environment variable of the service."""
    rows: list[tuple[object, ...]] = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, PydanticUndefined) else f"`{field.default}`"
        rows.append((f"`ESPALIER_{name.upper()}`", default, field.description or ""))
    return f"{NOTE}# Settings\n\nRead once, when a process starts. An empty default means: not set, or as described.\n\n" + _table(
        ("variable", "default", "what it is"), rows
    )


def errors_page() -> str:
    """Every error code."""

    def table(of: dict[str, Entry], status: str | None = None) -> str:
        rows: list[tuple[object, ...]] = []
        for code, entry in sorted(of.items()):
            rows.append((f"`{code}`", *([entry.status or ""] if status else []), entry.responsible, entry.remedy))
        return _table(("code", *([status] if status else []), "who must act", "what to do"), rows)

    return (
        f"{NOTE}# Error codes\n\nEvery error answer is an RFC 9457 problem, `application/problem+json`. Branch on `code`, show "
        "`detail` to people: it names the field and the remedy. Codes do not change; new ones may come. `kind` says it in "
        "general: `user` means that the request must change, `system` that the same one may work later. Who must act below: the "
        "*client* changes the request, the *operator* changes the service, *none*: the same request works later.\n\n## Problems\n\n"
        + table(PROBLEMS, "HTTP")
        + "\nAny other status has the code `http_` and its number.\n\n## Faults\n\nA 422 has a list `errors`, where `pointer` (RFC "
        "6901) or `parameter` names the place. In addition their `code` may be any of "
        "[pydantic's](https://docs.pydantic.dev/latest/errors/validation_errors/), such as `less_than` or `missing`.\n\n"
        + table(FAULTS)
        + "\n## Failures\n\n`error.code` of a job, of an export in `exports.json`, and of `espalier` and `python -m pruning` "
        "themselves. Those with a status are also found when a job is submitted, and then are the `code` of the problem.\n\n"
        + table(FAILURES, "at submission")
        + "\n## Warnings\n\n`code` in the `warnings` of a job: its mask is the requested one, and may be useless. A "
        "warning changes no state and no exit code. `budget_small` comes with the answer to a submission, the others when the "
        "job has ended.\n\n"
        + _table(("code", "meaning", "what to do"), [(f"`{code}`", *entry) for code, entry in sorted(WARNINGS.items())])
    )


def spec_page() -> str:
    """Every field of a job's spec."""
    rows: list[tuple[object, ...]] = []
    for name, field in PruningSpec.model_fields.items():
        default = "required" if field.is_required() else "" if field.default is PydanticUndefined else f"`{field.default}`"
        rows.append((f"`{name}`", default, field.description or ""))
    tasks = [
        (
            f"`{t.name}`",
            t.kind,
            ", ".join(t.text),
            ", ".join(first_words(t.label_words)),
            ", ".join(t.metrics),
            t.epochs,
            t.batch_size,
        )
        for t in TASKS.values()
    ]
    methods = [
        (f"`{m.name}`", m.summary, m.trains, m.sparsity, "yes" if m.two_four else "no", m.learning_rate, m.regularization)
        for m in METHODS.values()
    ]
    return (
        f"{NOTE}# The spec of a job\n\nOnly `model` and `task` are required. An empty default follows the task or the method; "
        "the resolved spec is shown back with every job.\n\n"
        + _table(("field", "default", "what it is"), rows)
        + "\n## Tasks by name\n\n"
        + _table(("task", "kind", "text columns", "label words by class id", "metrics", "epochs", "batch"), tasks)
        + "\n## Methods\n\n"
        + _table(("method", "what it does", "trains", "sparsity", "2:4", "learning rate", "λ"), methods)
        + "\n## Model types\n\n"
        + ", ".join(f"`{name}`" for name in sorted(MODEL_TYPES))
        + "; what was run of each: [models](models.md)\n"
    )


def trainer_page() -> str:
    """Every line that a trainer writes, and its exit codes."""
    lines = [
        f"{NOTE}# Lines of the trainer\n\n`python -m pruning train` writes one JSON object for each event on standard output, "
        "and nothing else goes there. The worker reads them, and most become [events](events.md) of the job under the same "
        "name. Every line has `event` and `time`.\n"
    ]
    for event in get_args(get_args(Event)[0]):
        name = event.model_fields["event"].default
        rows = [
            (f"`{field}`", f"`{inspect.formatannotation(about.annotation)}`")
            for field, about in event.model_fields.items()
            if field not in ("event", "time")
        ]
        lines.append(f"## {name}\n\n{inspect.getdoc(event)}\n\n{_table(('field', 'type'), rows)}")
    codes = [(code.value, code.name.lower().replace("_", " ")) for code in ExitCode]
    return "\n".join([*lines, "## Exit codes\n\n" + _table(("code", "how it ended"), codes)])


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "spec.md": spec_page,
    "errors.md": errors_page,
    **{name: partial(NOTE.__add__, page) for name, page in cli_pages().items()},
    "trainer.md": trainer_page,
    "metrics.md": lambda: NOTE + metrics_page(_table),
    "models.md": lambda: NOTE + models_page(_table),
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page(), encoding="utf-8")
