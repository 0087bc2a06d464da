"""What schedulers are told of the fleet."""

import dataclasses
import unittest

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan as plans
from kvm_balancer.service import announcing
from tests.unit.service import test_dispatcher as fleets


class StateTest(unittest.TestCase):
    def setUp(self):
        self.fleet = fleets.build_fleet(a='hot', b='hot', c='cold')

    def move(self, instance, source, destination):
        return plans.Move(
            instance, source, destination, fleets.PREDICTION, 'hot'
        )

    def test_what_is_planned_to_arrive_counts_and_sources_are_closed(self):
        found = announcing.state_of(
            self.fleet, [self.move('a', 'hot', 'other')]
        ).hosts
        self.assertEqual('it is being relieved', found['hot'].closed)
        self.assertTrue(found['hot'].gives_way)
        self.assertEqual((0.0, 0.25), dataclasses.astuple(found['other'])[:2])
        self.assertEqual('', found['other'].closed)

    def test_what_has_arrived_is_not_counted_twice(self):
        found = announcing.state_of(
            self.fleet, [self.move('c', 'hot', 'cold')]
        ).hosts
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
        found = announcing.state_of(fleet, []).hosts
        self.assertEqual('it is being drained', found['hot'].closed)
        self.assertFalse(found['hot'].gives_way)
        self.assertNotIn('cold', found)
