"""A host is empty where the fleet and Nova say so, and not by silence."""

import dataclasses
import unittest

import numpy as np

from kvm_balancer.model.cloud import records
from kvm_balancer.service import remaining
from tests.unit.service import test_dispatcher as fleets

PATIENCE_SECONDS = 45.0


def server(uid, host, **changes):
    return records.Server(uid, f'web-{uid}', host, 'ACTIVE', **changes)


class WitnessTest(unittest.TestCase):
    def setUp(self):
        self.now = 0.0
        self.servers = {}
        self.computes = {'hot': records.Compute('hot')}
        self.taken_at = 1.0
        self.fleet = fleets.build_fleet(a='hot', b='cold')
        self.witness = self.make(self.heard)

    def make(self, heard):
        return remaining.Witness(heard, PATIENCE_SECONDS, lambda: self.now)

    def heard(self):
        return records.Cloud(
            self.computes, self.servers, taken_at=self.taken_at
        )

    def put(self, *servers):
        self.servers = {one.id: one for one in servers}

    def of(self, host='hot', fresh=True):
        return self.witness.of(host, self.fleet, fresh)

    def silence(self, host):
        silent = np.array([name == host for name in self.fleet.hosts.name])
        hosts = self.fleet.hosts
        self.fleet = dataclasses.replace(
            self.fleet,
            hosts=dataclasses.replace(hosts, silent=silent),
        )

    def test_what_reports_is_believed(self):
        self.put(server('a', 'hot'))
        self.assertEqual(remaining.Besides(), self.of())

    def test_a_server_that_nobody_reports_is_there_all_the_same(self):
        """One that nobody can see was told to be none."""
        self.put(server('x', 'unmeasured'))
        self.computes['unmeasured'] = records.Compute('unmeasured')
        found = self.of('unmeasured')
        self.assertEqual(['x'], [one.instance for one in found.servers])
        self.assertIn('[metrics] sources', found.doubt)

    def test_a_compute_without_servers_is_empty_by_the_word_of_nova(self):
        self.computes['unmeasured'] = records.Compute('unmeasured')
        self.assertEqual(remaining.Besides(), self.of('unmeasured'))

    def test_one_that_has_moved_and_nova_has_not_said_so_is_not_there(self):
        self.put(server('b', 'hot'))
        self.assertEqual((), self.of().servers)

    def test_what_is_amiss_has_a_reason_only_when_it_lasts(self):
        """A sample is on its way, or news of Nova."""
        self.put(server('x', 'hot'))
        self.assertEqual([''], [one.reason for one in self.of().servers])
        self.now += PATIENCE_SECONDS
        (one,) = self.of().servers
        self.assertIn('nobody reports it', one.reason)
        self.put()
        self.of()
        self.put(server('x', 'hot'))
        self.assertEqual([''], [one.reason for one in self.of().servers])

    def test_what_does_not_run_stays_and_is_told(self):
        self.put(
            server('off', 'hot', power_state=4),
            dataclasses.replace(server('asleep', 'hot'), status='SUSPENDED'),
            server('starts', 'hot', power_state=4, task_state='powering-on'),
        )
        found = self.of()
        self.assertEqual(
            ['off', 'asleep'], [one.instance for one in found.resting]
        )
        self.assertEqual(['starts'], [one.instance for one in found.servers])

    def test_silence_is_a_doubt_and_lasts_in_time(self):
        self.silence('hot')
        found = self.of()
        self.assertIn('gone silent', found.doubt)
        self.assertFalse(found.lasting)
        self.now += PATIENCE_SECONDS
        self.assertTrue(self.of().lasting)

    def test_a_host_that_nobody_knows_any_more_is_a_doubt(self):
        self.witness = self.make(None)
        self.assertIn('does not report', self.of('gone').doubt)
        self.assertEqual('', self.of().doubt)

    def test_an_old_cloud_is_a_doubt_for_its_computes_alone(self):
        self.assertIn('not heard of', self.of(fresh=False).doubt)
        self.assertEqual('', self.of('cold', fresh=False).doubt)
        self.taken_at = 0.0
        self.assertIn('not read yet', self.of('cold', fresh=False).doubt)
