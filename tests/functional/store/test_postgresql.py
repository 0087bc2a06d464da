"""The store on a real PostgreSQL: what holds on SQLite holds there.

The server is started for this process alone, in a directory of its own and
without a port.
"""

import atexit
import functools
import importlib.util
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile
import unittest
import uuid

import sqlalchemy

from kvm_balancer import errors
from kvm_balancer.store import store
from tests.unit.store import base
from tests.unit.store import test_database
from tests.unit.store import test_migrations
from tests.unit.store import test_plans
from tests.unit.store import test_schema

# PostgreSQL refuses to run as root.
_USER = 'postgres'


def _program(name):
    found = shutil.which(name) or next(
        pathlib.Path('/usr/lib/postgresql').glob(f'*/bin/{name}'), None
    )
    if found is None:
        raise RuntimeError(f'{name} of PostgreSQL is not installed')
    return str(found)


def _run(*command):
    options = {'user': _USER, 'group': _USER} if not os.geteuid() else {}
    subprocess.run(
        command, check=True, capture_output=True, cwd='/', **options
    )


@functools.cache
def _server():
    """Start the server once in a process; returns the socket's directory."""
    initdb, control = _program('initdb'), _program('pg_ctl')
    if importlib.util.find_spec('psycopg') is None:
        raise RuntimeError('psycopg is not installed')
    folder = pathlib.Path(tempfile.mkdtemp(prefix='kvm-balancer-pg-'))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if not os.geteuid():
        try:
            shutil.chown(folder, pwd.getpwnam(_USER).pw_uid)
        except KeyError:
            raise RuntimeError(f'there is no user {_USER}') from None
    data = str(folder / 'data')
    _run(
        *(initdb, '--username', 'kvm', '--auth', 'trust', '-N', '-D', data),
        # That of the environment need not be one that the machine has.
        *('--no-locale', '--encoding', 'UTF8'),
    )
    _run(
        *(control, '--wait', '-D', data, '-l', str(folder / 'log')),
        *('-o', f"-c listen_addresses='' -k {folder} -F", 'start'),
    )
    atexit.register(_run, control, '-D', data, '-m', 'immediate', 'stop')
    return folder


class _OnPostgresql:
    """Gives every test a database of its own."""

    def setUp(self):
        folder = _server()
        name = f'kvm_{uuid.uuid4().hex}'
        engine = sqlalchemy.create_engine(
            f'postgresql+psycopg://kvm@/postgres?host={folder}',
            isolation_level='AUTOCOMMIT',
        )
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(f'CREATE DATABASE {name}'))
        engine.dispose()
        self.postgresql = f'postgresql+psycopg://kvm@/{name}?host={folder}'
        super().setUp()

    def make_url(self):
        return self.postgresql


class SchemaTest(_OnPostgresql, test_schema.SchemaTest):
    pass


class PlansTest(_OnPostgresql, test_plans.PlansTest):
    pass


class MigrationsTest(_OnPostgresql, test_migrations.MigrationsTest):
    pass


class ConcurrencyTest(_OnPostgresql, test_database.ConcurrencyTest):
    pass


class UnreachableTest(unittest.TestCase):
    def test_a_server_that_is_away_is_one_line(self):
        folder = _server()
        url = f'postgresql+psycopg://kvm:secret@/none?host={folder}/nowhere'
        with self.assertRaises(errors.StoreError) as caught:
            store.Store(base.make_conf(url))
        self.assertNotIn('\n', str(caught.exception))
        self.assertNotIn('secret', str(caught.exception))
