"""A migration in which something impossible happens is unknown, not lost."""

import threading
import time
import unittest
from unittest import mock
import uuid

from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.migration.lifecycle import telling
from kvm_balancer.model import outcome
from kvm_balancer.service import migrations
from tests.unit.service import worlds

TIMEOUT_SECONDS = 60.0


class _Listening:
    """A driver whose carrier's events anybody may add to."""

    def __init__(self, driver):
        self._driver = driver
        self.sink = None
        self.asked = []

    def carrier(self, wanted, sink, clock=None):
        self.sink = sink
        carrier = self._driver.carrier(wanted, sink, clock)
        perform = carrier.perform

        def note(instruction):
            self.asked.append(type(instruction).__name__)
            perform(instruction)

        carrier.perform = note
        return carrier


class _Broken(adaptive.Adaptive):
    """A policy of somebody's that breaks at the end of a pass."""

    def __init__(self):
        super().__init__()
        self.broke = False

    def judge(self, statistics, at, boundary):
        if not self.broke:
            self.broke = True
            raise ZeroDivisionError('a policy that breaks')
        return super().judge(statistics, at, boundary)


class StumblingTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        self.world = worlds.World('here', 'there')
        self.addCleanup(self.world.close)
        self.driver = _Listening(self.world.driver('here'))
        self.told = []
        soon = mock.patch.object(telling, 'FIRST_UNKNOWN_SECONDS', 0.1)
        soon.start()
        self.addCleanup(soon.stop)

    def migrate(self, policy, on_progress, dirty_rate_mib_s=1.0):
        wanted = request.Request(
            migration_id=str(uuid.uuid4()),
            instance=self.world.start(
                'here', dirty_rate_mib_s=dirty_rate_mib_s
            ),
            source='here',
            destination='there',
            destination_uri=self.world.uri('there'),
            accepted_at=time.time(),
        )
        runner = migrations.MigrationRunner(
            self.driver,
            machine.Machine(wanted, policy),
            on_progress,
            self.told.append,
        )
        runner.start()
        self.assertTrue(runner.wait(TIMEOUT_SECONDS))

    def test_one_that_cannot_even_begin_is_looked_after_all_the_same(self):
        with (
            mock.patch.object(
                machine.Machine,
                'begin',
                autospec=True,
                side_effect=ZeroDivisionError('a defect'),
            ),
            self.assertLogs('kvm_balancer.service.migrations') as logs,
        ):
            self.migrate(adaptive.Adaptive(), lambda *_: None)
        self.assertEqual(
            [outcome.OutcomeKind.UNKNOWN, outcome.OutcomeKind.FAILED],
            [one.outcome for one in self.told],
        )
        self.assertIn('Accepted could not be answered', self.told[0].reason)
        self.assertIn('ZeroDivisionError', ''.join(logs.output))
        self.assertNotIn('Start', self.driver.asked)

    def inject(self, kind):
        """Return what tells an impossible event once, while it copies."""
        once = threading.Event()

        def note(_wanted, report):
            if report.state == 'pre-copy' and not once.is_set():
                once.set()
                self.driver.sink(kind(at=time.time(), cause='a test'))

        return note

    def check(self, said):
        first, last = self.told
        self.assertIs(outcome.OutcomeKind.UNKNOWN, first.outcome)
        self.assertIn(said, first.reason)
        self.assertEqual(1, len(first.reason.splitlines()))
        self.assertIn('pre-copy', [line.state for line in first.story])
        self.assertIs(outcome.OutcomeKind.COMPLETED, last.outcome)
        self.assertIn('unknown', [line.state for line in last.story])
        for name in ('Abort', 'Mend', 'StartPostCopy', 'Recover'):
            self.assertNotIn(name, self.driver.asked)
        self.assertEqual(1, self.driver.asked.count('Start'))

    def test_an_impossible_event_makes_it_unknown_until_the_ends_tell(self):
        with self.assertLogs('kvm_balancer.service.migrations') as logs:
            self.migrate(adaptive.Adaptive(), self.inject(events.Accepted))
        self.check("Accepted could not be answered in state '")
        self.assertIn('so far:', ''.join(logs.output))

    def test_so_does_a_rule_that_breaks(self):
        with self.assertLogs('kvm_balancer.service.migrations') as logs:
            self.migrate(_Broken(), lambda *_: None)
        self.check("could not be answered in state '")
        self.assertIn('ZeroDivisionError', ''.join(logs.output))
