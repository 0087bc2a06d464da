"""The agent knows its cloud by lists, by news, and not for ever."""

import time

from kvm_balancer import errors
from kvm_balancer.messages import nova_notifications as notifications
from kvm_balancer.metrics import base as metrics
from kvm_balancer.model import observation
from kvm_balancer.service import cloud_samples
from kvm_balancer.service import cloud_watch
from kvm_balancer.service import watch
from kvm_balancer.virt.nova import inventory
from tests.unit.virt.nova import base


class WatchCase(base.NovaCase):
    def setUp(self):
        super().setUp()
        self.now = time.time()
        self.watch = cloud_watch.CloudWatch(
            inventory.Inventory(self.driver.api),
            cloud_watch.Params(
                reconcile_seconds=60.0,
                relist_seconds=3600.0,
                stale_seconds=600.0,
            ),
            clock=lambda: self.now,
        )

    def hindrance(self, uid=None):
        return self.watch.rules().terms(uid or self.uid).hindrance


class CloudWatchTest(WatchCase):
    def test_everything_is_read_by_pages(self):
        self.nova.page = 3
        uids = {self.nova.add_server('cmp2') for _ in range(10)} | {self.uid}
        self.watch.look()
        self.assertEqual(uids, set(self.watch.cloud.servers))
        self.assertEqual(4, self.nova.sent('GET', '/servers/detail'))
        self.assertEqual('', self.hindrance())

    def test_placement_is_asked_again_only_for_what_changed(self):
        self.watch.look()
        self.now += 61.0
        self.nova.providers['cmp2']['generation'] += 1
        self.watch.look()
        self.assertEqual(3, self.nova.sent('GET', '/inventories'))
        ratio = self.watch.cloud.computes['cmp2'].inventories['VCPU']
        self.assertEqual(4.0, ratio.allocation_ratio)

    def test_news_of_a_server_is_followed_by_asking_for_it_alone(self):
        self.watch.look()
        self.nova.servers[self.uid]['locked'] = True
        self.assertEqual('', self.hindrance())
        self.watch.take(notifications.ServerChanged(self.uid))
        self.watch.look()
        self.assertIn('locked', self.hindrance())
        self.assertEqual(1, self.nova.sent('GET', '/servers/detail'))

    def test_a_server_that_is_gone_is_forgotten(self):
        self.watch.look()
        del self.nova.servers[self.uid]
        self.watch.take(notifications.ServerChanged(self.uid))
        self.watch.look()
        self.assertFalse(self.watch.is_novas(self.uid))

    def test_news_of_computes_is_followed(self):
        self.watch.look()
        self.nova.services['cmp1']['forced_down'] = True
        self.watch.take(notifications.ComputesChanged())
        self.watch.look()
        self.assertIn('forced down', self.hindrance())

    def test_lost_news_is_made_up_for_by_changes_since(self):
        self.watch.look()
        self.nova.servers[self.uid].update(
            status='SHUTOFF', updated='2999-01-01T00:00:00Z'
        )
        self.now += 61.0
        self.watch.look()
        self.assertIn('SHUTOFF', self.hindrance())
        self.assertEqual(1, self.nova.sent('GET', 'changes-since'))

    def test_news_that_could_not_be_followed_is_kept(self):
        self.watch.look()
        self.nova.servers[self.uid]['locked'] = True
        self.watch.take(notifications.ServerChanged(self.uid))
        self.fault('GET', f'/servers/{self.uid}', status=503)
        with self.assertRaises(errors.CloudUnreachable):
            self.watch.look()
        self.watch.look()
        self.assertIn('locked', self.hindrance())

    def test_people_are_told_how_much_is_known(self):
        found = self.watch.knowledge()
        self.assertEqual((None, True), (found.age_seconds, found.stale))
        self.watch.look()
        self.now += 30.0
        self.assertEqual(
            cloud_watch.Knowledge(1, 2, 30.0, False), self.watch.knowledge()
        )
        self.now += 571.0
        self.assertTrue(self.watch.knowledge().stale)

    def test_what_is_too_old_is_not_believed(self):
        self.watch.look()
        self.now += 601.0
        self.assertIsNone(self.watch.rules().terms(self.uid))
        # Whose it is does not grow old.
        self.assertTrue(self.watch.is_novas(self.uid))


class Source(metrics.MetricSource):
    name = 'test'

    def __init__(self):
        self.figures = metrics.Figures()

    @classmethod
    def from_conf(cls, conf):
        return cls()

    def read(self, now):
        return self.figures


class CloudSamplesTest(WatchCase):
    def setUp(self):
        super().setUp()
        self.watch.look()
        self.source = Source()
        self.fleet = watch.FleetWatch(
            observation.Params(nova_moves=True),
            clock=lambda: self.now,
            known=self.watch.rules,
        )
        self.samples = cloud_samples.CloudSamples(
            [self.source],
            lambda: self.watch.rules().cloud,
            self.fleet,
            10.0,
            clock=lambda: self.now,
        )

    def look(self, share=0.5, cores=1.5):
        self.source.figures = metrics.Figures(
            {'cmp1': metrics.HostFigures(share)},
            {self.uid: metrics.InstanceFigures(cores)},
        )
        self.samples.look()
        self.now += 1.0
        return self.fleet.snapshot()

    def test_a_compute_becomes_a_host_and_its_servers_instances(self):
        fleet = self.look()
        self.assertEqual(('cmp1',), fleet.hosts.name)
        self.assertAlmostEqual(0.5, fleet.cpu_load[0])
        self.assertAlmostEqual(2.5, fleet.hosts.cpu_overhead[0])
        self.assertEqual([True], fleet.instances.movable.tolist())
        self.assertEqual(('cmp2',), self.samples.missing.hosts)

    def test_a_server_whose_usage_nobody_knows_counts_and_stays(self):
        """Its load is not taken for zero: it is in its host's overhead."""
        fleet = self.look(cores=None)
        self.assertAlmostEqual(0.5, fleet.cpu_load[0])
        self.assertEqual([False], fleet.instances.movable.tolist())
        self.assertEqual((self.uid,), self.samples.missing.instances)

    def test_it_is_counted_what_each_source_does_not_tell(self):
        self.look(cores=None)
        self.assertEqual(
            (cloud_samples.Coverage(Source.name, 2, 1, 1, 1),),
            self.samples.missing.sources,
        )

    def test_a_source_that_does_not_answer_tells_nothing_and_why(self):
        def broken(now):
            raise errors.UnreachableError('Prometheus is away')

        self.source.read = broken
        self.samples.look()
        self.assertEqual(
            (
                cloud_samples.Coverage(
                    Source.name, 2, 2, 1, 1, 'Prometheus is away'
                ),
            ),
            self.samples.missing.sources,
        )

    def test_a_figure_that_is_lost_is_not_kept_on(self):
        self.look()
        fleet = self.look(cores=None)
        self.assertEqual([False], fleet.instances.movable.tolist())
        self.assertEqual([0.0], fleet.instances.cpu_usage.tolist())

    def test_a_host_that_nobody_knows_is_no_host(self):
        fleet = self.look(share=None)
        self.assertEqual((), fleet.hosts.name)
        self.assertEqual(('cmp1', 'cmp2'), self.samples.missing.hosts)
