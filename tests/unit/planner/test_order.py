"""Moves wait for what they need, and for nothing else."""

import unittest

from kvm_balancer.model import placement
from kvm_balancer.planner import order
from kvm_balancer.planner import workspace
from tests.fixtures import fleets
from tests.unit.planner import plans


def arranged(fleet, *steps):
    """Return ``after`` of each move of (instance, destination) steps."""
    work = workspace.Workspace(fleet, plans.full_context())
    for uid, there in steps:
        work.move(fleet.instance_row[uid], fleet.host_row[there])
    return [
        one.after for one in order.arrange(placement.Placement(fleet), work)
    ]


class TestOrder(unittest.TestCase):
    """What waits for what."""

    def test_moves_into_free_room_wait_for_nothing(self):
        fleet = fleets.build(
            [fleets.host('a', memory_gib=8), fleets.host('b', memory_gib=8)],
            [
                fleets.instance('x', 'a', memory_gib=4),
                fleets.instance('y', 'b', memory_gib=4),
            ],
        )
        self.assertEqual([(), ()], arranged(fleet, ('x', 'b'), ('y', 'a')))

    def test_a_move_waits_for_the_departure_that_makes_room_for_it(self):
        fleet = fleets.build(
            [
                fleets.host('a', memory_gib=8),
                fleets.host('b', memory_gib=8),
                fleets.host('c', memory_gib=8),
            ],
            [
                fleets.instance('x', 'a', memory_gib=6),
                fleets.instance('y', 'b', memory_gib=6),
            ],
        )
        self.assertEqual([(), (0,)], arranged(fleet, ('y', 'c'), ('x', 'b')))

    def test_no_room_is_spent_twice(self):
        """Two arrivals need the room of two departures: one each."""
        fleet = fleets.build(
            [
                fleets.host('a', memory_gib=16),
                fleets.host('b', memory_gib=8),
                fleets.host('c', memory_gib=16),
            ],
            [
                fleets.instance('x1', 'a', memory_gib=4),
                fleets.instance('x2', 'a', memory_gib=4),
                fleets.instance('y1', 'b', memory_gib=4),
                fleets.instance('y2', 'b', memory_gib=4),
            ],
        )
        found = arranged(
            fleet, ('y1', 'c'), ('y2', 'c'), ('x1', 'b'), ('x2', 'b')
        )
        self.assertEqual([(), (), (0,), (1,)], found)

    def test_a_debt_is_settled_before_room_is_free(self):
        """A host that is overfilled at the start takes nothing for long."""
        fleet = fleets.build(
            [
                fleets.host('a', memory_gib=8),
                fleets.host('b', memory_gib=8),
                fleets.host('c', memory_gib=32),
            ],
            [
                fleets.instance('x', 'a', memory_gib=2),
                fleets.instance('y1', 'b', memory_gib=6),
                fleets.instance('y2', 'b', memory_gib=6),
            ],
        )
        found = arranged(fleet, ('y1', 'c'), ('x', 'b'))
        self.assertEqual([(), (0,)], found)

    def test_a_member_comes_after_the_one_it_must_not_meet_has_left(self):
        fleet = fleets.build(
            [fleets.host('a'), fleets.host('b'), fleets.host('c')],
            [
                fleets.instance('x', 'a', groups=('g',)),
                fleets.instance('y', 'b', groups=('g',)),
            ],
            [fleets.group('g')],
        )
        self.assertEqual([(), (0,)], arranged(fleet, ('y', 'c'), ('x', 'b')))

    def test_as_many_members_may_meet_as_the_group_allows(self):
        fleet = fleets.build(
            [fleets.host('a'), fleets.host('b'), fleets.host('c')],
            [
                fleets.instance('x', 'a', groups=('g',)),
                fleets.instance('y', 'b', groups=('g',)),
            ],
            [fleets.group('g', max_per_host=2)],
        )
        self.assertEqual([(), ()], arranged(fleet, ('y', 'c'), ('x', 'b')))


if __name__ == '__main__':
    unittest.main()
