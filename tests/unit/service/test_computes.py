"""Computes are disabled by us with our mark, and enabled by nothing else."""

from kvm_balancer import errors
from kvm_balancer.service import computes
from tests.unit.service import test_cloud_watch as base


class ComputesTest(base.WatchCase):
    def setUp(self):
        super().setUp()
        self.computes = computes.Computes(self.driver.api, self.watch)

    @property
    def service(self):
        return self.nova.services['cmp1']

    def test_nova_is_told_why(self):
        self.assertTrue(self.computes.disable('cmp1', 'a new disk'))
        self.assertEqual(
            ('disabled', 'kvm-balancer: a new disk'),
            (self.service['status'], self.service['disabled_reason']),
        )
        self.assertEqual('', self.computes.enable('cmp1'))
        self.assertEqual('enabled', self.service['status'])

    def test_a_reason_is_cut_to_what_nova_takes(self):
        self.computes.disable('cmp1', 'x' * 300)
        self.assertEqual(255, len(self.service['disabled_reason']))

    def test_what_we_disabled_before_is_known_by_its_reason(self):
        """The answer to the first call was lost, or the agent was."""
        self.fault('PUT', '/os-services', kind='lose')
        with self.assertRaises(errors.CloudUnreachable):
            self.computes.disable('cmp1', 'one')
        self.assertTrue(self.computes.disable('cmp1', 'two'))
        self.assertEqual('kvm-balancer: two', self.service['disabled_reason'])

    def test_what_others_disabled_stays_theirs(self):
        self.service.update(status='disabled', disabled_reason='a bad fan')
        self.assertFalse(self.computes.disable('cmp1', 'a new disk'))
        self.assertEqual('a bad fan', self.service['disabled_reason'])

    def test_what_others_disabled_meanwhile_stays_so(self):
        self.computes.disable('cmp1', 'a new disk')
        self.service['disabled_reason'] = 'a bad fan'
        self.assertIn('a bad fan', self.computes.enable('cmp1'))
        self.assertEqual('disabled', self.service['status'])

    def test_a_compute_that_is_gone_keeps_no_drain(self):
        del self.nova.services['cmp1']
        self.assertIn('any more', self.computes.enable('cmp1'))
        with self.assertRaises(errors.NotFound):
            self.computes.disable('cmp1', '')

    def test_an_old_compute_is_not_taken_for_none_while_nova_is_away(self):
        """Its service would have stayed enabled, and nobody told."""
        self.watch.look()
        self.now += 10_000.0
        self.fault('GET', '/os-services', status=503, times=9)
        self.assertTrue(self.computes.has('cmp1'))
        self.assertFalse(self.computes.has('ours'))

    def test_before_nova_was_read_nothing_is_said(self):
        self.fault('GET', '/os-services', status=503, times=9)
        with self.assertRaises(errors.CloudUnreachable):
            self.computes.has('cmp1')

    def test_a_new_compute_is_asked_for(self):
        self.watch.look()
        self.nova.add_compute('cmp3')
        self.assertTrue(self.computes.has('cmp3'))
        self.assertFalse(self.computes.has('cmp4'))
