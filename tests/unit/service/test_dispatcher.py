"""Plans reach the executors, whatever is lost on the way."""

import dataclasses
import threading

import msgspec
import numpy as np

from kvm_balancer import errors
from kvm_balancer.messages import migration as messages
from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.lifecycle import states
from kvm_balancer.migration.options import scopes
from kvm_balancer.model import execution
from kvm_balancer.model import outcome
from kvm_balancer.model import owners
from kvm_balancer.model import plan as plans
from kvm_balancer.model import records
from kvm_balancer.model import sample
from kvm_balancer.model.cloud import overlay
from kvm_balancer.planner import budget
from kvm_balancer.planner import cooldown
from kvm_balancer.service import commands
from kvm_balancer.service import dispatcher
from kvm_balancer.service import recovery
from kvm_balancer.service import restraint
from kvm_balancer.store import store as stores
from tests.fixtures import fleets
from tests.unit.store import base

TIMEOUT_SECONDS = 60.0
PREDICTION = plans.Prediction(seconds=2.0, downtime_ms=20.0, mib=200.0)
LOADS = plans.LoadSummary(0.2, 0.9, 0.1, 0.5)
FACTS = sample.HostFacts(
    cpus=8,
    memory_mib=8192,
    peer_uri='qemu+tls://there/system',
    migration_address='10.0.0.2',
)
#: of what the host 'other' is in
SCOPES = scopes.Scopes(
    request.Options(post_copy=True),
    aggregates={'calm': {'max_downtime_ms': 50}},
)


def facts_of(host):
    if host == 'other':
        return dataclasses.replace(FACTS, aggregates=('calm',))
    return FACTS


def build_fleet(seen_at=0.0, **where):
    """Make three hosts, and instances as instance=host.

    :param seen_at: when all of them were last looked at
    """
    return records.build_fleet(
        [
            records.HostRecord(name=name, cpus=8, memory_mib=8192)
            for name in ('hot', 'cold', 'other')
        ],
        [
            records.InstanceRecord(
                id=uid, host=host, vcpus=2, memory_mib=1024, cpu_usage=2.0
            )
            for uid, host in where.items()
        ],
        taken_at=seen_at,
    )


class Full:
    """A store whose disk is full as long as a test says."""

    def __init__(self, whole):
        self._whole = whole
        self.full = False

    def __getattr__(self, name):
        if self.full:
            raise errors.StoreError('the disk is full')
        return getattr(self._whole, name)


class Executors:
    """Executors that answer what a test says; they remember what came."""

    def __init__(self):
        self.commands = []
        self.answer = 'pre-flight'
        self.states = {}
        self.settled = []
        #: what the executor of a host has against it
        self.settling = {}

    def migrate(self, wanted):
        self.commands.append(wanted)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def state(self, host, migration_id):
        found = self.states.get(migration_id)
        if found is None:
            raise errors.NotFound(f'{host} knows no migration')
        if isinstance(found, Exception):
            raise found
        return found

    def cancel(self, host, migration_id, reason):
        return self.state(host, migration_id)

    def settle(self, host, wish):
        self.settled.append((host, wish))
        if host in self.settling:
            raise self.settling[host]
        return self.state(host, wish.migration_id)


class DispatcherTest(base.StoreCase):
    def setUp(self):
        super().setUp()
        self.now = 1_000_000.0
        self.store = stores.Store(self.conf, create=True)
        self.addCleanup(self.store.close)
        self.store.migrations = Full(self.store.migrations)
        self.executors = Executors()
        self.dispatcher = self.build_dispatcher()
        self.fleet = build_fleet(a='hot', b='hot', c='cold')

    def build_dispatcher(self, restraint=None):
        self.cooldowns = cooldown.Cooldowns(cooldown.Params())
        return dispatcher.Dispatcher(
            self.store,
            self.executors,
            self.cooldowns,
            (),
            facts_of,
            dispatcher.Params(
                migration=SCOPES,
                max_migrations=4,
                patience=commands.Params(30.0, 120.0, 300.0),
            ),
            clock=lambda: self.now,
            restraint=restraint,
        )

    def build_plan(self, *moves):
        """Make a plan of (instance, source, destination, after)."""
        return plans.Plan(
            policy='relieve',
            moves=tuple(
                plans.Move(one, source, there, PREDICTION, 'hot', after)
                for one, source, there, after in moves
            ),
            before=LOADS,
            after=LOADS,
        )

    def begin(self, *moves, plan_id='plan-1'):
        """Begin a plan of (instance, source, destination, after)."""
        plan = self.build_plan(*moves)
        self.store.plans.save(
            plan_id, self.now, execution.PlanMode.AUTOMATIC, plan
        )
        self.dispatcher.begin(plan_id, plan)
        self.dispatcher.step(self.fleet)

    def end(self, wanted, kind=outcome.OutcomeKind.COMPLETED, reason=''):
        self.dispatcher.note_outcome(
            outcome.Outcome(
                migration_id=wanted.migration_id,
                instance=wanted.instance,
                source=wanted.source,
                destination=wanted.destination,
                outcome=kind,
                mode=plans.Mode.PRE_COPY,
                reason=reason,
                accepted_at=self.now,
                ended_at=self.now + 2.0,
                total_ms=2000.0,
                downtime_ms=12.0,
                transferred_mib=200.0,
                iterations=2,
                max_throttle_percent=0,
                predicted=PREDICTION,
                plan_id=wanted.plan_id,
            )
        )

    def move_states(self, plan_id='plan-1'):
        return [m.state.value for m in self.store.plans.get(plan_id).moves]

    def plan_state(self):
        return self.store.plans.get('plan-1').summary.state

    def announced(self):
        """Return what the agent is to tell on the bus, as no executor does."""
        return [
            messages.decode_outcome(msgspec.json.decode(one.payload)).outcome
            for one in self.store.announcements.pending()
        ]

    def test_a_command_says_all_that_an_executor_needs(self):
        self.begin(('a', 'hot', 'cold', ()))
        (wanted,) = self.executors.commands
        self.assertEqual(
            ('a', 'hot', 'cold', 'plan-1', '10.0.0.2', True, PREDICTION),
            (
                wanted.instance,
                wanted.source,
                wanted.destination,
                wanted.plan_id,
                wanted.migration_address,
                wanted.options.post_copy,
                wanted.predicted,
            ),
        )
        self.assertEqual('qemu+tls://there/system', wanted.destination_uri)
        self.assertEqual(self.now + 120.0, wanted.expires_at)
        self.assertEqual(['dispatched'], self.move_states())

    def test_options_are_those_of_both_ends_and_say_why(self):
        self.begin(('a', 'hot', 'cold', ()), ('b', 'hot', 'other', ()))
        plain, calm = self.executors.commands
        self.assertEqual(SCOPES.defaults, plain.options)
        self.assertEqual((), plain.notes)
        self.assertEqual(50, calm.options.max_downtime_ms)
        self.assertEqual(
            (
                'max_downtime_ms is 50, as aggregate calm of other says, and '
                'not 500',
            ),
            calm.notes,
        )

    def test_a_move_that_must_go_says_so(self):
        plan = self.build_plan(('a', 'hot', 'cold', ()))
        (move,) = plan.moves
        drained = dataclasses.replace(move, profile=plans.Profile.DRAIN)
        wanted = self.dispatcher._request('plan-1', drained, self.now)
        self.assertEqual(request.Profile.DRAIN, wanted.options.profile)

    def test_a_plan_goes_on_as_its_moves_end_and_then_is_finished(self):
        self.begin(('a', 'hot', 'cold', ()), ('b', 'hot', 'other', (0,)))
        self.assertEqual(1, len(self.executors.commands))
        self.end(self.executors.commands[0])
        self.dispatcher.step(build_fleet(a='cold', b='hot', c='cold'))
        self.assertEqual('b', self.executors.commands[1].instance)
        self.assertFalse(self.dispatcher.idle)
        self.end(self.executors.commands[1])
        self.assertTrue(self.dispatcher.idle)
        self.assertEqual(['completed', 'completed'], self.move_states())
        self.assertEqual(execution.PlanState.FINISHED, self.plan_state())

    def test_what_waits_for_a_failed_move_is_dropped_with_the_reason(self):
        self.begin(('a', 'hot', 'cold', ()), ('b', 'hot', 'other', (0,)))
        self.end(
            self.executors.commands[0],
            outcome.OutcomeKind.FAILED,
            'the link broke',
        )
        self.dispatcher.step(self.fleet)
        self.assertEqual(['failed', 'dropped'], self.move_states())
        detail = self.store.plans.get('plan-1').moves[1].detail
        self.assertIn('the link broke', detail)
        self.assertTrue(self.dispatcher.idle)

    def test_a_move_that_the_fleet_has_overtaken_is_dropped(self):
        table = [
            (build_fleet(a='other'), 'the instance is on other now'),
            (build_fleet(b='hot'), 'not in the fleet any more'),
        ]
        for fleet, reason in table:
            with self.subTest(reason=reason):
                plan = plans.Plan(
                    policy='relieve',
                    moves=(plans.Move('a', 'hot', 'cold', PREDICTION, 'hot'),),
                    before=LOADS,
                    after=LOADS,
                )
                name = f'plan {reason}'
                self.store.plans.save(
                    name, self.now, execution.PlanMode.AUTOMATIC, plan
                )
                self.dispatcher.begin(name, plan)
                self.dispatcher.step(fleet)
                (move,) = self.store.plans.get(name).moves
                self.assertIn(reason, move.detail)
                self.assertEqual([], self.executors.commands)

    def test_a_move_that_an_older_fleet_speaks_against_waits(self):
        """Where b goes is full in the fleet as it was before a left."""
        self.begin(('a', 'hot', 'cold', ()), ('a', 'cold', 'other', (0,)))
        self.end(self.executors.commands[0])
        self.dispatcher.step(build_fleet(self.now, a='hot', b='hot'))
        self.dispatcher.step(build_fleet(self.now, b='hot'))
        self.assertEqual(['completed', 'planned'], self.move_states())
        hosts = self.dispatcher.flights.unsettled(build_fleet(self.now))
        self.assertEqual({'hot', 'cold'}, hosts)
        self.dispatcher.step(build_fleet(self.now + 1.0, a='cold', b='hot'))
        self.assertEqual(['completed', 'dispatched'], self.move_states())
        hosts = self.dispatcher.flights.unsettled(build_fleet(self.now))
        self.assertEqual(set(), hosts)

    def test_what_cannot_be_written_down_is_done_later(self):
        plan = self.build_plan(
            ('a', 'hot', 'cold', ()),
            ('gone', 'hot', 'cold', ()),
            ('b', 'hot', 'other', ()),
        )
        self.store.plans.save(
            'plan-1', self.now, execution.PlanMode.AUTOMATIC, plan
        )
        self.dispatcher.begin('plan-1', plan)
        self.store.migrations.full = True
        for _ in range(2):
            with self.assertRaises(errors.StoreError):
                self.dispatcher.step(self.fleet)
        self.assertEqual([], self.executors.commands)
        self.assertEqual([], self.dispatcher.flights.all())
        self.store.migrations.full = False
        self.dispatcher.step(self.fleet)
        self.assertEqual(
            ['a', 'b'], [one.instance for one in self.executors.commands]
        )
        self.assertEqual(
            ['dispatched', 'dropped', 'dispatched'], self.move_states()
        )

    def test_a_budget_is_kept_by_all_that_starts_at_once(self):
        self.dispatcher = self.build_dispatcher(
            restraint.Restraint(budgets=budget.Params(moves=1))
        )
        self.begin(('a', 'hot', 'cold', ()), ('b', 'hot', 'other', ()))
        self.assertEqual(['dispatched', 'dropped'], self.move_states())
        detail = self.store.plans.get('plan-1').moves[1].detail
        self.assertIn('1 of 1 moves were begun this hour', detail)

    def test_a_host_that_is_not_drained_any_more_keeps_the_rest(self):
        plan = self.build_plan(
            ('a', 'hot', 'cold', ()), ('b', 'hot', 'other', (0,))
        )
        cause = plans.Cause(plans.CauseKind.DRAINING)
        plan = dataclasses.replace(
            plan,
            moves=tuple(
                dataclasses.replace(
                    one, cause=cause, profile=plans.Profile.DRAIN
                )
                for one in plan.moves
            ),
        )
        self.store.plans.save(
            'plan-1', self.now, execution.PlanMode.AUTOMATIC, plan
        )
        self.dispatcher.begin('plan-1', plan)
        self.dispatcher.step(overlay.drained(self.fleet, {'hot'}))
        self.end(self.executors.commands[0])
        self.dispatcher.step(build_fleet(self.now + 1.0, a='cold', b='hot'))
        self.assertEqual(['completed', 'dropped'], self.move_states())
        detail = self.store.plans.get('plan-1').moves[1].detail
        self.assertEqual('hot is not drained any more', detail)
        self.assertTrue(self.dispatcher.idle)

    def test_an_agent_that_ends_begins_nothing_more(self):
        self.dispatcher.stop()
        self.begin(('a', 'hot', 'cold', ()))
        self.assertEqual([], self.executors.commands)
        self.assertEqual(['planned'], self.move_states())

    def test_outcomes_and_questions_do_not_wait_for_an_executor(self):
        """While it thinks about a command, its outcome is there already."""

        def migrate(wanted):
            told = threading.Thread(target=self.end, args=(wanted,))
            told.start()
            told.join(TIMEOUT_SECONDS)
            self.assertFalse(told.is_alive())
            return 'completed'

        self.executors.migrate = migrate
        self.begin(('a', 'hot', 'cold', ()))
        self.assertTrue(self.dispatcher.idle)
        self.assertEqual([], self.dispatcher.flights.all())
        self.assertEqual(['completed'], self.move_states())

    def test_a_failure_that_is_no_refusal_is_asked_about(self):
        table = [
            (None, ['failed'], 'it was never begun: its disk is full'),
            ('pre-copy', ['dispatched'], ''),
        ]
        for state, moves, reason in table:
            with self.subTest(state=state):

                def migrate(wanted, state=state):
                    self.executors.states[wanted.migration_id] = state
                    raise errors.StoreError('its disk is full')

                self.executors.migrate = migrate
                self.begin(('a', 'hot', 'cold', ()), plan_id=f'is {state}')
                self.assertEqual(moves, self.move_states(f'is {state}'))
                (move,) = self.store.plans.get(f'is {state}').moves
                self.assertEqual(reason, move.detail)

    def test_a_refusal_ends_the_move_with_the_executors_reason(self):
        self.executors.answer = errors.MigrationError('it belongs to Nova')
        self.begin(('a', 'hot', 'cold', ()))
        self.assertEqual(['failed'], self.move_states())
        (record,) = self.store.migrations.latest()
        self.assertEqual('it belongs to Nova', record.reason)
        self.assertTrue(self.dispatcher.idle)
        self.assertEqual([outcome.OutcomeKind.FAILED], self.announced())

    def test_a_command_without_an_answer_is_sent_again_under_its_id(self):
        self.executors.answer = errors.BusError('silence')
        self.begin(('a', 'hot', 'cold', ()))
        self.assertFalse(self.dispatcher.idle)
        self.executors.answer = 'pre-copy'
        self.now += 31.0
        self.dispatcher.step(self.fleet)
        first, second = self.executors.commands
        self.assertEqual(first, second)
        self.now += 31.0
        self.executors.states[first.migration_id] = 'pre-copy'
        self.dispatcher.step(self.fleet)
        self.assertEqual(2, len(self.executors.commands))

    def test_an_expired_command_is_asked_after_and_not_sent_again(self):
        self.executors.answer = errors.BusError('silence')
        self.begin(('a', 'hot', 'cold', ()))
        self.now += 121.0
        self.dispatcher.step(self.fleet)
        self.assertEqual(1, len(self.executors.commands))
        (record,) = self.store.migrations.latest()
        self.assertEqual(outcome.OutcomeKind.FAILED, record.outcome)
        self.assertIn('never begun', record.reason)

    def test_what_an_executor_began_and_forgot_is_unknown(self):
        self.begin(('a', 'hot', 'cold', ()))
        self.now += 31.0
        self.dispatcher.step(self.fleet)
        (record,) = self.store.migrations.latest()
        self.assertEqual(outcome.OutcomeKind.UNKNOWN, record.outcome)
        self.assertEqual(['unknown'], self.move_states())

    def tell(self, wanted, kind, reason, at=5.0):
        self.dispatcher.note_outcome(
            base.make_outcome(
                wanted.migration_id,
                kind,
                instance=wanted.instance,
                source=wanted.source,
                destination=wanted.destination,
                plan_id=wanted.plan_id,
                reason=reason,
                ended_at=at,
                story=(outcome.StoryLine(at, kind.value, reason),),
            )
        )

    def test_what_is_unknown_stays_in_the_air_and_nobody_waits_for_it(self):
        self.begin(('a', 'hot', 'cold', ()))
        (wanted,) = self.executors.commands
        unknown = outcome.OutcomeKind.UNKNOWN
        for at, reason in ((5.0, 'out of sight'), (6.0, 'runs twice')):
            self.tell(wanted, unknown, reason, at)
        self.assertTrue(self.dispatcher.idle)
        self.assertEqual([], self.dispatcher.flights.busy(self.fleet))
        self.executors.states[wanted.migration_id] = 'unknown'
        for _ in range(40):
            self.now += 31.0
            self.dispatcher.step(self.fleet)
        self.assertEqual(1, len(self.dispatcher.flights.rows(self.fleet)))
        (record,) = self.store.migrations.latest(unknown=True)
        self.assertEqual('runs twice', record.reason)
        self.dispatcher.commands.cancel(wanted.migration_id, 'a person')
        self.tell(wanted, outcome.OutcomeKind.FAILED, 'it never left', 7.0)
        self.assertEqual([], self.dispatcher.flights.all())

    def settle(self, wanted, completed):
        return self.dispatcher.commands.settle(
            wanted,
            messages.Settle(wanted.migration_id, completed, 'ann: she saw'),
        )

    def test_a_person_settles_what_no_executor_looks_at(self):
        self.begin(('a', 'hot', 'cold', ()))
        (wanted,) = self.executors.commands
        self.tell(wanted, outcome.OutcomeKind.UNKNOWN, 'out of sight')
        self.executors.states[wanted.migration_id] = errors.BusError('gone')
        self.assertEqual('completed', self.settle(wanted, True))
        (record,) = self.store.migrations.latest()
        self.assertEqual(outcome.OutcomeKind.COMPLETED, record.outcome)
        self.assertRegex(
            record.reason, '^settled by hand: ann: she saw; .*marked on cold'
        )
        self.assertEqual([], self.dispatcher.flights.all())
        # the mark of what arrived is taken off
        self.assertEqual(
            ['hot', 'cold'], [host for host, _ in self.executors.settled]
        )

    def test_an_executor_that_looks_is_believed_before_a_person(self):
        self.begin(('a', 'hot', 'cold', ()))
        (wanted,) = self.executors.commands
        self.tell(wanted, outcome.OutcomeKind.UNKNOWN, 'out of sight')
        self.executors.states[wanted.migration_id] = errors.MigrationError(
            'it runs on the source'
        )
        with self.assertRaisesRegex(errors.MigrationError, 'on the source'):
            self.settle(wanted, True)
        self.executors.states[wanted.migration_id] = 'unknown'
        self.assertEqual('unknown', self.settle(wanted, False))
        (record,) = self.store.migrations.latest()
        self.assertEqual(outcome.OutcomeKind.UNKNOWN, record.outcome)

    def test_so_it_does_with_another_run_of_the_agent(self):
        self.begin(('a', 'hot', 'cold', ()))
        (wanted,) = self.executors.commands
        self.tell(wanted, outcome.OutcomeKind.UNKNOWN, 'out of sight')
        self.dispatcher.flights.land(wanted.migration_id)
        self.dispatcher.recover()
        (flight,) = self.dispatcher.flights.all()
        self.assertTrue(flight.unknown)
        # its executor has forgotten it
        for _ in range(3):
            self.now += 31.0
            self.dispatcher.step(self.fleet)
        (record,) = self.store.migrations.latest(unknown=True)
        self.assertEqual('out of sight', record.reason)
        self.assertEqual(1, len(self.dispatcher.flights.all()))

    def test_a_silent_executor_leaves_the_migration_in_the_air(self):
        self.begin(('a', 'hot', 'cold', ()))
        (wanted,) = self.executors.commands
        self.executors.states[wanted.migration_id] = errors.BusError('gone')
        self.now += 1000.0
        self.dispatcher.step(self.fleet)
        self.assertEqual(
            [('hot', 'cold')], self.dispatcher.flights.busy(self.fleet)
        )
        self.assertIsNone(self.store.migrations.latest()[0].outcome)

    def silent(self, answer='pre-copy', questions=10):
        """Return a migration whose executor has been silent for long."""
        self.executors.answer = answer
        self.begin(('a', 'hot', 'cold', ()))
        wanted = self.executors.commands[0]
        self.executors.states[wanted.migration_id] = errors.BusError('gone')
        self.now += 31.0
        for _ in range(questions):
            self.dispatcher.step(self.fleet)
            self.assertIsNone(self.store.migrations.latest()[0].outcome)
            self.now += 31.0
        self.dispatcher.step(self.fleet)
        return wanted

    def test_of_a_host_that_is_gone_is_told_that_nobody_knows(self):
        """It is told once, with what to do, and keeps nothing waiting."""
        wanted = self.silent()
        (record,) = self.store.migrations.latest(unknown=True)
        self.assertRegex(
            record.reason,
            'the executor of hot has not answered since .* UTC .gone.*'
            'pre-copy when it was last heard of.* on hot or on cold.*'
            f'migrations settle {wanted.migration_id} --as .* --reason TEXT$',
        )
        self.assertEqual(
            ['dispatched', 'unknown'], [line.state for line in record.story]
        )
        self.assertEqual([], self.dispatcher.flights.busy(self.fleet))
        self.assertEqual(1, len(self.dispatcher.flights.rows(self.fleet)))
        for _ in range(20):
            self.now += 31.0
            self.dispatcher.step(self.fleet)
        self.assertEqual([record], self.store.migrations.latest())
        self.assertEqual([outcome.OutcomeKind.UNKNOWN], self.announced())

    def test_so_it_is_where_the_command_may_have_been_lost(self):
        # the command itself was the first that was in vain
        self.silent(errors.BusError('no word'), questions=9)
        (record,) = self.store.migrations.latest(unknown=True)
        self.assertIn('it may not even have begun', record.reason)

    def test_silence_counts_from_the_first_question_in_vain(self):
        """Not from what was heard: an agent that was away heard nothing."""
        self.begin(('a', 'hot', 'cold', ()))
        (wanted,) = self.executors.commands
        states = self.executors.states
        states[wanted.migration_id] = errors.BusError('gone')
        self.dispatcher.flights.land(wanted.migration_id)
        self.dispatcher.recover()
        for answer in ('pre-copy', errors.BusError('gone')):
            for _ in range(9):
                self.now += 31.0
                self.dispatcher.step(self.fleet)
            states[wanted.migration_id] = answer
            self.now += 31.0
            self.dispatcher.step(self.fleet)
        self.assertEqual([], self.store.migrations.latest(unknown=True))

    def test_an_executor_that_comes_back_has_the_last_word(self):
        wanted = self.silent()
        self.executors.states[wanted.migration_id] = 'pre-copy'
        self.now += 31.0
        self.dispatcher.step(self.fleet)
        # It is under way again: nobody is to look for it on both hosts.
        self.assertEqual([], self.store.migrations.latest(unknown=True))
        (record,) = self.store.migrations.latest()
        self.assertEqual(
            ('pre-copy', None, None, ''),
            (record.state, record.outcome, record.ended_at, record.reason),
        )
        (move,) = self.store.plans.get(wanted.plan_id).moves
        self.assertEqual(
            (execution.MoveState.DISPATCHED, ''), (move.state, move.detail)
        )
        self.end(wanted)
        (record,) = self.store.migrations.latest()
        self.assertEqual(outcome.OutcomeKind.COMPLETED, record.outcome)
        self.assertIn('unknown', [line.state for line in record.story])
        self.assertEqual([], self.dispatcher.flights.all())
        # The end is told by the executor, and by nobody else.
        self.assertEqual([outcome.OutcomeKind.UNKNOWN], self.announced())

    def test_one_that_runs_on_is_unknown_no_more_and_takes_its_slots(self):
        wanted = self.silent()
        (told,) = self.store.migrations.latest()
        hosts = [('hot', 'cold')]
        for state, busy in (
            # Its executor looks at both ends, and knows no more.
            ('verifying', []),
            ('pre-copy', hosts),
            (errors.BusError('gone again'), hosts),
            ('unknown', []),
            ('recovering', []),
            ('post-copy', hosts),
        ):
            self.executors.states[wanted.migration_id] = state
            self.now += 31.0
            self.dispatcher.step(self.fleet)
            with self.subTest(state):
                self.assertEqual(
                    busy, self.dispatcher.flights.busy(self.fleet)
                )
                unknown = self.store.migrations.latest(unknown=True)
                self.assertEqual(not busy, bool(unknown))
                for one in unknown:
                    self.assertEqual(told.reason, one.reason)
        self.assertEqual([outcome.OutcomeKind.UNKNOWN], self.announced())

    def test_its_news_make_one_known_that_its_executor_did_not_know(self):
        self.begin(('a', 'hot', 'cold', ()))
        (wanted,) = self.executors.commands
        self.tell(wanted, outcome.OutcomeKind.UNKNOWN, 'out of sight')
        for state, known in (
            (states.State.RECOVERING, False),
            (states.State.POST_COPY, True),
            (states.State.UNKNOWN, False),
            (states.State.POST_COPY, True),
        ):
            self.dispatcher.note_progress(
                dataclasses.replace(self.report(wanted, 1.0), state=state)
            )
            with self.subTest(state):
                (record,) = self.store.migrations.latest()
                self.assertEqual(known, record.outcome is None)
                self.assertEqual(
                    '' if known else 'out of sight', record.reason
                )
        self.dispatcher.flights.land(wanted.migration_id)
        self.dispatcher.recover()
        (flight,) = self.dispatcher.flights.all()
        self.assertFalse(flight.unknown)
        # An agent that is started anew knows what was told before.
        self.executors.states[wanted.migration_id] = 'unknown'
        self.now += 31.0
        self.dispatcher.step(self.fleet)
        (record,) = self.store.migrations.latest(unknown=True)
        self.assertEqual('out of sight', record.reason)

    def test_one_that_falls_silent_twice_is_told_twice(self):
        wanted = self.silent()
        for state in ('pre-copy', errors.BusError('gone again')):
            self.executors.states[wanted.migration_id] = state
            for _ in range(12):
                self.now += 31.0
                self.dispatcher.step(self.fleet)
        (record,) = self.store.migrations.latest(unknown=True)
        self.assertIn('gone again', record.reason)
        self.assertEqual(2, len(self.announced()))

    def end_in_silence(self, answer, owner=owners.Owner.BALANCER):
        """Have nobody follow one to its end that was unknown and ran on."""
        self.dispatcher._owner_of = lambda _: owner
        wanted = self.silent()
        for state in (states.State.POST_COPY, states.State.VERIFYING):
            self.dispatcher.note_progress(
                dataclasses.replace(self.report(wanted, 1.0), state=state)
            )
        self.dispatcher = self.build_dispatcher()
        self.dispatcher.recover()
        self.assertEqual([], recovery.unknown(self.store, owner))
        self.executors.states[wanted.migration_id] = answer
        for _ in range(12):
            self.now += 31.0
            self.dispatcher.step(self.fleet)
        (record,) = self.store.migrations.latest(unknown=True)
        self.assertIn(str(answer), record.reason)
        self.assertEqual(2, len(self.announced()))

    def test_one_whose_executor_goes_before_its_end_is_unknown_again(self):
        self.end_in_silence(errors.BusError('gone again'))

    def test_one_that_is_forgotten_before_its_end_is_unknown_again(self):
        self.end_in_silence(errors.NotFound('hot knows no migration'))

    def test_one_of_novas_that_nobody_takes_up_is_unknown_again(self):
        self.end_in_silence(
            errors.NotFound('nothing knows it'), owners.Owner.NOVA
        )

    def test_a_person_settles_it_while_its_executor_is_silent(self):
        wanted = self.silent()
        hosts = self.executors.settling
        hosts['cold'] = errors.MigrationError('the instance runs on cold')
        with self.assertRaisesRegex(errors.MigrationError, 'runs on cold'):
            self.settle(wanted, False)
        self.assertEqual(1, len(self.store.migrations.latest(unknown=True)))
        hosts['cold'] = errors.NotFound('cold knows no migration')
        with self.assertNoLogs('kvm_balancer.service.commands', 'ERROR'):
            self.assertEqual('completed', self.settle(wanted, True))
        (record,) = self.store.migrations.latest()
        self.assertEqual('settled by hand: ann: she saw', record.reason)
        self.assertEqual([], self.dispatcher.flights.all())
        # Once, however often it is settled so.
        self.settle(wanted, True)
        kinds = outcome.OutcomeKind
        self.assertEqual([kinds.UNKNOWN, kinds.COMPLETED], self.announced())
        # that of the source is back after all: it is over all the same
        self.tell(wanted, outcome.OutcomeKind.FAILED, 'it never left', 7.0)
        self.assertEqual([record], self.store.migrations.latest())

    def test_migrations_that_others_began_take_slots_as_well(self):
        """One that is ours counts once, whatever samples show of it."""
        one_at_a_time = dataclasses.replace(
            self.fleet.hosts, max_outgoing=np.ones(3, np.int32)
        )
        self.fleet = dataclasses.replace(self.fleet, hosts=one_at_a_time)
        calm = self.fleet
        self.fleet = fleets.in_transit(calm, 'b', 'other')
        self.begin(('a', 'hot', 'cold', ()))
        self.assertEqual([], self.executors.commands)
        self.fleet = calm
        self.dispatcher.step(self.fleet)
        self.assertEqual(1, len(self.executors.commands))
        self.fleet = fleets.in_transit(calm, 'a', 'cold')
        busy = self.dispatcher.flights.busy(self.fleet)
        self.assertEqual([('hot', 'cold')], busy)
        self.end(self.executors.commands[0])
        self.fleet = fleets.in_transit(calm, 'a', 'cold', False)
        busy = self.dispatcher.flights.busy(self.fleet)
        self.assertEqual([('cold', 'hot')], busy)

    def test_an_owner_that_takes_fewer_is_sent_no_more(self):
        """What it would refuse waits, and has not failed."""
        params = self.dispatcher._params
        self.dispatcher._params = dataclasses.replace(
            params, max_by_owner={'balancer': 1}
        )
        self.fleet = build_fleet(a='hot', b='hot', c='hot')
        self.begin(('a', 'hot', 'cold', ()), ('b', 'hot', 'other', ()))
        self.assertEqual(['dispatched', 'planned'], self.move_states())
        self.end(self.executors.commands[0])
        self.fleet = build_fleet(self.now + 1.0, a='cold', b='hot', c='hot')
        self.dispatcher.step(self.fleet)
        self.assertEqual(['completed', 'dispatched'], self.move_states())

    def test_a_plan_goes_on_without_a_silent_executor(self):
        """Its outcome is kept all the same when it comes at last."""
        self.begin(('a', 'hot', 'cold', ()), ('b', 'hot', 'other', (0,)))
        (wanted,) = self.executors.commands
        self.executors.states[wanted.migration_id] = errors.BusError('gone')
        for _ in range(10):
            self.now += 31.0
            self.dispatcher.step(self.fleet)
        self.assertTrue(self.dispatcher.idle)
        self.assertEqual(['dispatched', 'dropped'], self.move_states())
        self.assertEqual(
            [('hot', 'cold')], self.dispatcher.flights.busy(self.fleet)
        )
        self.end(wanted)
        self.assertEqual([], self.dispatcher.flights.busy(self.fleet))
        self.assertEqual(['completed', 'dropped'], self.move_states())

    def test_an_outcome_that_never_comes_is_the_executors_word(self):
        self.begin(('a', 'hot', 'cold', ()))
        (wanted,) = self.executors.commands
        self.executors.states[wanted.migration_id] = 'completed'
        for _ in range(10):
            self.now += 31.0
            self.dispatcher.step(self.fleet)
            self.assertFalse(self.dispatcher.idle)
        self.now += 31.0
        self.dispatcher.step(self.fleet)
        self.assertEqual(['completed'], self.move_states())
        self.assertTrue(self.dispatcher.idle)
        # Whoever else listens had it from the executor.
        self.assertEqual([], self.announced())

    def test_the_clock_of_an_executor_does_not_make_it_heard_of(self):
        self.begin(('a', 'hot', 'cold', ()))
        (wanted,) = self.executors.commands
        self.dispatcher.note_progress(
            messages.Progress(
                migration_id=wanted.migration_id,
                instance='a',
                source='hot',
                destination='cold',
                at=self.now + 3600.0,
                state=states.State.PRE_COPY,
                statistics=events.Statistics(),
                text='',
            )
        )
        self.executors.states[wanted.migration_id] = 'switchover'
        self.now += 31.0
        self.dispatcher.step(self.fleet)
        flight = self.dispatcher.flights.get(wanted.migration_id)
        self.assertEqual('switchover', flight.state)

    def report(self, wanted, left, **figures):
        return messages.Progress(
            migration_id=wanted.migration_id,
            instance='a',
            source='hot',
            destination='cold',
            at=self.now,
            state=states.State.PRE_COPY,
            statistics=events.Statistics(iteration=1, remaining_mib=left),
            **figures,
        )

    def test_a_decision_reaches_the_story_with_its_number(self):
        self.begin(('a', 'hot', 'cold', ()))
        (wanted,) = self.executors.commands
        for _ in range(2):
            self.dispatcher.note_progress(
                self.report(wanted, 9.0, text='longer stop', decisions=1)
            )
        story = self.store.migrations.get(wanted.migration_id).story
        self.assertEqual(
            [('longer stop', 1)],
            [(line.text, line.decision) for line in story[1:]],
        )

    def test_what_was_seen_stays_when_its_executor_saw_nothing(self):
        self.begin(('a', 'hot', 'cold', ()))
        (wanted,) = self.executors.commands
        for left in (100.0, 50.0):
            self.dispatcher.note_progress(self.report(wanted, left))
        self.end(wanted)
        kept = self.store.migrations.get(wanted.migration_id).track
        self.assertEqual((100.0, 50.0), kept.remaining_mib)

    def test_the_same_outcome_twice_is_one(self):
        self.begin(('a', 'hot', 'cold', ()))
        (wanted,) = self.executors.commands
        self.end(wanted)
        self.end(wanted)
        self.assertEqual(1, len(self.store.migrations.latest()))

    def test_progress_reaches_the_story_when_the_state_changes(self):
        self.begin(('a', 'hot', 'cold', ()))
        (wanted,) = self.executors.commands
        told = messages.Progress(
            migration_id=wanted.migration_id,
            instance='a',
            source='hot',
            destination='cold',
            at=self.now,
            state=states.State.PRE_COPY,
            statistics=events.Statistics(remaining_mib=100.0),
            text='first pass',
        )
        self.dispatcher.note_progress(told)
        self.dispatcher.note_progress(
            dataclasses.replace(told, text='still the first pass')
        )
        story = self.store.migrations.get(wanted.migration_id).story
        texts = [line.text for line in story]
        self.assertIn('first pass', texts)
        self.assertNotIn('still the first pass', texts)
        flight = self.dispatcher.flights.get(wanted.migration_id)
        self.assertEqual(100.0, flight.statistics.remaining_mib)

    def test_instance_and_hosts_cool_down_after_an_outcome(self):
        self.begin(('a', 'hot', 'cold', ()))
        self.end(self.executors.commands[0])
        fleet = build_fleet(a='cold', b='hot')
        self.assertEqual(
            [True, False],
            self.cooldowns.instances(fleet, self.now + 10.0).tolist(),
        )
        self.assertEqual(
            [True, True, False],
            self.cooldowns.hosts(fleet, self.now + 10.0).tolist(),
        )

    def test_an_agent_that_is_started_anew_watches_what_was_in_the_air(self):
        self.begin(('a', 'hot', 'cold', ()), ('b', 'hot', 'other', (0,)))
        (wanted,) = self.executors.commands
        self.dispatcher = self.build_dispatcher()
        self.dispatcher.recover()
        self.assertEqual(
            [('hot', 'cold')], self.dispatcher.flights.busy(self.fleet)
        )
        self.assertEqual(['dispatched', 'dropped'], self.move_states())
        self.assertEqual(execution.PlanState.STOPPED, self.plan_state())
        self.executors.states[wanted.migration_id] = 'pre-copy'
        self.dispatcher.step(self.fleet)
        self.assertEqual(1, len(self.executors.commands))
        self.end(wanted)
        self.assertEqual([], self.dispatcher.flights.busy(self.fleet))
        self.assertEqual(['completed', 'dropped'], self.move_states())

    def test_what_was_confirmed_to_an_earlier_run_may_have_happened(self):
        self.begin(('a', 'hot', 'cold', ()))
        (wanted,) = self.executors.commands
        self.store.migrations.record_progress(
            wanted.migration_id, 'pre-copy', '', self.now
        )
        self.dispatcher = self.build_dispatcher()
        self.dispatcher.recover()
        self.dispatcher.step(self.fleet)
        (record,) = self.store.migrations.latest()
        self.assertEqual(outcome.OutcomeKind.UNKNOWN, record.outcome)

    def test_a_command_that_never_came_is_cancelled_here(self):
        self.executors.answer = errors.BusError('silence')
        self.begin(('a', 'hot', 'cold', ()))
        (wanted,) = self.executors.commands
        self.assertEqual(
            'cancelled',
            self.dispatcher.commands.cancel(wanted.migration_id, 'I say so'),
        )
        self.assertEqual(['cancelled'], self.move_states())
        self.assertEqual([outcome.OutcomeKind.CANCELLED], self.announced())
        self.now += 31.0
        self.dispatcher.step(self.fleet)
        self.assertEqual(1, len(self.executors.commands))

    def test_cancel_of_what_is_not_under_way_is_refused(self):
        with self.assertRaisesRegex(errors.NotFound, 'not under way'):
            self.dispatcher.commands.cancel('nothing', 'because')
