"""What schedulers are told of the fleet."""

import dataclasses
import unittest

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan as plans
from kvm_balancer.model.cloud import records
from kvm_balancer.service import announcing
from tests.unit.service import test_dispatcher as fleets


class StateTest(unittest.TestCase):
    def setUp(self):
        self.fleet = fleets.build_fleet(a='hot', b='hot', c='cold')

    def move(self, instance, source, destination):
        return plans.Move(
            instance, source, destination, fleets.PREDICTION, 'hot'
        )

    def told(self, *expected, fleet=None, cloud=None):
        """Return what schedulers are told, by host."""
        return announcing.state_of(
            fleet or self.fleet, expected, cloud or records.Cloud()
        ).hosts

    def test_what_is_planned_to_arrive_counts_and_sources_are_closed(self):
        found = self.told(self.move('a', 'hot', 'other'))
        self.assertEqual('it is being relieved', found['hot'].closed)
        self.assertTrue(found['hot'].gives_way)
        self.assertEqual((0.0, 0.25), dataclasses.astuple(found['other'])[:2])
        self.assertEqual('', found['other'].closed)

    def test_what_has_arrived_is_not_counted_twice(self):
        found = self.told(self.move('c', 'hot', 'cold'))
        self.assertEqual(0.0, found['cold'].arriving_load)

    def test_drained_and_silent_hosts_are_told_apart(self):
        state = self.fleet.hosts.state.copy()
        state[0] = columns.HostState.DRAINING
        silent = np.array([False, True, False])
        fleet = dataclasses.replace(
            self.fleet,
            hosts=dataclasses.replace(
                self.fleet.hosts, state=state, silent=silent
            ),
        )
        found = self.told(fleet=fleet)
        self.assertEqual('it is being drained', found['hot'].closed)
        self.assertFalse(found['hot'].gives_way)
        self.assertNotIn('cold', found)

    def test_servers_whose_load_is_known_are_told_by_vcpus(self):
        """Those that no host has measured yet are left to schedulers."""

        def server(uid, host, **changes):
            flavor = records.Flavor('small', 2, 1024)
            return records.Server(
                uid, uid, host, 'ACTIVE', flavor=flavor, **changes
            )

        fleet = fleets.build_fleet(a='hot', b='hot', c='cold')
        fleet.instances.cpu_usage[:] = (2.0, 0.0, 1.0)
        cloud = records.Cloud(
            computes={name: records.Compute(name) for name in ('hot', 'cold')},
            servers={
                'a': server('a', 'hot'),
                'b': server('b', 'hot'),
                'c': server('c', 'cold'),
                'new': server('new', 'cold', task_state='spawning'),
                'off': server('off', 'cold', power_state=4),
                'nowhere': server('nowhere', ''),
            },
        )
        found = self.told(fleet=fleet, cloud=cloud)
        self.assertEqual(
            {'hot': 2, 'cold': 4, 'other': None},
            {name: one.vcpus for name, one in found.items()},
        )
        # Half a core for each of six vCPUs, of eight cores.
        self.assertEqual(0.0625, found['hot'].vcpu_load)

    def test_where_nothing_is_measured_a_vcpu_may_use_a_core(self):
        found = self.told(fleet=fleets.build_fleet())
        self.assertEqual(0.125, found['hot'].vcpu_load)
        self.assertIsNone(found['hot'].vcpus)
