"""Every why has an answer that names the rule, and what would change it."""

import unittest

import numpy as np

from kvm_balancer import errors
from kvm_balancer.filters import base as filter_base
from kvm_balancer.model import fleet as columns
from kvm_balancer.model import plan as model
from kvm_balancer.planner.explanation import answers
from kvm_balancer.planner.explanation import subjects
from kvm_balancer.policies import relieve
from kvm_balancer.policies import repair
from kvm_balancer.policies import spread
from tests.fixtures import fleets
from tests.unit.planner import plans

NOTHING = model.Plan(
    policy='spread',
    moves=(),
    before=model.LoadSummary(0.2, 0.8, 0.1, 0.1),
    after=model.LoadSummary(0.2, 0.8, 0.1, 0.1),
    summary='nothing to do',
)


def text(found):
    return '\n'.join(line for one in found.sections for line in one.lines)


class OfInstanceTest(unittest.TestCase):
    """What decides that an instance stays is named."""

    def setUp(self):
        super().setUp()
        self.hosts = [
            fleets.host('full', memory_gib=64, zone='az1'),
            fleets.host('small', memory_gib=2, zone='az1'),
            fleets.host('other', zone='az2'),
            fleets.host(
                'closed', zone='az1', state=columns.HostState.DISABLED
            ),
        ]

    def explain(self, instance, groups=(), others=(), made=NOTHING, **context):
        fleet = fleets.build(self.hosts, [instance, *others], groups)
        found = answers.Answers(fleet, plans.full_context(**context), made)
        return found.of(subjects.find(fleet, instance.id))

    def test_each_host_is_refused_by_its_own_rule(self):
        found = self.explain(fleets.instance('a', 'full'))
        self.assertEqual(
            {'small': 'capacity', 'other': 'zone', 'closed': 'host_state'},
            {one.host: one.refused.rule for one in found.places},
        )
        self.assertIn('no other host takes it', text(found))

    def test_what_would_change_it_is_said(self):
        found = text(self.explain(fleets.instance('a', 'full')))
        self.assertIn('to change that: free 2048 MiB on small', found)
        self.assertIn('to change that: enable closed', found)

    def test_one_that_is_opted_out_stays_for_that(self):
        found = self.explain(fleets.instance('a', 'full', movable=False))
        self.assertEqual('movable', found.stays.rule)

    def test_who_reports_it_may_know_better_why_it_may_not_be_moved(self):
        fleet = fleets.build(
            self.hosts, [fleets.instance('a', 'full', movable=False)]
        )
        found = answers.Answers(
            fleet, plans.full_context(), NOTHING, lambda uid: f'{uid} is Nova'
        ).instance(0)
        self.assertEqual('a is Nova', found.stays.text)

    def test_one_that_cools_down_stays_for_that(self):
        found = self.explain(
            fleets.instance('a', 'full'),
            cooling_instances=np.array([True]),
        )
        self.assertEqual('cooldown', found.stays.rule)
        self.assertIn('instance_cooldown_seconds', found.stays.remedy)

    def test_one_on_a_host_that_cools_down_stays_for_the_host(self):
        found = self.explain(
            fleets.instance('a', 'full'),
            cooling_hosts=np.array([True, False, False, False]),
        )
        self.assertEqual('full cools down after a migration', found.stays.text)

    def test_an_affinity_group_stays_for_the_member_that_must(self):
        group = fleets.group('g', columns.GroupPolicy.AFFINITY)
        found = self.explain(
            fleets.instance('a', 'full', groups=('g',)),
            others=[
                fleets.instance('b', 'full', groups=('g',), movable=False)
            ],
            groups=[group],
        )
        self.assertEqual('affinity', found.stays.rule)
        self.assertIn('b', found.stays.text)

    def test_one_that_writes_too_fast_stays_for_that(self):
        found = self.explain(
            fleets.instance('a', 'full', dirty_rate_mib_s=90000.0)
        )
        self.assertEqual('convergence', found.stays.rule)

    def test_one_that_may_go_is_told_what_it_would_bring(self):
        self.hosts.append(fleets.host('free', zone='az1'))
        found = self.explain(fleets.instance('a', 'full', cpu=4.0))
        self.assertIsNone(found.stays)
        self.assertEqual('free', found.places[0].host)
        self.assertIn('does without moving it', text(found))

    def test_a_filter_of_others_that_raises_is_named_with_its_error(self):
        class Broken(filter_base.OneByOne):
            name = 'mine'

            def host_passes(self, state, instance, host):
                return False

            def reason(self, state, instance):
                raise KeyError('rack')

        found = self.explain(fleets.instance('a', 'full'), filters=(Broken(),))
        rule = found.places[0].refused
        self.assertEqual('mine', rule.rule)
        self.assertIn('KeyError', rule.remedy)


class OfMovesTest(unittest.TestCase):
    """A move is held against what could have been done in its place."""

    def test_figures_are_those_of_the_fleet_when_its_turn_comes(self):
        fleet = fleets.skewed(20, 200)
        context = plans.full_context()
        made = spread.Spread().propose(fleet, context)
        found = answers.Answers(fleet, context, made).plan()
        self.assertEqual(len(made.moves), len(found.moves))
        before = made.before.cpu_stddev
        for move, point in zip(found.moves, made.frontier, strict=True):
            self.assertEqual('', move.objection)
            self.assertAlmostEqual(before, move.cpu_spread_before)
            self.assertAlmostEqual(point.cpu_stddev, move.cpu_spread_after)
            before = point.cpu_stddev

    def test_the_second_best_is_named_for_host_and_instance(self):
        fleet = fleets.build(
            [fleets.host(name) for name in ('hot', 'warm', 'cold')],
            [
                fleets.instance('big', 'hot', 5.0),
                fleets.instance('less', 'hot', 4.0),
                fleets.instance('there', 'warm', 2.0),
            ],
        )
        context = plans.full_context()
        made = spread.Spread().propose(fleet, context)
        found = answers.Answers(fleet, context, made)
        (first, *_) = found.of(subjects.find(fleet, 'hot')).moves
        self.assertEqual('cold', first.destination)
        self.assertEqual('warm', first.second.host)
        self.assertEqual(1, len(first.rivals))
        self.assertTrue(first.why_instance)
        self.assertTrue(first.why_host)

    def test_an_affinity_group_is_explained_once_as_a_whole(self):
        fleet = fleets.build(
            [fleets.host('hot'), fleets.host('cold')],
            [
                fleets.instance('a', 'hot', 2.0, groups=('g',)),
                fleets.instance('b', 'hot', 2.0, groups=('g',)),
                fleets.instance('c', 'hot', 4.0),
            ],
            [fleets.group('g', columns.GroupPolicy.AFFINITY)],
        )
        context = plans.full_context()
        policy = spread.Spread(spread.SpreadParams(target=0.01))
        made = policy.propose(fleet, context)
        found = answers.Answers(fleet, context, made).plan()
        self.assertTrue(all(not one.objection for one in found.moves))

    def test_a_rule_that_is_mended_is_the_reason(self):
        fleet = fleets.build(
            [fleets.host('one'), fleets.host('two')],
            [
                fleets.instance('a', 'one', groups=('g',)),
                fleets.instance('b', 'one', groups=('g',)),
            ],
            [fleets.group('g')],
        )
        context = plans.full_context()
        made = repair.Repair().propose(fleet, context)
        (move,) = answers.Answers(fleet, context, made).plan().moves
        self.assertIn('group g has 1 too many', move.why_instance)

    def test_a_plan_of_another_time_says_what_no_longer_holds(self):
        before = fleets.build(
            [fleets.host('hot'), fleets.host('cold')],
            [
                fleets.instance('a', 'hot', 4.0),
                fleets.instance('b', 'hot', 4.0, movable=False),
            ],
        )
        now = fleets.build(
            [fleets.host('hot'), fleets.host('cold')],
            [fleets.instance('a', 'cold', 4.0)],
        )
        context = plans.full_context()
        policy = spread.Spread(spread.SpreadParams(target=0.01))
        made = policy.propose(before, context)
        found = answers.Answers(now, context, made).plan()
        objections = {one.instance: one.objection for one in found.moves}
        self.assertEqual(
            'the instance is on cold in this fleet', objections['a']
        )


class OfHostTest(unittest.TestCase):
    """A host is told what leaves it, what comes, and what does not."""

    def test_a_host_that_stays_hot_says_why(self):
        fleet = fleets.build(
            [fleets.host('hot'), fleets.host('cold')],
            [fleets.instance('a', 'hot', 9.5, movable=False)],
        )
        context = plans.full_context()
        made = relieve.Relieve().propose(fleet, context)
        found = answers.Answers(fleet, context, made)
        said = text(found.of(subjects.find(fleet, 'hot')))
        self.assertIn('none of its instances may be moved', said)
        self.assertIn('1 (a) (movable)', said)

    def test_one_that_takes_nothing_names_the_rule(self):
        fleet = fleets.build(
            [
                fleets.host('hot'),
                fleets.host('cold'),
                fleets.host('off', state=columns.HostState.DISABLED),
            ],
            [fleets.instance(f'i{row}', 'hot', 2.0) for row in range(4)],
        )
        context = plans.full_context()
        made = spread.Spread().propose(fleet, context)
        found = answers.Answers(fleet, context, made)
        said = text(found.of(subjects.find(fleet, 'off')))
        self.assertIn('(host_state)', said)


class FindTest(unittest.TestCase):
    """Hosts and instances are found by what people call them."""

    def setUp(self):
        super().setUp()
        self.fleet = fleets.build(
            [fleets.host('host-1')],
            [
                fleets.instance('aa-1', 'host-1', name='web'),
                fleets.instance('aa-2', 'host-1', name='db'),
                fleets.instance('bb-1', 'host-1', name='db'),
            ],
        )

    def test_by_name_and_by_the_beginning_of_an_id(self):
        for said, kind, row in (
            ('host-1', 'host', 0),
            ('aa-2', 'instance', 1),
            ('web', 'instance', 0),
            ('bb', 'instance', 2),
        ):
            with self.subTest(said):
                found = subjects.find(self.fleet, said)
                self.assertEqual(subjects.Subject(kind, row), found)

    def test_what_is_not_clear_is_refused_in_one_line(self):
        for said, words in (
            ('db', 'say which by its id: aa-2, bb-1'),
            ('hots-1', 'did you mean host-1'),
            ('aa', 'is 2 instances'),
        ):
            with (
                self.subTest(said),
                self.assertRaisesRegex(errors.NotFound, words),
            ):
                subjects.find(self.fleet, said)
