"""What an earlier run of the agent has left of Nova's is followed up."""

import dataclasses
import pathlib
import tempfile
import threading

from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.model import outcome
from kvm_balancer.model import owners
from kvm_balancer.service import cloud_executor
from kvm_balancer.service import paths
from kvm_balancer.service import recovery
from kvm_balancer.store import store as stores
from tests.fixtures import pauses
from tests.unit.store import base as store_base
from tests.unit.virt.nova import base

_KIND = outcome.OutcomeKind


class UnknownTest(base.NovaCase):
    """A migration that was told to be unknown before the agent ended."""

    def setUp(self):
        super().setUp()
        self.enterContext(pauses.short())
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name) / 'agent.sqlite'
        conf = store_base.make_conf(f'sqlite:///{path}')
        self.store = stores.Store(conf, create=True)
        self.addCleanup(self.store.close)
        self.driver = self.make_driver(appear_seconds=1.0)
        self.told = threading.Event()
        self.wanted = self.request()

    def leave_unknown(self, **changes):
        wanted = dataclasses.replace(self.wanted, **changes)
        migrations = self.store.migrations
        migrations.record_dispatch(wanted, wanted.accepted_at)
        migrations.record_outcome(
            store_base.make_outcome(
                wanted.migration_id,
                _KIND.UNKNOWN,
                instance=wanted.instance,
                source=wanted.source,
                destination=wanted.destination,
                plan_id='',
            )
        )

    def ask_nova(self):
        """Have Nova's record of what the earlier run had asked for."""
        with self.nova.lock:
            self.nova.ask(self.uid, 'cmp2')

    def conclude(self, ended):
        self.store.migrations.record_outcome(ended)
        self.told.set()

    def start_again(self):
        """Do with what is left what an agent does that begins."""
        executor = cloud_executor.CloudExecutor(
            self.driver,
            lambda wanted: machine.Machine(wanted, adaptive.Adaptive()),
            self.conclude,
            lambda report: None,
            lambda uid: (),
            max_running=2,
        )
        self.addCleanup(executor.stop)
        made = paths.Paths(None, lambda uid: True, executor)
        made.look_again(recovery.unknown(self.store, owners.Owner.NOVA))
        return executor

    def found(self):
        self.assertTrue(self.told.wait(base.TIMEOUT_SECONDS))
        return self.store.migrations.get(self.wanted.migration_id)

    def test_it_is_followed_to_its_real_end(self):
        self.leave_unknown()
        self.ask_nova()
        executor = self.start_again()
        self.assertTrue(executor.knows(self.wanted.migration_id))
        self.wait_for(
            lambda: self.nova.sent('GET', 'os-migrations') > 3, 'looks'
        )
        self.assertFalse(self.told.is_set())
        with self.nova.lock:
            self.nova.complete(self.uid)
        found = self.found()
        self.assertEqual(_KIND.COMPLETED, found.outcome, found.reason)
        self.assertEqual(0, self.nova.sent('POST', 'action'))

    def test_one_that_ended_while_nobody_looked_is_told(self):
        self.leave_unknown()
        self.ask_nova()
        with self.nova.lock:
            self.nova.fail(self.uid, 'cancelled')
        self.start_again()
        found = self.found()
        self.assertIn(found.outcome, (_KIND.FAILED, _KIND.CANCELLED))
        self.assertEqual(0, self.nova.sent('POST', 'action'))

    def test_a_later_migration_by_others_is_not_taken_for_it(self):
        """It was never carried out; somebody moved the server since."""
        self.leave_unknown()
        self.ask_nova()
        with self.nova.lock:
            record = self.nova.migration(self.uid)
            record['created_at'] = '2030-01-01T00:00:00Z'
        self.start_again()
        self.wait_for(
            lambda: self.nova.sent('GET', 'os-migrations') > 3, 'looks'
        )
        with self.nova.lock:
            self.nova.complete(self.uid)
            self.nova.servers[self.uid]['OS-EXT-SRV-ATTR:host'] = 'cmp1'
        found = self.found()
        self.assertEqual(_KIND.FAILED, found.outcome, found.reason)

    def test_what_executors_carried_out_is_theirs(self):
        self.leave_unknown(owner='balancer')
        self.assertEqual([], recovery.unknown(self.store, owners.Owner.NOVA))

    def test_without_nova_it_stays_unknown(self):
        self.leave_unknown()
        made = paths.Paths(None, lambda uid: True)
        made.look_again(recovery.unknown(self.store, owners.Owner.NOVA))
        found = self.store.migrations.get(self.wanted.migration_id)
        self.assertEqual(_KIND.UNKNOWN, found.outcome)
