"""What moves as one is counted as one: by every rule, limit and budget."""

import unittest

import hypothesis
from hypothesis import strategies as st
import numpy as np

from kvm_balancer.filters import base
from kvm_balancer.filters import capacity
from kvm_balancer.filters import groups
from kvm_balancer.filters import headroom
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import placement
from kvm_balancer.planner import budget
from kvm_balancer.planner import context
from kvm_balancer.planner import units
from kvm_balancer.policies import drain
from tests.fixtures import fleets
from tests.unit.planner import plans

GIB = 1024.0
TOGETHER = fleets.group('together', columns.GroupPolicy.AFFINITY)
TWO = fleets.group('two', max_per_host=2)


class OneOfAKind(base.OneByOne):
    """A filter of others: at most three instances on a host."""

    name = 'few'
    dynamic = True

    def host_passes(self, state, instance, host):
        return int((state.host == host).sum()) < 3

    def reason(self, state, instance):
        return 'are full'


def draining(size=3, cpu=1.0, others=(), names=('together',), **host):
    """A host that drains, with a unit on it, and two others."""
    return fleets.build(
        [
            fleets.host('a', state=columns.HostState.DRAINING),
            fleets.host('b', **host),
            fleets.host('c', **host),
        ],
        [
            *(
                fleets.instance(f'u{row}', 'a', cpu, groups=names)
                for row in range(size)
            ),
            *others,
        ],
        (TOGETHER, TWO),
    )


def allowance(fleet, **fields):
    return budget.Ledger(budget.Params(**fields)).allowance(fleet, 0.0)


class TestUnits(unittest.TestCase):
    """A unit goes where all of it may go at once, or stays as it is."""

    def moved(self, fleet, filters=plans.FILTERS, left=None):
        limits = context.Limits().within(left)
        made = drain.Drain().propose(
            fleet,
            plans.full_context(filters=filters, allowance=left, limits=limits),
        )
        for one in made.unplaced:
            self.assertRegex(one.reason, 'at once|limit of moves')
        return len(made.moves)

    def test_members_of_another_group_are_counted_together(self):
        """One of two places is taken on both of the others."""
        names = ('together', 'two')
        for there, expected in (('bc', 0), ('b', 2)):
            others = [fleets.instance(h, h, groups=('two',)) for h in there]
            fleet = draining(2, others=others, names=names)
            with self.subTest(there):
                self.assertEqual(expected, self.moved(fleet))

    def test_so_is_a_group_of_which_more_go_than_may_meet(self):
        fleet = draining(3, names=('together', 'two'))
        self.assertEqual(0, self.moved(fleet))

    def test_cores_are_counted_together(self):
        for overhead, expected in ((2.0, 3), (5.0, 0)):
            fleet = draining(3, cpu=2.0, cpu_overhead=overhead)
            with self.subTest(overhead):
                self.assertEqual(expected, self.moved(fleet))

    def test_room_for_a_failure_is_kept_from_all_of_it(self):
        filters = (*plans.FILTERS, headroom.HeadroomFilter())
        for memory, expected in ((20, 3), (11, 0)):
            fleet = draining(3, memory_gib=memory)
            with self.subTest(memory):
                self.assertEqual(expected, self.moved(fleet, filters))

    def test_budgets_are_spent_by_all_of_it(self):
        fleet = draining(3)
        for fields, expected in (
            ({'host_moves': 3}, 3),
            ({'host_moves': 2}, 0),
            ({'nic_gib': 12.0}, 3),
            ({'nic_gib': 11.0}, 0),
            ({'gib': 12.0}, 3),
            ({'gib': 11.0}, 0),
            ({'moves': 2}, 0),
        ):
            with self.subTest(fields):
                left = allowance(fleet, **fields)
                self.assertEqual(expected, self.moved(fleet, left=left))

    def test_a_filter_of_others_sees_it_arrive(self):
        for there, expected in ((0, 3), (1, 0)):
            others = [fleets.instance(f'o{h}', h) for h in 'bc' * there]
            fleet = draining(3, others=others)
            with self.subTest(there):
                filters = (*plans.FILTERS, OneOfAKind())
                self.assertEqual(expected, self.moved(fleet, filters))


class TestColumns(unittest.TestCase):
    """Filters that count sets say what one member after the other says."""

    @hypothesis.settings(max_examples=60)
    @hypothesis.given(fleets.small(), st.integers(1, 3))
    def test_one_after_the_other(self, fleet, most):
        state = placement.Placement(fleet)
        whole = units.make_units(state, fleet.instances.movable)
        hosts = np.arange(len(fleet.hosts), dtype=np.int32)
        several = np.flatnonzero(whole.size > 1)
        left = allowance(fleet, host_moves=most, nic_gib=4.0 * most)
        mib = fleet.instances.memory_usage_mib
        for one in (
            capacity.CapacityFilter(),
            groups.GroupsFilter(),
            headroom.HeadroomFilter(),
            budget.Budget(left, mib),
        ):
            for unit in several.tolist():
                members = whole.of(unit)
                others = hosts[hosts != state.host[members[0]]]
                sets = (state, members, np.zeros(1, np.int32), others)
                before = state.room.copy(), state.host.copy()
                passed = base.Filter.passes_together(one, *sets)
                self.assertEqual(
                    passed.tolist(),
                    np.broadcast_to(
                        one.passes_together(*sets), passed.shape
                    ).tolist(),
                    one.name,
                )
                for was, now in zip(
                    before, (state.room, state.host), strict=True
                ):
                    self.assertTrue(np.array_equal(was, now))


if __name__ == '__main__':
    unittest.main()
