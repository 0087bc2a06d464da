"""Drain empties hosts and spreads what they ran."""

import collections
import unittest

import hypothesis

from kvm_balancer.model import fleet as columns
from kvm_balancer.policies import drain
from tests.fixtures import fleets
from tests.unit.planner import plans

DRAIN = drain.Drain(drain.DrainParams(limit=0.8))


def draining(name, **fields):
    return fleets.host(name, state=columns.HostState.DRAINING, **fields)


class TestDrain(unittest.TestCase):
    """Empty, soon, and nobody else hot."""

    def test_the_trigger_counts_what_has_to_leave(self):
        fleet = fleets.build(
            [draining('a'), fleets.host('b')],
            [
                fleets.instance('leaves', 'a'),
                fleets.instance('stays', 'a', movable=False),
                fleets.instance('other', 'b'),
            ],
        )
        trigger = DRAIN.trigger(fleet)
        self.assertEqual((1, 0), (trigger.level, trigger.start))
        self.assertEqual('1 instances are on 1 draining hosts', trigger.text)

    def test_a_soft_group_stays_together(self):
        """Where it fits; what does not fit goes together elsewhere."""
        policy = columns.GroupPolicy.SOFT_AFFINITY
        for memory, expected in ((64, {5}), (12, {3, 2})):
            fleet = fleets.build(
                [
                    draining('a'),
                    *(fleets.host(one, memory_gib=memory) for one in 'bcd'),
                ],
                [
                    fleets.instance(str(n), 'a', cpu=0.1, groups=('g',))
                    for n in range(5)
                ],
                [fleets.group('g', policy)],
            )
            with self.subTest(memory):
                made = DRAIN.propose(fleet, plans.full_context())
                count = collections.Counter(
                    move.destination for move in made.moves
                )
                self.assertEqual(expected, set(count.values()))

    def test_a_soft_group_that_wants_apart_meets_as_little_as_can_be(self):
        policy = columns.GroupPolicy.SOFT_ANTI_AFFINITY
        fleet = fleets.build(
            [draining('a'), *(fleets.host(one) for one in 'bcd')],
            [
                fleets.instance('there', 'b', cpu=0.1, groups=('g',)),
                *(
                    fleets.instance(str(n), 'a', cpu=0.1, groups=('g',))
                    for n in range(5)
                ),
            ],
            [fleets.group('g', policy)],
        )
        made = DRAIN.propose(fleet, plans.full_context())
        count = collections.Counter(move.destination for move in made.moves)
        self.assertEqual({'b': 1, 'c': 2, 'd': 2}, dict(count))

    def test_every_destination_gets_one_before_any_gets_two(self):
        fleet = fleets.build(
            [draining('a'), *(fleets.host(name) for name in 'bcd')],
            [fleets.instance(str(n), 'a', cpu=0.1) for n in range(6)],
        )
        made = DRAIN.propose(fleet, plans.full_context())
        count = collections.Counter(move.destination for move in made.moves)
        self.assertEqual({'b': 2, 'c': 2, 'd': 2}, dict(count))
        self.assertIn('6 moves empty 1 of 1 draining hosts', made.summary)

    def test_the_longest_goes_first(self):
        fleet = fleets.build(
            [draining('a'), *(fleets.host(name) for name in 'bcd')],
            [
                fleets.instance('small', 'a', memory_gib=2),
                fleets.instance('large', 'a', memory_gib=16),
                fleets.instance('middle', 'a', memory_gib=8),
            ],
        )
        made = DRAIN.propose(fleet, plans.full_context())
        self.assertEqual(
            ['large', 'middle', 'small'],
            [move.instance for move in made.moves],
        )

    def test_what_would_make_a_host_hot_stays_and_says_why(self):
        fleet = fleets.build(
            [draining('a'), fleets.host('b', cpu_overhead=7)],
            [
                fleets.instance('hot', 'a', cpu=3),
                fleets.instance('pinned', 'a', movable=False),
            ],
        )
        made = DRAIN.propose(fleet, plans.full_context())
        self.assertEqual((), made.moves)
        self.assertEqual(
            {
                'hot': 'of 1 other hosts, 1 would go over 0.80 CPU',
                'pinned': 'it may not be moved',
            },
            {one.instance: one.reason for one in made.unplaced},
        )
        self.assertEqual(
            '0 of 2 instances leave 1 draining host, of which 0 get empty; 2 '
            'stay there: of 1 other hosts, 1 would go over 0.80 CPU (1), and '
            '1 for other reasons',
            made.summary,
        )

    def test_what_leaves_and_what_stays_is_summed_up(self):
        fleet = fleets.build(
            [draining('a'), draining('b'), fleets.host('c')],
            [
                fleets.instance('1', 'a'),
                fleets.instance('2', 'b'),
                fleets.instance('3', 'b', movable=False),
            ],
        )
        made = DRAIN.propose(fleet, plans.full_context())
        self.assertEqual(
            '2 of 3 instances leave 2 draining hosts, of which 1 get empty; 1 '
            'stays there: it may not be moved',
            made.summary,
        )

    def test_nothing_drains_nothing_moves(self):
        fleet = fleets.build([fleets.host('a')], [])
        made = DRAIN.propose(fleet, plans.full_context())
        self.assertEqual('no host is draining: nothing to do', made.summary)

    @hypothesis.settings(max_examples=60)
    @hypothesis.given(fleets.small())
    def test_every_instance_that_stays_has_a_reason(self, fleet):
        made = DRAIN.propose(fleet, plans.full_context())
        moved = {move.instance for move in made.moves}
        state = fleet.hosts.state[fleet.instances.host]
        staying = {
            uid
            for uid, one in zip(fleet.instances.id, state, strict=True)
            if one == columns.HostState.DRAINING and uid not in moved
        }
        self.assertEqual(
            staying, {one.instance for one in made.unplaced if one.reason}
        )

    def test_it_takes_hardly_longer_than_it_must(self):
        fleet = fleets.skewed(60, 600, constraints=True)
        made = DRAIN.propose(fleet, plans.full_context())
        self.assertGreater(len(made.moves), 10)
        self.assertLessEqual(
            made.makespan_seconds, 1.1 * made.bound.makespan_seconds
        )


if __name__ == '__main__':
    unittest.main()
