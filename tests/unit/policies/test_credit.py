"""Policies whose gains do not show lose credit, earn it back, and say so."""

import dataclasses
import json
import unittest

import numpy as np

from kvm_balancer.model import placement
from kvm_balancer.policies import assignment
from kvm_balancer.policies import credit
from kvm_balancer.policies import drain
from kvm_balancer.policies import relieve
from kvm_balancer.policies import relieve_limits
from kvm_balancer.policies import spread
from tests.fixtures import fleets
from tests.unit.planner import plans

POLICY = spread.Spread(spread.SpreadParams(target=0.05))


def build(*loads):
    return fleets.build(
        [fleets.host(name) for name in 'ab'],
        [
            fleets.instance(str(number), 'a', cpu=load)
            for number, load in enumerate(loads)
        ],
    )


def moved(fleet, plan, usage=None):
    """Return *fleet* after *plan*, with other loads if they are given."""
    after = fleets.moved(fleet, plan.moves)
    if usage is None:
        return after
    used = dataclasses.replace(after.instances, cpu_usage=np.array(usage))
    return dataclasses.replace(after, instances=used)


class CreditTest(unittest.TestCase):
    def setUp(self):
        self.credits = credit.Credits()
        self.fleet = build(2, 2, 2, 2)
        self.plan = POLICY.propose(self.fleet, plans.full_context())
        self.assertTrue(self.plan.moves)

    def judge(self, later, policy=POLICY, now=100.0):
        everywhere = np.ones(len(self.fleet.hosts), np.bool_)
        part = assignment.Part('', (policy,), everywhere)
        self.credits.promise(self.plan, self.fleet, [(part, policy)], 100.0)
        self.credits.look(later, [part], now)
        return self.credits.share('', policy.name)

    def test_what_shows_keeps_all_credit(self):
        self.assertEqual(1.0, self.judge(moved(self.fleet, self.plan)))
        self.assertEqual(1.0, self.credits.strictness('', 'spread'))
        self.assertEqual('', self.credits.text('', 'spread'))

    def test_what_does_not_show_costs_credit_and_is_told(self):
        swapped = [
            4 if self.moves(uid) else 0 for uid in self.fleet.instances.id
        ]
        later = moved(self.fleet, self.plan, swapped)
        self.assertEqual(0.5, self.judge(later))
        with self.assertLogs('kvm_balancer.policies.credit') as told:
            self.assertEqual(0.25, self.judge(later))
            self.assertEqual(4.0, self.credits.strictness('', 'spread'))
            for _ in range(9):
                self.judge(later)
        self.assertIn('of the gains it predicted 25% showed', told.output[0])
        self.assertEqual(10.0, self.credits.strictness('', 'spread'))

    def moves(self, uid):
        return uid in [move.instance for move in self.plan.moves]

    def test_credit_is_earned_back(self):
        swapped = [
            4 if self.moves(uid) else 0 for uid in self.fleet.instances.id
        ]
        self.judge(moved(self.fleet, self.plan, swapped))
        self.assertEqual(0.75, self.judge(moved(self.fleet, self.plan)))

    def test_moves_that_were_not_made_are_not_its_fault(self):
        self.assertEqual(1.0, self.judge(self.fleet))

    def test_it_is_not_judged_before_loads_have_settled(self):
        swapped = [
            4 if self.moves(uid) else 0 for uid in self.fleet.instances.id
        ]
        later = moved(self.fleet, self.plan, swapped)
        self.assertEqual(1.0, self.judge(later, now=99.0))

    def test_it_is_judged_after_a_restart(self):
        swapped = [
            4 if self.moves(uid) else 0 for uid in self.fleet.instances.id
        ]
        later = moved(self.fleet, self.plan, swapped)
        everywhere = np.ones(len(self.fleet.hosts), np.bool_)
        part = assignment.Part('', (POLICY,), everywhere)
        arriving = [
            placement.InFlight(
                self.fleet.instance_row[move.instance],
                self.fleet.host_row[move.destination],
            )
            for move in self.plan.moves
        ]
        for where, under_way in (
            (moved(self.fleet, self.plan), ()),
            (self.fleet, arriving),
        ):
            first = credit.Credits()
            first.promise(self.plan, self.fleet, [(part, POLICY)], 100.0)
            first.follow(where, under_way)
            again = credit.Credits()
            again.restore_promise(json.loads(json.dumps(first.promised())))
            # Loads are taken up anew, first of all.
            for now, share in ((200.0, 1.0), (499.0, 1.0), (500.0, 0.5)):
                again.look(later, [part], now)
                self.assertEqual(share, again.share('', 'spread'))
            self.assertIsNone(again.promised())
            again.look(later, [part], 900.0)
            self.assertEqual(1, len(again.verdicts))

    def test_it_is_not_judged_long_after(self):
        first, again = credit.Credits(), credit.Credits()
        everywhere = np.ones(len(self.fleet.hosts), np.bool_)
        part = assignment.Part('', (POLICY,), everywhere)
        first.promise(self.plan, self.fleet, [(part, POLICY)], 100.0)
        first.follow(moved(self.fleet, self.plan))
        again.restore_promise(first.promised())
        for now in (10_000.0, 20_000.0):
            again.look(self.fleet, [part], now)
        self.assertFalse(again.verdicts)

    def test_what_an_older_version_promised_is_judged(self):
        first, again = credit.Credits(), credit.Credits()
        everywhere = np.ones(len(self.fleet.hosts), np.bool_)
        part = assignment.Part('', (POLICY,), everywhere)
        first.promise(self.plan, self.fleet, [(part, POLICY)], 100.0)
        first.follow(moved(self.fleet, self.plan))
        waiting = first.promised()
        self.assertEqual(('a', 'b'), waiting['expected'][0][-1])
        waiting['expected'] = [one[:-1] for one in waiting['expected']]
        again.restore_promise(waiting)
        for now in (200.0, 500.0):
            again.look(self.fleet, [part], now)
        self.assertEqual(0.5, again.share('', 'spread'))

    def test_what_was_not_carried_out_promises_nothing(self):
        first = credit.Credits()
        everywhere = np.ones(len(self.fleet.hosts), np.bool_)
        part = assignment.Part('', (POLICY,), everywhere)
        first.promise(self.plan, self.fleet, [(part, POLICY)], 100.0)
        first.follow(self.fleet)
        self.assertIsNone(first.promised())

    def test_other_hosts_that_become_hot_are_not_its_fault(self):
        hot = fleets.build(
            [fleets.host(name) for name in 'abc'],
            [
                *(fleets.instance(f'a{one}', 'a', cpu=2) for one in range(4)),
                fleets.instance('c0', 'c', cpu=2),
            ],
        )
        policy = relieve.Relieve(relieve_limits.RelieveParams(limit=0.7))
        self.fleet = hot
        self.plan = policy.propose(hot, plans.full_context())
        (move,) = self.plan.moves
        self.assertEqual(('a', 'b'), (move.source, move.destination))
        for cores, share in ((2, 1.0), (9, 1.0)):
            later = moved(hot, self.plan, [2, 2, 2, 2, cores])
            self.assertEqual(share, self.judge(later, policy))
        later = moved(hot, self.plan, [4, 4, 4, 4, 2])
        self.assertLess(self.judge(later, policy), 1.0)

    def test_a_policy_that_cannot_tell_by_now_is_not_judged(self):
        later = moved(self.fleet, self.plan)

        class Broken(spread.Spread):
            def trigger(self, fleet):
                if fleet is later:
                    raise RuntimeError
                return super().trigger(fleet)

        self.assertEqual(1.0, self.judge(later, Broken()))
        self.assertFalse(self.credits.verdicts)

    def test_what_is_mandatory_needs_no_credit(self):
        self.assertEqual(1.0, self.judge(self.fleet, drain.Drain()))


if __name__ == '__main__':
    unittest.main()
