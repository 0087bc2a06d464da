"""Disks that are copied along cost a move time and bandwidth."""

import unittest

from kvm_balancer.migration import request
from kvm_balancer.migration.options import scopes
from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import context
from kvm_balancer.planner import outlook
from kvm_balancer.planner import terms
from kvm_balancer.policies import drain
from tests.fixtures import fleets
from tests.unit.planner import plans

_COPIED = scopes.Scopes(request.Options(copy_storage=True))
_LEFT = scopes.Scopes(request.Options())
_RATE_MIB_S, _DISK_GIB = 1024.0, 20.0


def fleet(own_gib):
    """Two hosts, with so much disk of their own, and one to be emptied."""
    fields = {'disk_gib': own_gib, 'migration_mib_s': _RATE_MIB_S}
    return fleets.build(
        [
            fleets.host('a', state=columns.HostState.DRAINING, **fields),
            fleets.host('b', **fields),
        ],
        [fleets.instance('i', 'a', disk_gib=_DISK_GIB)],
    )


def proposed(own_gib, rules):
    policy = drain.Drain(drain.DrainParams(limit=0.9))
    return policy.propose(fleet(own_gib), plans.full_context(migration=rules))


class DisksTest(unittest.TestCase):
    def test_local_disks_count_where_they_are_copied(self):
        plain = proposed(100.0, _LEFT)
        (memory,) = plain.moves
        self.assertEqual(0.0, memory.prediction.disk_mib)
        made = proposed(100.0, _COPIED)
        (move,) = made.moves
        told = move.prediction
        self.assertEqual(_DISK_GIB * 1024.0, told.disk_mib)
        self.assertEqual(_DISK_GIB, told.disk_seconds)
        self.assertEqual(memory.prediction.seconds, told.seconds)
        self.assertEqual(told.mib + told.disk_mib, told.total_mib)
        self.assertEqual(told.total_mib, made.frontier[-1].mib)
        self.assertAlmostEqual(
            plain.makespan_seconds + _DISK_GIB, made.makespan_seconds
        )
        self.assertLessEqual(
            made.bound.makespan_seconds, made.makespan_seconds
        )

    def test_shared_disks_cost_nothing(self):
        (move,) = proposed(0.0, _COPIED).moves
        self.assertEqual(0.0, move.prediction.disk_mib)
        self.assertEqual(0.0, move.prediction.disk_seconds)

    def test_the_limit_of_the_bandwidth_holds_for_disks_too(self):
        slow = scopes.Scopes(
            request.Options(copy_storage=True, bandwidth_mib_s=512)
        )
        (move,) = proposed(100.0, slow).moves
        self.assertEqual(2 * _DISK_GIB, move.prediction.disk_seconds)

    def test_the_limit_of_a_plan_counts_disks(self):
        """Four GiB of memory go, and twenty of a disk with them."""
        for gib, rules, expected in (
            (23.0, _LEFT, 1),
            (23.0, _COPIED, 0),
            (24.0, _COPIED, 1),
        ):
            limits = context.Limits(max_mib=gib * 1024.0)
            made = drain.Drain().propose(
                fleet(100.0),
                plans.full_context(migration=rules, limits=limits),
            )
            with self.subTest(gib, rules=rules):
                self.assertEqual(expected, len(made.moves))

    def test_what_is_copied_is_part_of_what_a_move_has_to_be_worth(self):
        seen = fleet(100.0)
        spent = [
            outlook.Forecast(seen, terms.Terms(seen, rules))
            .outlook()
            .core_seconds[0]
            for rules in (_LEFT, _COPIED)
        ]
        self.assertAlmostEqual(2.0 * _DISK_GIB, spent[1] - spent[0])
