"""Who came back is left there, until much more is to be gained."""

import unittest

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import rounds
from tests.fixtures import fleets

HOUR = 3600.0


def build(load, home='a', **fields):
    return fleets.build(
        [fleets.host('a', cpu_overhead=load, **fields), fleets.host('b')],
        [fleets.instance('i', home, cpu=0.0)],
    )


class RoundsTest(unittest.TestCase):
    def setUp(self):
        self.made = rounds.Rounds(rounds.Params(24 * HOUR, 2.0))

    def go_round(self, gap=0.2):
        self.assertFalse(self.made.moved('i', 'a', 'b', gap, 0.0))
        self.assertTrue(self.made.moved('i', 'b', 'a', 0.1, HOUR))

    def test_one_that_came_back_is_held(self):
        self.go_round()
        self.assertEqual([True], self.made.holding(build(3.0)).tolist())
        self.assertEqual('a', self.made.held['i'].host)

    def test_also_through_a_third_host(self):
        for source, destination, back in (
            ('a', 'b', False),
            ('b', 'c', False),
            ('c', 'a', True),
        ):
            found = self.made.moved('i', source, destination, 0.2, 1.0)
            self.assertEqual(back, found)

    def test_one_that_goes_on_is_not(self):
        self.made.moved('i', 'a', 'b', 0.2, 0.0)
        self.assertFalse(self.made.moved('i', 'b', 'c', 0.2, HOUR))

    def test_after_a_day_it_is_no_round(self):
        self.made.moved('i', 'a', 'b', 0.2, 0.0)
        self.assertFalse(self.made.moved('i', 'b', 'a', 0.2, 25 * HOUR))

    def test_a_much_larger_gain_lets_it_go(self):
        self.go_round(gap=0.2)
        for load, held in ((3.0, True), (3.9, True), (4.1, False)):
            with self.subTest(load=load):
                mask = self.made.holding(build(load))
                self.assertEqual([held], mask.tolist())

    def test_so_does_a_full_host_where_twice_as_much_cannot_be(self):
        self.go_round(gap=0.7)
        for load, held in ((8.4, True), (8.6, False)):
            with self.subTest(load=load):
                mask = self.made.holding(build(load))
                self.assertEqual([held], mask.tolist())

    def test_an_operator_lets_it_go(self):
        self.go_round()
        self.assertTrue(self.made.release('i'))
        self.assertFalse(self.made.release('i'))
        self.assertEqual([False], self.made.holding(build(3.0)).tolist())

    def test_who_has_to_leave_may(self):
        self.go_round()
        draining = build(3.0, state=columns.HostState.DRAINING)
        self.assertEqual([False], self.made.holding(draining).tolist())

    def test_one_that_others_moved_is_not_held(self):
        self.go_round()
        elsewhere = build(3.0, home='b')
        self.assertEqual([False], self.made.holding(elsewhere).tolist())

    def test_it_survives_a_restart(self):
        self.go_round()
        again = rounds.Rounds(rounds.Params(24 * HOUR, 2.0))
        again.restore(self.made.document())
        self.assertEqual(self.made.held, again.held)
        self.assertTrue(again.moved('i', 'a', 'b', 0.1, 2 * HOUR))
