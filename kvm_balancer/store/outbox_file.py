"""The SQLite file of an executor: opened, completed, written to as one.

It owns the schema and the file's mark, leaves the database of anybody else
as it is, and translates what SQLite raises. What is kept in it is
:mod:`.outbox`'s.
"""

import collections.abc
import contextlib
import pathlib
import sqlite3
import threading

from kvm_balancer import errors

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
SEEN = ('across', 'ran_there', 'ran_back', 'guest_paused')

#: Another process has the file for a moment only: a backup, an operator.
_BUSY_SECONDS = 10


class OutboxFile:
    """The file, which one process has open.

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

    def close(self) -> None:
        """Let go of it."""
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> collections.abc.Iterator[sqlite3.Connection]:
        """Do everything in a block, or nothing of it; one thread at a time."""
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
        for name in SEEN:
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
    def _translated(self) -> collections.abc.Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise errors.StoreError(
                f'the outbox {self._path} failed: {error}; look at its disk, '
                'its owner and its mode'
            ) from error
