"""Views of many jobs in one statement: equal to the entities, with artifacts and webhook."""

from pathlib import Path

from sqlalchemy import inspect

from service.artifacts import store
from service.db.engine import Database
from service.db.models import Artifact, Job, Webhook
from service.jobs import queries, views
from tests.service import factories


def test_views_equal_the_entities(database: Database, tmp_path: Path) -> None:
    ended = factories.succeeded(database, tmp_path, reports=["report.html", "events.jsonl"]).id
    waits = factories.queued(database, metadata={"stage": "two"}, exports=["compact"], max_duration=1.5)
    with database.write() as session:
        session.add(Artifact(job_id=waits, attempt=1, name="half", media_type="a/b", size=1, sha256="0", chunk_bytes=1))
        receiver = Webhook(job_id=waits, url="https://example.com", events=["job.failed"], secret=b"sealed")
        session.add(receiver)
    with database.read_connection() as connection:
        found = views.load(connection, [waits, "job_0", ended])
    assert [*found] == [waits, ended]
    with database.read() as session:
        for job_id, look in found.items():
            job = queries.get(session, job_id)
            for name in [attribute.key for attribute in inspect(Job).column_attrs]:
                assert getattr(look.job, name) == getattr(job, name), name
            assert look.artifacts == [_as(views.ArtifactView, row) for row in store.list_for_job(session, job_id)]
        assert [made.name for made in found[ended].artifacts] == ["events.jsonl", factories.MASK, "report.html"]
        assert (found[waits].artifacts, found[ended].webhook) == ([], None)
        assert found[waits].webhook == _as(views.WebhookView, session.get_one(Webhook, receiver.id))


def _as(kind: type[views.ArtifactView | views.WebhookView], row: object) -> object:
    return kind(*(getattr(row, name) for name in kind._fields))
