"""``espalier show`` and ``espalier open``: one job in the terminal, with remedies, and its page in a browser."""

import json
import os
import sys
import webbrowser
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from espalier.cli import job_text
from espalier.cli.ids import JobId
from espalier.cli.next_steps import addresses, commands, page_url
from espalier.cli.output import notify, print_json
from espalier.cli.queue_place import read_waits
from espalier.cli.service_context import ServiceContext, with_service
from espalier.client import job_words

if TYPE_CHECKING:
    from rich.text import Text

    from espalier.client.models import Job

_LABEL = 10
"""Characters of the names at the left."""
_TIMES = (("submitted", "created_at"), ("started", "started_at"), ("ended", "finished_at"))


@with_service
def show(context: ServiceContext, job: JobId) -> None:
    """Show a job: state, result, times, files, spec; for a failed one the reason and the remedy.

    Example: espalier show last
    """
    with context.client() as client:
        found = client.get(job)
        waits = {} if context.as_json else read_waits(client, [found])
    if context.as_json:
        print_json(found.model_dump_json(indent=2))
        return
    _print(context, found, waits.get(found.id, ""))


@with_service
def open_page(context: ServiceContext, job: JobId) -> None:
    """Open the page of a job in a browser, and print its address; without a browser, print the address only.

    Example: espalier open last
    """
    with context.client() as client:
        page = page_url(context, client.get(job).id)
    opened = has_browser() and webbrowser.open(page)
    context.print_line(page, {"url": page, "opened": opened})
    if not opened and not context.as_json:
        notify("no browser on this machine; open the address in a browser")


def has_browser() -> bool:
    """Whether a graphical browser is available, as opposed to one that takes over the terminal."""
    if os.environ.get("BROWSER") or sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _print(context: ServiceContext, job: "Job", waits: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=_LABEL, style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    console.print(_title(job), soft_wrap=True)
    if sys.stdout.isatty():
        for name, text in rows(context, job, waits):
            table.add_row(name, text)
        console.print(table)
    else:  # not wrapped: other programs read lines
        for name, text in rows(context, job, waits):
            print(f"{name:<{_LABEL}}  {text}")
    for line in addresses(context, job):  # a terminal wraps a long address so that it can still be clicked
        name, _, address = line.partition(" ")
        console.print(Text.assemble((f"{name:<{_LABEL}}  ", "dim"), address.strip()), soft_wrap=True)


def _title(job: "Job") -> "Text":
    from rich.text import Text

    title = Text()
    title.append(f"{job_text.mark(job.status)} {job_text.requested(job) or job.status}", f"bold {job_text.colour(job.status)}")
    title.append(f"  {job.id}", "bold")
    return title


def rows(context: ServiceContext, job: "Job", waits: str = "") -> Iterator[tuple[str, str]]:
    """Name and text of each line; a name is empty where the line continues the one before."""
    yield from _named("job", _what(job))
    yield from _named("now", job_text.doing(job, waits) if job.status in ("queued", "running", "paused") else "")
    yield from _named("steps", job_text.steps(job))
    yield from _trouble(job)
    yield from _result(job)
    moments = ((word, job_text.field(job, name)) for word, name in _TIMES)
    yield from _lines("times", [_moment(word, moment) for word, moment in moments if moment is not None])
    ran = job_text.ran_for(job)
    yield from _named("ran", f"{ran}, attempt {job.attempt}" if ran and job.attempt > 1 else ran)
    yield from _relations(job)
    files = [f"{artifact.name}  {_size(artifact.bytes)}  sha-256 {artifact.sha256[:12]}" for artifact in job.artifacts]
    yield from _lines("files", files)
    yield from _named("spec", "  ".join(f"{name}={_value(value)}" for name, value in job.spec.items() if value is not None))
    yield from _lines("next", [each for each in commands(context, job) if not each.startswith("espalier show ")])


def _what(job: "Job") -> str:
    if job.export_of is not None:
        return f"exports the mask of {job.export_of} to {', '.join(job.exports)}"
    if job.evaluation_of is not None:
        return f"evaluates the mask of {job.evaluation_of} on {job_words.evaluated_rows(job.evaluation)}"
    words = (str(job.spec.get("model", "")), job_text.task_name(job), str(job.spec.get("method", "")))
    asked = job.spec.get("sparsity")
    single = [f"{own} of {pattern}" for pattern, own in (job.spec.get("sparsity_by") or {}).items()]
    return ", ".join(filter(None, (*words, f"sparsity {asked}" if asked is not None else "", *single)))


def _trouble(job: "Job") -> Iterator[tuple[str, str]]:
    """Why it failed, or why its last attempt did not finish; warnings; each with its remedy."""
    if job.error is not None:
        name = "failed" if job.status == "failed" else "attempt"
        yield name, f"{job.error.message} ({job.error.code})"
        if job.error.param is not None:
            value = job.spec.get(job.error.param, job_text.field(job, job.error.param))
            yield "", f"field: {job.error.param}" + (f" = {_value(value)}" if value is not None else "")
        yield "to do", remedy(job)
    for warning in job.warnings:
        yield "warning", f"{warning.message} ({warning.code})"
        if warning.remedy:
            yield "to do", warning.remedy


def remedy(job: "Job") -> str:
    """Remedy for the error of a job: the service's own, else one by the kind of the error."""
    if job.error is None:
        return ""
    remedy = job_text.field(job, "error").remedy
    if remedy:
        return str(remedy)
    if job.error.retryable:
        return f"the same job may succeed later: espalier retry {job.id}"
    return "change the spec and submit it again"


def _result(job: "Job") -> Iterator[tuple[str, str]]:
    result, metrics = job_words.result_of(job), job_words.metrics_of(job)
    metric = " ".join(filter(None, (job_text.metric_name(job), job_text.metric(job))))
    yield from _named("metric", metric + (", from dense zero-shot to mask" if result.get("before") else ""))
    if (tuned := job_words.fine_tuned(job)) is not None:
        yield "baseline", f"{tuned:.3f} of the dense model, fine-tuned in the same steps"
    if metrics.get("constant_prediction") is True:
        yield "predicts", "the same for all validation rows"
    if isinstance(signal := metrics.get("signal_to_noise"), float):
        yield "signal", f"{signal:.3f} signal-to-noise of the scores; 0.053 is noise alone"
    if job.evaluation_of is not None and result:
        others = (f"{name} {value:.4f}" for name, value in result["final"].items())
        yield "metrics", f"{', '.join(others)} on {result['rows']:,} rows of {', '.join(result['splits'])}"
    remaining = result.get("remaining", metrics.get("remaining"))
    yield from _named("remaining", f"{remaining:.2%} of the masked weights" if isinstance(remaining, float) else "")
    sizes = ((result.get("mask_bytes"), ""), (result.get("compact_mask_bytes"), " compact"))
    yield from _named("mask", ", ".join(f"{_size(count)}{word}" for count, word in sizes if count is not None))


def _relations(job: "Job") -> Iterator[tuple[str, str]]:
    yield from _named("metadata", "  ".join(f"{key}={value}" for key, value in job.metadata.items()))
    yield from _named("from", f"the mask of {start}" if (start := job.spec.get("init_from")) and not job.export_of else "")
    for name, attribute in (("sweep", "sweep_id"), ("repeats", "retried_from"), ("owner", "owner")):
        yield from _named(name, str(job_text.field(job, attribute) or ""))
    if job.paused_until is not None:
        yield "paused", f"cancelled on {_exact(job.paused_until)}, unless it is resumed before"


def _named(name: str, text: str) -> Iterator[tuple[str, str]]:
    if text:
        yield name, text


def _lines(name: str, lines: list[str]) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines):
        yield "" if number else name, line


def _moment(word: str, moment: datetime) -> str:
    return f"{word} {job_text.age(moment)} ago ({_exact(moment)})"


def _exact(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _size(count: int) -> str:
    from pruning.report.number_format import size

    return size(count)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
