"""Hosts are emptied by order, and what would not move is told."""

import dataclasses

from kvm_balancer import errors
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import outcome
from kvm_balancer.model import placement
from kvm_balancer.model import plan as plans
from kvm_balancer.service import drains
from kvm_balancer.store import store as stores
from tests.unit.service import test_dispatcher as fleets
from tests.unit.store import base

_KIND = outcome.OutcomeKind


class Computes:
    """Services of computes, by name: whether they get servers."""

    def __init__(self, **enabled):
        self.enabled = enabled
        self.reasons = []
        self.broken = False

    def disable(self, host, reason):
        if self.broken:
            raise errors.CloudUnreachable('Nova does not answer')
        before, self.enabled[host] = self.enabled[host], False
        self.reasons.append(reason)
        return before

    def enable(self, host):
        self.enabled[host] = True


class DrainsTest(base.StoreCase):
    def setUp(self):
        super().setUp()
        self.store = stores.Store(self.conf, create=True)
        self.addCleanup(self.store.close)
        self.told = []
        self.computes = Computes(hot=True, cold=False)
        self.drains = self.make()
        self.fleet = fleets.build_fleet(a='hot', b='hot', c='cold')

    def make(self):
        return drains.Drains(
            self.store.drains,
            lambda hosts: self.told.append(set(hosts)),
            self.computes,
            clock=lambda: 1000.0,
        )

    def progress(self, fleet=None, busy=(), why=lambda uid: ''):
        return self.drains.progress('hot', fleet or self.fleet, busy, why)

    def end(self, instance, kind, destination='cold'):
        self.drains.note_outcome(
            dataclasses.replace(
                base.make_outcome(),
                instance=instance,
                source='hot',
                destination=destination,
                outcome=kind,
                reason='no room',
            )
        )

    def test_a_drain_outlives_the_agent(self):
        self.drains.begin('hot', 'a new disk', in_nova=True)
        again = self.make()
        again.recover()
        self.assertEqual({'hot'}, set(again.hosts))
        self.assertEqual({'hot'}, self.told[-1])
        again.end('hot')
        self.assertTrue(self.computes.enabled['hot'])
        self.assertEqual([], self.store.drains.all())

    def test_nova_is_told_why(self):
        self.drains.begin('hot', 'a new disk', in_nova=True)
        self.assertFalse(self.computes.enabled['hot'])
        self.assertEqual(['kvm-balancer: a new disk'], self.computes.reasons)

    def test_what_others_have_disabled_stays_so(self):
        self.drains.begin('cold', '', in_nova=True)
        self.drains.end('cold')
        self.assertFalse(self.computes.enabled['cold'])

    def test_a_drain_again_still_knows_that_it_disabled_it(self):
        self.drains.begin('hot', 'one', in_nova=True)
        self.drains.begin('hot', 'two', in_nova=True)
        self.drains.end('hot')
        self.assertTrue(self.computes.enabled['hot'])

    def test_an_order_that_nova_did_not_take_is_said_and_safe(self):
        """It may have been taken: the end of the drain undoes it."""
        self.computes.broken = True
        with self.assertRaises(errors.CloudUnreachable):
            self.drains.begin('hot', '', in_nova=True)
        (kept,) = self.store.drains.all()
        self.assertTrue(kept.disabled_in_nova)

    def test_only_what_was_ordered_is_emptied(self):
        self.drains.begin('hot', '', in_nova=False)
        state = self.fleet.hosts.state.copy()
        state[:] = columns.HostState.DRAINING
        marked = dataclasses.replace(
            self.fleet,
            hosts=dataclasses.replace(self.fleet.hosts, state=state),
        )
        self.assertEqual(
            [
                columns.HostState.DRAINING,
                columns.HostState.DISABLED,
                columns.HostState.DISABLED,
            ],
            self.drains.only(marked).hosts.state.tolist(),
        )

    def test_progress_counts_what_moved_and_what_is_left(self):
        self.drains.begin('hot', '', in_nova=False)
        self.assertEqual('draining', self.progress().state)
        self.end('a', _KIND.COMPLETED)
        found = self.progress(fleets.build_fleet(b='hot', a='cold'))
        self.assertEqual((1, 'draining'), (found.moved, found.state))
        self.assertEqual(['b'], [one.instance for one in found.left])
        found = self.progress(fleets.build_fleet(a='cold'))
        self.assertEqual('drained', found.state)

    def test_a_failed_move_is_tried_elsewhere(self):
        self.drains.begin('hot', '', in_nova=False)
        self.end('a', _KIND.FAILED)
        passed = self.drains.filter().passes(
            placement.Placement(self.fleet),
            columns.np.array([0, 1]),
            columns.np.array([1, 2]),
        )
        self.assertEqual([[False, True], [True, True]], passed.tolist())
        self.assertFalse(self.drains.exhausted(self.fleet).any())

    def test_what_failed_too_often_is_told_with_its_reason(self):
        self.drains.begin('hot', '', in_nova=False)
        for _ in range(drains.ATTEMPTS):
            self.end('a', _KIND.FAILED)
        self.assertEqual(
            [True, False, False], self.drains.exhausted(self.fleet).tolist()
        )
        found = {one.instance: one.reason for one in self.progress().left}
        self.assertIn('no room', found['a'])
        self.assertEqual('', found['b'])
        self.assertEqual('draining', self.progress().state)

    def test_a_drain_is_stuck_when_nothing_left_would_move(self):
        self.drains.begin('hot', '', in_nova=False)
        self.drains.note_plan(
            plans.Plan(
                policy='drain',
                moves=(),
                before=fleets.LOADS,
                after=fleets.LOADS,
                unplaced=(
                    plans.Unplaced('a', 'no host has room'),
                    plans.Unplaced('b', 'locked'),
                ),
            )
        )
        found = self.progress()
        self.assertEqual('stuck', found.state)
        self.assertEqual(
            ['no host has room', 'locked'],
            [one.reason for one in found.left],
        )
        # What is on its way is not stuck.
        self.assertEqual('draining', self.progress(busy={'a'}).state)

    def test_what_may_not_be_moved_is_told_why(self):
        self.drains.begin('hot', '', in_nova=False)
        fixed = dataclasses.replace(
            self.fleet,
            instances=dataclasses.replace(
                self.fleet.instances,
                movable=columns.np.zeros(3, columns.np.bool_),
            ),
        )
        found = self.progress(fixed, why=lambda uid: f'{uid} is locked')
        self.assertEqual(
            ['a is locked', 'b is locked'], [one.reason for one in found.left]
        )

    def test_a_host_that_is_not_drained_is_said_so(self):
        with self.assertRaisesRegex(errors.NotFound, 'not drained'):
            self.drains.end('hot')
        with self.assertRaisesRegex(errors.NotFound, 'not drained'):
            self.progress()
