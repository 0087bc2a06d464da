"""What an executor must not forget: messages, migrations, leases.

One SQLite file per executor. A message is put here before it is published
and leaves when the broker has confirmed it: who is killed in between
publishes it again, under the same key. The journal remembers every migration
that was accepted, so that the same command, asked again after a restart,
does not start twice. Leases are the memory that it promised to instances of
other hosts: an executor that comes back keeps its word.

Every method is one transaction and is on the disk when it returns
(``synchronous=FULL``). Threads may use one :class:`Outbox` at once; two
processes may not.
"""

import collections.abc
import dataclasses
import pathlib
import sqlite3

from kvm_balancer.migration import knowledge
from kvm_balancer.store import outbox_file

_REMEMBER = (
    f'INSERT INTO knowledge (migration_id, {", ".join(outbox_file.SEEN)}) '  # noqa: S608
    f'VALUES (?{", ?" * len(outbox_file.SEEN)}) ON CONFLICT DO UPDATE SET '
    + ', '.join(f'{name} = excluded.{name}' for name in outbox_file.SEEN)
)
_RECALL = (
    f'SELECT {", ".join(outbox_file.SEEN)}, told FROM knowledge '  # noqa: S608
    'WHERE migration_id = ?'
)
_FORGET = 'DELETE FROM knowledge WHERE migration_id = ?'
_DROP_LEASE = 'DELETE FROM leases WHERE migration_id = ?'


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """A message that the broker has not confirmed yet.

    :ivar id: grows in the order in which messages were put
    :ivar kind: what it is, as ``outcome``
    :ivar key: names it within its kind
    """

    id: int
    kind: str
    key: str
    payload: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One accepted migration.

    :ivar request: the command, as its message was
    :ivar state: the last state that was noted
    :ivar updated_at: seconds since the epoch
    """

    migration_id: str
    request: bytes
    state: str
    ended: bool
    updated_at: float


@dataclasses.dataclass(frozen=True, slots=True)
class Lease:
    """Memory promised to a migration from elsewhere.

    :ivar claim: what was promised, as its message is
    """

    migration_id: str
    claim: bytes


class Outbox:
    """The executor's file.

    :param path: it is made when missing; its directory is not
    :raises StoreError: when the file cannot be used; so do all methods
    """

    def __init__(self, path: str | pathlib.Path) -> None:
        self._file = outbox_file.OutboxFile(path)

    def put(self, kind: str, key: str, payload: bytes) -> bool:
        """Keep a message until it is done.

        :returns: False when one of that kind and key waits already; it is
            left as it is
        """
        with self._file.transaction() as connection:
            return (
                connection.execute(
                    'INSERT OR IGNORE INTO messages (kind, key, payload) '
                    'VALUES (?, ?, ?)',
                    (kind, key, payload),
                ).rowcount
                == 1
            )

    def pending(self) -> list[Message]:
        """Return the messages that wait, in the order they were put."""
        with self._file.transaction() as connection:
            return [
                Message(*row)
                for row in connection.execute(
                    'SELECT id, kind, key, payload FROM messages ORDER BY id'
                )
            ]

    def done(self, message_id: int) -> None:
        """Forget a message: the broker has it."""
        with self._file.transaction() as connection:
            connection.execute(
                'DELETE FROM messages WHERE id = ?', (message_id,)
            )

    def accept(
        self, migration_id: str, request: bytes, state: str, at: float
    ) -> bool:
        """Enter a migration into the journal.

        :returns: False when it is there already: it must not start again
        """
        with self._file.transaction() as connection:
            return (
                connection.execute(
                    'INSERT OR IGNORE INTO journal '
                    '(migration_id, request, state, updated_at) '
                    'VALUES (?, ?, ?, ?)',
                    (migration_id, request, state, at),
                ).rowcount
                == 1
            )

    def note(
        self, migration_id: str, state: str, at: float, ended: bool = False
    ) -> None:
        """Write down where an accepted migration stands."""
        with self._file.transaction() as connection:
            _note(connection, migration_id, state, at, ended)

    def conclude(
        self,
        migration_id: str,
        state: str,
        at: float,
        kind: str,
        payload: bytes,
        final: bool = True,
        told: str = '',
    ) -> None:
        """End a migration in the journal and put its outcome, as one.

        The message's key is the migration's id.

        :param final: else it goes on, a later outcome gets a message of its
            own, and one that is not final takes the place of one that waits
        :param told: what an outcome tells that is not final
        """
        key, put = migration_id, 'INSERT OR IGNORE'
        if not final:
            key, put = f'{migration_id}/{state}', 'INSERT OR REPLACE'
        with self._file.transaction() as connection:
            _note(connection, migration_id, state, at, final)
            connection.execute(
                f'{put} INTO messages (kind, key, payload) VALUES (?, ?, ?)',
                (kind, key, payload),
            )
            if final:
                connection.execute(_FORGET, (migration_id,))
            else:
                connection.execute(
                    'INSERT INTO knowledge (migration_id, told) VALUES (?, ?) '
                    'ON CONFLICT DO UPDATE SET told = excluded.told',
                    (migration_id, told),
                )

    def remember(self, migration_id: str, known: knowledge.Knowledge) -> None:
        """Keep what was seen of a migration that goes on.

        What was told of it is kept with its outcome only.
        """
        with self._file.transaction() as connection:
            connection.execute(
                _REMEMBER,
                (
                    migration_id,
                    *(getattr(known, name) for name in outbox_file.SEEN),
                ),
            )

    def known(self, migration_id: str) -> knowledge.Knowledge:
        """Return what was seen, and told, of a migration."""
        with self._file.transaction() as connection:
            found = connection.execute(_RECALL, (migration_id,)).fetchone()
        if found is None:
            return knowledge.NOTHING
        *seen, told = found
        return knowledge.Knowledge(
            **dict(zip(outbox_file.SEEN, map(bool, seen), strict=True)),
            told=told,
        )

    def entry(self, migration_id: str) -> Entry | None:
        """Return what the journal has of a migration."""
        found = self._entries('WHERE migration_id = ?', migration_id)
        return found[0] if found else None

    def unfinished(self) -> list[Entry]:
        """Return the migrations that were accepted and have not ended."""
        return self._entries('WHERE NOT ended')

    def purge(self, before: float) -> int:
        """Forget migrations that ended before that time; return how many."""
        with self._file.transaction() as connection:
            return connection.execute(
                'DELETE FROM journal WHERE ended AND updated_at < ?', (before,)
            ).rowcount

    def keep_lease(
        self,
        migration_id: str,
        claim: bytes,
        instead_of: collections.abc.Iterable[str] = (),
    ) -> None:
        """Remember a lease, in place of what it was before.

        :param instead_of: other migrations whose lease is forgotten for it
        """
        with self._file.transaction() as connection:
            connection.executemany(_DROP_LEASE, [(one,) for one in instead_of])
            connection.execute(
                'INSERT OR REPLACE INTO leases VALUES (?, ?)',
                (migration_id, claim),
            )

    def drop_lease(self, migration_id: str) -> None:
        """Forget a lease, if it is known."""
        with self._file.transaction() as connection:
            connection.execute(_DROP_LEASE, (migration_id,))

    def leases(self) -> list[Lease]:
        """Return what was promised and not taken back.

        :returns: in the order in which it was promised
        """
        with self._file.transaction() as connection:
            return [
                Lease(*row)
                for row in connection.execute(
                    'SELECT migration_id, claim FROM leases ORDER BY rowid'
                )
            ]

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _entries(self, where: str, *values: str) -> list[Entry]:
        with self._file.transaction() as connection:
            return [
                Entry(migration_id, request, state, bool(ended), updated_at)
                for migration_id, request, state, ended, updated_at in (
                    connection.execute(
                        'SELECT migration_id, request, state, ended, '  # noqa: S608
                        f'updated_at FROM journal {where} '
                        'ORDER BY updated_at, migration_id',
                        values,
                    )
                )
            ]


def _note(
    connection: sqlite3.Connection,
    migration_id: str,
    state: str,
    at: float,
    ended: bool,
) -> None:
    connection.execute(
        'UPDATE journal SET state = ?, updated_at = ?, ended = ended OR ? '
        'WHERE migration_id = ?',
        (state, at, ended, migration_id),
    )
