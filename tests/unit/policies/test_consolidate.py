"""Consolidate empties hosts, and leaves room for a failure."""

import unittest

import hypothesis
import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import failover
from kvm_balancer.planner import packing
from kvm_balancer.planner import supply
from kvm_balancer.planner import workspace
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
    host = fleets.moved(fleet, made.moves).instances.host
    return set(host.tolist())


def homeless(fleet, made):
    """Name what fits nowhere if its host fails, zones of no move aside."""
    host = fleets.moved(fleet, made.moves).instances.host
    changed = {
        int(fleet.hosts.zone[fleet.host_row[one.source]]) for one in made.moves
    }
    memory = fleet.instances.memory_mib
    free = fleet.hosts.memory_capacity_mib.copy()
    for row, home in enumerate(host.tolist()):
        free[home] -= memory[row]
    enabled = fleet.hosts.state == columns.HostState.ENABLED
    used = [
        row
        for row in sorted(set(host.tolist()))
        if enabled[row] and int(fleet.hosts.zone[row]) in changed
    ]
    found = []
    for failed in used:
        left = {
            row: free[row]
            for row in used
            if row != failed
            and fleet.hosts.zone[row] == fleet.hosts.zone[failed]
        }
        mine = [row for row, home in enumerate(host) if home == failed]
        for row in sorted(mine, key=lambda one: -memory[one]):
            fits = [one for one, much in left.items() if much >= memory[row]]
            if not fits:
                found.append(fleet.instances.id[row])
                continue
            left[min(fits, key=left.__getitem__)] -= memory[row]
    return found


#: hosts, by the letter of their zone
ZONED = ('a1', 'a2', 'a3', 'b1', 'b2', 'b3')


class Counting(failover.Failover):
    """Counts the instances that places are looked for."""

    searched = 0

    def _guess(self, rows, goes, *asked):
        self.searched += int(np.count_nonzero(goes[rows] < 0))
        return super()._guess(rows, goes, *asked)


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

    def test_room_in_all_is_none_for_an_instance_that_fits_nowhere(self):
        """Twelve hosts with nine of sixteen GiB each: no two fit on one."""
        names = [f'h{row}' for row in range(12)]
        large = [fleets.instance(f'l-{n}', n, 0.5, 9) for n in names]
        small = fleets.instance('s', 'free', 0.5, 1)
        hosts = [fleets.host(n, memory_gib=16) for n in (*names, 'free')]
        fleet = fleets.build(hosts, [*large, small])
        made = policy().propose(fleet, plans.full_context())
        self.assertEqual((), made.moves)
        made = policy(failures=0).propose(fleet, plans.full_context())
        self.assertEqual(['s'], [one.instance for one in made.moves])

    def test_rules_hold_for_what_is_restarted_too(self):
        """Of three hosts one may be emptied, if the others take its all."""
        for fields, expected in (
            ({}, {1, 2}),
            ({'groups': ('g',)}, {0, 1, 2}),
            ({'required_aggregates': ('ssd',)}, {0, 1}),
        ):
            fleet = fleets.build(
                [
                    fleets.host('a', aggregates=('ssd',)),
                    fleets.host('b', aggregates=('ssd',)),
                    fleets.host('c'),
                ],
                [
                    fleets.instance('x', 'a', **fields),
                    fleets.instance('y', 'c'),
                    fleets.instance('z', 'b', groups=fields.get('groups', ())),
                ],
                [fleets.group('g')],
            )
            with self.subTest(fields):
                made = policy(limit=1.0).propose(fleet, plans.full_context())
                self.assertEqual(expected, occupied(fleet, made))

    def test_whichever_host_fails_all_it_runs_fits_on_the_others(self):
        for constraints in (False, True):
            fleet = fleets.skewed(60, 600, constraints=constraints)
            made = policy().propose(fleet, plans.full_context())
            self.assertTrue(made.moves)
            self.assertEqual([], homeless(fleet, made))

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

    def test_what_was_found_in_other_zones_is_kept(self):
        """Each zone is searched once, whichever is looked at in between."""
        fleet = fleets.build(
            [fleets.host(name, zone=name[0]) for name in ZONED],
            [fleets.instance(name, name) for name in ZONED],
        )
        work = workspace.Workspace(fleet, plans.full_context())
        offered = supply.capacities(fleet, 1.0)
        asked = Counting(work.state, work.admission, offered)
        nobody = np.zeros(len(fleet.hosts), np.bool_)
        counts = []
        for zone in (0, 1, 0, 1):
            inside = fleet.hosts.zone == zone
            used = supply.used(work.state)
            self.assertTrue(asked.holds(inside, used, nobody))
            counts.append(asked.searched)
        self.assertGreater(counts[1], counts[0])
        self.assertEqual([counts[1]] * 2, counts[2:])

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
            fleet.hosts.counted_on,
        )
        self.assertLessEqual(empty, most)
        self.assertGreaterEqual(empty, 0.9 * most)


if __name__ == '__main__':
    unittest.main()
