"""The outbox: what was promised survives whatever happens to the process."""

import contextlib
import dataclasses
import pathlib
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import unittest

from kvm_balancer import errors
from kvm_balancer.migration import knowledge
from kvm_balancer.store import outbox

_PUT_AND_DIE = """
import os, signal, sys
from kvm_balancer.store import outbox
box = outbox.Outbox(sys.argv[1])
box.accept('m', b'request', 'requested', 1.0)
for number in range(50):
    box.put('outcome', str(number), b'payload %d' % number)
box.done(box.pending()[0].id)
box.conclude('m', 'completed', 2.0, 'outcome', b'the end')
os.kill(os.getpid(), signal.SIGKILL)
"""

_FILL_THE_DISK = """
import resource, signal, sys
from kvm_balancer import errors
from kvm_balancer.store import outbox
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
box = outbox.Outbox(sys.argv[1])
box.put('outcome', 'first', b'small')
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, -1))
try:
    box.put('outcome', 'large', bytes(1_000_000))
except errors.StoreError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
print([message.key for message in box.pending()])
print(box.put('outcome', 'later', b'small'))
"""


class OutboxTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.path = pathlib.Path(made.name) / 'executor.sqlite'

    def _open(self):
        box = outbox.Outbox(self.path)
        self.addCleanup(box.close)
        return box

    def _run(self, program):
        return subprocess.run(
            [sys.executable, '-c', program, str(self.path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def test_messages_wait_in_order_until_they_are_done(self):
        box = self._open()
        for key in 'cab':
            self.assertTrue(box.put('outcome', key, key.encode()))
        self.assertEqual(['c', 'a', 'b'], [m.key for m in box.pending()])
        box.done(box.pending()[1].id)
        box.done(12345)
        self.assertEqual(
            [('outcome', 'c', b'c'), ('outcome', 'b', b'b')],
            [(m.kind, m.key, m.payload) for m in box.pending()],
        )

    def test_the_same_key_waits_once(self):
        box = self._open()
        self.assertTrue(box.put('outcome', 'a', b'1'))
        self.assertFalse(box.put('outcome', 'a', b'2'))
        self.assertTrue(box.put('other', 'a', b'3'))
        self.assertEqual([b'1', b'3'], [m.payload for m in box.pending()])

    def test_what_was_put_survives_a_kill(self):
        """Killed right after the last call, everything promised is there."""
        self.assertEqual(-signal.SIGKILL, self._run(_PUT_AND_DIE).returncode)
        box = self._open()
        self.assertEqual(
            [*(str(number) for number in range(1, 50)), 'm'],
            [message.key for message in box.pending()],
        )
        self.assertEqual([], box.unfinished())

    def test_a_full_disk_is_one_line_and_costs_only_what_did_not_fit(self):
        ran = self._run(_FILL_THE_DISK)
        self.assertEqual('', ran.stderr)
        error, pending, later = ran.stdout.splitlines()
        self.assertRegex(error, f'^the outbox {self.path} failed: .*disk')
        self.assertEqual("['first']", pending)
        self.assertEqual('True', later)

    def test_a_file_that_cannot_be_used_is_one_line(self):
        directory = self.path.parent
        garbage = directory / 'garbage'
        garbage.write_bytes(b'no database at all ' * 100)
        newer = directory / 'newer'
        with sqlite3.connect(newer) as connection:
            connection.execute('PRAGMA user_version = 99')
        connection.close()
        for path, text in (
            (directory / 'no' / 'file', 'does not exist; create it'),
            (directory, 'unable to open database file'),
            (garbage, 'file is not a database'),
            (newer, 'written by a newer kvm-balancer-executor'),
        ):
            with self.subTest(path):
                with self.assertRaises(errors.StoreError) as caught:
                    outbox.Outbox(path)
                self.assertIn(text, str(caught.exception))
                self.assertNotIn('\n', str(caught.exception))

    def test_the_database_of_another_program_is_left_as_it_is(self):
        """Whether it shows by its mark or by its tables."""
        for number, statement in enumerate(
            (
                'CREATE TABLE songs (name TEXT)',
                'CREATE TABLE alembic_version (version_num TEXT)',
                'PRAGMA application_id = 7',
            )
        ):
            with self.subTest(statement):
                path = self.path.parent / f'foreign-{number}'
                with sqlite3.connect(path) as connection:
                    connection.execute(statement)
                connection.close()
                before = path.read_bytes()
                with self.assertRaisesRegex(
                    errors.StoreError, 'of another program'
                ):
                    outbox.Outbox(path)
                self.assertEqual(before, path.read_bytes())

    def test_a_file_of_a_release_without_marks_is_ours(self):
        self._open().put('outcome', 'a', b'payload')
        with sqlite3.connect(self.path) as connection:
            connection.execute('PRAGMA application_id = 0')
        connection.close()
        self.assertEqual(['a'], [one.key for one in self._open().pending()])

    def test_leases_are_kept_in_the_order_in_which_they_were_promised(self):
        box = self._open()
        for name in 'bac':
            box.keep_lease(name, b'room')
        box.keep_lease('b', b'more')
        box.drop_lease('c')
        box.close()
        self.assertEqual(
            [outbox.Lease('a', b'room'), outbox.Lease('b', b'more')],
            self._open().leases(),
        )

    def test_a_lease_takes_the_place_of_others_at_once(self):
        box = self._open()
        for name in 'abc':
            box.keep_lease(name, b'room')
        box.keep_lease('d', b'room', instead_of=['a', 'c', 'never'])
        self.assertEqual(
            ['b', 'd'], [one.migration_id for one in box.leases()]
        )

    def test_a_migration_is_accepted_once_also_after_a_restart(self):
        box = self._open()
        self.assertTrue(box.accept('m', b'request', 'requested', 1.0))
        self.assertFalse(box.accept('m', b'other', 'requested', 2.0))
        box.close()
        box = self._open()
        self.assertFalse(box.accept('m', b'other', 'requested', 3.0))
        self.assertEqual(
            outbox.Entry('m', b'request', 'requested', False, 1.0),
            box.entry('m'),
        )
        self.assertIsNone(box.entry('other'))

    def test_what_is_unknown_goes_on_and_is_told_beside_what_it_becomes(self):
        box = self._open()
        box.accept('m', b'', 'requested', 1.0)
        for _ in range(2):
            box.conclude('m', 'unknown', 2.0, 'outcome', b'?', final=False)
        self.assertEqual(['unknown'], [one.state for one in box.unfinished()])
        box.conclude('m', 'failed', 3.0, 'outcome', b'!')
        self.assertEqual([], box.unfinished())
        self.assertEqual([b'?', b'!'], [one.payload for one in box.pending()])

    def test_another_finding_takes_the_place_of_one_that_waits(self):
        box = self._open()
        box.accept('m', b'', 'requested', 1.0)
        for told in (b'first', b'second'):
            box.conclude('m', 'unknown', 2.0, 'outcome', told, final=False)
        self.assertEqual([b'second'], [one.payload for one in box.pending()])

    def test_what_was_seen_and_told_is_known_until_it_is_over(self):
        box = self._open()
        box.accept('m', b'', 'requested', 1.0)
        self.assertEqual(knowledge.NOTHING, box.known('m'))
        box.remember('m', knowledge.Knowledge(ran_there=True, told='not yet'))
        box.conclude('m', 'unknown', 2.0, 'o', b'?', final=False, told='why')
        box.remember('m', knowledge.Knowledge(across=True, ran_there=True))
        box.close()
        box = self._open()
        self.assertEqual(
            knowledge.Knowledge(across=True, ran_there=True, told='why'),
            box.known('m'),
        )
        box.conclude('m', 'completed', 3.0, 'o', b'!')
        self.assertEqual(knowledge.NOTHING, box.known('m'))

    def test_the_file_of_an_earlier_release_learns_what_it_lacks(self):
        box = self._open()
        seen = knowledge.Knowledge(across=True, ran_there=True)
        box.remember('m', seen)
        box.close()
        with contextlib.closing(sqlite3.connect(self.path)) as earlier:
            for column in ('ran_back', 'guest_paused'):
                earlier.execute(f'ALTER TABLE knowledge DROP COLUMN {column}')
        box = self._open()
        self.assertEqual(seen, box.known('m'))
        seen = dataclasses.replace(seen, ran_back=True, guest_paused=True)
        box.remember('m', seen)
        self.assertEqual(seen, box.known('m'))

    def test_it_is_opened_without_a_write(self):
        """A disk that is full is no reason not to look at what is in it."""
        self._open().close()
        before = self.path.read_bytes()
        watched = self.path.with_name('watched.sqlite')
        watched.write_bytes(before)
        box = outbox.Outbox(watched)
        self.addCleanup(box.close)
        watching = box._file._connection
        (pages,) = watching.execute('PRAGMA wal_checkpoint').fetchone()[1:2]
        self.assertEqual(0, pages)

    def test_the_journal_knows_what_has_not_ended(self):
        box = self._open()
        for name in 'abc':
            box.accept(name, b'', 'requested', 1.0)
        box.note('a', 'pre-copy', 2.0)
        box.note('b', 'failed', 3.0, ended=True)
        self.assertEqual(
            [('c', 'requested'), ('a', 'pre-copy')],
            [(one.migration_id, one.state) for one in box.unfinished()],
        )
        box.note('b', 'late', 4.0)
        self.assertTrue(box.entry('b').ended)
        self.assertEqual(0, box.purge(4.0))
        self.assertEqual(1, box.purge(5.0))
        self.assertIsNone(box.entry('b'))
        self.assertEqual(2, len(box.unfinished()))

    def test_an_end_and_its_message_are_kept_as_one(self):
        box = self._open()
        box.accept('m', b'', 'requested', 1.0)
        box.conclude('m', 'completed', 2.0, 'outcome', b'the end')
        box.conclude('m', 'completed', 2.0, 'outcome', b'the end')
        self.assertEqual(1, len(box.pending()))
        self.assertEqual(
            outbox.Entry('m', b'', 'completed', True, 2.0), box.entry('m')
        )

    def test_threads_share_one(self):
        box = self._open()

        def put(number):
            for turn in range(5):
                box.put('outcome', f'{number}-{turn}', b'')
                box.pending()

        threads = [threading.Thread(target=put, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(20, len(box.pending()))
