"""Tables of API keys and of owners' secrets, both stored so that a copy of the database does not reveal them."""

from datetime import datetime

from sqlalchemy import Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from service.db.clock import now_sql
from service.db.models.base import Base
from service.ids import new_key_id

OWNER_LENGTH = 64
LOCAL = "local"
"""Owner of everything while the service requires no keys."""


class ApiKey(Base):
    """An API key. See ``service.access.api_keys``."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=new_key_id)
    name: Mapped[str] = mapped_column(String(100))
    """Name of its holder, for people."""
    owner: Mapped[str] = mapped_column(String(OWNER_LENGTH))
    """The owner of the jobs that it creates and sees."""
    scopes: Mapped[str] = mapped_column(String(200))
    """Scopes, separated by spaces."""
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the key, hexadecimal; the key itself is not stored."""
    created_at: Mapped[datetime] = mapped_column(default=now_sql())
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    """Accurate to about a minute."""
    revoked_at: Mapped[datetime | None]

    __table_args__ = (Index("uq_api_keys_digest", "digest", unique=True),)


class Secret(Base):
    """A value that an owner entrusted to the service and that is never shown again. See ``service.access.secrets``."""

    __tablename__ = "secrets"

    owner: Mapped[str] = mapped_column(String(OWNER_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    """Encrypted with the service's secret key."""
    set_at: Mapped[datetime] = mapped_column(default=now_sql())
