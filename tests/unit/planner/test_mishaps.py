"""Failed pairs are left alone, longer each time, and others are not."""

import unittest

import numpy as np

from kvm_balancer.planner import mishaps
from kvm_balancer.policies import relieve
from tests.fixtures import fleets
from tests.unit.planner import plans

HOUR = 3600.0


def fleet():
    return fleets.build(
        [fleets.host(name) for name in 'abc'],
        [fleets.instance('i', 'a', cpu=9), fleets.instance('j', 'b', cpu=1)],
    )


class MishapsTest(unittest.TestCase):
    def setUp(self):
        self.made = mishaps.Mishaps(mishaps.Params(HOUR, 8 * HOUR))

    def test_each_failure_doubles_the_wait_up_to_a_limit(self):
        waits = []
        for number in range(6):
            at = 100.0 * number
            self.made.failed('i', 'b', at)
            waits.append((self.made.until(('i', 'b')) - at) / HOUR)
        self.assertEqual([1, 2, 4, 8, 8, 8], waits)

    def test_one_that_completes_makes_all_good(self):
        self.made.failed('i', 'b', 0.0)
        self.made.completed('i', 'b')
        self.assertEqual((), self.made.filter(fleet(), 1.0))

    def test_a_plan_takes_another_destination(self):
        self.made.failed('i', 'c', 0.0)
        policy = relieve.Relieve()
        for now, expected in ((1.0, 'b'), (2 * HOUR, 'c')):
            with self.subTest(now=now):
                extra = self.made.filter(fleet(), now)
                context = plans.full_context(filters=(*plans.FILTERS, *extra))
                seen = fleets.build(
                    [fleets.host(name) for name in 'abc'],
                    [
                        fleets.instance('i', 'a', cpu=4),
                        fleets.instance('k', 'a', cpu=5, movable=False),
                        fleets.instance('j', 'b', cpu=1),
                    ],
                )
                (move,) = policy.propose(seen, context).moves
                self.assertEqual(expected, move.destination)

    def test_a_pair_keeps_nobody_else_apart(self):
        self.made.failed('i', 'b', 0.0)
        (found,) = self.made.filter(fleet(), 1.0)
        passed = found.passes(
            plans.placed(fleet()),
            np.array([0, 1], np.int32),
            np.array([0, 1, 2], np.int32),
        )
        self.assertEqual(
            [[True, False, True], [True, True, True]], passed.tolist()
        )
        self.assertIn('failed a while ago', found.reason(None, 0))

    def test_names_that_are_gone_are_no_trouble(self):
        self.made.failed('gone', 'b', 0.0)
        self.made.failed('i', 'gone', 0.0)
        self.assertEqual((), self.made.filter(fleet(), 1.0))

    def test_it_survives_and_is_forgotten(self):
        self.made.failed('i', 'b', 0.0)
        self.made.failed('i', 'b', 10.0)
        again = mishaps.Mishaps(mishaps.Params(HOUR, 8 * HOUR))
        again.restore(self.made.document())
        self.assertEqual(10.0 + 2 * HOUR, again.until(('i', 'b')))
        again.forget(9 * HOUR)
        self.assertEqual(1, len(again.document()))
        again.forget(11 * HOUR)
        self.assertEqual([], again.document())
