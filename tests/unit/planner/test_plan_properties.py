"""What holds of every plan, whatever the fleet."""

import statistics
import unittest
import warnings

import hypothesis
from hypothesis import strategies as st
import numpy as np

from kvm_balancer.model import placement
from kvm_balancer.model import plan as plan_model
from kvm_balancer.planner import context
from kvm_balancer.policies import composition
from kvm_balancer.policies import consolidate
from kvm_balancer.policies import drain
from kvm_balancer.policies import relieve
from kvm_balancer.policies import relieve_limits
from kvm_balancer.policies import repair
from kvm_balancer.policies import spread
from tests.fixtures import fleets
from tests.fixtures import judge
from tests.unit.planner import plans

SPREAD = spread.Spread(spread.SpreadParams(target=0.05))
RELIEVE = relieve.Relieve(relieve_limits.RelieveParams(limit=0.5))
REPAIR = repair.Repair()
DRAIN = drain.Drain()
CONSOLIDATE = consolidate.Consolidate()
POLICIES = st.sampled_from(
    (
        (SPREAD,),
        (RELIEVE,),
        (RELIEVE, SPREAD),
        (SPREAD, RELIEVE),
        (REPAIR,),
        (DRAIN,),
        (CONSOLIDATE,),
        (REPAIR, DRAIN, RELIEVE, SPREAD, CONSOLIDATE),
    )
)
quick = hypothesis.settings(max_examples=60)


def propose(policies, fleet, **fields):
    return composition.propose(policies, fleet, plans.full_context(**fields))


def counted_loads(fleet, loads):
    return [
        load
        for load, counts in zip(loads, fleet.counted, strict=True)
        if counts
    ]


class TestEveryPlan(unittest.TestCase):
    """Properties over random small fleets."""

    @quick
    @hypothesis.given(fleets.small(), POLICIES, st.integers(0, 99))
    def test_no_host_is_overfilled_in_any_order(self, fleet, policies, seed):
        made = propose(policies, fleet)
        self.assertEqual([], judge.run_orders(fleet, made.moves, seed))

    @quick
    @hypothesis.given(fleets.small(), POLICIES)
    def test_no_rule_is_broken(self, fleet, policies):
        made = propose(policies, fleet)
        self.assertEqual([], judge.broken_rules(fleet, made.moves))

    @quick
    @hypothesis.given(fleets.small())
    def test_spread_never_makes_the_spread_worse(self, fleet):
        made = propose((SPREAD,), fleet)
        before, after = (
            statistics.pstdev(counted_loads(fleet, one))
            for one in judge.loads(fleet, made.moves)
        )
        self.assertLessEqual(after, before + 1e-9)
        self.assertAlmostEqual(made.before.cpu_stddev, before)
        self.assertAlmostEqual(made.after.cpu_stddev, after)

    @quick
    @hypothesis.given(fleets.small())
    def test_relieve_brings_no_host_over_the_limit(self, fleet):
        made = propose((RELIEVE,), fleet)
        before, after = judge.loads(fleet, made.moves)
        for cold, hot in zip(before, after, strict=True):
            self.assertLessEqual(hot, max(0.5, cold) + 1e-6)

    @quick
    @hypothesis.given(fleets.small())
    def test_every_host_that_stays_hot_has_a_reason(self, fleet):
        made = propose((RELIEVE,), fleet)
        _, after = judge.loads(fleet, made.moves)
        hot = {
            name
            for name, load in zip(fleet.hosts.name, after, strict=True)
            if load > 0.5 + 1e-6
        }
        named = {
            one.host
            for one in made.still_hot
            if one.reading is plan_model.Reading.CPU
        }
        self.assertEqual(hot, named)
        self.assertTrue(all(one.reason for one in made.still_hot))

    @quick
    @hypothesis.given(fleets.small(), POLICIES)
    def test_no_instance_moves_twice(self, fleet, policies):
        moved = [move.instance for move in propose(policies, fleet).moves]
        self.assertEqual(len(moved), len(set(moved)))

    @quick
    @hypothesis.given(fleets.small(), POLICIES, st.randoms())
    def test_what_cools_down_is_left_alone(self, fleet, policies, rnd):
        cooling = np.array([rnd.random() < 0.4 for _ in fleet.instances.id])
        closed = np.array([rnd.random() < 0.3 for _ in fleet.hosts.name])
        made = propose(
            policies, fleet, cooling_instances=cooling, cooling_hosts=closed
        )
        for move in made.moves:
            self.assertFalse(cooling[fleet.instance_row[move.instance]])
            self.assertFalse(closed[fleet.host_row[move.source]])
            self.assertFalse(closed[fleet.host_row[move.destination]])

    @quick
    @hypothesis.given(fleets.small(), POLICIES, st.data())
    def test_running_migrations_keep_their_room(self, fleet, policies, data):
        """Ours, and those that only the samples of two hosts tell of."""
        row = data.draw(st.integers(0, len(fleet.instances) - 1))
        there = data.draw(st.integers(0, len(fleet.hosts) - 1))
        running: tuple[placement.InFlight, ...] = ()
        if data.draw(st.booleans(), 'asked for by us'):
            running = (placement.InFlight(row, there),)
        if not running or data.draw(st.booleans(), 'seen on two hosts'):
            fleet = fleets.in_transit(
                fleet,
                fleet.instances.id[row],
                fleet.hosts.name[there],
                data.draw(st.booleans(), 'arriving'),
            )
        made = propose(policies, fleet, in_flight=running)
        uid = fleet.instances.id[row]
        self.assertNotIn(uid, [move.instance for move in made.moves])
        # the guest stands on both ends for as long as nobody knows better
        board = judge.Board(fleet, made.moves)
        board.on[there].add(row)
        board.start.setdefault(there, set()).add(row)
        for index in range(len(made.moves)):
            board.begin(index)
            board.end(index)
        self.assertEqual([], board.faults)

    @quick
    @hypothesis.given(fleets.small(), POLICIES, st.integers(1, 3))
    def test_no_more_moves_than_allowed(self, fleet, policies, most):
        limits = context.Limits(max_moves=most)
        made = propose(policies, fleet, limits=limits)
        self.assertLessEqual(len(made.moves), most)

    @quick
    @hypothesis.given(fleets.small(), POLICIES)
    def test_the_same_fleet_gives_the_same_plan(self, fleet, policies):
        self.assertEqual(propose(policies, fleet), propose(policies, fleet))

    @quick
    @hypothesis.given(fleets.small(), POLICIES)
    def test_the_frontier_says_what_prefixes_are_worth(self, fleet, policies):
        made = propose(policies, fleet)
        for point in made.frontier:
            moves = made.moves[: point.moves]
            _, after = judge.loads(fleet, moves)
            self.assertAlmostEqual(
                statistics.pstdev(counted_loads(fleet, after)),
                point.cpu_stddev,
            )
            self.assertAlmostEqual(
                sum(move.prediction.mib for move in moves), point.mib
            )

    @quick
    @hypothesis.given(fleets.small(), POLICIES)
    def test_no_plan_beats_its_bounds(self, fleet, policies):
        made = propose(policies, fleet)
        self.assertLessEqual(made.bound.cpu_max, made.after.cpu_max + 1e-9)
        if made.bound.cpu_stddev is not None:
            self.assertLessEqual(
                made.bound.cpu_stddev, made.after.cpu_stddev + 1e-9
            )
        self.assertLessEqual(
            made.bound.makespan_seconds, made.makespan_seconds + 1e-6
        )

    @quick
    @hypothesis.given(fleets.small())
    def test_no_plan_gets_there_with_fewer_moves(self, fleet):
        made = propose((SPREAD,), fleet)
        if made.bound.moves is not None and made.after.cpu_stddev <= 0.05:
            self.assertLessEqual(made.bound.moves, len(made.moves))


class TestEdges(unittest.TestCase):
    """Fleets with hardly anything in them."""

    def plan(self, hosts, instances):
        policies = (relieve.Relieve(), spread.Spread())
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            made = propose(policies, fleets.build(hosts, instances))
        self.assertEqual((), made.warnings)
        return made

    def test_without_hosts_there_is_nothing_to_do(self):
        self.assertEqual((), self.plan([], []).moves)

    def test_a_host_alone_has_nowhere_to_send_anything(self):
        guest = fleets.instance('x', 'a', cpu=9)
        made = self.plan([fleets.host('a')], [guest])
        self.assertEqual((), made.moves)
        self.assertEqual('a', made.still_hot[0].host)

    def test_hosts_without_slots_neither_give_nor_take(self):
        guests = [fleets.instance(str(n), 'a', cpu=1) for n in range(9)]
        for fields, reason in (
            ({'max_outgoing': 0}, 'no migration may leave it'),
            ({'max_incoming': 0}, 'there is no other host'),
        ):
            with self.subTest(fields):
                hosts = [fleets.host(name, **fields) for name in 'ab']
                made = self.plan(hosts, guests)
                self.assertEqual((), made.moves)
                self.assertIn(reason, made.still_hot[0].reason)


class TestLargerFleets(unittest.TestCase):
    """Fleets as the benchmarks have them, with everything in them."""

    def test_targets_are_reached_and_nothing_breaks(self):
        for seed in (1, 2):
            for constraints in (False, True):
                with self.subTest(seed=seed, constraints=constraints):
                    self._judge(fleets.skewed(60, 600, seed, constraints))

    def _judge(self, fleet):
        policy = spread.Spread(spread.SpreadParams(target=0.12))
        made = propose((policy,), fleet)
        self.assertEqual([], judge.broken_rules(fleet, made.moves))
        self.assertEqual([], judge.run_orders(fleet, made.moves))
        _, after = judge.loads(fleet, made.moves)
        self.assertLessEqual(
            statistics.pstdev(counted_loads(fleet, after)), 0.12 + 1e-9
        )

    def test_relieve_needs_hardly_more_moves_than_it_must(self):
        fleet = fleets.skewed(60, 600, seed=3)
        policy = relieve.Relieve(relieve_limits.RelieveParams(limit=0.7))
        made = propose((policy,), fleet)
        _, after = judge.loads(fleet, made.moves)
        self.assertLessEqual(max(after), 0.7 + 1e-6)
        self.assertGreater(made.bound.moves, 0)
        self.assertLessEqual(len(made.moves), 1.1 * made.bound.moves)

    def test_refinement_saves_moves(self):
        fleet = fleets.skewed(60, 600, seed=1)
        thorough = propose((spread.Spread(),), fleet)
        plain = propose(
            (spread.Spread(),), fleet, prefer=context.Prefer.BALANCE
        )
        self.assertLess(len(thorough.moves), len(plain.moves))

    def test_preferring_gib_copies_less(self):
        fleet = fleets.skewed(60, 600, seed=1)
        few, little = (
            propose((spread.Spread(),), fleet, prefer=prefer)
            for prefer in (context.Prefer.MOVES, context.Prefer.GIB)
        )
        self.assertLess(little.frontier[-1].mib, few.frontier[-1].mib)


if __name__ == '__main__':
    unittest.main()
