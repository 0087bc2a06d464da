"""What the agent has learned, kept by name: bytes that only it can read."""

import collections.abc

import sqlalchemy

from kvm_balancer.store import database as db
from kvm_balancer.store import tables


class MemoryStore:
    """Bytes by name. All methods raise StoreError without an answer."""

    def __init__(self, database: db.Database) -> None:
        self._database = database

    def save(self, name: str, body: bytes, at: float) -> None:
        """Keep *body* in place of what was kept under *name* before."""
        self.save_all({name: body}, at)

    def save_all(
        self, bodies: collections.abc.Mapping[str, bytes], at: float
    ) -> None:
        """Keep many by their names, all or none."""
        with self._database.writer() as session:
            for name, body in bodies.items():
                session.merge(
                    tables.Memory(name=name, changed_at=at, body=body)
                )

    def load(self, name: str) -> bytes | None:
        """Return what is kept under *name*; None for nothing."""
        with self._database.reader() as session:
            row = session.get(tables.Memory, name)
            return None if row is None else row.body

    def load_all(self, prefix: str) -> dict[str, bytes]:
        """Return what is kept under names that begin with *prefix*."""
        query = sqlalchemy.select(tables.Memory).where(_begins(prefix))
        with self._database.reader() as session:
            return {row.name: row.body for row in session.scalars(query)}

    def names(self, prefix: str) -> list[str]:
        """Return the names that begin with *prefix*, in order."""
        query = (
            sqlalchemy.select(tables.Memory.name)
            .where(_begins(prefix))
            .order_by(tables.Memory.name)
        )
        with self._database.reader() as session:
            return list(session.scalars(query))

    def purge(self, before: float) -> int:
        """Forget what was last changed before that; return how many."""
        table = tables.Memory
        old = table.changed_at < before
        with self._database.writer() as session:
            names = list(
                session.scalars(sqlalchemy.select(table.name).where(old))
            )
            session.execute(sqlalchemy.delete(table).where(old))
        return len(names)


def _begins(prefix: str) -> sqlalchemy.ColumnElement[bool]:
    return tables.Memory.name.startswith(prefix, autoescape=True)
