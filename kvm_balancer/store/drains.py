"""Hosts that are being emptied on purpose, until somebody takes them back."""

import dataclasses

import sqlalchemy

from kvm_balancer.store import database as db
from kvm_balancer.store import tables


@dataclasses.dataclass(frozen=True, slots=True)
class DrainRecord:
    """One host that is drained.

    :ivar disabled_in_nova: its service was enabled, and was disabled for it
    """

    host: str
    reason: str
    begun_at: float
    disabled_in_nova: bool = False


class DrainStore:
    """The drains in the agent's database.

    All methods raise StoreError when the database does not answer.
    """

    def __init__(self, database: db.Database) -> None:
        self._database = database

    @db.tried_again
    def keep(self, drain: DrainRecord) -> None:
        """Keep a drain, in place of an earlier one of its host."""
        with self._database.writer() as session:
            session.merge(tables.Drain(**dataclasses.asdict(drain)))

    @db.tried_again
    def forget(self, host: str) -> None:
        """Forget the drain of a host, if there is one."""
        with self._database.writer() as session:
            session.execute(
                sqlalchemy.delete(tables.Drain).where(
                    tables.Drain.host == host
                )
            )

    def all(self) -> list[DrainRecord]:
        """Return all drains, by host."""
        query = sqlalchemy.select(tables.Drain).order_by(tables.Drain.host)
        with self._database.reader() as session:
            return [
                DrainRecord(
                    row.host, row.reason, row.begun_at, row.disabled_in_nova
                )
                for row in session.scalars(query)
            ]
