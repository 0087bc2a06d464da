"""Migrations: from dispatch to outcome, in whatever order news arrives."""

import itertools

import msgspec

from kvm_balancer import errors
from kvm_balancer.messages import migration as messages
from kvm_balancer.model import execution
from kvm_balancer.model import outcome
from kvm_balancer.store import migrations
from kvm_balancer.store import store
from tests.unit.store import base

KINDS = outcome.OutcomeKind


class MigrationsTest(base.StoreCase):
    def setUp(self):
        super().setUp()
        self.store = store.Store(self.conf, create=True)
        self.addCleanup(self.store.close)
        self.migrations = self.store.migrations

    def test_a_migration_is_followed_from_dispatch_to_outcome(self):
        self.store.plans.save(
            base.PLAN, 999.0, execution.PlanMode.AUTOMATIC, base.make_plan()
        )
        wanted = base.make_request()
        self.assertTrue(self.migrations.record_dispatch(wanted, 1001.25, 1))
        self.migrations.record_progress(
            base.MIGRATION, 'pre-copy', 'pass 1', 1002.0
        )
        found = self.migrations.get(base.MIGRATION)
        self.assertEqual('pre-copy', found.state)
        self.assertEqual(1000.5, found.accepted_at)
        self.assertEqual(1001.25, found.dispatched_at)
        self.assertEqual(wanted.predicted, found.predicted)
        self.assertEqual(
            ['dispatched', 'pre-copy'], [line.state for line in found.story]
        )
        self.assertEqual([found], self.migrations.unfinished())

        ended = base.make_outcome()
        self.assertTrue(self.migrations.record_outcome(ended))
        found = self.migrations.get(base.MIGRATION)
        for field in (
            'outcome',
            'mode',
            'reason',
            'ended_at',
            'total_ms',
            'downtime_ms',
            'transferred_mib',
            'iterations',
            'max_throttle_percent',
            'copying_ms',
            'fixed_ms',
            'story',
            'track',
        ):
            self.assertEqual(getattr(ended, field), getattr(found, field))
        self.assertEqual(wanted.predicted, found.predicted)
        self.assertEqual([], self.migrations.unfinished())
        move = self.store.plans.get(base.PLAN).moves[1]
        self.assertEqual(execution.MoveState.COMPLETED, move.state)
        self.assertEqual(base.MIGRATION, move.migration_id)

    def test_news_that_come_twice_or_late_change_nothing(self):
        self.migrations.record_dispatch(base.make_request(), 1001.0)
        self.assertFalse(
            self.migrations.record_dispatch(base.make_request(), 2000.0)
        )
        self.migrations.record_outcome(base.make_outcome())
        before = self.migrations.get(base.MIGRATION)
        self.assertFalse(self.migrations.record_outcome(base.make_outcome()))
        self.assertFalse(
            self.migrations.record_progress(base.MIGRATION, 'x', 'late', 9e9)
        )
        self.assertFalse(
            self.migrations.record_dispatch(base.make_request(), 3000.0)
        )
        self.assertEqual([before], self.migrations.latest())

    def test_the_first_definite_outcome_is_for_good(self):
        for first, second in itertools.product(KINDS, KINDS):
            with self.subTest(first=first, second=second):
                name = f'{first}-{second}'
                self.migrations.record_outcome(base.make_outcome(name, first))
                changed = self.migrations.record_outcome(
                    base.make_outcome(name, second)
                )
                gives_way = first is KINDS.UNKNOWN and second is not first
                self.assertEqual(gives_way, changed)
                self.assertEqual(
                    second if gives_way else first,
                    self.migrations.get(name).outcome,
                )

    def test_what_is_known_later_tells_what_was_told_before_as_well(self):
        """Its executor may have been started anew in between."""
        for name, kind, at in (
            ('lost sight of', KINDS.UNKNOWN, 5.0),
            ('found again', KINDS.COMPLETED, 7.0),
        ):
            self.migrations.record_outcome(
                base.make_outcome(
                    'm',
                    kind,
                    story=(outcome.StoryLine(at, kind.value, name),),
                )
            )
        self.assertEqual(
            [('unknown', 'lost sight of'), ('completed', 'found again')],
            [(one.state, one.text) for one in self.migrations.get('m').story],
        )

    def test_another_finding_of_what_is_unknown_is_shown_in_its_place(self):
        findings = [
            base.make_outcome(
                'm',
                KINDS.UNKNOWN,
                reason=reason,
                ended_at=at,
                story=(outcome.StoryLine(at, 'unknown', reason),),
            )
            for reason, at in (('out of sight', 5.0), ('runs twice', 7.0))
        ]
        first, second = findings
        for told, news in (
            (first, True),
            (first, False),
            (second, True),
            # delivered once more
            (first, False),
            (second, False),
        ):
            self.assertEqual(news, self.migrations.record_outcome(told))
        (found,) = self.migrations.latest(unknown=True)
        self.assertEqual('runs twice', found.reason)
        self.assertEqual(
            ['out of sight', 'runs twice'],
            [one.text for one in self.migrations.get('m').story],
        )

    def test_one_that_is_unknown_once_more_is_so_to_its_move_as_well(self):
        self.store.plans.save(
            base.PLAN, 999.0, execution.PlanMode.AUTOMATIC, base.make_plan()
        )
        self.migrations.record_dispatch(base.make_request(), 1001.0, 1)
        # Not told yet, and so without a reason.
        self.migrations.record_state(base.MIGRATION, 'unknown', 1002.0)
        self.assertIsNone(self.migrations.get(base.MIGRATION).outcome)
        self.migrations.record_outcome(
            base.make_outcome(kind=KINDS.UNKNOWN, reason='out of sight')
        )
        for state, outcomes, told in (
            ('pre-copy', None, (execution.MoveState.DISPATCHED, '')),
            (
                'unknown',
                KINDS.UNKNOWN,
                (execution.MoveState.UNKNOWN, 'out of sight'),
            ),
        ):
            self.migrations.record_state(base.MIGRATION, state, 1003.0)
            with self.subTest(state):
                self.assertEqual(
                    outcomes, self.migrations.get(base.MIGRATION).outcome
                )
                move = self.store.plans.get(base.PLAN).moves[1]
                self.assertEqual(told, (move.state, move.detail))

    def test_what_is_done_about_what_is_unknown_is_in_its_story(self):
        self.migrations.record_outcome(base.make_outcome('m', KINDS.UNKNOWN))
        self.assertTrue(
            self.migrations.record_progress('m', 'recovering', 'anew', 9e9)
        )
        found = self.migrations.get('m')
        self.assertEqual(
            ('unknown', 'anew'), (found.state, found.story[-1].text)
        )

    def test_what_is_announced_waits_until_the_broker_has_it(self):
        """Each that is news once, with the outcome that is kept."""
        waiting = self.store.announcements
        unknown = base.make_outcome(outcome=KINDS.UNKNOWN, reason='why')
        ended = base.make_outcome()
        for one in (unknown, unknown, ended, ended):
            self.migrations.record_outcome(one, announce=True)
        self.migrations.record_outcome(
            base.make_outcome(migration_id=base.PLAN)
        )
        told = waiting.pending()
        self.assertEqual(
            [unknown, ended],
            [
                messages.decode_outcome(msgspec.json.decode(one.payload))
                for one in told
            ],
        )
        self.assertEqual(
            [('outcome', base.MIGRATION)] * 2,
            [(one.kind, one.key) for one in told],
        )
        waiting.done(told[0].id)
        waiting.done(told[0].id)
        self.assertEqual(told[1:], waiting.pending())

    def test_what_an_outcome_does_not_name_stays_as_it_was_asked_for(self):
        wanted = base.make_request()
        self.migrations.record_dispatch(wanted, 1001.25, 1)
        self.migrations.record_outcome(
            base.make_outcome(
                outcome=KINDS.UNKNOWN, instance='', destination=''
            )
        )
        found = self.migrations.get(base.MIGRATION)
        self.assertEqual(
            (wanted.instance, wanted.destination),
            (found.instance, found.destination),
        )

    def test_an_outcome_that_was_never_asked_for_here_is_kept(self):
        self.assertTrue(self.migrations.record_outcome(base.make_outcome()))
        found = self.migrations.get(base.MIGRATION)
        self.assertIsNone(found.dispatched_at)
        self.assertEqual(KINDS.COMPLETED, found.outcome)

    def test_progress_of_a_migration_that_is_not_known_is_ignored(self):
        self.assertFalse(
            self.migrations.record_progress('nobody', 'pre-copy', 'x', 1.0)
        )

    def test_filters_take_what_they_say(self):
        for name, changes, kind in (
            ('m1', {'instance': 'i-abc'}, KINDS.COMPLETED),
            ('m2', {'instance': 'i-abd', 'source': 'c'}, KINDS.UNKNOWN),
            ('m3', {'instance': 'x', 'destination': 'c'}, KINDS.FAILED),
        ):
            self.migrations.record_outcome(
                base.make_outcome(
                    name, kind, accepted_at=float(name[1:]), **changes
                )
            )
        for filters, expected in (
            ({}, ['m3', 'm2', 'm1']),
            ({'limit': 1}, ['m3']),
            ({'limit': None}, ['m3', 'm2', 'm1']),
            ({'unknown': True}, ['m2']),
            ({'instance': 'i-ab'}, ['m2', 'm1']),
            ({'instance': 'i-abc'}, ['m1']),
            ({'instance': '%'}, []),
            ({'host': 'c'}, ['m3', 'm2']),
            ({'host': 'c', 'unknown': True}, ['m2']),
        ):
            with self.subTest(filters):
                self.assertEqual(
                    expected,
                    [one.id for one in self.migrations.latest(**filters)],
                )

    def test_cooldowns_see_the_last_touch_and_what_runs(self):
        self.migrations.record_outcome(
            base.make_outcome('old', ended_at=10.0, instance='i-old')
        )
        self.migrations.record_outcome(
            base.make_outcome('new', ended_at=500.0, instance='i', source='a')
        )
        self.migrations.record_outcome(
            base.make_outcome(
                'newer',
                KINDS.FAILED,
                ended_at=600.0,
                instance='i',
                source='b',
                destination='a',
            )
        )
        self.migrations.record_dispatch(
            base.make_request(
                'runs',
                instance='r',
                source='c',
                destination='d',
                accepted_at=50.0,
            ),
            51.0,
        )
        found = self.migrations.last_moved(since=100.0)
        self.assertEqual({'i': 600.0, 'r': 50.0}, found.instances)
        self.assertEqual(
            {'a': 600.0, 'b': 600.0, 'host-b': 500.0, 'c': 50.0, 'd': 50.0},
            found.hosts,
        )
        self.assertEqual(
            {'i': migrations.Ended('b', 'a', 600.0, completed=False)},
            found.ended,
        )

    def test_only_what_ended_for_sure_is_forgotten(self):
        self.migrations.record_outcome(base.make_outcome('a', ended_at=1.0))
        self.migrations.record_outcome(
            base.make_outcome('b', KINDS.UNKNOWN, ended_at=1.0)
        )
        self.migrations.record_outcome(base.make_outcome('c', ended_at=9.0))
        self.migrations.record_dispatch(
            base.make_request('d', accepted_at=1.0), 1.0
        )
        self.assertEqual(1, self.store.purge(5.0))
        self.assertEqual(
            {'b', 'c', 'd'}, {one.id for one in self.migrations.latest()}
        )

    def test_a_migration_that_is_not_there_is_said_so(self):
        with self.assertRaisesRegex(errors.NotFound, 'no migration nobody'):
            self.migrations.get('nobody')
