"""Outcomes that the agent tells, and that the broker has not yet.

They are put here in the transaction that keeps them
(:meth:`.migrations.MigrationStore.record_outcome`), and leave when the broker
has confirmed them: what an agent did not live to tell the next one tells.
"""

import sqlalchemy

from kvm_balancer.store import database as db
from kvm_balancer.store import outbox
from kvm_balancer.store import tables

_OUTCOME = 'outcome'


class AnnouncementStore:
    """All of them. All methods raise StoreError without an answer."""

    def __init__(self, database: db.Database) -> None:
        self._database = database

    def pending(self) -> list[outbox.Message]:
        """Return those that wait, in the order they were put."""
        table = tables.Announcement
        with self._database.reader() as session:
            return [
                outbox.Message(one.id, _OUTCOME, one.migration_id, one.payload)
                for one in session.scalars(
                    sqlalchemy.select(table).order_by(table.id)
                )
            ]

    @db.tried_again
    def done(self, message_id: int) -> None:
        """Forget one: the broker has it."""
        table = tables.Announcement
        with self._database.writer() as session:
            session.execute(
                sqlalchemy.delete(table).where(table.id == message_id)
            )
