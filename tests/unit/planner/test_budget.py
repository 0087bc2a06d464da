"""What may be moved in an hour is kept to, in plans and when turns come."""

import dataclasses
import unittest

import hypothesis
from hypothesis import strategies as st
import numpy as np

from kvm_balancer.migration import request
from kvm_balancer.migration.foresight import correction
from kvm_balancer.migration.options import scopes
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan as plan_model
from kvm_balancer.planner import budget
from kvm_balancer.planner import context
from kvm_balancer.planner import cost
from kvm_balancer.planner import outlook
from kvm_balancer.planner import terms as termed
from kvm_balancer.policies import composition
from kvm_balancer.policies import drain
from kvm_balancer.policies import spread
from tests.fixtures import fleets
from tests.unit.planner import plans

GIB = 1024.0


def move(mib, source='a', destination='b'):
    """Make a move that copies so much."""
    return plan_model.Move(
        'i', source, destination, plan_model.Prediction(1.0, 1.0, mib), ''
    )


class LedgerTest(unittest.TestCase):
    def objection(self, params, entries, now=1000.0):
        ledger = budget.Ledger(params)
        for source, destination, mib, at in entries:
            ledger.note(source, destination, mib, at)
        return ledger.objection([move(2 * GIB)], now)

    def test_each_budget_objects_for_itself(self):
        for params, words in (
            (budget.Params(moves=1), '1 of 1 moves were begun'),
            (budget.Params(gib=3.0), 'the fleet has copied 2.0 of 3.0 GiB'),
            (budget.Params(host_moves=1), 'a has had 1 of 1 moves'),
            (budget.Params(nic_gib=3.0), 'a has sent 2.0 of 3.0 GiB'),
        ):
            with self.subTest(params):
                told = self.objection(params, [('a', 'c', 2 * GIB, 900.0)])
                self.assertIn(words, told)

    def test_directions_of_a_nic_are_counted_each_by_itself(self):
        params = budget.Params(nic_gib=3.0)
        self.assertEqual(
            '', self.objection(params, [('c', 'a', 2 * GIB, 900.0)])
        )
        self.assertIn(
            'b has received',
            self.objection(params, [('c', 'b', 2 * GIB, 900.0)]),
        )

    def test_moves_that_go_together_are_counted_together(self):
        """And with all that is about to begin besides."""
        three = [move(GIB), move(GIB), move(GIB)]
        for params in (
            budget.Params(moves=3),
            budget.Params(gib=3.0),
            budget.Params(host_moves=3),
            budget.Params(nic_gib=3.0),
        ):
            with self.subTest(params):
                ledger = budget.Ledger(params)
                self.assertEqual('', ledger.objection(three, 0.0))
                self.assertNotEqual('', ledger.objection([*three, *three], 0))
                promised = [move(GIB)]
                self.assertEqual('', ledger.objection(three[:2], 0, promised))
                self.assertNotEqual('', ledger.objection(three, 0, promised))

    def test_what_is_an_hour_ago_no_longer_counts(self):
        params = budget.Params(moves=1)
        entries = [('a', 'c', GIB, 900.0)]
        self.assertNotEqual('', self.objection(params, entries, 4499.0))
        self.assertEqual('', self.objection(params, entries, 4500.0))

    def test_without_budgets_nothing_is_kept_or_objected_to(self):
        ledger = budget.Ledger(budget.Params())
        ledger.note('a', 'b', GIB, 0.0)
        self.assertIsNone(ledger.allowance(fleets.skewed(4, 10), 0.0))
        self.assertEqual('', ledger.objection([move(GIB)], 0.0))


class PlanTest(unittest.TestCase):
    def planned(self, params, entries=()):
        fleet = fleets.skewed(20, 200)
        ledger = budget.Ledger(params)
        for source, destination, mib in entries:
            ledger.note(source, destination, mib, 0.0)
        left = ledger.allowance(fleet, 1.0)
        return spread.Spread(spread.SpreadParams(target=0.05)).propose(
            fleet,
            plans.full_context(
                allowance=left, limits=context.Limits().within(left)
            ),
        )

    def test_no_host_has_more_moves_than_its_budget(self):
        made = self.planned(budget.Params(host_moves=1))
        self.assertTrue(made.moves)
        ends = [e for m in made.moves for e in (m.source, m.destination)]
        self.assertEqual(len(ends), len(set(ends)))

    def test_the_fleet_has_what_is_left_of_its_budget(self):
        params = budget.Params(moves=3)
        entries = [('host-000', 'host-001', GIB)]
        self.assertEqual(2, len(self.planned(params, entries).moves))
        self.assertEqual(0, len(self.planned(params, entries * 3).moves))

    def test_a_nic_carries_no_more_than_its_budget(self):
        made = self.planned(budget.Params(nic_gib=20.0))
        fleet = fleets.skewed(20, 200)
        sent = {}
        for move in made.moves:
            row = fleet.instance_row[move.instance]
            mib = fleet.instances.memory_usage_mib[row]
            for end in (('out', move.source), ('in', move.destination)):
                sent[end] = sent.get(end, 0.0) + mib
        self.assertTrue(sent)
        self.assertLessEqual(max(sent.values()), 20.0 * GIB)


class CopiedTest(unittest.TestCase):
    """What is copied counts, and not the memory that is copied once."""

    #: three guests that write so fast that over a slow network more than
    #: twice their memory is copied
    FLEET = fleets.build(
        [
            fleets.host(
                'a', state=columns.HostState.DRAINING, migration_mib_s=100
            ),
            fleets.host('b', migration_mib_s=1000),
            fleets.host('c', migration_mib_s=100, cpu_overhead=1.0),
        ],
        [
            fleets.instance(f'i{row}', 'a', memory_gib=8, dirty_rate_mib_s=60)
            for row in range(3)
        ],
    )

    def copied(self, **fields):
        made = drain.Drain().propose(self.FLEET, plans.full_context(**fields))
        return [move.prediction.mib for move in made.moves]

    def test_the_limit_of_a_plan_holds_for_what_is_copied(self):
        free = self.copied()
        self.assertGreater(sum(free), 2 * 24 * GIB)
        for gib in (24, 40, 60):
            with self.subTest(gib):
                limits = context.Limits(max_mib=gib * GIB)
                made = self.copied(limits=limits)
                self.assertLessEqual(sum(made), gib * GIB)
                self.assertEqual(int(gib * GIB // free[0]), len(made))

    def test_so_do_budgets(self):
        """No move is planned that the ledger objects to at once."""
        params = budget.Params(nic_gib=40.0)
        left = budget.Ledger(params).allowance(self.FLEET, 0.0)
        made = self.copied(allowance=left)
        self.assertEqual(2, len(made))
        self.assertLessEqual(sum(made), 40.0 * GIB)

    @hypothesis.settings(max_examples=40)
    @hypothesis.given(fleets.small(), st.integers(1, 20))
    def test_no_plan_carries_more(self, fleet, gib):
        """By its own prediction, and by memory in use."""
        limits = context.Limits(max_mib=gib * GIB)
        policies = drain.Drain(), spread.Spread(spread.SpreadParams(0, 0.05))
        made = composition.propose(
            policies, fleet, plans.full_context(limits=limits)
        )
        rows = [fleet.instance_row[one.instance] for one in made.moves]
        used = float(fleet.instances.memory_usage_mib[rows].sum())
        predicted = sum(one.prediction.mib for one in made.moves)
        self.assertLessEqual(max(used, predicted), gib * GIB + 1e-6)

    def test_what_was_learned_counts(self):
        """Migrations of i0 copied twice of what had been predicted."""
        known = correction.Corrections()
        raw = plan_model.Prediction(
            80.0, 50.0, 8 * GIB, plan_model.Mode.PRE_COPY, True
        )
        lesson = correction.Lesson(
            instance='i0',
            ends=('a', 'b'),
            mode=plan_model.Mode.PRE_COPY,
            began_at=0.0,
            ended_at=80.0,
            predicted=raw,
            mib=16 * GIB,
            copying_seconds=160.0,
            fixed_seconds=2.0,
            downtime_ms=50.0,
        )
        for at in (0.0, 100.0, 200.0):
            known.learn(
                dataclasses.replace(lesson, began_at=at, ended_at=at + 80.0)
            )
        fleet = self.FLEET
        terms = termed.Terms(fleet, scopes.Scopes())
        plain, taught = (
            outlook.most_copied_mib(fleet, terms, one) for one in (None, known)
        )
        expected = cost.predict(fleet, [0], [0], [1], terms, known)[0].mib
        self.assertGreater(taught[0], 1.5 * plain[0])
        self.assertGreaterEqual(taught[0], expected - 1e-6)

    def test_every_network_of_very_many_counts(self):
        """What only just converges on one of them copies most of all."""
        speeds = [100.0 + 7.0 * row for row in range(40)]
        fleet = fleets.build(
            [
                fleets.host(f'h{row}', migration_mib_s=speed)
                for row, speed in enumerate(speeds)
            ],
            [
                fleets.instance(
                    'a', 'h39', dirty_rate_mib_s=150.0, memory_gib=16
                )
            ],
        )
        options = request.Options(max_throttle_percent=0)
        terms = termed.Terms(fleet, scopes.Scopes(options))
        expected = [
            one.mib
            for one in cost.predict(
                fleet, [0] * 39, [39] * 39, range(39), terms
            )
        ]
        (most,) = outlook.most_copied_mib(fleet, terms)
        self.assertGreater(int(np.argmax(expected)), 0)
        self.assertAlmostEqual(max(expected), most)


class WindowTest(unittest.TestCase):
    def test_a_zone_that_is_closed_costs_only_itself(self):
        fleet = fleets.skewed(30, 300, constraints=True)
        made = spread.Spread().propose(
            fleet, plans.full_context(closed_zones={'az1': 'az1 is frozen'})
        )
        zones = {
            fleet.zones[fleet.hosts.zone[fleet.host_row[one.source]]]
            for one in made.moves
        }
        self.assertTrue(zones)
        self.assertNotIn('az1', zones)
        self.assertIn('nothing is moved: az1 is frozen', made.warnings)
