"""Types of columns that every database keeps in the same way."""

import datetime
from typing import Any

import sqlalchemy
from sqlalchemy import types
from sqlalchemy.dialects import mysql

#: Documents grow with the fleet; MySQL's TEXT ends at 64 KiB.
LONG_TEXT = types.Text().with_variant(mysql.LONGTEXT(), 'mysql', 'mariadb')

#: The same for bytes.
LONG_BYTES = types.LargeBinary().with_variant(
    mysql.LONGBLOB(), 'mysql', 'mariadb'
)


class UtcTime(types.TypeDecorator[float]):
    """Seconds since the epoch, kept as a UTC date and time."""

    impl = types.DateTime
    cache_ok = True

    def load_dialect_impl(
        self, dialect: sqlalchemy.Dialect
    ) -> types.TypeEngine[Any]:
        if dialect.name in ('mysql', 'mariadb'):
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(types.DateTime())

    def process_bind_param(
        self, value: float | None, dialect: sqlalchemy.Dialect
    ) -> datetime.datetime | None:
        if value is None:
            return None
        return datetime.datetime.fromtimestamp(value, datetime.UTC).replace(
            tzinfo=None
        )

    def process_result_value(
        self, value: datetime.datetime | None, dialect: sqlalchemy.Dialect
    ) -> float | None:
        return (
            None
            if value is None
            else value.replace(tzinfo=datetime.UTC).timestamp()
        )
