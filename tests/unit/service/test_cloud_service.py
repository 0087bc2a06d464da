"""What the agent has to do with Nova, wired together."""

import threading
import time

from kvm_balancer import errors
from kvm_balancer.conf import opts
from kvm_balancer.model import observation
from kvm_balancer.service import cloud_service
from kvm_balancer.service import watch
from tests.unit.virt.nova import base


def _blind(host, ask):
    """Lend nobody any eyes: no executor is there."""
    raise errors.BusError(f'{host} does not answer')


class CloudServiceTest(base.NovaCase):
    def setUp(self):
        super().setUp()
        conf = self.nova.conf()
        conf.set_override('enabled', False, 'nova_notifications')
        opts.register_found(conf)
        self.ended = []
        self.cloud = cloud_service.make(
            conf, self.ended.append, lambda report: None, _blind
        )
        self.addCleanup(self.cloud.stop)
        self.fleet = watch.FleetWatch(
            observation.Params(nova_moves=True),
            known=self.cloud.watch.rules,
        )

    def test_computes_that_nobody_measures_are_told_without_a_source(self):
        self.cloud.sample(self.fleet)
        self.assertEqual((), self.cloud.missing(self.fleet).hosts)
        self.cloud.watch.look()
        self.assertEqual(
            ('cmp1', 'cmp2'), self.cloud.missing(self.fleet).hosts
        )

    def test_where_a_server_went_is_asked_for_when_it_has_moved(self):
        """Nova may notify nobody."""
        self.cloud.watch.look()
        self.cloud.executor.migrate(self.request())
        self.wait_for_record()
        with self.nova.lock:
            self.nova.complete(self.uid)
        self.wait_for(lambda: self.ended, 'an outcome')

        ticks, began = threading.Event(), time.monotonic()
        while self.cloud.watch.cloud.servers[self.uid].host != 'cmp2':
            self.assertLess(time.monotonic() - began, base.TIMEOUT_SECONDS)
            self.cloud.watch.look()
            ticks.wait(0.02)
