"""Orders to empty computes, when Nova answers and when it does not."""

import types

from kvm_balancer import errors
from kvm_balancer.metrics import base as metrics
from kvm_balancer.model import observation
from kvm_balancer.service import cloud_samples
from kvm_balancer.service import computes
from kvm_balancer.service import drain_api
from kvm_balancer.service import drains
from kvm_balancer.service import explaining
from kvm_balancer.service import watch
from kvm_balancer.store import store as stores
from tests.unit.service import test_cloud_watch as clouds
from tests.unit.store import base


class DrainApiTest(clouds.WatchCase, base.StoreCase):
    def setUp(self):
        super().setUp()
        store = stores.Store(self.conf, create=True)
        self.addCleanup(store.close)
        self.fleet = watch.FleetWatch(
            observation.Params(nova_moves=True),
            clock=lambda: self.now,
            known=self.watch.rules,
        )
        self.drains = drains.Drains(
            store.drains,
            self.fleet.drain,
            computes.Computes(self.driver.api, self.watch),
        )
        worker = types.SimpleNamespace(
            fleet=self.fleet,
            wake=lambda: None,
            dispatcher=types.SimpleNamespace(
                flights=types.SimpleNamespace(all=list)
            ),
        )
        self.api = drain_api.DrainApi(
            worker, self.drains, 0.0, lambda: self.watch.cloud
        )
        self.watch.look()

    def measure(self, *hosts):
        """Let a source of metrics tell of some computes."""
        source = clouds.Source()
        source.figures = metrics.Figures(
            {host: metrics.HostFigures(0.5) for host in hosts},
            {self.uid: metrics.InstanceFigures(0.5)},
        )
        cloud_samples.CloudSamples(
            [source],
            lambda: self.watch.rules().cloud,
            self.fleet,
            10.0,
            clock=lambda: self.now,
        ).look()

    def test_a_compute_that_nobody_measures_is_not_told_to_be_empty(self):
        found = self.api.drain_host('cmp1', '')
        self.assertEqual('stuck', found['state'])
        self.assertEqual(
            [self.uid], [one['instance'] for one in found['left']]
        )
        self.assertIn('[metrics] sources', found['doubt'])
        self.assertEqual('drained', self.api.drain_host('cmp2', '')['state'])

    def test_what_does_not_run_stays_and_the_host_is_drained(self):
        self.nova.servers[self.uid].update(
            {'status': 'SHUTOFF', 'OS-EXT-STS:power_state': 4}
        )
        self.now += 61.0
        self.nova.servers[self.uid]['updated'] = '2999-01-01T00:00:00Z'
        self.watch.look()
        self.measure('cmp1')
        found = self.api.drain_host('cmp1', '')
        self.assertEqual(('drained', []), (found['state'], [*found['left']]))
        self.assertIn('SHUTOFF', found['resting'][0]['reason'])

    def test_while_nova_is_away_none_of_its_computes_is_drained(self):
        """It would have gone on giving servers to the host."""
        self.measure('cmp1')
        self.now += 10_000.0
        self.fault('GET', '/os-services', status=503, times=9)
        with self.assertRaises(errors.CloudUnreachable):
            self.api.drain_host('cmp1', '')
        self.assertEqual([], self.api.list_drains())

    def test_an_old_cloud_is_a_doubt(self):
        self.measure('cmp1')
        self.assertEqual('draining', self.api.drain_host('cmp1', '')['state'])
        self.now += 10_000.0
        self.assertIn('not heard of', self.api.show_drain('cmp1')['doubt'])

    def test_who_is_in_an_aggregate_is_told_of_those_that_are_silent(self):
        """A round passed over computes that nobody reported."""
        self.nova.aggregates.append(
            {'name': 'rack', 'hosts': ['cmp1', 'cmp2'], 'metadata': {}}
        )
        self.now += 61.0
        self.watch.look()
        self.measure('cmp1')
        self.assertEqual(
            [
                {'host': 'cmp1', 'silent': False},
                {'host': 'cmp2', 'silent': True},
            ],
            self.api.list_members('rack'),
        )

    def test_why_nova_gives_no_servers_after_it_is_told(self):
        self.measure('cmp1')
        self.api.drain_host('cmp1', '')
        self.nova.services['cmp1']['disabled_reason'] = 'a bad fan'
        self.assertIn('a bad fan', self.api.undrain_host('cmp1')['note'])

    # Why a server stays

    def why(self):
        return explaining.Custody(self.fleet)(self.uid)

    def test_a_server_that_nova_has_elsewhere_says_so(self):
        self.measure('cmp1')
        self.assertEqual('', self.why())
        self.nova.servers[self.uid].update(
            {
                'OS-EXT-SRV-ATTR:host': 'cmp2',
                'updated': '2999-01-01T00:00:00Z',
            }
        )
        self.now += 61.0
        self.watch.look()
        self.assertIn('Nova has it on cmp2', self.why())

    def test_an_executor_by_another_name_than_nova_has_is_told(self):
        self.measure('cmp1')
        for one in (self.nova.services, self.nova.providers):
            one['cmp1.example.com'] = one.pop('cmp1')
        self.nova.services['cmp1.example.com']['host'] = 'cmp1.example.com'
        self.nova.servers[self.uid].update(
            {
                'OS-EXT-SRV-ATTR:host': 'cmp1.example.com',
                'updated': '2999-01-01T00:00:00Z',
            }
        )
        self.now += 61.0
        self.watch.look()
        self.assertIn('set [host] name', self.why())

    def test_what_is_too_old_to_go_by_is_not_called_unknown_to_nova(self):
        self.measure('cmp1')
        self.now += 700.0
        self.assertIn('too old to go by', self.why())
