"""What may be moved in an hour is kept to, in plans and when turns come."""

import unittest

from kvm_balancer.model import plan as plan_model
from kvm_balancer.planner import budget
from kvm_balancer.planner import context
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
