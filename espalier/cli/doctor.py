"""``espalier doctor``: diagnosis of a service and of this machine, as a table or JSON. The checks are in ``checks``."""

import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from espalier.cli.options import DEFAULT_URL
from espalier.cli.output import print_table
from espalier.cli.service_access import EXPLICIT, DataDir, find_running_service, settings_or_faults
from espalier.cli.service_context import ServiceContext, with_service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from espalier.cli.checks import Finding

_MARKS = {"ok": "ok", "note": "note", "broken": "BROKEN"}


@with_service
def doctor(
    context: ServiceContext,
    local: Annotated[bool, typer.Option("--local", help="Skip the API, e.g. before it is started.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Check everything that a job needs: API, database, broker, storage, hub, devices, versions. Never prints secrets.

    Exits with 1 when something that is needed is broken. Example: espalier doctor --url https://espalier.example
    """
    from espalier.cli import checks

    explicit = data_dir is not None or any(name in os.environ for name in EXPLICIT)
    running = find_running_service(data_dir)
    settings, faults = settings_or_faults(data_dir=running.data_dir if running is not None else data_dir)
    url = running.url if running is not None and context.url == DEFAULT_URL else context.url

    def run_checks() -> "Iterator[Finding]":
        yield checks.versions()
        yield checks.variables()
        if settings is None:
            yield checks.Finding("settings", "broken", faults, "correct the variables that it names; docs/reference/settings.md")
        if not local:
            yield checks.api(url, context.key())
        if settings is not None:
            yield from checks.service(settings, explicit)
            yield checks.hub(settings.hub_enabled)
        yield checks.methods()
        yield checks.devices()
        yield checks.kernels()

    findings = list(run_checks())
    if context.as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _print(findings)
    if any(finding.state == "broken" for finding in findings):
        sys.exit(1)


def _print(findings: "list[Finding]") -> None:
    from rich.table import Column, Table
    from rich.text import Text

    table = Table(Column("part", no_wrap=True), Column("state", no_wrap=True), "finding", box=None)
    for finding in findings:
        style = {"broken": "bold red", "note": "yellow"}.get(finding.state, "green")
        detail = finding.detail if finding.remedy is None else f"{finding.detail}\n→ {finding.remedy}"
        table.add_row(finding.name, Text(_MARKS[finding.state], style), Text(detail))
    print_table(table)
