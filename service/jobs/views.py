"""Read models of jobs: plain rows of many jobs with their artifacts and webhook, in one statement.

Called by the API inside ``Database.read_connection``; this is the most frequent query of the service, and ORM entities would
cost more than it does. One statement means one snapshot. It is built once, because building costs more than running it.
"""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, FromClause, Row, Select, bindparam, func, inspect, select

from service.db.models import Artifact, Job, Webhook
from service.db.models.base import JSON_OBJECT
from service.db.paging import encode_cursor, fill_page, json_bytes

_WEBHOOK_PREFIX = "webhook_"
_BATCH = 20
"""Jobs of a list loaded at a time, each with a spec up to 256 KiB and 64 KiB of metrics."""
_JSON = {"postgresql": ("json_agg", "json_build_object"), "sqlite": ("json_group_array", "json_object")}
"""Functions of each database that aggregate rows into an array, and make an object of a row."""


class ArtifactView(NamedTuple):
    """The public columns of an ``Artifact``."""

    job_id: str
    name: str
    media_type: str
    size: int
    """Bytes."""
    sha256: str


class WebhookView(NamedTuple):
    """The public columns of a ``Webhook``."""

    id: str
    url: str
    events: list[Any]
    job_id: str
    disabled_at: Any
    disabled_reason: Any
    created_at: Any


class JobView(NamedTuple):
    """A job with its artifacts and its webhook."""

    job: Row[Any]
    """Row with the attribute names of ``Job``."""
    artifacts: Sequence[ArtifactView]
    """Complete artifacts, by name."""
    webhook: WebhookView | None
    """The webhook that was submitted with it."""


def load(connection: Connection, job_ids: Collection[str]) -> dict[str, JobView]:
    """Views of those of ``job_ids`` that exist, of any owner, in the given order."""
    rows = connection.execute(_statement(connection.dialect.name), {"ids": list(job_ids)})
    found = {row.id: JobView(row, [ArtifactView(**artifact) for artifact in row.artifacts or ()], _webhook(row)) for row in rows}
    return {job_id: found[job_id] for job_id in job_ids if job_id in found}


def load_page(connection: Connection, job_ids: Sequence[str], next_cursor: str | None) -> tuple[list[JobView], str | None]:
    """Views of a page of a list, and the cursor of the next: another than ``next_cursor`` where PAGE_BYTES end it earlier.

    All of ``job_ids`` exist: the caller found them in the same transaction.
    """
    batches = (list(load(connection, job_ids[start : start + _BATCH]).values()) for start in range(0, len(job_ids), _BATCH))
    page, cut = fill_page(batches, _size, len(job_ids))
    return page, encode_cursor(page[-1].job.created_at, page[-1].job.id) if cut else next_cursor


def _size(view: JobView) -> int:
    job = view.job
    return json_bytes(job.spec, job.metrics, job.result, job.error, job.user_metadata, view.artifacts)


def _webhook(row: Row[Any]) -> WebhookView | None:
    if row.webhook_id is None:
        return None
    return WebhookView(*(getattr(row, _WEBHOOK_PREFIX + name) for name in WebhookView._fields))


@cache
def _statement(dialect: str) -> Select[Any]:
    """Built at the first call: at import the mapping is not complete."""
    jobs, webhooks = Job.__table__, Webhook.__table__
    webhook = [webhooks.c[name].label(_WEBHOOK_PREFIX + name) for name in WebhookView._fields]
    columns = [attribute.columns[0].label(attribute.key) for attribute in inspect(Job).column_attrs]
    return (
        select(*columns, *webhook, _artifacts(jobs, dialect).label("artifacts"))
        .select_from(jobs.outerjoin(webhooks, webhooks.c.job_id == jobs.c.id))
        .where(jobs.c.id.in_(bindparam("ids", expanding=True)))
    )


def _artifacts(jobs: FromClause, dialect: str) -> ColumnElement[Any]:
    array, row_object = (getattr(func, name) for name in _JSON[dialect])
    table = Artifact.__table__.c
    of_job = select(*(table[name] for name in ArtifactView._fields)).where(table.job_id == jobs.c.id, table.complete)
    in_order = of_job.order_by(table.name).correlate(jobs).subquery()
    pairs = [part for name in ArtifactView._fields for part in (name, in_order.c[name])]
    return select(array(row_object(*pairs), type_=JSON_OBJECT)).scalar_subquery()
