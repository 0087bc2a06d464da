"""The version of the database's schema: which it has, which it should have.

The migrations lie in ``alembic/versions`` beside this module.
"""

import pathlib

from alembic import command
from alembic import config as alembic_config
from alembic import migration as alembic_migration
from alembic import script as alembic_script
from alembic import util as alembic_util
import sqlalchemy

from kvm_balancer import errors
from kvm_balancer.store import database as db
from kvm_balancer.store import tables

#: The table in which alembic keeps the version.
_VERSIONS = 'alembic_version'

_LOCATION = pathlib.Path(__file__).parent / 'alembic'


def _config() -> alembic_config.Config:
    config = alembic_config.Config()
    # ConfigParser takes a single % for the start of a reference.
    config.set_main_option(
        'script_location', str(_LOCATION).replace('%', '%%')
    )
    return config


def newest() -> str:
    """Return the version that this program works with."""
    head = alembic_script.ScriptDirectory.from_config(
        _config()
    ).get_current_head()
    assert head is not None  # noqa: S101 - there is a first migration
    return head


def version(database: db.Database) -> str:
    """Return the version that *database* has; empty for none.

    :raises StoreError: when the database does not answer
    """
    with database.reader() as session:
        context = alembic_migration.MigrationContext.configure(
            session.connection()
        )
        return context.get_current_revision() or ''


def upgrade(database: db.Database) -> str:
    """Bring *database* to the newest version, which is returned.

    :raises StoreError: when the database does not answer, belongs to
        another program, or was written by a newer one of ours
    """
    config = _config()
    _refuse_foreign(database)
    try:
        with database.writer() as session:
            config.attributes['connection'] = session.connection()
            command.upgrade(config, 'head')
    except alembic_util.CommandError as error:
        raise errors.StoreError(_too_new(database)) from error
    return newest()


def check(database: db.Database) -> None:
    """Refuse to work with a schema that is not the newest.

    :raises StoreError: with what is to be done
    """
    _refuse_foreign(database)
    found = version(database)
    wanted = newest()
    if found == wanted:
        return
    if not found:
        raise errors.StoreError(
            f'the database {database.name} is empty; {db.UPGRADE_REMEDY}'
        )
    known = {
        one.revision
        for one in alembic_script.ScriptDirectory.from_config(
            _config()
        ).walk_revisions()
    }
    if found not in known:
        raise errors.StoreError(_too_new(database))
    raise errors.StoreError(
        f'the schema of the database {database.name} is {found} and should '
        f'be {wanted}; {db.UPGRADE_REMEDY}'
    )


def _refuse_foreign(database: db.Database) -> None:
    """Leave a database alone that somebody else has made.

    Others keep their versions by alembic as well: a version is ours only
    beside our tables.

    :raises StoreError: when it is not empty and not ours
    """
    ours = set(tables.Base.metadata.tables)
    with database.reader() as session:
        found = set(sqlalchemy.inspect(session.connection()).get_table_names())
    others = found - ours - {_VERSIONS}
    if _VERSIONS in found and version(database):
        if found & ours:
            return
        others = others or {_VERSIONS}
    if others:
        raise errors.StoreError(
            f'the database {database.name} belongs to another program: it '
            f'holds {", ".join(sorted(others)[:3])}; set [database] '
            'connection to one of its own'
        )


def _too_new(database: db.Database) -> str:
    return (
        f'the database {database.name} was written by a newer kvm-balancer; '
        'upgrade this one'
    )
