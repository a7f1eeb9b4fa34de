"""Idempotent requests: the first response to each idempotency key is stored, and returned to repetitions.

Called by ``api.request.idempotency``. A response is written in the transaction that creates the job, so a crash cannot leave one
without the other: a repetition finds the response, or nothing was created. Of two concurrent requests one commits; the other,
whose row has the same key, is rolled back with everything it had written.
"""

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.db.clock import now_sql
from service.db.models import StoredResponse
from service.errors import IdempotencyKeyReusedError, RequestInProgressError


def find(session: Session, *, owner: str, route: str, key: str, fingerprint: str, keep_seconds: float) -> StoredResponse | None:
    """The stored response to this request; None for the first request.

    Raises IdempotencyKeyReusedError for the key of another request.
    """
    row = session.scalars(
        select(StoredResponse).where(
            StoredResponse.owner == owner,
            StoredResponse.route == route,
            StoredResponse.key == key,
            StoredResponse.created_at >= now_sql(-keep_seconds),
        )
    ).one_or_none()
    if row is not None and row.fingerprint != fingerprint:
        raise IdempotencyKeyReusedError
    return row


def store(
    session: Session,
    *,
    owner: str,
    route: str,
    key: str,
    fingerprint: str,
    status: int,
    body: str,
    location: str | None,
    keep_seconds: float,
) -> None:
    """Store the response to the first request. Raises RequestInProgressError if a concurrent one with this key was faster."""
    same = (StoredResponse.owner == owner, StoredResponse.route == route, StoredResponse.key == key)
    session.execute(delete(StoredResponse).where(*same, StoredResponse.created_at < now_sql(-keep_seconds)))
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    # on PostgreSQL this waits for the concurrent transaction; if that rolls back, this row is inserted
    statement = insert(StoredResponse).on_conflict_do_nothing().returning(StoredResponse.status)
    values = {
        "owner": owner,
        "route": route,
        "key": key,
        "fingerprint": fingerprint,
        "status": status,
        "body": body,
        "location": location,
    }
    if session.execute(statement, values).scalar_one_or_none() is None:
        raise RequestInProgressError


def delete_expired(session: Session, *, keep_seconds: float) -> None:
    """Delete expired responses. Called by the worker's maintenance thread."""
    session.execute(delete(StoredResponse).where(StoredResponse.created_at < now_sql(-keep_seconds)))
