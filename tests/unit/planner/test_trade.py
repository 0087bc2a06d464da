"""Trade: what swaps and chains reach, and what it keeps to."""

import unittest
from unittest import mock

import hypothesis
import numpy as np

from kvm_balancer.filters import base as filters
from kvm_balancer.planner import context
from kvm_balancer.planner import greedy
from kvm_balancer.planner import layout
from kvm_balancer.planner import prices
from kvm_balancer.planner import score
from kvm_balancer.planner import trade
from kvm_balancer.planner import workspace
from kvm_balancer.policies import spread
from tests.fixtures import fleets
from tests.fixtures import judge
from tests.unit.planner import plans


class _Asked(filters.OneByOne):
    """A filter of others, which has nothing against anything."""

    name = 'asked'
    dynamic = True

    def host_passes(self, state, instance, host):
        return True

    def reason(self, state, instance):
        return 'are never refused'


quick = hypothesis.settings(max_examples=40)


def traded(fleet, target, **fields):
    """Return the spread and cost before and after, and the snapshot."""
    work = workspace.Workspace(fleet, plans.full_context(**fields))
    prefer = work.context.prefer
    greedy.Descent(work).run(target)
    units = [step.unit for step in work.steps]
    before = (
        max(target, score.spread(work.state.cpu_load, fleet.counted)),
        float(prices.of(work, prefer).units[units].sum()),
    )
    kept = trade.Trade(work, 0, target, prefer).run()
    after = (kept.squares / max(1, fleet.counted.sum())) ** 0.5
    return before, (max(target, after), kept.cost), kept


class TestReach(unittest.TestCase):
    """What no single move reaches."""

    def test_a_swap_evens_out_what_no_single_move_does(self):
        hosts = [fleets.host(name, memory_gib=12) for name in 'abc']
        fleet = fleets.build(
            hosts,
            [
                fleets.instance('hot-1', 'a', cpu=4, memory_gib=4),
                fleets.instance('hot-2', 'a', cpu=4, memory_gib=4),
                fleets.instance('cold-1', 'b', cpu=0.5, memory_gib=4),
                fleets.instance('cold-2', 'b', cpu=0.5, memory_gib=4),
                fleets.instance('even', 'c', cpu=4.5, memory_gib=4),
            ],
        )
        policy = spread.Spread(spread.SpreadParams(target=0.02))
        made = policy.propose(fleet, plans.full_context())
        self.assertLessEqual(made.after.cpu_stddev, 0.02)
        self.assertEqual([], judge.run_orders(fleet, made.moves))

    def test_a_zone_of_one_host_comes_to_an_end(self):
        fleet = fleets.build(
            [fleets.host('a', zone='x'), fleets.host('b', zone='y')],
            [fleets.instance('one', 'a', cpu=9)],
        )
        _, _, kept = traded(fleet, 0.0)
        self.assertEqual([], layout.ways(kept))

    def test_where_all_is_even_it_ends_at_once(self):
        """No load is as even as nothing: rounding leaves a trace."""
        fleet = fleets.build(
            [fleets.host('a', cpus=10), fleets.host('b', cpus=10)],
            [
                fleets.instance(f'{name}-{cpu}', name, cpu=cpu)
                for name, cpu in (
                    *(('a', 2.7), ('a', 3.2), ('a', 1.7), ('a', 1.1)),
                    *(('b', 0.4), ('b', 1.8), ('b', 3.7), ('b', 0.6)),
                )
            ],
        )
        with mock.patch.object(
            trade.Trade,
            '_sweep',
            autospec=True,
            side_effect=trade.Trade._sweep,
        ) as sweep:
            _, after, _ = traded(fleet, 0.0)
        self.assertLess(after[0], 1e-6)
        self.assertLess(sweep.call_count, 200)

    def limited(self, fleet, moves):
        """Return the plan of so many moves, and the sweeps it took."""
        policy = spread.Spread(spread.SpreadParams(target=0.01))
        asked = plans.full_context(limits=context.Limits(max_moves=moves))
        with mock.patch.object(
            trade.Trade,
            '_sweep',
            autospec=True,
            side_effect=trade.Trade._sweep,
        ) as sweep:
            return policy.propose(fleet, asked), sweep.call_count

    def test_what_no_plan_within_a_limit_beats_is_not_traded(self):
        fleet = fleets.build(
            [fleets.host(name) for name in 'abcd'],
            [fleets.instance(str(one), 'a', cpu=2) for one in range(4)],
        )
        made, sweeps = self.limited(fleet, 1)
        self.assertEqual((1, 0), (len(made.moves), sweeps))

    def test_within_a_limit_it_ends_where_little_is_won(self):
        made, sweeps = self.limited(fleets.skewed(40, 400), 6)
        self.assertEqual(6, len(made.moves))
        self.assertGreater(sweeps, 0)
        self.assertLess(sweeps, 50)

    def test_what_was_bought_at_any_price_is_given_back(self):
        """Where single moves get stuck, no more is moved than it takes."""
        fleet = fleets.skewed(80, 800, seed=2)
        before, after, kept = traded(fleet, 0.01)
        self.assertGreater(before[0], 0.01)
        self.assertEqual(0.01, after[0])
        reached = (kept.squares / fleet.counted.sum()) ** 0.5
        self.assertGreater(reached, 0.009)


class TestProperties(unittest.TestCase):
    """What holds of every fleet."""

    @quick
    @hypothesis.given(
        fleets.small(), hypothesis.strategies.sampled_from(context.Prefer)
    )
    def test_it_is_never_worse_than_what_it_began_with(self, fleet, prefer):
        before, after, _ = traded(fleet, 0.05, prefer=prefer)
        self.assertLessEqual(after[0], before[0] + 1e-6)
        if after[0] >= before[0] - 1e-6:
            self.assertLessEqual(after[1], before[1] + 1e-6)

    @quick
    @hypothesis.given(fleets.small(), hypothesis.strategies.integers(1, 4))
    def test_limits_are_kept(self, fleet, most):
        limits = context.Limits(max_moves=most, max_mib=8192.0)
        made = spread.Spread(spread.SpreadParams(target=0.0)).propose(
            fleet, plans.full_context(limits=limits)
        )
        self.assertLessEqual(len(made.moves), most)
        self.assertEqual([], judge.broken_rules(fleet, made.moves))
        rows = [fleet.instance_row[move.instance] for move in made.moves]
        carried = fleet.instances.memory_usage_mib[rows].sum()
        self.assertLessEqual(carried, 8192.0 + 1e-6)

    def test_the_placement_says_what_the_steps_say_afterwards(self):
        """Also where filters are asked on the way, with it as it would be."""
        work = workspace.Workspace(
            fleets.skewed(20, 200, seed=2),
            plans.full_context(filters=(*plans.FILTERS, _Asked())),
        )
        greedy.Descent(work).run(0.2)
        self.assertGreater(len(work.steps), 0)
        host, room = work.state.host.copy(), work.state.room.copy()
        kept = trade.Trade(work, 0, 0.05, context.Prefer.MOVES).run()
        self.assertGreater(len(kept.units), len(work.steps))
        np.testing.assert_array_equal(host, work.state.host)
        np.testing.assert_allclose(room, work.state.room, atol=1e-6)

    def test_same_seed_same_moves(self):
        fleet = fleets.skewed(40, 400, seed=2, constraints=True)
        first, second = (
            layout.ways(traded(fleet, 0.08, seed=7)[2]) for _ in range(2)
        )
        self.assertEqual(first, second)


class TestPreference(unittest.TestCase):
    """What a plan is sparing with, within its limits."""

    def test_a_limit_of_moves_is_met_with_larger_ones(self):
        fleet = fleets.skewed(60, 600, seed=1)
        policy = spread.Spread(spread.SpreadParams(target=0.12))
        few = policy.propose(fleet, plans.full_context())
        made = policy.propose(
            fleet,
            plans.full_context(
                prefer=context.Prefer.GIB,
                limits=context.Limits(max_moves=len(few.moves) + 1),
            ),
        )
        self.assertLessEqual(made.after.cpu_stddev, 0.12)
        self.assertLessEqual(len(made.moves), len(few.moves) + 1)


if __name__ == '__main__':
    unittest.main()
