"""A link that dies in pre-copy ends a migration, and begins no post-copy.

What dies is the stream of memory, as with a migration network of its own, or
the whole cable with it. Nothing here depends on how long anything takes: the
link dies when the copy shows how far it is, and heals when the fault is told
of; where a limit in time is to pass, the migration's clock is set.
"""

import queue
import unittest

import libvirt

from kvm_balancer.lab import network
from kvm_balancer.lab.faults import wires
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.convergence import patience
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.model import outcome
from kvm_balancer.model import plan
from kvm_balancer.service import migrations
from kvm_balancer.virt import steady
from kvm_balancer.virt.libvirt import connection
from tests.contract import ground as grounds
from tests.functional.libvirt import hosts

_Kind = outcome.OutcomeKind

#: A pass over what a guest wrote to takes seconds.
_SLOWLY = 4
#: So many reports in a row without a byte more: the stream stands still.
_STANDS = 5
#: How the fault is told of.
_FAULT = 'fault of the network'
#: Post-copy is allowed, and is not due when the link dies.
_LATER = {'post_copy': True, 'post_copy_patience': 1000.0}
#: How long the default policy waits for a network.
_PATIENCE = patience.PATIENCE[request.Profile.BALANCE].collapse_seconds


class _Clock(steady.SteadyClock):
    """One that can be set."""

    def set_ahead(self, seconds):
        self._ahead += seconds


def _in_first_pass(report):
    seen = report.statistics
    return seen.iteration == 1 and seen.transferred_mib > 2.0


def _after_first_pass(report):
    return report.statistics.iteration >= 2


class DeadLinkTest(unittest.TestCase):
    def setUp(self):
        # As an executor: a host that is cut off is not waited for for long.
        self.ground = hosts.LibvirtGround(timing=connection.Timing())
        self.addCleanup(self.ground.close)
        self.clock = _Clock()
        self.fault_seen = False

    def kill_stream(self):
        self.addCleanup(self.heal_stream)
        network.block(self.ground.here.holder, wires.STREAM_PORTS)

    def heal_stream(self):
        network.unblock(self.ground.here.holder)

    def cut_cable(self):
        self.addCleanup(self.plug_cable)
        self.ground.there.cut_off()

    def plug_cable(self):
        self.ground.there.plug_in()

    def run_to_the_end(self, uid, steps, **options):
        """Migrate, and take each step when its turn has come.

        :param steps: pairs of what a report has to show, and what is done
        """
        outcomes = queue.SimpleQueue()
        wanted = self.ground.wanted(uid, bandwidth_mib_s=_SLOWLY, **options)
        left = list(steps)
        carried, stood = 0.0, 0

        def on_progress(_wanted, report):
            # A dead link takes more until the buffers are full; a moment
            # before, a slow sample may have been told as a fault as well.
            nonlocal carried, stood
            now = report.statistics.transferred_mib
            stood = stood + 1 if now == carried else 0
            carried = now
            self.fault_seen |= stood >= _STANDS and _FAULT in report.text
            if left and left[0][0](report):
                left.pop(0)[1]()

        migrations.MigrationRunner(
            self.ground.source,
            machine.Machine(wanted, adaptive.Adaptive()),
            on_progress,
            outcomes.put,
            self.clock,
        ).start()
        ended = outcomes.get(timeout=2 * grounds.PATIENCE_SECONDS)
        self.assertEqual([], left, ended)
        return ended

    def is_told(self, _report):
        return self.fault_seen

    def runs(self, host, uid):
        try:
            state, _ = self.ground.domain(uid, host).state()
        except libvirt.libvirtError:
            return False
        return state == libvirt.VIR_DOMAIN_RUNNING

    def assert_runs_once_and_whole(self, host, uid, kind):
        where = [one for one in (0, 1) if self.runs(one, uid)]
        self.assertEqual([host], where)
        self.assertEqual([], self.ground.outdated(uid, kind, host))

    def assert_fault(self, uid, ended):
        self.assertEqual(_Kind.FAILED, ended.outcome, ended)
        self.assertEqual(plan.Mode.PRE_COPY, ended.mode, ended)
        self.assertIn(_FAULT, ended.reason, ended)
        self.assert_runs_once_and_whole(0, uid, 'busy')

    def test_one_that_dies_in_the_first_pass(self):
        """It is waited for, and then given up."""
        uid = self.ground.busy()
        steps = [
            (_in_first_pass, self.kill_stream),
            (self.is_told, lambda: self.clock.set_ahead(_PATIENCE)),
        ]
        ended = self.run_to_the_end(uid, steps, post_copy=True)
        self.assert_fault(uid, ended)

    def test_one_that_is_dead_when_the_time_is_up(self):
        """Post-copy would be due, and is not begun."""
        uid = self.ground.busy()
        steps = [
            (_after_first_pass, self.kill_stream),
            (self.is_told, lambda: self.clock.set_ahead(3600.0)),
        ]
        ended = self.run_to_the_end(
            uid, steps, time_limit_seconds=3600.0, **_LATER
        )
        self.assert_fault(uid, ended)

    def test_one_whose_cable_is_cut(self):
        """Libvirt's own patience may end first."""
        uid = self.ground.busy()
        steps = [(_after_first_pass, self.cut_cable)]
        ended = self.run_to_the_end(uid, steps, **_LATER)
        self.plug_cable()
        self.assert_fault(uid, ended)

    def test_one_that_heals_lets_a_calm_guest_converge(self):
        uid = self.ground.filled()
        steps = [
            (_in_first_pass, self.kill_stream),
            (self.is_told, self.heal_stream),
        ]
        ended = self.run_to_the_end(uid, steps, post_copy=True)
        self.assertEqual(_Kind.COMPLETED, ended.outcome, ended)
        self.assertEqual(plan.Mode.PRE_COPY, ended.mode, ended)
        self.assert_runs_once_and_whole(1, uid, 'filled')

    def test_one_that_heals_lets_a_busy_guest_go_by_post_copy(self):
        uid = self.ground.busy()
        steps = [
            (_in_first_pass, self.kill_stream),
            (self.is_told, self.heal_stream),
        ]
        ended = self.run_to_the_end(uid, steps, post_copy=True)
        self.assertEqual(_Kind.COMPLETED, ended.outcome, ended)
        self.assertEqual(plan.Mode.POST_COPY, ended.mode, ended)
        self.assert_runs_once_and_whole(1, uid, 'busy')
