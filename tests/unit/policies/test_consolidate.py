"""Consolidate empties hosts, and leaves room for a failure."""

import unittest

import hypothesis

from kvm_balancer.planner import packing
from kvm_balancer.policies import consolidate
from tests.fixtures import fleets
from tests.fixtures import judge
from tests.unit.planner import plans


def policy(**fields):
    return consolidate.Consolidate(consolidate.ConsolidateParams(**fields))


def even(hosts, each, **fields):
    """Hosts that all run as much."""
    names = [f'h{row}' for row in range(hosts)]
    return fleets.build(
        [fleets.host(name, memory_gib=16) for name in names],
        [
            fleets.instance(f'{name}-{n}', name, cpu=0.5, **fields)
            for name in names
            for n in range(each)
        ],
    )


def occupied(fleet, made):
    host = fleet.instances.host.copy()
    for move in made.moves:
        host[fleet.instance_row[move.instance]] = fleet.host_row[
            move.destination
        ]
    return set(host.tolist())


class TestConsolidate(unittest.TestCase):
    """Most empty hosts, under the limit, with room to spare."""

    def test_room_for_the_failures_asked_for_is_left(self):
        """Four hosts with four of sixteen GiB each would fit on one."""
        fleet = even(4, 1)
        for failures, expected in ((0, 1), (1, 2), (2, 3), (3, 4)):
            with self.subTest(failures):
                made = policy(failures=failures).propose(
                    fleet, plans.full_context()
                )
                self.assertEqual(expected, len(occupied(fleet, made)))

    def test_no_host_goes_over_the_limit(self):
        fleet = even(4, 4, memory_gib=1)
        made = policy(failures=0, limit=0.5).propose(
            fleet, plans.full_context()
        )
        self.assertEqual(2, len(occupied(fleet, made)))
        self.assertLessEqual(made.after.cpu_max, 0.5)

    def test_a_host_that_cannot_be_emptied_is_left_alone(self):
        fleet = even(3, 1, movable=False)
        made = policy(failures=0).propose(fleet, plans.full_context())
        self.assertEqual((), made.moves)
        self.assertIn('no other can be emptied', made.summary)

    def test_a_small_one_makes_way_for_a_large_one(self):
        fleet = fleets.build(
            [fleets.host(name, memory_gib=16) for name in 'abc'],
            [
                fleets.instance('a', 'a', memory_gib=7),
                fleets.instance('b1', 'b', memory_gib=8),
                fleets.instance('b2', 'b', memory_gib=4),
                fleets.instance('c', 'c', memory_gib=11),
            ],
        )
        made = policy(failures=0).propose(fleet, plans.full_context())
        self.assertEqual(
            [('b2', 'c'), ('a', 'b')],
            [(one.instance, one.destination) for one in made.moves],
        )

    def test_the_trigger_says_how_many_could_be_emptied(self):
        trigger = policy(failures=1).trigger(even(4, 1))
        self.assertEqual(2, trigger.level)
        self.assertEqual('0 hosts are empty; at most 2 could be', trigger.text)

    @hypothesis.settings(max_examples=100)
    @hypothesis.given(fleets.small())
    def test_no_plan_brings_a_host_over_the_limit(self, fleet):
        made = policy(limit=0.6).propose(fleet, plans.full_context())
        loads = zip(*judge.loads(fleet, made.moves), strict=True)
        for before, after in loads:
            self.assertLessEqual(after, max(0.6, before) + 1e-9)

    def test_larger_fleets_come_near_the_bound(self):
        fleet = fleets.skewed(60, 600)
        made = policy().propose(fleet, plans.full_context())
        empty = len(fleet.hosts) - len(occupied(fleet, made))
        state = plans.placed(fleet)
        most = packing.most_empty(
            state,
            fleet.instances.movable,
            0.8,
            1,
            packing.candidates(fleet),
        )
        self.assertLessEqual(empty, most)
        self.assertGreaterEqual(empty, 0.9 * most)


if __name__ == '__main__':
    unittest.main()
