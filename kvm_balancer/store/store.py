"""The agent's memory: plans and migrations in one database."""

from oslo_config import cfg

from kvm_balancer.store import announcements
from kvm_balancer.store import database as db
from kvm_balancer.store import drains
from kvm_balancer.store import memories
from kvm_balancer.store import migrations
from kvm_balancer.store import plans
from kvm_balancer.store import schema


class Store:
    """All that the agent keeps. Threads may use one at once.

    :param conf: has the options of oslo.db in its group ``database``
    :param create: bring an older or empty database to the newest schema
        first, which otherwise is the operator's decision
    :raises StoreError: when the database cannot be reached, or its schema
        is not the newest
    """

    def __init__(self, conf: cfg.ConfigOpts, create: bool = False) -> None:
        self._database = db.Database(conf)
        if create:
            schema.upgrade(self._database)
        schema.check(self._database)
        self.plans = plans.PlanStore(self._database)
        self.drains = drains.DrainStore(self._database)
        self.migrations = migrations.MigrationStore(self._database)
        self.announcements = announcements.AnnouncementStore(self._database)
        self.memories = memories.MemoryStore(self._database)

    def purge(self, before: float) -> int:
        """Forget what ended before that time; return how many records."""
        records = self.migrations.purge(before) + self.plans.purge(before)
        return records + self.memories.purge(before)

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()
