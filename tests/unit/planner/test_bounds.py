"""Bounds hold against every placement there is, on fleets small enough."""

import itertools
import statistics
import unittest

import hypothesis

from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.planner import bounds
from tests.fixtures import fleets

_MOST_PLACEMENTS = 3000


def every_placement(fleet):
    """Yield the loads of all placements of movable instances, and moves.

    Room and groups are left out: bounds hold even then.
    """
    hosts, guests = fleet.hosts, fleet.instances
    open_hosts = [
        row
        for row in range(len(hosts))
        if hosts.state[row] == columns.HostState.ENABLED
        and not hosts.silent[row]
    ]
    choices = []
    for row, home in enumerate(guests.host.tolist()):
        others = [
            host
            for host in open_hosts
            if hosts.zone[host] == hosts.zone[home] and host != home
        ]
        choices.append([home, *(others if guests.movable[row] else [])])
    for places in itertools.product(*choices):
        cores = hosts.cpu_overhead.tolist()
        for row, host in enumerate(places):
            cores[host] += float(guests.cpu_usage[row])
        loads = [
            used / float(cpus)
            for used, cpus in zip(cores, hosts.cpus, strict=True)
        ]
        moves = sum(
            host != home
            for host, home in zip(places, guests.host.tolist(), strict=True)
        )
        yield loads, moves


def countable(fleet):
    choices = 1
    for movable in fleet.instances.movable:
        choices *= len(fleet.hosts) if movable else 1
    return choices <= _MOST_PLACEMENTS


class TestBounds(unittest.TestCase):
    """Against the optimum, found by trying everything."""

    quick = hypothesis.settings(
        max_examples=60,
        suppress_health_check=[
            hypothesis.HealthCheck.filter_too_much,
            hypothesis.HealthCheck.too_slow,
        ],
    )

    @quick
    @hypothesis.given(fleets.small())
    def test_they_hold(self, fleet):
        hypothesis.assume(countable(fleet))
        state = placement.Placement(fleet)
        free = fleet.instances.movable
        peak = bounds.peak(state, free)
        least = bounds.spread(state, free)
        to_limit = bounds.moves_to_limit(state, free, 0.3)
        to_spread = bounds.moves_to_spread(state, free, 0.05)
        floors = [
            bounds.squares_after(state, free, moves, fleet.counted)
            for moves in range(len(fleet.instances) + 1)
        ]
        for loads, moves in every_placement(fleet):
            counted = list(itertools.compress(loads, fleet.counted))
            spread = statistics.pstdev(counted)
            squares = len(counted) * spread**2
            self.assertLessEqual(floors[moves], squares + 1e-9)
            self.assertLessEqual(peak, max(counted) + 1e-9)
            if least is not None:
                self.assertLessEqual(least, spread + 1e-6)
            if to_spread is not None and spread <= 0.05:
                self.assertLessEqual(to_spread, moves)
            if max(loads) <= 0.3:
                self.assertIsNotNone(to_limit)
                self.assertLessEqual(to_limit, moves)

    def test_the_mean_is_the_least_peak_of_a_zone(self):
        fleet = fleets.build(
            [fleets.host('a'), fleets.host('b')],
            [fleets.instance(str(n), 'a', cpu=1) for n in range(6)],
        )
        state = placement.Placement(fleet)
        self.assertAlmostEqual(
            0.3, bounds.peak(state, fleet.instances.movable)
        )

    def test_a_large_instance_has_to_be_somewhere(self):
        fleet = fleets.build(
            [fleets.host('a'), fleets.host('b', cpus=20)],
            [fleets.instance('big', 'a', cpu=8)],
        )
        state = placement.Placement(fleet)
        self.assertAlmostEqual(
            0.4, bounds.peak(state, fleet.instances.movable)
        )

    def test_zones_with_different_means_put_a_floor_under_the_spread(self):
        fleet = fleets.build(
            [
                fleets.host('a1', zone='a'),
                fleets.host('a2', zone='a'),
                fleets.host('b1', zone='b'),
                fleets.host('b2', zone='b'),
            ],
            [fleets.instance('x', 'a1', cpu=4)],
        )
        state = placement.Placement(fleet)
        self.assertAlmostEqual(
            0.1, bounds.spread(state, fleet.instances.movable)
        )

    def test_moves_to_a_limit_are_those_of_the_largest_instances(self):
        fleet = fleets.build(
            [fleets.host('a'), fleets.host('b')],
            [
                fleets.instance(str(n), 'a', cpu=cpu)
                for n, cpu in enumerate((1, 1, 2, 2, 3))
            ],
        )
        state = placement.Placement(fleet)
        for limit, moves in ((0.9, 0), (0.6, 1), (0.5, 2), (0.2, 3)):
            with self.subTest(limit=limit):
                self.assertEqual(
                    moves,
                    bounds.moves_to_limit(
                        state, fleet.instances.movable, limit
                    ),
                )

    def test_nothing_is_proven_where_no_moves_suffice(self):
        fleet = fleets.build(
            [fleets.host('a'), fleets.host('b')],
            [fleets.instance('x', 'a', cpu=9, movable=False)],
        )
        state = placement.Placement(fleet)
        self.assertIsNone(
            bounds.moves_to_limit(state, fleet.instances.movable, 0.5)
        )


if __name__ == '__main__':
    unittest.main()
