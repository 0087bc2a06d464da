"""A plan that leaves something alone says what decided it."""

import unittest

import numpy as np

from kvm_balancer.model import fleet as columns
from kvm_balancer.planner import budget
from kvm_balancer.planner import context as contexts
from kvm_balancer.planner.explanation import answers
from kvm_balancer.planner.explanation import subjects
from kvm_balancer.policies import composition
from kvm_balancer.policies import drain
from kvm_balancer.policies import relieve
from kvm_balancer.policies import relieve_limits
from kvm_balancer.policies import spread
from tests.fixtures import fleets
from tests.unit.planner import plans

FROZEN = 'zone az is frozen until 2027-01-01 00:00 UTC (Mon-Sun)'


def build(state=columns.HostState.ENABLED):
    return fleets.build(
        [
            fleets.host('a', zone='az', state=state),
            fleets.host('b', zone='az'),
        ],
        [
            fleets.instance('i', 'a', cpu=5.0),
            fleets.instance('j', 'a', cpu=4.0),
        ],
    )


def spent(fleet, **most):
    """Return the fields of a context whose budgets are used up."""
    ledger = budget.Ledger(budget.Params(**most))
    ledger.note('x', 'y', 1024.0 * 1024.0, 0.0)
    context = plans.full_context().restrained({}, ledger.allowance(fleet, 1.0))
    return {'allowance': context.allowance, 'limits': context.limits}


class ReasonsTest(unittest.TestCase):
    def test_a_plan_says_that_most_instances_may_not_be_moved(self):
        for stay, words in ((0, ''), (1, ''), (2, '2 of 3 instances may not')):
            fleet = fleets.build(
                [fleets.host(name) for name in 'ab'],
                [
                    fleets.instance(str(row), 'a', movable=row >= stay)
                    for row in range(3)
                ],
            )
            made = composition.propose(
                (spread.Spread(),), fleet, plans.full_context()
            )
            with self.subTest(stay):
                self.assertEqual(bool(words), bool(made.warnings))
                self.assertIn(words, ''.join(made.warnings))

    def cases(self, fleet):
        yes, no = np.ones(2, np.bool_), np.zeros(2, np.bool_)
        return (
            ({'closed_zones': {'az': FROZEN}}, FROZEN),
            (spent(fleet, moves=1), 'no move is left of [budgets] moves_per'),
            (spent(fleet, gib=1.0), 'no GiB are left of [budgets] gib_per'),
            ({'cooling_hosts': yes}, 'it cools down after a move'),
            (
                {'cooling_hosts': no, 'closed_zones': {'az': FROZEN}},
                FROZEN,
            ),
        )

    def test_who_holds_everything_back_is_named(self):
        """By what spreads, relieves and drains, and by explanations."""
        calm, draining = build(), build(columns.HostState.DRAINING)
        for fields, words in self.cases(calm):
            context = plans.full_context(**fields)
            with self.subTest(words):
                made = spread.Spread().propose(calm, context)
                self.assertIn(words, made.summary)
                self.assertIn('2 of 2 hosts are left alone', made.summary)
                made = relieve.Relieve().propose(calm, context)
                self.assertEqual((), made.moves)
                self.assertIn(words, made.still_hot[0].reason)
                made = drain.Drain().propose(draining, context)
                self.assertEqual(2, len(made.unplaced))
                for one in made.unplaced:
                    self.assertIn(words, one.reason)

    def test_a_plan_warns_of_spent_budgets(self):
        fleet = build()
        made = spread.Spread().propose(
            fleet, plans.full_context(**spent(fleet, moves=1))
        )
        self.assertEqual(
            ('nothing is moved: no move is left of [budgets] moves_per_hour',),
            made.warnings,
        )

    def test_what_is_left_of_a_budget_and_a_limit_are_told_apart(self):
        fleet = fleets.build(
            [fleets.host(name) for name in 'abc'],
            [fleets.instance(str(n), 'a', cpu=1.0) for n in range(9)],
        )
        left = budget.Ledger(budget.Params(moves=1)).allowance(fleet, 0.0)
        for fields, words in (
            ({'limits': contexts.Limits(max_moves=1)}, 'moves or GiB'),
            (
                {'limits': contexts.Limits(max_moves=1), 'allowance': left},
                'moves or GiB, which is what is left of [budgets]',
            ),
            (
                {
                    'limits': contexts.Limits(budget_seconds=1.0),
                    'elapsed': lambda: 2.0,
                },
                'time',
            ),
        ):
            context = plans.full_context(**fields)
            with self.subTest(words):
                made = spread.Spread().propose(fleet, context)
                said = f'the plan has reached its limit of {words}'
                self.assertTrue(made.summary.endswith(said), made.summary)
                policy = relieve.Relieve(
                    relieve_limits.RelieveParams(limit=0.5)
                )
                made = policy.propose(fleet, context)
                self.assertEqual([said], [o.reason for o in made.still_hot])

    def test_hosts_that_are_left_alone_are_told_of_beside_the_rest(self):
        fleet = fleets.build(
            [
                fleets.host('a', zone='az'),
                fleets.host('b', zone='az'),
                fleets.host('c', zone='other'),
                fleets.host('d', zone='other'),
            ],
            [fleets.instance('i', 'a', cpu=9.0)],
        )
        context = plans.full_context(closed_zones={'az': FROZEN})
        self.assertIn(
            f'; 2 of 4 hosts are left alone: {FROZEN}',
            spread.Spread().propose(fleet, context).summary,
        )

    def test_an_instance_that_cools_down(self):
        fleet = build(columns.HostState.DRAINING)
        context = plans.full_context(cooling_instances=np.array([True, False]))
        (lost,) = drain.Drain().propose(fleet, context).unplaced
        self.assertIn('cools down after a migration', lost.reason)

    def test_a_wish_that_is_passed_over_did_not_decide(self):
        """Nor is it said that nothing keeps what nobody takes."""
        wish = columns.GroupPolicy.SOFT_ANTI_AFFINITY
        fleet = fleets.build(
            [
                fleets.host('a', state=columns.HostState.DRAINING),
                fleets.host('b', memory_gib=8),
            ],
            [
                fleets.instance('i', 'a', memory_gib=8, groups=('g',)),
                fleets.instance('j', 'b', memory_gib=4, groups=('g',)),
            ],
            [fleets.group('g', wish)],
        )
        context = plans.full_context()
        made = drain.Drain().propose(fleet, context)
        (lost,) = made.unplaced
        self.assertIn('lack room for its 8192 MiB', lost.reason)
        self.assertNotIn('soft group', lost.reason)
        answering = answers.Answers(fleet, context, made)
        for name in ('a', 'i'):
            said = answering.of(subjects.find(fleet, name))
            text = ' '.join(
                line for one in said.sections for line in one.lines
            )
            self.assertIn('lack room', text)
            self.assertNotIn('nothing keeps', text)
            self.assertNotIn('further from its wish', text)

    def test_what_hosts_lack_is_named_and_nothing_else(self):
        for memory_gib, cores, words, others in (
            (4, 1.0, 'lack room for its 8192 MiB', 'CPU'),
            (64, 6.0, 'would go over 1.00 CPU with its 5.00 cores', 'MiB'),
        ):
            fleet = fleets.build(
                [
                    fleets.host('a', state=columns.HostState.DRAINING),
                    fleets.host(
                        'b', memory_gib=memory_gib, cpu_overhead=cores
                    ),
                ],
                [fleets.instance('i', 'a', cpu=5.0, memory_gib=8)],
            )
            with self.subTest(words):
                made = drain.Drain().propose(fleet, plans.full_context())
                reason = made.unplaced[0].reason
                self.assertIn(words, reason)
                self.assertNotIn(others, reason)


if __name__ == '__main__':
    unittest.main()
