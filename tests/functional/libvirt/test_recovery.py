"""What a crash or a broken stream leaves is brought to a good end.

On real hosts: processes are killed, connections reset, and whoever carries
the migration then finds what is left by its mark.
"""

import contextlib
import dataclasses
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import unittest

import libvirt
import msgspec

from kvm_balancer.lab.faults import wires
from kvm_balancer.messages import migration as messages
from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.model import outcome
from kvm_balancer.model import plan
from kvm_balancer.service import migrations
from kvm_balancer.virt import marks
from tests.contract import ground as grounds
from tests.fixtures import patience
from tests.functional.libvirt import hosts

_Kind = outcome.OutcomeKind
_State = events.EndState

#: A pass over what a guest writes to takes seconds, and so does what is left
#: of it for post-copy.
_OPTIONS = request.Options(
    auto_converge=False,
    bandwidth_mib_s=4,
    max_downtime_ms=1,
    post_copy=True,
    # only when it is told to
    post_copy_patience=1000.0,
)
_POST_COPY = dataclasses.replace(_OPTIONS, post_copy_patience=1.0)

#: Migrates as an executor does, until it is killed.
_CARRY = """
import sys, threading
from kvm_balancer.messages import migration as messages
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.service import migrations
from kvm_balancer.virt import ownership
from kvm_balancer.virt.libvirt import driver
import msgspec
wanted = messages.decode_request(msgspec.json.decode(sys.argv[2]))
hypervisor = driver.LibvirtDriver(
    driver.Params(uri=sys.argv[1], manage=ownership.BY_HAND)
)
hypervisor.connect()
migrations.MigrationRunner(
    hypervisor,
    machine.Machine(wanted, adaptive.Adaptive()),
    lambda _, report: print(report.state, flush=True),
    lambda ended: print(ended.outcome, flush=True),
).start()
threading.Event().wait()
"""


class RecoveryTest(unittest.TestCase):
    def setUp(self):
        self.ground = hosts.LibvirtGround()
        self.addCleanup(self.ground.close)
        self.outcomes = queue.SimpleQueue()
        self.states = []
        self.news = threading.Condition()

    def wanted(self, uid, options):
        return dataclasses.replace(self.ground.wanted(uid), options=options)

    def runner(self, wanted):
        runner = migrations.MigrationRunner(
            self.ground.source,
            machine.Machine(wanted, adaptive.Adaptive()),
            self.note,
            self.outcomes.put,
        )
        self.addCleanup(runner.leave)
        return runner

    def note(self, _wanted, report):
        with self.news:
            self.states.append(report.state)
            self.news.notify_all()

    def until_state(self, state):
        with self.news:
            self.assertTrue(
                self.news.wait_for(
                    lambda: state in self.states, grounds.PATIENCE_SECONDS
                ),
                self.states,
            )

    def outcome(self):
        return self.outcomes.get(timeout=grounds.PATIENCE_SECONDS)

    @contextlib.contextmanager
    def carried_by_a_process(self, wanted, state):
        """Have a process carry it until it is in *state*; then kill that."""
        process = subprocess.Popen(
            [
                sys.executable,
                '-c',
                _CARRY,
                self.ground.here.uri,
                encoded(wanted),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            told = []
            with patience.limited(process, grounds.PATIENCE_SECONDS):
                while (line := process.stdout.readline()).strip() != state:
                    told.append(line)
                    self.assertTrue(line, told)
            yield
        finally:
            process.kill()
            process.communicate()

    def until_runs_there(self, uid):
        """Wait until a stream may break without taking a QEMU along."""
        wanted = (
            libvirt.VIR_DOMAIN_RUNNING,
            libvirt.VIR_DOMAIN_RUNNING_POSTCOPY,
        )
        until = time.monotonic() + grounds.PATIENCE_SECONDS
        while (
            seen := tuple(self.ground.domain(uid, host=1).state())
        ) != wanted:
            self.assertLess(time.monotonic(), until, seen)

    def reset_stream(self):
        first = wires.STREAM_PORTS.partition(':')[0]
        to = ['dst', self.ground.there.address, 'dport', 'ge', first]
        self.ground.here.run(['ss', '-K', *to])

    def assert_arrived_whole(self, uid, mode):
        ended = self.outcome()
        self.assertEqual(_Kind.COMPLETED, ended.outcome, ended)
        self.assertEqual(mode, ended.mode, ended)
        self.assertEqual((), self.ground.destination.marked())
        with self.assertRaises(libvirt.libvirtError):
            self.ground.domain(uid, host=0)
        self.assertEqual([], self.ground.outdated(uid, 'busy', 1))

    def test_post_copy_whose_stream_breaks_goes_on_over_another_one(self):
        uid = self.ground.busy()
        self.runner(self.wanted(uid, _POST_COPY)).start()
        self.until_state('post-copy')
        self.until_runs_there(uid)
        self.reset_stream()
        self.until_state('recovering')
        self.assert_arrived_whole(uid, plan.Mode.POST_COPY)

    def test_pre_copy_whose_executor_was_killed_is_steered_on(self):
        """The one that is gone would never have come to an end."""
        uid = self.ground.busy()
        wanted = self.wanted(uid, _OPTIONS)
        with self.carried_by_a_process(wanted, 'pre-copy'):
            pass
        # Others may stand there that an earlier test has left marked.
        (found,) = [
            one for one in self.ground.source.marked() if one.instance == uid
        ]
        self.assertIsNotNone(found.mark.limits)
        self.assertEqual(
            marks.of(wanted), dataclasses.replace(found.mark, limits=None)
        )
        wanted = dataclasses.replace(wanted, options=_POST_COPY)
        self.runner(wanted).adopt()
        self.assert_arrived_whole(uid, plan.Mode.POST_COPY)
        self.assertNotIn('recovering', self.states)

    def test_post_copy_that_breaks_without_its_executor_is_recovered(self):
        uid = self.ground.busy()
        wanted = self.wanted(uid, _POST_COPY)
        with self.carried_by_a_process(wanted, 'post-copy'):
            self.until_runs_there(uid)
        self.reset_stream()
        self.runner(wanted).adopt()
        self.assert_arrived_whole(uid, plan.Mode.POST_COPY)

    def test_images_that_a_killed_executor_made_go_when_it_stays(self):
        # Far from copied when it is looked for, on a slow machine too.
        uid, path = self.ground.with_disk(mib=64)
        # Where it had run, a definition would tell of it.
        domain = self.ground.domain(uid)
        domain.connect().defineXML(
            domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        )
        wanted = self.wanted(
            uid,
            request.Options(
                auto_converge=False, bandwidth_mib_s=1, copy_storage=True
            ),
        )
        with self.carried_by_a_process(wanted, 'copying storage'):
            self.assertTrue(self.ground.has_image(path, 1))
        runner = self.runner(wanted)
        runner.adopt()
        runner.cancel('the test')
        ended = self.outcome()
        self.assertEqual(_Kind.CANCELLED, ended.outcome, ended)
        self.assertTrue(self.ground.domain(uid).isActive())
        self.assertFalse(self.ground.has_image(path, 1), ended.story)
        self.assertTrue(self.ground.has_image(path, 0))
        self.assertIn(f'{path} was removed', str(ended.story))

    def test_disks_that_a_killed_executor_copied_are_kept_and_named(self):
        uid, path = self.ground.with_disk()
        wanted = self.wanted(
            uid,
            request.Options(
                auto_converge=False,
                bandwidth_mib_s=4,
                copy_storage=True,
                keep_source_disks=False,
            ),
        )
        with self.carried_by_a_process(wanted, 'copying storage'):
            pass
        self.runner(wanted).adopt()
        ended = self.outcome()
        self.assertEqual(_Kind.COMPLETED, ended.outcome, ended)
        self.assertTrue(self.ground.has_image(path, 0))
        self.assertIn(f'on the source, {path} is left', str(ended.story))

    def test_limits_that_a_killed_executor_set_are_put_back(self):
        uid = self.ground.busy()
        domain = self.ground.domain(uid)

        def limits():
            return (
                domain.migrateGetMaxDowntime(0),
                domain.migrateGetMaxSpeed(0),
            )

        before = limits()
        wanted = self.wanted(uid, _OPTIONS)
        with self.carried_by_a_process(wanted, 'pre-copy'):
            self.assertNotEqual(before, limits())
        runner = self.runner(wanted)
        runner.adopt()
        self.until_state('pre-copy')
        runner.cancel('the test')
        ended = self.outcome()
        self.assertEqual(_Kind.CANCELLED, ended.outcome, ended)
        self.assertEqual(before, limits())

    def test_a_source_that_dies_in_post_copy_takes_the_memory_along(self):
        """It is told so; nothing is done to what the destination has."""
        uid = self.ground.busy()
        self.runner(self.wanted(uid, _POST_COPY)).start()
        self.until_state('post-copy')
        self.until_runs_there(uid)
        os.kill(self.ground.process(uid), signal.SIGKILL)
        ended = self.outcome()
        self.assertEqual(_Kind.UNKNOWN, ended.outcome, ended)
        self.assertIn('no copy is whole', ended.reason)
        self.assertIn('start it anew from its disks', ended.reason)
        self.assertTrue(self.ground.domain(uid, host=1).isActive())
        self.assertNotIn('recovering', self.states)

    def test_a_stopped_copy_on_either_end_is_mended(self):
        stopped = _State.PAUSED_MIGRATION
        for before, kind, host in (
            ((stopped, _State.RUNNING), _Kind.COMPLETED, 1),
            ((_State.RUNNING, stopped), _Kind.FAILED, 0),
            # It may have run there, and gone on from there.
            ((stopped, _State.ABSENT), _Kind.UNKNOWN, 0),
        ):
            with self.subTest(before=before):
                uid = self.ground.calm()
                wanted = self.wanted(uid, _OPTIONS)
                self.ground.leave(wanted, *before)
                self.runner(wanted).adopt()
                ended = self.outcome()
                self.assertEqual(kind, ended.outcome, ended)
                state, _ = self.ground.domain(uid, host).state()
                self.assertEqual(
                    libvirt.VIR_DOMAIN_PAUSED
                    if kind is _Kind.UNKNOWN
                    else libvirt.VIR_DOMAIN_RUNNING,
                    state,
                )
                with self.assertRaises(libvirt.libvirtError):
                    self.ground.domain(uid, 1 - host)


def encoded(wanted):
    return msgspec.json.encode(messages.encode_request(wanted)).decode()
