"""API keys: created, looked up, revoked.

Called by ``api.request.auth`` and the command line inside their transactions; never commits.

A key is ``esp_``, 32 random letters and digits (190 bits) and a checksum of 6, so that scanners for leaked keys recognise one and
a typing error costs no query. Only its SHA-256 is stored: a random key needs no slow hash, and the time of a look-up in an
index reveals nothing about keys.
"""

import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, bindparam, func, or_, select, update
from sqlalchemy.orm import Session

from service.db.clock import now_sql
from service.db.models import LOCAL, OWNER_LENGTH, ApiKey
from service.errors import InvalidKeyError, KeyNotFoundError

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM, _CHECK = 32, 6
_DAY_SECONDS = 86_400
USED_SECONDS = 60
"""``last_used_at`` is written no more often than this."""
_KEYS = ApiKey.__table__.c
_ROWS: Select[Any] = select(
    *_KEYS,
    func.coalesce(_KEYS.expires_at <= now_sql(), False).label("is_expired"),
    or_(_KEYS.last_used_at.is_(None), _KEYS.last_used_at < now_sql(-USED_SECONDS)).label("is_stale"),
)
_FIND = _ROWS.where(_KEYS.digest.in_(bindparam("digests", expanding=True)))
"""Built once: it runs for every request."""
_FIND_ID = _ROWS.where(_KEYS.id == bindparam("id"))
OWNER = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._@-]{{0,{OWNER_LENGTH - 1}}}")


class Scope(StrEnum):
    """Scopes of a key."""

    READ = "jobs:read"
    WRITE = "jobs:write"
    ADMIN = "admin"
    """All operations, on the jobs of all owners."""


ALL_SCOPES = frozenset(Scope)


def create(
    session: Session,
    *,
    name: str,
    owner: str = LOCAL,
    scopes: Iterable[Scope] = (Scope.READ, Scope.WRITE),
    expires_days: float | None = None,
) -> tuple[ApiKey, str]:
    """A new key: its row, and the key itself, which cannot be read again. Raises ValueError for a bad name, owner or
    scope."""
    if not OWNER.fullmatch(owner):
        raise ValueError(f"owner {owner!r} must be 1 to {OWNER_LENGTH} letters, digits and . _ @ -, a letter or digit first")
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise ValueError("name must be 1 to 100 printable characters")
    if not (wanted := sorted(set(scopes))):
        raise ValueError(f"scopes must name at least one of {', '.join(Scope)}")
    body = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    key = f"esp_{body}{_checksum(body)}"
    row = ApiKey(
        name=name,
        owner=owner,
        scopes=" ".join(wanted),
        digest=_digest(key),
        expires_at=None if expires_days is None else now_sql(expires_days * _DAY_SECONDS),
    )
    session.add(row)
    session.flush()
    session.refresh(row)
    return row, key


class ValidKey(NamedTuple):
    """A valid key, neither revoked nor expired."""

    row: Row[Any]
    """A plain row with the names of ``ApiKey``."""
    stale: bool
    """Whether ``last_used_at`` should be written again."""


def find(session: Session, key: str) -> ValidKey:
    """Raises InvalidKeyError."""
    found = find_all(session.connection(), [key])[key]
    if isinstance(found, InvalidKeyError):
        raise found
    return found


def find_all(connection: Connection, given: Collection[str]) -> dict[str, ValidKey | InvalidKeyError]:
    """Each given key's row, or the error that refuses it."""
    digests = {key: _digest(key) for key in given if is_well_formed(key)}
    rows: dict[str, Row[Any]] = {}
    if digests:
        found = connection.execute(_FIND, {"digests": list(digests.values())})
        rows = {row.digest: row for row in found}
    return {key: _check_row(rows.get(digests.get(key, ""))) for key in given}


def find_by_id(connection: Connection, key_id: str) -> ValidKey:
    """The key with which a session was started. Raises InvalidKeyError."""
    found = _check_row(connection.execute(_FIND_ID, {"id": key_id}).first())
    if isinstance(found, InvalidKeyError):
        raise found
    return found


def _check_row(row: Row[Any] | None) -> ValidKey | InvalidKeyError:
    if row is None:
        return InvalidKeyError()
    if row.revoked_at is not None:
        return InvalidKeyError("This API key was revoked.", code="key_revoked")
    if row.is_expired:
        return InvalidKeyError("This API key has expired.", code="key_expired")
    return ValidKey(row, bool(row.is_stale))


def require_usable(session: Session, key_id: str) -> None:
    """Check a key again that was valid when a long request began. Raises InvalidKeyError."""
    is_expired = func.coalesce(ApiKey.expires_at <= now_sql(), False).label("is_expired")
    row = session.execute(select(ApiKey.revoked_at, is_expired).where(ApiKey.id == key_id)).first()
    if row is None or row.revoked_at is not None:
        raise InvalidKeyError("This API key was revoked.", code="key_revoked")
    if row.is_expired:
        raise InvalidKeyError("This API key has expired.", code="key_expired")


def record_use(session: Session, key_id: str) -> None:
    """Record that a key was used, unless another process just did."""
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < now_sql(-USED_SECONDS))
    session.execute(update(ApiKey).where(ApiKey.id == key_id, stale).values(last_used_at=now_sql()))


def list_keys(session: Session) -> Sequence[ApiKey]:
    """All keys, newest first, revoked and expired ones too."""
    return session.scalars(select(ApiKey).order_by(ApiKey.created_at.desc(), ApiKey.id.desc())).all()


def revoke(session: Session, key_id: str) -> ApiKey:
    """Revoke a key. Idempotent. Raises KeyNotFoundError."""
    ends = update(ApiKey).where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None)).values(revoked_at=now_sql())
    session.execute(ends, execution_options={"synchronize_session": False})
    row = session.get(ApiKey, key_id, populate_existing=True)
    if row is None:
        raise KeyNotFoundError(f"There is no key {key_id}.")
    return row


def any_usable(session: Session) -> bool:
    """Whether any key is neither revoked nor expired."""
    usable = select(ApiKey.id).where(ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now_sql()))
    return session.scalars(usable.limit(1)).first() is not None


def is_well_formed(key: str) -> bool:
    """Whether ``key`` could have come from ``create``."""
    shape = re.fullmatch(rf"esp_([0-9A-Za-z]{{{_RANDOM}}})([0-9A-Za-z]{{{_CHECK}}})", key)
    return shape is not None and _checksum(shape[1]) == shape[2]


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _checksum(body: str) -> str:
    """CRC-32 in base 62."""
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECK):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
