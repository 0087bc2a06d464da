"""The way into the agent's database: one engine, short transactions.

Owns the engine, who may write when, and the translation of the database's
errors. Knows no table. Threads may use one :class:`Database` at once.

SQLite, the default, is used in WAL mode: readers never wait, and a writer
takes the write lock when its transaction begins, so that it waits its turn
(up to ``_BUSY_SECONDS``) and never finds out in the middle that another
writer was faster.
"""

import collections.abc
import contextlib
import functools
import logging
import os
import pathlib
import threading
from typing import Any
from typing import ParamSpec
from typing import TypeVar

from oslo_config import cfg
from oslo_db import exception as db_exception
from oslo_db.sqlalchemy import enginefacade
import sqlalchemy
from sqlalchemy import exc as sa_exception
from sqlalchemy import orm

from kvm_balancer import errors

LOG = logging.getLogger(__name__)

ParamsT = ParamSpec('ParamsT')
AnswerT = TypeVar('AnswerT')

#: A writer holds the lock for milliseconds; who waits this long has found
#: a stuck disk or a foreign process.
_BUSY_SECONDS = 30

#: The options of [database] that say how to reach it.
_ENGINE_OPTIONS = (
    'connection',
    'connection_recycle_time',
    'connection_debug',
    'connection_parameters',
    'max_pool_size',
    'max_overflow',
    'pool_timeout',
    'max_retries',
    'retry_interval',
    'mysql_sql_mode',
    'mysql_wsrep_sync_wait',
    'sqlite_synchronous',
)

#: oslo.db logs, with a traceback, errors that it raises all the same.
_NOISE = 'oslo_db.sqlalchemy.exc_filters'

#: Two writers meet at most once over the same row, as a rule.
_TRIES = 3

_OVERTAKEN = (db_exception.DBDuplicateEntry, db_exception.DBDeadlock)

UPGRADE_REMEDY = "run 'kvm-balancer db upgrade'"


class Overtaken(errors.StoreError):
    """Another transaction was faster; the same one again will do."""


def tried_again(
    method: collections.abc.Callable[ParamsT, AnswerT],
) -> collections.abc.Callable[ParamsT, AnswerT]:
    """Repeat a method that is one transaction when it was overtaken."""

    @functools.wraps(method)
    def repeated(*args: ParamsT.args, **kwargs: ParamsT.kwargs) -> AnswerT:
        for _ in range(_TRIES - 1):
            try:
                return method(*args, **kwargs)
            except Overtaken:
                LOG.debug('%s was overtaken', method.__name__)
        return method(*args, **kwargs)

    return repeated


@enginefacade.transaction_context_provider
class _Transaction:
    """What oslo.db hangs the session of one transaction on."""


class Database:
    """The agent's database.

    :param conf: has the options of oslo.db in its group ``database``
    :raises StoreError: when it cannot be reached
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        options = {
            name: getattr(conf.database, name) for name in _ENGINE_OPTIONS
        }
        try:
            self._url = sqlalchemy.make_url(options['connection'])
        except (sa_exception.ArgumentError, TypeError) as error:
            raise errors.StoreError(
                '[database] connection is not the URL of a database, as '
                "'sqlite:////var/lib/kvm-balancer/agent.sqlite' is"
            ) from error
        logging.getLogger(_NOISE).setLevel(logging.CRITICAL)
        self._writing = threading.local()
        # One connection serves a database in memory: one user at a time.
        self._turn = (
            threading.RLock() if self._in_memory else contextlib.nullcontext()
        )
        self._facade = enginefacade.transaction_context()
        self._facade.configure(sqlite_fk=True, **options)
        self._facade.append_on_engine_create(self._on_engine_create)
        self._refuse_missing_directory()
        with self._translated():
            self._engine: sqlalchemy.Engine = self._facade.writer.get_engine()

    @property
    def name(self) -> str:
        """The database's URL, without its password."""
        return self._url.render_as_string(hide_password=True)

    @property
    def engine(self) -> sqlalchemy.Engine:
        """The engine, for the migrations of the schema alone."""
        return self._engine

    @contextlib.contextmanager
    def reader(self) -> collections.abc.Iterator[orm.Session]:
        """Open a transaction that only reads.

        :raises StoreError: when the database does not answer or fit
        """
        with (
            self._translated(),
            self._turn,
            self._facade.reader.using(_Transaction()) as session,
        ):
            yield session

    @contextlib.contextmanager
    def writer(self) -> collections.abc.Iterator[orm.Session]:
        """Open a transaction that is committed when its block ends well.

        :raises StoreError: when the database does not answer or fit
        """
        with (
            self._translated(),
            self._turn,
            self._as_writer(),
            self._facade.writer.using(_Transaction()) as session,
        ):
            yield session

    def close(self) -> None:
        """Let go of all connections."""
        self._facade.writer.dispose_pool()

    @property
    def _in_memory(self) -> bool:
        return self._url.get_backend_name() == 'sqlite' and (
            self._url.database in (None, '', ':memory:')
        )

    @contextlib.contextmanager
    def _as_writer(self) -> collections.abc.Iterator[None]:
        self._writing.now = True
        try:
            yield
        finally:
            self._writing.now = False

    def _on_engine_create(self, engine: sqlalchemy.Engine) -> None:
        if engine.dialect.name != 'sqlite':
            return

        def set_up(
            connection: sqlalchemy.engine.interfaces.DBAPIConnection,
            record: object,
        ) -> None:
            cursor = connection.cursor()
            cursor.execute(f'PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}')
            cursor.execute('PRAGMA journal_mode = WAL')
            cursor.close()

        def take_write_lock(
            connection: sqlalchemy.Connection,
            cursor: object,
            statement: str,
            parameters: Any,
            context: object,
            executemany: bool,
        ) -> tuple[str, Any]:
            # oslo.db begins every transaction by itself, with a plain BEGIN.
            if statement == 'BEGIN' and getattr(self._writing, 'now', False):
                statement = 'BEGIN IMMEDIATE'
            return statement, parameters

        sqlalchemy.event.listen(engine, 'connect', set_up)
        sqlalchemy.event.listen(
            engine, 'before_cursor_execute', take_write_lock, retval=True
        )

    def _refuse_missing_directory(self) -> None:
        if self._url.get_backend_name() != 'sqlite' or self._in_memory:
            return
        path = pathlib.Path(str(self._url.database))
        if str(path).startswith('file:'):
            return
        if not path.parent.is_dir():
            raise errors.StoreError(
                f'the directory {path.parent} of the database does not '
                'exist; create it, or set [database] connection'
            )
        target = path if path.exists() else path.parent
        if not os.access(target, os.R_OK | os.W_OK):
            raise errors.StoreError(
                f'{target} cannot be written by this user; give it to the '
                'user of the agent, or set [database] connection'
            )

    @contextlib.contextmanager
    def _translated(self) -> collections.abc.Iterator[None]:
        try:
            yield
        except db_exception.DBNonExistentTable as error:
            raise errors.StoreError(
                f'the database {self.name} has no table {error.table}; '
                f'{UPGRADE_REMEDY}'
            ) from error
        except (
            db_exception.DBError,
            db_exception.DBConnectionError,
            sa_exception.SQLAlchemyError,
            ImportError,
        ) as error:
            overtaken = isinstance(error, _OVERTAKEN)
            kind = Overtaken if overtaken else errors.StoreError
            raise kind(
                f'the database {self.name} failed: {_one_line(error)}; look '
                'at [database] connection and at the database itself'
            ) from error


def _one_line(error: Exception) -> str:
    """Return what the database itself said, without SQL and parameters."""
    inner: object = getattr(error, 'inner_exception', None) or error
    inner = getattr(inner, 'orig', None) or inner
    return ' '.join(str(inner).split()) or type(inner).__name__
