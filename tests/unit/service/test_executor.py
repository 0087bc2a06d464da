"""An executor accepts a migration once, refuses what is not its, and tells."""

import dataclasses
import pathlib
import tempfile
import threading
import time
import unittest
from unittest import mock
import uuid

import msgspec

from kvm_balancer import errors
from kvm_balancer.messages import migration as messages
from kvm_balancer.migration import events
from kvm_balancer.migration import knowledge
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.convergence import contract
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.model import outcome
from kvm_balancer.service import executor
from kvm_balancer.service import journal
from kvm_balancer.store import outbox
from kvm_balancer.virt import marks
from tests.fixtures import pauses
from tests.unit.migration import lives
from tests.unit.service import worlds

TIMEOUT_SECONDS = 60.0


class FullOnce:
    """An outbox whose disk is full for the first three outcomes."""

    def __init__(self, memory):
        self._memory = memory
        self._left = 3

    def __getattr__(self, name):
        return getattr(self._memory, name)

    def conclude(self, *values, **more):
        if self._left:
            self._left -= 1
            raise errors.StoreError('no space left')
        self._memory.conclude(*values, **more)


class Slow:
    """A driver that answers when it is allowed to."""

    def __init__(self, whole):
        self._whole = whole
        self.asked = threading.Event()
        self.go_on = threading.Event()

    def __getattr__(self, name):
        return getattr(self._whole, name)

    def view(self, instance):
        self.asked.set()
        self.go_on.wait(TIMEOUT_SECONDS)
        return self._whole.view(instance)


class Broken:
    """A driver whose carriers stumble over every check."""

    def __init__(self, whole):
        self._whole = whole

    def __getattr__(self, name):
        return getattr(self._whole, name)

    def carrier(self, wanted, sink, clock=None):
        made = self._whole.carrier(wanted, sink, clock)
        made.perform = self.fail
        return made

    def fail(self, instruction):
        raise KeyError(type(instruction).__name__)


class Asking:
    """A driver whose instances ask for something."""

    def __init__(self, whole, *asks):
        self._whole = whole
        self._asks = asks

    def __getattr__(self, name):
        return getattr(self._whole, name)

    def view(self, instance):
        return dataclasses.replace(self._whole.view(instance), asks=self._asks)


class ExecutorTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        self.world = worlds.World('here', 'there')
        self.addCleanup(self.world.close)
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.path = pathlib.Path(made.name) / 'executor.sqlite'
        self.told = threading.Condition()
        self.outcomes = 0
        self.policy = adaptive.Adaptive
        self.progress = []
        self.executor = self.build()

    def build(self, max_outgoing=2, on_asked=lambda _: None):
        self.memory = outbox.Outbox(self.path)
        self.addCleanup(self.memory.close)
        return executor.Executor(
            'here',
            self.world.driver('here'),
            self.memory,
            lambda wanted: machine.Machine(wanted, self.policy()),
            lambda wanted, report: self.progress.append(report),
            self.note_outcome,
            max_outgoing,
            on_asked=on_asked,
        )

    def note_outcome(self):
        with self.told:
            self.outcomes += 1
            self.told.notify_all()

    def wait_for_outcomes(self, count):
        with self.told:
            self.assertTrue(
                self.told.wait_for(
                    lambda: self.outcomes >= count, TIMEOUT_SECONDS
                )
            )

    def request(self, instance, **changes):
        values = {
            'migration_id': str(uuid.uuid4()),
            'instance': instance,
            'source': 'here',
            'destination': 'there',
            'destination_uri': self.world.uri('there'),
            'accepted_at': 0.0,
        }
        return request.Request(**{**values, **changes})

    def kept(self):
        """Return the outcomes in the outbox."""
        return [
            messages.decode_outcome(msgspec.json.decode(message.payload))
            for message in self.memory.pending()
        ]

    def test_a_migration_is_carried_to_its_end_and_told(self):
        wanted = self.request(self.world.start('here'))
        self.executor.migrate(wanted)
        self.wait_for_outcomes(1)
        (ended,) = self.kept()
        self.assertEqual(outcome.OutcomeKind.COMPLETED, ended.outcome)
        self.assertEqual(wanted.migration_id, ended.migration_id)
        self.assertGreater(ended.accepted_at, 0.0)
        self.assertTrue(self.progress)
        self.assertEqual([], self.executor.running())
        self.assertEqual('completed', self.executor.state(wanted.migration_id))
        view = self.world.driver('there').view(wanted.instance)
        self.assertEqual('running', view.end.state)

    def test_the_wishes_of_an_instance_are_its_limits(self):
        self.executor._hypervisor = Asking(
            self.world.driver('here'),
            ('max_downtime_ms', '7'),
            ('post_copy', 'true'),
        )
        wanted = self.request(self.world.start('here'))
        self.executor.migrate(wanted)
        entry = self.memory.entry(wanted.migration_id)
        kept = messages.decode_request(msgspec.json.decode(entry.request))
        self.assertEqual(
            (7, False),
            (kept.options.max_downtime_ms, kept.options.post_copy),
        )
        self.wait_for_outcomes(1)

    def test_a_wish_that_is_not_understood_is_refused(self):
        self.executor._hypervisor = Asking(
            self.world.driver('here'), ('post_copy', 'maybe')
        )
        wanted = self.request(self.world.start('here'))
        with self.assertRaisesRegex(errors.MigrationError, "'maybe'"):
            self.executor.migrate(wanted)
        self.assertEqual([], self.executor.running())

    def test_the_same_command_again_changes_nothing(self):
        wanted = self.request(self.world.start('here'))
        self.executor.migrate(wanted)
        self.executor.migrate(wanted)
        self.wait_for_outcomes(1)
        self.assertEqual('completed', self.executor.migrate(wanted))
        self.assertEqual(1, len(self.kept()))

    def test_the_same_command_after_a_restart_changes_nothing(self):
        wanted = self.request(self.world.start('here'))
        self.executor.migrate(wanted)
        self.wait_for_outcomes(1)
        self.memory.close()
        self.assertEqual('completed', self.build().migrate(wanted))
        self.assertEqual(1, len(self.kept()))

    def test_what_is_not_to_be_moved_is_refused_with_the_reason(self):
        table = [
            ({'source': 'there'}, 'this is here'),
            ({'instance': str(uuid.uuid4())}, 'no'),
            ({'instance': self.world.start('here', nova=True)}, 'Nova'),
            ({'expires_at': time.time() - 1.0}, 'was to begin earlier'),
        ]
        for changes, reason in table:
            with self.subTest(reason=reason):
                ours = {'instance': self.world.start('here')}
                wanted = self.request(**{**ours, **changes})
                with self.assertRaisesRegex(errors.MigrationError, reason):
                    self.executor.migrate(wanted)
                with self.assertRaises(errors.NotFound):
                    self.executor.state(wanted.migration_id)
        self.assertEqual([], self.kept())

    def test_an_instance_is_in_one_migration_and_a_host_in_so_many(self):
        self.executor = self.build(max_outgoing=1)
        first = self.endless()
        with self.assertRaisesRegex(errors.MigrationError, 'already'):
            self.executor.migrate(self.request(first.instance))
        with self.assertRaisesRegex(errors.MigrationError, 'max_outgoing'):
            self.executor.migrate(self.request(self.world.start('here')))
        self.executor.cancel(first.migration_id, 'the test is over')
        self.wait_for_outcomes(1)

    def test_a_cancelled_migration_says_who_wanted_it(self):
        wanted = self.endless()
        self.executor.cancel(wanted.migration_id, 'a person wants it here')
        self.wait_for_outcomes(1)
        (ended,) = self.kept()
        self.assertEqual(outcome.OutcomeKind.CANCELLED, ended.outcome)
        self.assertIn('a person wants it here', ended.reason)
        self.world.driver('here').view(wanted.instance)

    def test_cancel_of_what_was_never_accepted_is_refused(self):
        with self.assertRaisesRegex(errors.NotFound, 'here knows no'):
            self.executor.cancel('nothing', 'because')

    def test_a_command_that_comes_after_its_denial_is_refused(self):
        """Who was told that it was never begun may move the instance."""
        table = [
            lambda uid: self.executor.state(uid),
            lambda uid: self.executor.cancel(uid, 'too late'),
        ]
        for ask in table:
            wanted = self.request(self.world.start('here'))
            with self.assertRaises(errors.NotFound):
                ask(wanted.migration_id)
            with self.assertRaisesRegex(errors.MigrationError, 'called off'):
                self.executor.migrate(wanted)
        self.assertEqual([], self.executor.running())

    def test_a_slow_hypervisor_keeps_nobody_else_waiting(self):
        first = self.request(self.world.start('here', dirty_rate_mib_s=3000.0))
        self.executor.migrate(first)
        slow = Slow(self.world.driver('here'))
        self.addCleanup(slow.go_on.set)
        self.executor._hypervisor = slow
        second = self.request(self.world.start('here'))
        waiting = threading.Thread(
            target=self.executor.migrate, args=(second,), daemon=True
        )
        waiting.start()
        self.assertTrue(slow.asked.wait(TIMEOUT_SECONDS))
        self.executor.cancel(first.migration_id, 'the test is over')
        self.wait_for_outcomes(1)
        slow.go_on.set()
        self.wait_for_outcomes(2)

    def test_an_instance_is_free_until_a_migration_of_it_is_asked_for(self):
        """From before the hypervisor is asked to its end, without a gap."""
        asked = []
        self.executor = self.build(on_asked=asked.append)
        instance, other = self.world.start('here'), self.world.start('here')
        self.assertTrue(self.executor.is_free(instance))
        slow = Slow(self.world.driver('here'))
        self.addCleanup(slow.go_on.set)
        self.executor._hypervisor = slow
        waiting = threading.Thread(
            target=self.executor.migrate,
            args=(self.request(instance),),
            daemon=True,
        )
        waiting.start()
        self.assertTrue(slow.asked.wait(TIMEOUT_SECONDS))
        self.assertFalse(self.executor.is_free(instance))
        self.assertTrue(self.executor.is_free(other))
        self.assertEqual([instance], asked)
        slow.go_on.set()
        self.wait_for_outcomes(1)
        waiting.join(TIMEOUT_SECONDS)
        self.assertTrue(self.executor.is_free(instance))

    def test_one_that_is_refused_leaves_its_instance_free(self):
        instance = self.world.start('here', nova=True)
        with self.assertRaises(errors.MigrationError):
            self.executor.migrate(self.request(instance))
        self.assertTrue(self.executor.is_free(instance))

    def test_a_watcher_that_fails_does_not_end_a_migration(self):
        def fail(wanted, report):
            raise RuntimeError('no way')

        self.executor._on_progress = fail
        with self.assertLogs('kvm_balancer.service.migrations', 'ERROR'):
            self.executor.migrate(self.request(self.world.start('here')))
            self.wait_for_outcomes(1)
        (ended,) = self.kept()
        self.assertEqual(outcome.OutcomeKind.COMPLETED, ended.outcome)

    def test_a_driver_that_fails_ends_a_migration_with_the_reason(self):
        self.executor._hypervisor = Broken(self.world.driver('here'))
        with self.assertLogs('kvm_balancer.service.migrations', 'ERROR'):
            self.executor.migrate(self.request(self.world.start('here')))
            self.wait_for_outcomes(1)
        (ended,) = self.kept()
        self.assertEqual(outcome.OutcomeKind.FAILED, ended.outcome)
        self.assertIn('KeyError', ended.reason)

    def test_what_ended_long_ago_is_forgotten(self):
        self.memory.accept('old', b'{}', 'completed', 1.0)
        self.memory.note('old', 'completed', 1.0, ended=True)
        self.executor.recover()
        self.assertIsNone(self.memory.entry('old'))

    def test_what_an_earlier_run_began_is_looked_at_and_told(self):
        """The journal has it, nobody carries it: both ends tell."""
        wanted = self.request(self.world.start('here'))
        self.memory.accept(
            wanted.migration_id,
            msgspec.json.encode(messages.encode_request(wanted)),
            'pre-copy',
            time.time(),
        )
        self.executor.recover()
        self.wait_for_outcomes(1)
        (ended,) = self.kept()
        self.assertEqual(outcome.OutcomeKind.FAILED, ended.outcome)
        self.assertIn('the executor ended', ended.reason)
        self.assertEqual([], self.memory.unfinished())

    def restart(self):
        """Let this run of the executor end, and another one begin."""
        self.executor.stop()
        self.memory.close()
        self.executor = self.build()
        self.executor.recover()
        self.addCleanup(self.executor.stop)

    def wait_for_state(self, migration_id, state):
        self.wait_until(lambda: self.executor.state(migration_id) == state)

    def wait_until(self, holds):
        limit = time.monotonic() + TIMEOUT_SECONDS
        while not holds():
            self.assertLess(time.monotonic(), limit)
            time.sleep(0)

    def endless(self):
        """Begin a migration that goes on until something happens to it."""
        self.policy = lives.Told
        wanted = self.request(
            self.world.start('here', dirty_rate_mib_s=3000.0),
            options=request.Options(
                auto_converge=False, max_downtime_ms=1, bandwidth_mib_s=50
            ),
        )
        self.executor.migrate(wanted)
        self.wait_for_state(wanted.migration_id, 'pre-copy')
        return wanted

    def test_what_an_earlier_run_began_is_steered_on(self):
        """It would never end, and is cancelled."""
        wanted = self.endless()
        self.restart()
        self.wait_for_state(wanted.migration_id, 'pre-copy')
        self.executor.cancel(wanted.migration_id, 'a person')
        self.wait_for_outcomes(1)
        (ended,) = self.kept()
        self.assertEqual(outcome.OutcomeKind.CANCELLED, ended.outcome)
        self.assertEqual((), self.world.driver('here').marked())

    def test_what_was_unknown_and_runs_on_is_one_of_the_hosts_again(self):
        wanted = self.endless()
        self.executor.stop()
        self.memory.note(wanted.migration_id, 'unknown', time.time())
        self.memory.close()
        self.progress.clear()
        self.executor = self.build(max_outgoing=1)
        self.addCleanup(self.executor.stop)
        self.executor.recover()
        self.wait_until(
            lambda: 'pre-copy' in [one.state for one in self.progress]
        )
        with self.assertRaisesRegex(errors.MigrationError, 'max_outgoing'):
            self.executor.migrate(self.request(self.world.start('here')))

    def unknown(self):
        """Have a migration of which nobody can tell how it ended."""
        wanted = self.endless()
        self.world.stage.use(lambda world: world.set_reachable('here', False))
        self.wait_for_outcomes(1)
        return wanted

    def test_what_is_unknown_is_told_and_looked_at_until_it_is_known(self):
        with pauses.short():
            wanted = self.unknown()
            (entry,) = self.memory.unfinished()
            self.assertEqual('unknown', entry.state)
            with self.assertRaisesRegex(errors.MigrationError, '--unknown'):
                self.executor._refuse_unfit(self.request(wanted.instance))
            self.restart()
            self.world.stage.use(
                lambda world: world.set_reachable('here', True)
            )
            self.wait_for_outcomes(2)
        kinds = [one.outcome for one in self.kept()]
        self.assertEqual(
            [outcome.OutcomeKind.UNKNOWN, outcome.OutcomeKind.FAILED], kinds
        )
        self.assertEqual([], self.memory.unfinished())

    def test_what_is_unknown_is_looked_at_while_the_disk_is_full(self):
        """And told as soon as there is room."""
        full = FullOnce(self.memory)
        self.executor._journal._memory = full
        with pauses.short(), self.assertLogs(level='ERROR') as logs:
            wanted = self.unknown()
            self.assertEqual(0, full._left)
            self.assertEqual(
                'unknown', self.executor.state(wanted.migration_id)
            )
        said = ' '.join(logs.output)
        self.assertEqual(1, said.count('no space left'))
        self.assertIn('unknown', said)

    def test_what_was_seen_is_in_the_journal_before_it_matters(self):
        self.policy = lambda: lives.Told(contract.StartPostCopy('now'))
        wanted = self.request(
            self.world.start('here', dirty_rate_mib_s=3000.0),
            options=request.Options(post_copy=True),
        )
        seen = []
        remember = self.memory.remember

        def note(name, known):
            remember(name, known)
            seen.append((known.ran_there, self.memory.known(name)))

        self.memory.remember = note
        self.executor.migrate(wanted)
        self.wait_for_outcomes(1)
        self.assertIn((True, True), [(a, b.ran_there) for a, b in seen])
        self.assertEqual(
            knowledge.NOTHING, self.memory.known(wanted.migration_id)
        )

    def mark(self, wanted, **changes):
        def mark(world):
            held = world.host('here').find(wanted.instance)
            held.mark = marks.of(wanted)
            for name, value in changes.items():
                setattr(held, name, value)

        self.world.stage.use(mark)

    def test_a_mark_without_a_journal_is_told_of_and_left_alone(self):
        wanted = self.request(self.world.start('here'))
        self.mark(
            wanted, state=events.EndState.PAUSED_MIGRATION, executes=False
        )
        with pauses.short():
            self.executor.recover()
            self.wait_for_outcomes(1)
            self.restart()
            self.wait_for_state(wanted.migration_id, 'unknown')
            self.executor.stop()
        (told,) = self.kept()
        self.assertEqual(outcome.OutcomeKind.UNKNOWN, told.outcome)
        self.assertIn('in no journal', told.reason)
        view = self.world.driver('here').view(wanted.instance)
        self.assertEqual('paused for migration', view.end.state)

    def test_what_came_and_is_not_known_to_have_arrived_does_not_go_on(self):
        wanted = self.request(
            self.world.start('here'),
            source='far',
            destination='here',
        )
        self.mark(wanted)
        onward = self.request(wanted.instance)
        for answer, said in (
            (lambda *_: 'unknown', 'unknown'),
            (lambda *_: 'verifying', 'verifying'),
            (mock.Mock(side_effect=errors.BusError('silence')), 'silence'),
            (None, 'is not asked'),
        ):
            self.executor._ask_state = answer
            with self.assertRaisesRegex(
                errors.MigrationError, f'from far.*{said}.*--unknown'
            ):
                self.executor.migrate(onward)
        asked = mock.Mock(return_value='completed')
        self.executor._ask_state = asked
        self.executor.migrate(onward)
        asked.assert_called_once_with('far', wanted.migration_id)
        self.wait_for_outcomes(1)

    def settle(self, wanted, completed=False):
        return self.executor.settle(
            messages.Settle(wanted.migration_id, completed, 'ann: she saw it')
        )

    def test_a_person_settles_what_is_unknown_and_nothing_else(self):
        with self.assertRaises(errors.NotFound):
            self.settle(self.request('none'))
        with pauses.short(), pauses.patient():
            wanted = self.unknown()
            self.assertEqual('failed', self.settle(wanted))
            self.wait_for_outcomes(2)
        ended = self.kept()[-1]
        self.assertEqual(outcome.OutcomeKind.FAILED, ended.outcome)
        self.assertIn('ann: she saw it', ended.reason)
        self.assertEqual([], self.memory.unfinished())
        self.assertEqual('failed', self.settle(wanted, completed=True))

    def test_what_is_looked_after_is_not_settled(self):
        wanted = self.endless()
        with self.assertRaisesRegex(errors.MigrationError, 'is looked after'):
            self.settle(wanted)

    def test_what_came_is_free_when_a_person_has_settled_it(self):
        wanted = self.request(
            self.world.start('here'), source='far', destination='here'
        )
        self.mark(wanted)
        with self.assertRaises(errors.NotFound):
            self.settle(wanted, completed=True)
        limit = time.monotonic() + TIMEOUT_SECONDS
        while self.world.driver('here').marked():
            self.assertLess(time.monotonic(), limit)
        self.executor.migrate(self.request(wanted.instance))
        self.wait_for_outcomes(1)

    def test_what_came_is_looked_at_before_a_person_is_believed(self):
        state = events.EndState
        for source, found, active, completed, said in (
            ('far', state.RUNNING, False, False, 'the instance runs on here'),
            ('here', state.RUNNING, False, True, 'the instance runs on here'),
            ('far', state.PAUSED_MIGRATION, False, True, 'is paused for mig'),
            ('far', state.POST_COPY_FAILED, False, True, 'post-copy broken'),
            ('far', state.POST_COPY, False, False, 'is in post-copy'),
            # Nothing but its job speaks against these.
            ('far', state.RUNNING, True, True, 'in a migration still'),
            ('here', state.RUNNING, True, False, 'in a migration still'),
        ):
            wanted = self.request(
                self.world.start('here'), source=source, destination='here'
            )
            self.mark(wanted, state=found, job_active=active)
            with self.assertRaisesRegex(errors.MigrationError, said):
                self.settle(wanted, completed)
            self.assertIn(
                wanted.instance,
                [one.instance for one in self.world.driver('here').marked()],
            )

    def test_a_mark_that_an_end_left_is_taken_off(self):
        wanted = self.request(self.world.start('here'))
        self.memory.accept(
            wanted.migration_id,
            msgspec.json.encode(messages.encode_request(wanted)),
            'failed',
            time.time(),
        )
        self.memory.note(
            wanted.migration_id, 'failed', time.time(), ended=True
        )
        self.mark(wanted)
        self.executor.recover()
        limit = time.monotonic() + TIMEOUT_SECONDS
        while self.world.driver('here').marked():
            self.assertLess(time.monotonic(), limit)
        self.assertEqual([], self.kept())

    def test_an_executor_that_ends_leaves_its_migrations_to_the_next(self):
        wanted = self.request(
            self.world.start('here', dirty_rate_mib_s=3000.0)
        )
        self.executor.migrate(wanted)
        self.executor.stop()
        self.assertEqual([], self.kept())
        (entry,) = self.memory.unfinished()
        self.assertEqual(wanted.migration_id, entry.migration_id)

    def test_an_outcome_waits_for_a_disk_that_does_not_take_it(self):
        wanted = self.request(self.world.start('here'))
        whole, journal.RETRY_SECONDS = journal.RETRY_SECONDS, 0.01
        self.addCleanup(setattr, journal, 'RETRY_SECONDS', whole)
        full = FullOnce(self.memory)
        self.executor._journal._memory = full
        with self.assertLogs('kvm_balancer.service.journal', 'ERROR') as log:
            self.executor.migrate(wanted)
            self.wait_for_outcomes(1)
        self.assertEqual(1, len(log.output))
        self.assertIn('no space', log.output[0])
        self.assertEqual(1, len(self.kept()))
