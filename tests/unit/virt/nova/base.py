"""A migration through a Nova that does what the test says."""

import queue
import threading
import time
import unittest

from kvm_balancer import errors
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.service import migrations
from kvm_balancer.virt.nova import driver
from tests.fixtures import http_faults
from tests.fixtures import nova as fakes

TIMEOUT_SECONDS = 120.0


class NovaCase(unittest.TestCase):
    """A test with two computes, and one server on the first."""

    def setUp(self):
        super().setUp()
        self.nova = fakes.FakeNova()
        serving = self.nova.serving()
        serving.__enter__()
        self.addCleanup(serving.__exit__, None, None, None)
        self.nova.add_compute('cmp1')
        self.nova.add_compute('cmp2')
        self.uid = self.nova.add_server('cmp1')
        self.driver = self.make_driver()

    def make_driver(self, **options):
        made = driver.NovaDriver.from_conf(self.nova.conf(**options))
        self.addCleanup(made.close)
        return made

    def fault(self, method, path, kind='status', **details):
        found = http_faults.Fault(method, path, kind, **details)
        self.nova.faults.append(found)
        return found

    def request(self, **options):
        return request.Request(
            migration_id='22222222-0000-4000-8000-000000000000',
            instance=self.uid,
            source='cmp1',
            destination='cmp2',
            destination_uri='',
            accepted_at=time.time(),
            options=request.Options(**options),
            owner='nova',
        )

    def begin(self, made=None, adopt=False, **options):
        """Begin a migration; return who runs it, and its outcomes."""
        wanted = self.request(**options)
        ended = queue.SimpleQueue()
        runner = migrations.MigrationRunner(
            made or self.driver,
            machine.Machine(wanted, adaptive.Adaptive()),
            lambda *_: None,
            ended.put,
        )
        self.addCleanup(runner.leave)
        (runner.adopt if adopt else runner.start)()
        return runner, ended

    def outcome(self, begun):
        _, ended = begun
        try:
            return ended.get(timeout=TIMEOUT_SECONDS)
        except queue.Empty:
            self.fail('it does not end')

    def wait_for(self, condition, what):
        deadline = time.monotonic() + TIMEOUT_SECONDS
        ticks = threading.Event()
        while time.monotonic() < deadline:
            with self.nova.lock:
                if condition():
                    return
            ticks.wait(0.02)
        raise errors.KVMBalancerError(f'{what} does not happen')

    def wait_for_record(self):
        self.wait_for(lambda: self.nova.migrations, 'a migration')
