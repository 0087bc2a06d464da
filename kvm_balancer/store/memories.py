"""What the agent has learned, kept by name: bytes that only it can read."""

import sqlalchemy

from kvm_balancer.store import database as db
from kvm_balancer.store import tables


class MemoryStore:
    """Bytes by name. All methods raise StoreError without an answer."""

    def __init__(self, database: db.Database) -> None:
        self._database = database

    def save(self, name: str, body: bytes, at: float) -> None:
        """Keep *body* in place of what was kept under *name* before."""
        with self._database.writer() as session:
            session.merge(tables.Memory(name=name, changed_at=at, body=body))

    def load(self, name: str) -> bytes | None:
        """Return what is kept under *name*; None for nothing."""
        with self._database.reader() as session:
            row = session.get(tables.Memory, name)
            return None if row is None else row.body

    def names(self, prefix: str) -> list[str]:
        """Return the names that begin with *prefix*, in order."""
        query = (
            sqlalchemy.select(tables.Memory.name)
            .where(tables.Memory.name.startswith(prefix, autoescape=True))
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
