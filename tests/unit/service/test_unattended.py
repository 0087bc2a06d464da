"""What nobody can look after is told as unknown, and settled by a person."""

import dataclasses
import pathlib
import queue
import tempfile
import time
import unittest
from unittest import mock
import uuid

import msgspec

from kvm_balancer import errors
from kvm_balancer.messages import migration as messages
from kvm_balancer.migration import events
from kvm_balancer.migration import request
from kvm_balancer.migration.convergence import adaptive
from kvm_balancer.migration.lifecycle import machine
from kvm_balancer.model import outcome
from kvm_balancer.model import owners
from kvm_balancer.service import executor
from kvm_balancer.service import migrations
from kvm_balancer.service import unattended
from kvm_balancer.store import outbox
from kvm_balancer.virt import marks
from tests.fixtures import pauses
from tests.unit.service import worlds

Kind = outcome.OutcomeKind
TIMEOUT_SECONDS = 60.0


class UnattendedCase(unittest.TestCase):
    def setUp(self):
        super().setUp()
        self.enterContext(pauses.patient())
        self.world = worlds.World('here', 'there')
        self.addCleanup(self.world.close)
        self.instance = self.world.start('here')
        self.wanted = request.Request(
            migration_id=str(uuid.uuid4()),
            instance=self.instance,
            source='here',
            destination='there',
            destination_uri=self.world.uri('there'),
            accepted_at=time.time(),
            plan_id='p1',
        )
        self.told = queue.SimpleQueue()

    def mark(self, **changes):
        """Have the instance marked, as by an earlier run."""

        def mark(world):
            held = world.host('here').find(self.instance)
            held.mark = marks.of(self.wanted)
            for name, value in changes.items():
                setattr(held, name, value)

        self.world.stage.use(mark)

    def until_unmarked(self):
        limit = time.monotonic() + TIMEOUT_SECONDS
        while self.world.driver('here').marked():
            self.assertLess(time.monotonic(), limit)

    def check(self, told, *said):
        self.assertIs(Kind.UNKNOWN, told.outcome)
        self.assertEqual(
            (
                self.wanted.migration_id,
                self.instance,
                'here',
                'there',
                'p1',
            ),
            (
                told.migration_id,
                told.instance,
                told.source,
                told.destination,
                told.plan_id,
            ),
        )
        for one in (
            *said,
            'nobody looks after it',
            'on here and on there',
            f'migrations settle {self.wanted.migration_id} --as completed',
        ):
            self.assertIn(one, told.reason)
        self.assertEqual(1, len(told.reason.splitlines()))


class ExecutorTest(UnattendedCase):
    """An executor that finds what it cannot look after in its journal."""

    def setUp(self):
        super().setUp()
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.path = pathlib.Path(made.name) / 'executor.sqlite'
        self.woken = queue.SimpleQueue()
        self.seen = 0
        self.make = mock.Mock(
            side_effect=errors.ConfigurationError('no policy of that name')
        )
        self.executor = self.build()

    def build(self):
        self.memory = outbox.Outbox(self.path)
        self.addCleanup(self.memory.close)
        made = executor.Executor(
            'here',
            self.world.driver('here'),
            self.memory,
            lambda wanted: self.make(wanted),
            lambda *_: None,
            lambda: self.woken.put(None),
            2,
        )
        self.addCleanup(made.stop)
        return made

    def accept(self, **changes):
        payload = messages.encode_request(self.wanted) | changes
        self.memory.accept(
            self.wanted.migration_id,
            msgspec.json.encode(payload),
            'pre-copy',
            time.time(),
        )

    def kept(self):
        """Wait for an outcome that was not seen yet, and return it."""
        self.woken.get(timeout=TIMEOUT_SECONDS)
        self.seen += 1
        message = self.memory.pending()[self.seen - 1]
        return messages.decode_outcome(msgspec.json.decode(message.payload))

    def settle(self, completed=False):
        return self.executor.settle(
            messages.Settle(self.wanted.migration_id, completed, 'ann: seen')
        )

    def test_what_no_machine_can_be_made_for_is_told_and_settled(self):
        self.accept()
        self.mark()
        self.executor.recover()
        self.check(self.kept(), 'no policy of that name')
        (entry,) = self.memory.unfinished()
        self.assertEqual('unknown', entry.state)
        self.assertEqual(
            'unknown', self.executor.state(self.wanted.migration_id)
        )
        self.assertFalse(self.executor.is_free(self.instance))
        with self.assertRaisesRegex(errors.MigrationError, '--unknown'):
            self.executor._refuse_unfit(self.wanted)
        with self.assertRaisesRegex(errors.MigrationError, 'nobody looks'):
            self.executor.cancel(self.wanted.migration_id, 'ann')
        with self.assertRaisesRegex(errors.MigrationError, 'runs on here'):
            self.settle(completed=True)
        self.assertEqual('failed', self.settle())
        ended = self.kept()
        self.assertIs(Kind.FAILED, ended.outcome)
        self.assertEqual('settled by hand: ann: seen', ended.reason)
        self.assertEqual([], self.memory.unfinished())
        self.assertTrue(self.executor.is_free(self.instance))
        self.until_unmarked()

    def test_a_plugin_that_breaks_leaves_the_others_looked_after(self):
        self.accept()
        other = self.wanted
        self.wanted = dataclasses.replace(other, migration_id='m-2')
        self.accept()

        def make(wanted):
            if wanted.migration_id == 'm-2':
                raise ZeroDivisionError('a defect')
            return machine.Machine(wanted, adaptive.Adaptive())

        self.make.side_effect = make
        self.executor.recover()
        told = {one.migration_id: one for one in (self.kept(), self.kept())}
        self.check(told['m-2'], 'ZeroDivisionError: a defect')
        self.assertIs(Kind.FAILED, told[other.migration_id].outcome)

    def test_its_instance_is_looked_at_where_no_mark_tells_of_it(self):
        self.accept()
        self.executor.recover()
        self.kept()
        with self.assertRaisesRegex(errors.MigrationError, 'runs on here'):
            self.settle(completed=True)
        self.assertEqual('failed', self.settle())

    def test_the_same_is_not_told_again_by_another_run(self):
        self.accept()
        self.executor.recover()
        self.kept()
        self.memory.done(self.memory.pending()[-1].id)
        self.seen = 0
        self.executor.stop()
        self.executor = self.build()
        self.executor.recover()
        self.settle()
        self.assertIs(Kind.FAILED, self.kept().outcome)
        self.assertEqual(1, len(self.memory.pending()))

    def test_what_another_run_can_look_after_it_does(self):
        self.accept()
        self.executor.recover()
        self.kept()
        self.executor.stop()
        self.executor = self.build()
        self.make.side_effect = lambda wanted: machine.Machine(
            wanted, adaptive.Adaptive()
        )
        self.executor.recover()
        ended = self.kept()
        self.assertIs(Kind.FAILED, ended.outcome)
        self.assertIn('the instance is on the source', ended.reason)

    def test_an_entry_that_cannot_be_read_is_told_with_what_can(self):
        for change in (
            {'schema': 'kvm-balancer/migration-request/2'},
            {'options': 'none'},
        ):
            with self.subTest(change=change):
                self.wanted = dataclasses.replace(
                    self.wanted, migration_id=str(uuid.uuid4())
                )
                self.accept(**change)
                self.executor = self.build()
                self.executor.recover()
                self.check(self.kept(), 'in the journal of here cannot be')
                self.settle()
                self.assertIs(Kind.FAILED, self.kept().outcome)

    def test_one_of_which_nothing_can_be_read_is_told_all_the_same(self):
        self.memory.accept('m-1', b'\x00', 'pre-copy', time.time())
        self.executor.recover()
        told = self.kept()
        self.assertEqual(('m-1', 'here'), (told.migration_id, told.source))
        self.assertIn('look for the instance on here, and', told.reason)

    def test_one_that_cannot_be_read_is_watched_where_a_mark_tells(self):
        self.make.side_effect = lambda wanted: machine.Machine(
            wanted, adaptive.Adaptive()
        )
        self.accept(options='none')
        self.mark()
        with pauses.short():
            self.executor.recover()
            self.check(self.kept(), 'cannot be read')
            ended = self.kept()
        self.assertIs(Kind.FAILED, ended.outcome)
        self.assertIn('the instance is on the source', ended.reason)
        self.assertEqual([], self.memory.unfinished())
        self.until_unmarked()

    def test_what_is_found_of_one_that_is_watched_is_told_instead(self):
        self.make.side_effect = lambda wanted: machine.Machine(
            wanted, adaptive.Adaptive()
        )
        self.accept(options='none')
        self.mark(state=events.EndState.PAUSED_MIGRATION, executes=False)
        with pauses.short():
            self.executor.recover()
            for _ in range(2):
                self.woken.get(timeout=TIMEOUT_SECONDS)
            self.executor.stop()
        (message,) = self.memory.pending()
        told = messages.decode_outcome(msgspec.json.decode(message.payload))
        self.assertIs(Kind.UNKNOWN, told.outcome)
        self.assertIn('only watched', told.reason)
        self.assertNotIn('nobody looks after it', told.reason)


class RunnerTest(UnattendedCase):
    """A machine that breaks where nothing breaks a machine."""

    def setUp(self):
        super().setUp()
        self.policy = adaptive.Adaptive()
        self.life = machine.Machine(self.wanted, self.policy)
        self.full = 0
        self.runner = migrations.MigrationRunner(
            self.world.driver('here'),
            self.life,
            lambda *_: None,
            self.tell,
        )

    def tell(self, told):
        if self.full:
            self.full -= 1
            raise errors.StoreError('no space left')
        self.told.put(told)

    def broken(self):
        """Begin one that breaks; return what was told of it."""
        defect = ZeroDivisionError('a defect')
        for name in ('handle', 'doubt'):
            broken = mock.patch.object(
                machine.Machine, name, autospec=True, side_effect=defect
            )
            broken.start()
            self.addCleanup(broken.stop)
        with self.assertLogs('kvm_balancer.service', 'ERROR') as logs:
            self.runner.start()
            told = self.told.get(timeout=TIMEOUT_SECONDS)
        self.assertIn('ZeroDivisionError', ''.join(logs.output))
        return told

    def test_one_that_breaks_is_told_as_unknown_and_settled(self):
        self.mark()
        self.check(self.broken(), 'ZeroDivisionError: a defect')
        self.assertEqual('unknown', self.runner.state)
        self.assertFalse(self.runner.wait(0.0))
        with self.assertRaisesRegex(errors.MigrationError, 'nobody looks'):
            self.runner.cancel('ann')
        self.runner._events.put(events.CancelAsked(at=0.0, cause='late'))
        self.runner.settle(True, 'ann: it runs there')
        ended = self.told.get(timeout=TIMEOUT_SECONDS)
        self.assertIs(Kind.COMPLETED, ended.outcome)
        self.assertIn('ann: it runs there', ended.reason)
        self.assertTrue(self.runner.wait(TIMEOUT_SECONDS))
        self.assertEqual('completed', self.runner.state)
        self.until_unmarked()

    def test_it_is_told_once_there_is_room_for_it(self):
        self.full = 2
        with mock.patch.object(unattended, 'RETRY_SECONDS', 0.01):
            self.broken()
        self.assertEqual(0, self.full)
        self.runner.leave()
        self.assertTrue(self.runner.wait(TIMEOUT_SECONDS))
        self.assertTrue(self.told.empty())

    def test_of_a_server_the_agent_is_who_is_started_again(self):
        self.assertIn(
            'start the agent again',
            unattended.Unattended(
                request.Request(
                    *('m1', 'i1', 'here', 'there', '', 0.0),
                    owner=owners.Owner.NOVA,
                ),
                'a defect',
                self.told.put,
                time.time,
            ).reason,
        )
