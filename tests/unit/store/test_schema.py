"""The schema: its version, its upgrade, and that models and it agree."""

import pathlib
import unittest

from alembic import autogenerate
from alembic import command
from alembic import config as alembic_config
from alembic import migration as alembic_migration
import sqlalchemy
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects import postgresql

from kvm_balancer import errors
from kvm_balancer.store import database as db
from kvm_balancer.store import migrations
from kvm_balancer.store import schema
from kvm_balancer.store import store
from kvm_balancer.store import tables
from tests.unit.store import base


class DialectsTest(unittest.TestCase):
    def test_every_table_can_be_made_on_mysql_and_postgresql(self):
        """Documents longer than 64 KiB and microseconds fit on both."""
        for dialect, document, moment in (
            (mysql.dialect(), 'document LONGTEXT', 'DATETIME(6)'),
            (postgresql.dialect(), 'document TEXT', 'TIMESTAMP'),
        ):
            made = ''.join(
                str(
                    sqlalchemy.schema.CreateTable(table).compile(
                        dialect=dialect
                    )
                )
                for table in tables.Base.metadata.sorted_tables
            )
            self.assertIn(document, made)
            self.assertIn(moment, made)


class SchemaTest(base.StoreCase):
    def setUp(self):
        super().setUp()
        self.database = db.Database(self.conf)
        self.addCleanup(self.database.close)

    def _set_version(self, version):
        with self.database.writer() as session:
            session.execute(
                sqlalchemy.text('UPDATE alembic_version SET version_num = :v'),
                {'v': version},
            )

    def test_an_empty_database_is_refused_with_the_remedy(self):
        with self.assertRaisesRegex(
            errors.StoreError, "is empty; run 'kvm-balancer db upgrade'$"
        ):
            store.Store(self.conf)

    def test_an_upgrade_leads_to_the_newest_version_and_may_be_repeated(self):
        self.assertEqual('', schema.version(self.database))
        for _ in range(2):
            self.assertEqual(schema.newest(), schema.upgrade(self.database))
        self.assertEqual(schema.newest(), schema.version(self.database))
        schema.check(self.database)

    def test_models_and_migrations_agree(self):
        schema.upgrade(self.database)
        with self.database.reader() as session:
            context = alembic_migration.MigrationContext.configure(
                session.connection(),
                opts={'compare_type': True, 'compare_server_default': True},
            )
            self.assertEqual(
                [],
                autogenerate.compare_metadata(context, tables.Base.metadata),
            )

    def test_it_goes_up_from_every_version_and_down_again(self):
        schema.upgrade(self.database)
        config = alembic_config.Config()
        folder = pathlib.Path(schema.__file__).parent / 'alembic'
        config.set_main_option('script_location', str(folder))
        before = self._columns()
        with self.database.writer() as session:
            config.attributes['connection'] = session.connection()
            command.downgrade(config, '0003')
        third = self._columns()
        self.assertEqual(
            {
                'owner',
                'predicted_disk_mib',
                'predicted_disk_seconds',
                'predicted_limit_mib_s',
            },
            before - third,
        )
        with self.database.writer() as session:
            config.attributes['connection'] = session.connection()
            command.downgrade(config, '0002')
        self.assertEqual(
            {
                'predicted_converges',
                'predicted_throttled',
                'predicted_fixed_seconds',
                'uncorrected_copying_seconds',
                'uncorrected_downtime_ms',
                'uncorrected_mib',
                'copying_ms',
                'fixed_ms',
            },
            third - self._columns(),
        )
        second = self._columns()
        with self.database.writer() as session:
            config.attributes['connection'] = session.connection()
            command.downgrade(config, '0001')
        self.assertEqual(second - {'track'}, self._columns())
        with self.database.writer() as session:
            session.execute(
                sqlalchemy.text(
                    'INSERT INTO migrations (id, instance, source, '
                    'destination, state, accepted_at, reason, story) VALUES '
                    "('old', 'i', 'a', 'b', 'failed', "
                    "'2026-01-02 03:04:05', '', '[]')"
                )
            )
        schema.upgrade(self.database)
        self.assertEqual(before, self._columns())
        kept = migrations.MigrationStore(self.database).get('old')
        self.assertEqual(0, len(kept.track))

    def _columns(self):
        with self.database.reader() as session:
            found = sqlalchemy.inspect(session.connection()).get_columns(
                'migrations'
            )
        return {column['name'] for column in found}

    def test_a_database_of_a_newer_program_is_left_alone(self):
        schema.upgrade(self.database)
        self._set_version('9999')
        for use in (schema.check, schema.upgrade):
            with self.assertRaisesRegex(
                errors.StoreError, 'written by a newer kvm-balancer'
            ):
                use(self.database)
        self.assertEqual('9999', schema.version(self.database))

    def test_a_database_of_another_program_is_left_alone(self):
        """Neither its tables nor its versions become ours."""
        statements = (
            'CREATE TABLE songs (name VARCHAR(9))',
            'CREATE TABLE migrations (name VARCHAR(9))',
            'CREATE TABLE alembic_version (version_num VARCHAR(32))',
        )
        with self.database.writer() as session:
            for statement in statements:
                session.execute(sqlalchemy.text(statement))
        for use in (schema.check, schema.upgrade):
            with self.assertRaisesRegex(
                errors.StoreError, 'belongs to another program: it holds songs'
            ):
                use(self.database)
        self.assertEqual('', schema.version(self.database))

    def test_a_version_without_our_tables_is_not_ours(self):
        with self.database.writer() as session:
            for statement in (
                'CREATE TABLE alembic_version (version_num VARCHAR(32))',
                "INSERT INTO alembic_version VALUES ('0001')",
            ):
                session.execute(sqlalchemy.text(statement))
        for use in (schema.check, schema.upgrade):
            with self.assertRaisesRegex(errors.StoreError, 'another program'):
                use(self.database)

    def test_the_agent_makes_its_own_schema_only_when_told_to(self):
        kept = store.Store(self.conf, create=True)
        self.addCleanup(kept.close)
        self.assertEqual([], kept.plans.latest())
