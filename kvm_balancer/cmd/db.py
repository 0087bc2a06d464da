"""``kvm-balancer db``: the schema of the agent's database.

The only command that opens that database; it is meant for the machine of
the agent, while a new version is installed.
"""

import argparse

from oslo_config import cfg

from kvm_balancer.cmd import listing


class Upgrade(listing.Record):
    """Bring the agent's database to the schema of this version."""

    columns = (
        listing.Column('database', 'Database'),
        listing.Column('version', 'Version'),
        listing.Column('before', 'Before'),
    )

    def record(self, parsed_args: argparse.Namespace) -> listing.Row:
        return _upgraded(self.app.conf)


class Version(listing.Record):
    """Show which schema the agent's database has."""

    columns = (
        listing.Column('database', 'Database'),
        listing.Column('version', 'Version'),
        listing.Column('newest', 'Newest'),
    )

    def record(self, parsed_args: argparse.Namespace) -> listing.Row:
        return _version(self.app.conf)


def _upgraded(conf: cfg.ConfigOpts) -> listing.Row:
    # SQLAlchemy takes half a second to load, which --help has no use for.
    from kvm_balancer.store import database as db
    from kvm_balancer.store import schema

    database = db.Database(conf)
    try:
        before = schema.version(database)
        return {
            'database': database.name,
            'version': schema.upgrade(database),
            'before': before or None,
        }
    finally:
        database.close()


def _version(conf: cfg.ConfigOpts) -> listing.Row:
    from kvm_balancer.store import database as db
    from kvm_balancer.store import schema

    database = db.Database(conf)
    try:
        return {
            'database': database.name,
            'version': schema.version(database) or None,
            'newest': schema.newest(),
        }
    finally:
        database.close()
