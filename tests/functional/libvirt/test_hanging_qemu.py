"""A QEMU that hangs while it is copied away holds up only its migration."""

import os
import queue
import signal
import unittest

import libvirt

from kvm_balancer import errors
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.lifecycle import deciding
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.model import outcome
from kvm_balancer.service import migrations
from kvm_balancer.virt import steady
from kvm_balancer.virt.libvirt import connection
from tests.contract import ground as grounds
from tests.functional.libvirt import hosts


class _Clock(steady.SteadyClock):
    """One that can be set."""

    def set_ahead(self, seconds):
        self._ahead += seconds


class HangingQemuTest(unittest.TestCase):
    def setUp(self):
        self.ground = hosts.LibvirtGround(
            timing=connection.Timing(open_seconds=10.0, answer_seconds=0.0)
        )
        self.addCleanup(self.ground.close)
        self.clock = _Clock()
        self.outcomes = queue.SimpleQueue()

    def begin(self, uid):
        """Begin to migrate, and return when memory goes across."""
        copies = queue.SimpleQueue()

        def on_progress(_wanted, report):
            if report.statistics.transferred_mib > 2.0:
                copies.put(None)

        runner = migrations.MigrationRunner(
            self.ground.source,
            machine.Machine(
                self.ground.wanted(uid, bandwidth_mib_s=4),
                adaptive.Adaptive(),
            ),
            on_progress,
            self.outcomes.put,
            self.clock,
        )
        runner.start()
        copies.get(timeout=grounds.PATIENCE_SECONDS)
        return runner

    def wait_long(self):
        """Return the next outcome, as the time goes by."""
        for _ in range(int(grounds.PATIENCE_SECONDS)):
            self.clock.set_ahead(deciding.LOOK_SECONDS)
            try:
                return self.outcomes.get(timeout=1.0)
            except queue.Empty:
                continue
        raise AssertionError('nothing is told')

    def test_it_is_told_as_unknown_and_ends_when_it_answers_again(self):
        uid = self.ground.busy()
        process = self.ground.process(uid)
        runner = self.begin(uid)
        self.addCleanup(os.kill, process, signal.SIGCONT)
        os.kill(process, signal.SIGSTOP)
        runner.cancel('a test')
        told = self.wait_long()
        self.assertEqual(outcome.OutcomeKind.UNKNOWN, told.outcome, told)
        with self.assertRaises(errors.HypervisorUnreachable):
            self.ground.source.view(uid)
        os.kill(process, signal.SIGCONT)
        ended = self.outcomes.get(timeout=grounds.PATIENCE_SECONDS)
        self.assertEqual(outcome.OutcomeKind.CANCELLED, ended.outcome, ended)
        self.assertEqual(
            libvirt.VIR_DOMAIN_RUNNING, self.ground.domain(uid).state()[0]
        )
