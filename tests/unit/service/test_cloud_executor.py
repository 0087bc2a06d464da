"""The agent carries out migrations of servers, each of them once."""

import dataclasses
import threading

from kvm_balancer import errors
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.model import outcome
from kvm_balancer.service import cloud_executor
from tests.unit.virt.nova import base

_ACTION = r'/servers/[^/]+/action'


class CloudExecutorTest(base.NovaCase):
    def setUp(self):
        super().setUp()
        self.ended = []
        self.told = threading.Event()
        self.broken = 0
        self.asks = ()
        self.executor = cloud_executor.CloudExecutor(
            self.driver,
            lambda wanted: machine.Machine(wanted, adaptive.Adaptive()),
            self.conclude,
            lambda report: None,
            lambda uid: self.asks,
            max_running=2,
        )
        self.addCleanup(self.executor.stop)

    def conclude(self, ended):
        if self.broken:
            self.broken -= 1
            raise errors.StoreError('the disk is full')
        self.ended.append(ended)
        self.told.set()

    def finish(self):
        self.wait_for_record()
        with self.nova.lock:
            self.nova.complete(self.uid)
        self.assertTrue(self.told.wait(base.TIMEOUT_SECONDS))
        return self.ended[-1]

    def test_the_same_command_twice_is_one_migration(self):
        wanted = self.request()
        self.executor.migrate(wanted)
        self.executor.migrate(wanted)
        ended = self.finish()
        self.assertEqual(outcome.OutcomeKind.COMPLETED, ended.outcome)
        self.assertEqual(1, self.nova.sent('POST', _ACTION))
        self.wait_for(
            lambda: self.executor.state(wanted.migration_id) == 'completed',
            'the end',
        )
        self.assertEqual('completed', self.executor.migrate(wanted))
        self.assertEqual(1, len(self.ended))

    def test_an_outcome_that_the_store_refused_comes_again(self):
        self.broken = 1
        self.executor.migrate(self.request())
        self.finish()
        self.assertEqual(1, len(self.ended))

    def test_metadata_of_the_server_is_heeded(self):
        self.asks = (('max_downtime_ms', '50'),)
        self.executor.migrate(self.request())
        said = ' '.join(line.text for line in self.finish().story)
        self.assertIn('max_downtime_ms is 50', said)

    def test_a_wish_that_is_not_understood_refuses_it(self):
        self.asks = (('colour', 'red'),)
        with self.assertRaisesRegex(errors.MigrationError, 'colour'):
            self.executor.migrate(self.request())
        self.assertEqual(0, self.nova.sent('POST', _ACTION))

    def test_what_is_not_known_is_said_so(self):
        self.assertFalse(self.executor.knows('m1'))
        with self.assertRaises(errors.NotFound):
            self.executor.state('m1')

    def test_one_that_has_ended_takes_no_place_while_it_is_kept(self):
        """Who is told of the end may send the next one at once."""
        self.executor = cloud_executor.CloudExecutor(
            self.driver,
            lambda wanted: machine.Machine(wanted, adaptive.Adaptive()),
            self.send_next,
            lambda report: None,
            lambda uid: (),
            max_running=1,
        )
        self.addCleanup(self.executor.stop)
        self.next = []
        self.executor.migrate(self.request())
        self.finish()
        self.assertEqual(['pre-flight'], self.next)

    def send_next(self, ended):
        if not self.next:
            uid = self.nova.add_server('cmp1')
            following = dataclasses.replace(
                self.request(), migration_id='m2', instance=uid
            )
            try:
                self.next.append(self.executor.migrate(following))
            except errors.MigrationError as error:
                self.next.append(str(error))
        self.conclude(ended)
