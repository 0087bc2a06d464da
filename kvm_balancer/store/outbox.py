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
import contextlib
import dataclasses
import pathlib
import sqlite3
import threading

from kvm_balancer import errors
from kvm_balancer.migration import knowledge

_SCHEMA_VERSION = 1

#: Marks the file as an executor's: "KvmB", in SQLite's field for that.
_APPLICATION_ID = 0x4B766D42
_TABLES = frozenset(('messages', 'journal', 'leases', 'knowledge'))

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    payload BLOB NOT NULL,
    UNIQUE (kind, key)
);
CREATE TABLE IF NOT EXISTS journal (
    migration_id TEXT PRIMARY KEY,
    request BLOB NOT NULL,
    state TEXT NOT NULL,
    ended INTEGER NOT NULL DEFAULT 0,
    updated_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS knowledge (
    migration_id TEXT PRIMARY KEY,
    across INTEGER NOT NULL DEFAULT 0,
    ran_there INTEGER NOT NULL DEFAULT 0,
    ran_back INTEGER NOT NULL DEFAULT 0,
    guest_paused INTEGER NOT NULL DEFAULT 0,
    told TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS leases (
    migration_id TEXT PRIMARY KEY,
    claim BLOB NOT NULL
);
"""

#: What was seen of a migration, a column each. The first releases that kept
#: anything had the first two.
_SEEN = ('across', 'ran_there', 'ran_back', 'guest_paused')
_REMEMBER = (
    f'INSERT INTO knowledge (migration_id, {", ".join(_SEEN)}) '  # noqa: S608
    f'VALUES (?{", ?" * len(_SEEN)}) ON CONFLICT DO UPDATE SET '
    + ', '.join(f'{name} = excluded.{name}' for name in _SEEN)
)
_RECALL = (
    f'SELECT {", ".join(_SEEN)}, told FROM knowledge '  # noqa: S608
    'WHERE migration_id = ?'
)
_FORGET = 'DELETE FROM knowledge WHERE migration_id = ?'
_DROP_LEASE = 'DELETE FROM leases WHERE migration_id = ?'

#: Another process has the file for a moment only: a backup, an operator.
_BUSY_SECONDS = 10


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
        self._path = pathlib.Path(path)
        self._lock = threading.Lock()
        if not self._path.parent.is_dir():
            raise errors.StoreError(
                f'the directory {self._path.parent} of the outbox does not '
                'exist; create it, writable for the user of the executor'
            )
        with self._translated():
            self._connection = sqlite3.connect(
                self._path,
                timeout=_BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
        try:
            with self._translated():
                self._open()
        except errors.StoreError:
            self._connection.close()
            raise

    def put(self, kind: str, key: str, payload: bytes) -> bool:
        """Keep a message until it is done.

        :returns: False when one of that kind and key waits already; it is
            left as it is
        """
        with self._transaction() as connection:
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
        with self._transaction() as connection:
            return [
                Message(*row)
                for row in connection.execute(
                    'SELECT id, kind, key, payload FROM messages ORDER BY id'
                )
            ]

    def done(self, message_id: int) -> None:
        """Forget a message: the broker has it."""
        with self._transaction() as connection:
            connection.execute(
                'DELETE FROM messages WHERE id = ?', (message_id,)
            )

    def accept(
        self, migration_id: str, request: bytes, state: str, at: float
    ) -> bool:
        """Enter a migration into the journal.

        :returns: False when it is there already: it must not start again
        """
        with self._transaction() as connection:
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
        with self._transaction() as connection:
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
        with self._transaction() as connection:
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
        with self._transaction() as connection:
            connection.execute(
                _REMEMBER,
                (migration_id, *(getattr(known, name) for name in _SEEN)),
            )

    def known(self, migration_id: str) -> knowledge.Knowledge:
        """Return what was seen, and told, of a migration."""
        with self._transaction() as connection:
            found = connection.execute(_RECALL, (migration_id,)).fetchone()
        if found is None:
            return knowledge.NOTHING
        *seen, told = found
        return knowledge.Knowledge(
            **dict(zip(_SEEN, map(bool, seen), strict=True)), told=told
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
        with self._transaction() as connection:
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
        with self._transaction() as connection:
            connection.executemany(_DROP_LEASE, [(one,) for one in instead_of])
            connection.execute(
                'INSERT OR REPLACE INTO leases VALUES (?, ?)',
                (migration_id, claim),
            )

    def drop_lease(self, migration_id: str) -> None:
        """Forget a lease, if it is known."""
        with self._transaction() as connection:
            connection.execute(_DROP_LEASE, (migration_id,))

    def leases(self) -> list[Lease]:
        """Return what was promised and not taken back.

        :returns: in the order in which it was promised
        """
        with self._transaction() as connection:
            return [
                Lease(*row)
                for row in connection.execute(
                    'SELECT migration_id, claim FROM leases ORDER BY rowid'
                )
            ]

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def _entries(self, where: str, *values: str) -> list[Entry]:
        with self._transaction() as connection:
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

    def _open(self) -> None:
        connection = self._connection
        self._refuse_foreign()
        connection.execute('PRAGMA journal_mode = WAL')
        connection.execute('PRAGMA synchronous = FULL')
        (found,) = connection.execute('PRAGMA user_version').fetchone()
        if found > _SCHEMA_VERSION:
            raise errors.StoreError(
                f'the outbox {self._path} was written by a newer '
                'kvm-balancer-executor; upgrade this one'
            )
        if found == _SCHEMA_VERSION and self._tables() >= _TABLES:
            # A full disk is no reason not to look after what is in it.
            self._complete()
            return
        connection.executescript(
            f'BEGIN IMMEDIATE; {_SCHEMA} '
            f'PRAGMA application_id = {_APPLICATION_ID}; '
            f'PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;'
        )

    def _complete(self) -> None:
        """Add what the file of an earlier release lacks."""
        columns = {
            name
            for _, name, *_ in self._connection.execute(
                'PRAGMA table_info(knowledge)'
            )
        }
        for name in _SEEN:
            if name not in columns:
                self._connection.execute(
                    f'ALTER TABLE knowledge '
                    f'ADD COLUMN {name} INTEGER NOT NULL DEFAULT 0'
                )

    def _refuse_foreign(self) -> None:
        """Leave the database of anybody else as it is.

        A file without the mark is ours when it holds our tables: those of
        the first releases had none.
        """
        connection = self._connection
        (mark,) = connection.execute('PRAGMA application_id').fetchone()
        if mark == _APPLICATION_ID:
            return
        if mark or not (self._tables() <= _TABLES):
            raise errors.StoreError(
                f'the outbox {self._path} is a database of another program, '
                'which is left as it is; set [executor] state_path to a '
                'file of its own'
            )

    def _tables(self) -> set[str]:
        return {
            name
            for (name,) in self._connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' "
                "AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
            )
        }

    @contextlib.contextmanager
    def _transaction(self) -> collections.abc.Iterator[sqlite3.Connection]:
        with self._lock, self._translated():
            self._connection.execute('BEGIN IMMEDIATE')
            try:
                yield self._connection
                self._connection.execute('COMMIT')
            except BaseException:
                # A full disk has rolled it back already.
                if self._connection.in_transaction:
                    self._connection.execute('ROLLBACK')
                raise

    @contextlib.contextmanager
    def _translated(self) -> collections.abc.Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise errors.StoreError(
                f'the outbox {self._path} failed: {error}; look at its disk, '
                'its owner and its mode'
            ) from error


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
