"""Declarative base of all tables: names of constraints, types of columns.

Every change of a file in this package needs a migration in ``migrations/``; a test compares the two.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Double, Integer, MetaData
from sqlalchemy.orm import DeclarativeBase

from service.db.clock import UtcDateTime

NAMING = {
    "pk": "pk_%(table_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
}
JSON_OBJECT = JSON(none_as_null=True)
SERIAL = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only INTEGER primary keys

# SQLite would reuse the id of the last row once that is deleted: a reader half-way through a deleted artifact would continue
# in the new one
NO_ID_REUSE = {"sqlite_autoincrement": True}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: UtcDateTime(), float: Double(), dict[str, Any]: JSON_OBJECT}  # noqa: RUF012 - declared by SQLAlchemy
