"""A host's clock that is set meanwhile decides nothing of a migration."""

import threading
import time
import unittest
import unittest.mock
import uuid

from kvm_balancer.migration import events
from kvm_balancer.migration import instructions
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.model import outcome
from kvm_balancer.service import migrations
from kvm_balancer.virt import steady
from tests.unit.service import worlds

TIMEOUT_SECONDS = 60.0

#: how far the clock is set, in seconds
STEPS = (3600.0, -3600.0)


class SteadyClockTest(unittest.TestCase):
    def test_it_goes_on_from_its_beginning_when_the_clock_is_set(self):
        real = time.time()
        for step in STEPS:
            with self.subTest(step=step):
                clock = steady.SteadyClock()
                before = clock()
                with unittest.mock.patch(
                    'time.time', lambda step=step: real + step
                ):
                    self.assertLess(clock() - before, 600.0)
                    self.assertGreaterEqual(clock(), before)

    def test_it_begins_where_it_is_told(self):
        self.assertGreaterEqual(steady.SteadyClock(5.0)(), 5.0)


class SetClockTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        self.world = worlds.World('here', 'there')
        self.addCleanup(self.world.close)
        self.begun = threading.Event()
        self.ended = []
        self.reports = []

    def run_with_a_step(self, step):
        """Set the clock once the copy is under way; return the outcome."""
        instance = self.world.start('here')
        wanted = request.Request(
            migration_id=str(uuid.uuid4()),
            instance=instance,
            source='here',
            destination='there',
            destination_uri=self.world.uri('there'),
            accepted_at=time.time(),
            options=request.Options(post_copy=True, time_limit_seconds=1800),
        )
        real = time.time

        def note(_wanted, report):
            self.reports.append(report)
            if report.state == 'pre-copy' and not self.begun.is_set():
                self.begun.set()
                clock.side_effect = lambda: real() + step

        with unittest.mock.patch('time.time', side_effect=real) as clock:
            runner = migrations.MigrationRunner(
                self.world.driver('here'),
                machine.Machine(wanted, adaptive.Adaptive()),
                note,
                self.ended.append,
            )
            runner.start()
            self.assertTrue(runner.wait(TIMEOUT_SECONDS))
        self.assertTrue(self.begun.is_set())
        return self.ended.pop()

    def test_a_step_of_the_clock_ends_nothing_and_lengthens_nothing(self):
        for step in STEPS:
            with self.subTest(step=step):
                self.begun.clear()
                ended = self.run_with_a_step(step)
                self.assertEqual(outcome.OutcomeKind.COMPLETED, ended.outcome)
                self.assertGreater(ended.total_ms, 0.0)
                self.assertLess(ended.total_ms, 600_000.0)
        self.assertNotIn(
            instructions.StartPostCopy,
            {type(report.decision) for report in self.reports},
        )


class OtherClockTest(unittest.TestCase):
    def test_the_word_of_who_goes_by_another_clock_is_of_now(self):
        """A reservation's thread has the time of day, which may be set."""
        world = worlds.World('here', 'there')
        self.addCleanup(world.close)
        ended = []
        wanted = request.Request(
            migration_id=str(uuid.uuid4()),
            instance=world.start('here'),
            source='here',
            destination='there',
            destination_uri=world.uri('there'),
            accepted_at=time.time(),
            options=request.Options(time_limit_seconds=1800),
        )
        runner = migrations.MigrationRunner(
            world.driver('here'),
            machine.Machine(wanted, adaptive.Adaptive()),
            lambda *_: None,
            ended.append,
            reservation=_Ahead(),
        )
        runner.start()
        self.assertTrue(runner.wait(TIMEOUT_SECONDS))
        self.assertEqual(outcome.OutcomeKind.COMPLETED, ended[0].outcome)
        self.assertLess(
            max(line.at for line in ended[0].story), wanted.accepted_at + 600.0
        )


class _Ahead:
    """A lease that is granted an hour ahead of everyone's time."""

    def reserve(self, tell, images=()):
        tell(
            events.Reserved(
                at=time.time() + 3600.0,
                cause='a test',
                checks=(events.Check('reservation', events.Verdict.PASSED),),
            )
        )

    def release(self):
        """Nothing is held."""

    def leave(self):
        """Nothing is held."""
