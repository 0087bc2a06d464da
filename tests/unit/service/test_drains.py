"""Hosts are emptied by order, and what would not move is told."""

import dataclasses

from kvm_balancer import errors
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import outcome
from kvm_balancer.model import placement
from kvm_balancer.model import plan as plans
from kvm_balancer.service import drains
from kvm_balancer.service import remaining
from kvm_balancer.store import store as stores
from tests.unit.service import test_dispatcher as fleets
from tests.unit.store import base

_KIND = outcome.OutcomeKind
NOTHING = remaining.Besides()


class Computes:
    """Services of computes, by name: whether they get servers."""

    def __init__(self, **enabled):
        self.enabled = enabled
        self.ours = set()
        self.broken = False

    def has(self, host):
        return host in self.enabled

    def disable(self, host, reason):
        if self.broken:
            raise errors.CloudUnreachable('Nova does not answer')
        if self.enabled[host]:
            self.ours.add(host)
        self.enabled[host] = False
        return host in self.ours

    def enable(self, host):
        self.enabled[host] = True
        return ''


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

    def progress(
        self,
        fleet=None,
        busy=(),
        why=lambda uid: '',
        besides=NOTHING,
    ):
        return self.drains.progress(
            'hot', fleet or self.fleet, busy, why, besides
        )

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

    def test_what_others_have_disabled_stays_so(self):
        self.drains.begin('cold', '', in_nova=True)
        self.drains.end('cold')
        self.assertFalse(self.computes.enabled['cold'])

    def test_a_drain_again_still_knows_that_it_disabled_it(self):
        self.drains.begin('hot', 'one', in_nova=True)
        self.drains.begin('hot', 'two', in_nova=True)
        self.drains.end('hot')
        self.assertTrue(self.computes.enabled['hot'])

    def test_an_order_that_nova_did_not_take_is_none(self):
        """It must not be begun by the next start of the agent either."""
        self.computes.broken = True
        with self.assertRaises(errors.CloudUnreachable):
            self.drains.begin('hot', '', in_nova=True)
        self.assertEqual([], self.store.drains.all())
        self.assertEqual(frozenset(), self.drains.hosts)

    def test_an_order_anew_that_nova_did_not_take_leaves_the_first(self):
        self.drains.begin('hot', 'one', in_nova=True)
        self.computes.broken = True
        with self.assertRaises(errors.CloudUnreachable):
            self.drains.begin('hot', 'two', in_nova=True)
        (kept,) = self.store.drains.all()
        self.assertEqual(('one', True), (kept.reason, kept.disabled_in_nova))

    def test_a_nova_that_is_asked_no_more_is_told_at_the_end(self):
        self.drains.begin('hot', '', in_nova=True)
        alone = drains.Drains(self.store.drains, lambda hosts: None)
        alone.recover()
        self.assertIn('stays disabled', alone.end('hot'))

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

    def test_where_all_places_were_tried_it_is_told_why_in_vain(self):
        self.drains.begin('hot', '', in_nova=False)
        self.end('a', _KIND.FAILED)
        self.drains.note_plan(
            plans.Plan(
                policy='drain',
                moves=(),
                before=fleets.LOADS,
                after=fleets.LOADS,
                unplaced=(plans.Unplaced('a', 'all were tried'),),
            )
        )
        found = {one.instance: one.reason for one in self.progress().left}
        self.assertEqual('all were tried; the last time: no room', found['a'])

    def test_what_nobody_reports_keeps_a_host_from_being_empty(self):
        """A compute that is not measured was told to be drained."""
        self.drains.begin('hot', '', in_nova=True)
        empty = fleets.build_fleet(a='cold')
        self.assertEqual('drained', self.progress(empty).state)
        doubt = remaining.Besides('it has gone silent')
        found = self.progress(empty, besides=doubt)
        self.assertEqual(
            ('draining', 'it has gone silent'), (found.state, found.doubt)
        )
        lasting = dataclasses.replace(doubt, lasting=True)
        self.assertEqual('stuck', self.progress(empty, besides=lasting).state)
        # What may still move does.
        self.assertEqual('draining', self.progress(besides=lasting).state)
        servers = remaining.Besides(servers=(remaining.Left('x', 'x', 'odd'),))
        self.assertEqual('stuck', self.progress(empty, besides=servers).state)

    def test_what_does_not_run_keeps_no_host_from_being_empty(self):
        self.drains.begin('hot', '', in_nova=True)
        off = remaining.Left('a', 'a', 'it is SHUTOFF in Nova, and stays')
        found = self.progress(
            fleets.build_fleet(a='hot'),
            besides=remaining.Besides(resting=(off,)),
        )
        self.assertEqual(
            ('drained', (), (off,)), (found.state, found.left, found.resting)
        )

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
