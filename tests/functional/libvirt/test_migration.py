"""The machine of a migration drives real hosts to each of its plain ends."""

import queue
import threading
import unittest

import libvirt

from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.model import outcome
from kvm_balancer.model import plan
from kvm_balancer.service import migrations
from tests.contract import ground as grounds
from tests.functional.libvirt import hosts

_Kind = outcome.OutcomeKind


class MigrationTest(unittest.TestCase):
    def setUp(self):
        self.ground = hosts.LibvirtGround()
        self.addCleanup(self.ground.close)

    def run_to_the_end(
        self, uid, uri='', cancel_in_state=None, options=None, pause=False
    ):
        outcomes = queue.SimpleQueue()
        life = machine.Machine(
            self.ground.wanted(uid, uri, **(options or {})),
            adaptive.Adaptive(),
        )

        def on_progress(_uid, report):
            if report.state == cancel_in_state:
                runner.cancel('the test')
            if pause and report.state == 'pre-copy' and not paused.is_set():
                paused.set()
                self.ground.domain(uid).suspend()

        paused = threading.Event()
        runner = migrations.MigrationRunner(
            self.ground.source, life, on_progress, outcomes.put
        )
        runner.start()
        return outcomes.get(timeout=2 * grounds.PATIENCE_SECONDS)

    def assert_runs_on(self, host, uid):
        states = []
        for number in (0, 1):
            try:
                states.append(self.ground.domain(uid, number).isActive())
            except libvirt.libvirtError:
                states.append(0)
        self.assertEqual([int(host == 0), int(host == 1)], states)

    def test_it_completes_when_the_copy_converges(self):
        uid = self.ground.calm()
        ended = self.run_to_the_end(uid)
        self.assertEqual(_Kind.COMPLETED, ended.outcome, ended)
        self.assertEqual(plan.Mode.PRE_COPY, ended.mode)
        self.assertIsNotNone(ended.downtime_ms)
        self.assertGreater(ended.transferred_mib, 0)
        self.assertNotIn('paused the', str(ended.story))
        self.assert_runs_on(1, uid)

    def test_a_window_under_way_holds_up_no_migration(self):
        """Nobody can end it: a dirty rate is measured for a minute."""
        uid = self.ground.start('calm', memory_mib=256)
        self.assertTrue(self.ground.source.begin_measuring(uid, 60))
        ended = self.run_to_the_end(uid)
        self.assertEqual(_Kind.COMPLETED, ended.outcome, ended)
        self.assert_runs_on(1, uid)

    def test_post_copy_saves_one_that_does_not_converge(self):
        uid = self.ground.busy()
        ended = self.run_to_the_end(uid, options={'post_copy': True})
        self.assertEqual(_Kind.COMPLETED, ended.outcome, ended)
        self.assertEqual(plan.Mode.POST_COPY, ended.mode)
        self.assert_runs_on(1, uid)

    def test_it_goes_without_post_copy_that_cannot_be_had(self):
        """QEMU fetches no page late that is in a file."""
        uid = self.ground.start(
            'calm',
            terms="<memoryBacking><source type='file'/></memoryBacking>",
        )
        ended = self.run_to_the_end(uid, options={'post_copy': True})
        self.assertEqual(_Kind.COMPLETED, ended.outcome, ended)
        self.assertEqual(plan.Mode.PRE_COPY, ended.mode)
        told = [one.text for one in ended.story if 'forgone' in one.text]
        self.assertEqual(1, len(told), ended.story)
        self.assertIn('it goes without post-copy', told[0])
        self.assert_runs_on(1, uid)

    def test_it_gives_up_on_one_that_does_not_converge(self):
        uid = self.ground.busy()
        # It is given up after so many passes: short ones, in which it still
        # writes far more than a stop of a millisecond carries.
        ended = self.run_to_the_end(
            uid, options={'bandwidth_mib_s': 48, 'max_downtime_ms': 1}
        )
        self.assertEqual(_Kind.FAILED, ended.outcome, ended)
        self.assertTrue(ended.reason)
        self.assert_runs_on(0, uid)

    def test_it_is_cancelled(self):
        uid = self.ground.busy()
        domain = self.ground.domain(uid, 0)
        before = domain.migrateGetMaxDowntime(0), domain.migrateGetMaxSpeed(0)
        ended = self.run_to_the_end(
            uid,
            cancel_in_state='pre-copy',
            options={'max_downtime_ms': before[0] - 50},
        )
        self.assertEqual(_Kind.CANCELLED, ended.outcome, ended)
        self.assert_runs_on(0, uid)
        # The next migration, whoever begins it, has limits of its own.
        after = domain.migrateGetMaxDowntime(0), domain.migrateGetMaxSpeed(0)
        self.assertEqual(before, after)

    def test_it_says_that_a_pause_does_not_last(self):
        uid = self.ground.busy()
        ended = self.run_to_the_end(
            uid,
            options={'bandwidth_mib_s': 8, 'max_downtime_ms': 1},
            pause=True,
        )
        self.assertEqual(_Kind.COMPLETED, ended.outcome, ended)
        self.assert_runs_on(1, uid)
        self.assertIn('somebody paused the guest', ended.reason)
        said = [one.text for one in ended.story if 'paused the' in one.text]
        self.assertEqual([ended.reason in one for one in said], [False, True])

    def test_it_is_refused_by_preflight(self):
        uid = self.ground.of_nova()
        ended = self.run_to_the_end(uid)
        self.assertEqual(_Kind.FAILED, ended.outcome, ended)
        self.assertIn('Nova', ended.reason)
        self.assert_runs_on(0, uid)

    def test_it_fails_where_the_destination_does_not_answer(self):
        uid = self.ground.calm()
        ended = self.run_to_the_end(uid, self.ground.nowhere_uri())
        self.assertEqual(_Kind.FAILED, ended.outcome, ended)
        self.assertIn('does not answer', ended.reason)
        self.assert_runs_on(0, uid)
