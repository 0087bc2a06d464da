"""Which instances their options let go, and where to."""

import dataclasses
import unittest

import numpy as np

from kvm_balancer.migration import request
from kvm_balancer.migration.foresight import correction
from kvm_balancer.migration.foresight import prediction
from kvm_balancer.migration.options import scopes
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan
from kvm_balancer.planner import cost
from kvm_balancer.planner import means
from kvm_balancer.planner import terms
from kvm_balancer.planner import workspace
from kvm_balancer.policies import composition
from kvm_balancer.policies import drain
from kvm_balancer.policies import spread
from tests.fixtures import fleets
from tests.unit.planner import plans

#: never converges by itself on the default bandwidth of 1120 MiB/s
_WILD = {'dirty_rate_mib_s': 50_000.0}
_NO_MEANS = request.Options(auto_converge=False)
_DRAIN = drain.Drain(drain.DrainParams(limit=0.9))


def _draining(name, **fields):
    return fleets.host(name, state=columns.HostState.DRAINING, **fields)


def _proposed(hosts, instances, rules):
    fleet = fleets.build(hosts, instances)
    return _DRAIN.propose(fleet, plans.full_context(migration=rules))


class MeansTest(unittest.TestCase):
    def test_who_converges_by_a_drain_alone_is_drained(self):
        """It is tried for longer there, as its migration will be."""
        slow = fleets.instance('slow', 'a', dirty_rate_mib_s=0.96 * 1120.0)
        for host, moves in ((_draining('a'), 1), (fleets.host('a'), 0)):
            fleet = fleets.build([host, fleets.host('b')], [slow])
            found = means.Means(
                fleet, terms.Terms(fleet, scopes.Scopes(_NO_MEANS))
            )
            self.assertEqual([bool(moves)], found.movable.tolist())
        made = _proposed(
            [_draining('a'), fleets.host('b')],
            [slow],
            scopes.Scopes(_NO_MEANS),
        )
        (move,) = made.moves
        self.assertTrue(move.prediction.converges)
        plain = cost.predict(
            fleet, [0], [0], [1], terms.Terms(fleet, scopes.Scopes(_NO_MEANS))
        )
        self.assertFalse(plain[0].converges)

    def test_who_ended_in_another_mode_is_predicted_in_that_one(self):
        """It gets more dirty than was measured, and fits no plan without."""
        calm = fleets.instance(
            'i', 'a', memory_usage_mib=2048.0, dirty_rate_mib_s=400.0
        )
        fleet = fleets.build([fleets.host('a'), fleets.host('b')], [calm])
        book = correction.Corrections()

        def predicted(post_copy):
            options = dataclasses.replace(_NO_MEANS, post_copy=post_copy)
            rules = terms.Terms(fleet, scopes.Scopes(options))
            (found,) = cost.predict(fleet, [0], [0], [1], rules, book)
            movable = means.Means(fleet, rules, book).movable[0]
            self.assertEqual(found.converges, movable)
            return found

        first = predicted(True)
        self.assertEqual(plan.Mode.PRE_COPY, first.mode)
        self.assertTrue(predicted(False).converges)
        for _ in range(3):
            book.learn(
                correction.Lesson(
                    'i', ('a', 'b'), plan.Mode.POST_COPY, 0.0, 0.0, first,
                    2048.0, 4.0, None, None,
                )
            )  # fmt: skip
        self.assertEqual(plan.Mode.POST_COPY, predicted(True).mode)
        self.assertFalse(predicted(False).converges)

    def test_what_needs_post_copy_goes_only_where_both_ends_grant_it(self):
        """And never where its own metadata forbids it."""
        rules = scopes.Scopes(
            _NO_MEANS, aggregates={'pc': {'post_copy': True}}
        )
        made = _proposed(
            [
                _draining('a', aggregates=('pc',)),
                fleets.host('b'),
                fleets.host('c', aggregates=('pc',)),
            ],
            [
                fleets.instance('wild', 'a', **_WILD),
                fleets.instance(
                    'shy', 'a', wishes=(('post_copy', 'false'),), **_WILD
                ),
                fleets.instance('calm', 'a'),
            ],
            rules,
        )
        went = {move.instance: move for move in made.moves}
        self.assertEqual({'wild', 'calm'}, set(went))
        self.assertEqual('c', went['wild'].destination)
        self.assertEqual('post-copy', went['wild'].prediction.mode)
        (left,) = made.unplaced
        self.assertEqual('shy', left.instance)
        self.assertIn('not use post-copy', left.reason)

    def test_a_destination_that_does_not_grant_it_is_named(self):
        rules = scopes.Scopes(
            _NO_MEANS, aggregates={'pc': {'post_copy': True}}
        )
        made = _proposed(
            [_draining('a', aggregates=('pc',)), fleets.host('b')],
            [fleets.instance('wild', 'a', **_WILD)],
            rules,
        )
        (left,) = made.unplaced
        self.assertIn('1 do not grant what its migration', left.reason)

    def test_a_wish_that_is_not_understood_costs_only_itself(self):
        made = _proposed(
            [_draining('a'), fleets.host('b')],
            [
                fleets.instance('odd', 'a', wishes=(('slowly', 'yes'),)),
                fleets.instance('calm', 'a'),
            ],
            scopes.Scopes(),
        )
        self.assertEqual(['calm'], [move.instance for move in made.moves])
        (left,) = made.unplaced
        self.assertEqual('odd', left.instance)
        self.assertIn('asks for slowly', left.reason)
        self.assertTrue(any('odd' in line for line in made.warnings))

    def test_what_cannot_go_together_is_not_planned(self):
        made = _proposed(
            [_draining('a'), fleets.host('b')],
            [fleets.instance('odd', 'a', wishes=(('compression', 'lzma'),))],
            scopes.Scopes(),
        )
        self.assertEqual((), made.moves)
        self.assertIn('no libvirt knows this', made.unplaced[0].reason)

    def test_predictions_are_made_with_the_options_of_each_move(self):
        """As if each had been predicted by itself."""
        rules = scopes.Scopes(
            zones={'z': {'bandwidth_mib_s': 100}},
            aggregates={'slow': {'bandwidth_mib_s': 50}},
        )
        fleet = fleets.build(
            [
                fleets.host('a', zone='z'),
                fleets.host('b', zone='z', aggregates=('slow',)),
                fleets.host('c'),
                fleets.host('d'),
            ],
            [
                fleets.instance('1', 'a'),
                fleets.instance('2', 'c', wishes=(('bandwidth_mib_s', '7'),)),
                fleets.instance('3', 'c'),
                fleets.instance('4', 'a'),
            ],
        )
        found = cost.predict(
            fleet,
            (0, 1, 2, 3),
            (0, 2, 2, 0),
            (1, 3, 3, 0),
            terms.Terms(fleet, rules),
        )
        for one, limit in zip(found, (50, 7, 0, 100), strict=True):
            self.assertEqual(
                prediction.predict(
                    fleet.instances.memory_usage_mib[0],
                    fleet.instances.dirty_rate_mib_s[0],
                    fleet.hosts.migration_mib_s[0],
                    None,
                    request.Options(bandwidth_mib_s=limit),
                ),
                one,
            )

    def test_where_all_grant_the_same_no_filter_is_added(self):
        fleet = fleets.build(
            [fleets.host('a'), fleets.host('b')], [fleets.instance('x', 'a')]
        )
        work = workspace.Workspace(fleet, plans.full_context())
        self.assertFalse(work.means.needed)
        self.assertEqual(plans.FILTERS, work.admission.filters)

    def test_zones_of_their_own_options_do_not_restrain_each_other(self):
        rules = scopes.Scopes(
            _NO_MEANS, zones={'y': {'post_copy': True}, 'z': {'tls': True}}
        )
        fleet = fleets.build(
            [fleets.host(name + '1', zone=name) for name in 'xyz'],
            [fleets.instance(name, name + '1', **_WILD) for name in 'xyz'],
        )
        found = means.Means(fleet, terms.Terms(fleet, rules))
        np.testing.assert_array_equal([False, True, False], found.movable)


class ProfileTest(unittest.TestCase):
    def test_a_drain_s_moves_must_go_and_others_may_give_up(self):
        fleet = fleets.build(
            [_draining('a'), *(fleets.host(name) for name in 'bcd')],
            [
                fleets.instance('leaves', 'a', cpu=0.1),
                *(fleets.instance(str(n), 'b', cpu=2.0) for n in range(4)),
            ],
        )
        made = composition.propose(
            (_DRAIN, spread.Spread()), fleet, plans.full_context()
        )
        profiles = {move.instance: str(move.profile) for move in made.moves}
        self.assertEqual('drain', profiles.pop('leaves'))
        self.assertEqual({'balance'}, set(profiles.values()))
