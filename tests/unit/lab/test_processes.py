"""Daemons are found by what they are, not by what was written down."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

import msgspec

from kvm_balancer import errors
from kvm_balancer.lab import processes

# The first thread ends, and another stays.
_HEADLESS = """
import ctypes, os, threading, time
def stay():
    # Seen by the system, and not only by Python.
    while open('/proc/self/stat').read().rpartition(')')[2].split()[0] != 'Z':
        time.sleep(0.01)
    os.write(1, b'up\\n')
    time.sleep(60)
threading.Thread(target=stay).start()
ctypes.CDLL(None).syscall(60, 0)
"""
_STUBBORN = 'trap "" TERM; echo deaf > "$0"; while :; do sleep 60; done'


class ProcessesTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = pathlib.Path(temporary.name)
        self.daemons = processes.Processes(self.directory)
        self.addCleanup(self.daemons.sweep, 1.0)

    def test_a_daemon_is_alive_until_it_is_stopped(self):
        self.assertFalse(self.daemons.is_alive('one'))
        self.daemons.start('one', ['sleep', '60'])
        self.assertTrue(self.daemons.is_alive('one'))
        self.daemons.stop('one')
        self.assertFalse(self.daemons.is_alive('one'))
        self.assertIsNone(self.daemons.find('one'))

    def test_one_that_was_killed_is_dead_at_once(self):
        self.daemons.start('one', ['sleep', '60'])
        self.daemons.signal('one', signal.SIGKILL)
        self.assertFalse(self.daemons.is_alive('one'))

    def test_one_that_does_not_listen_is_killed(self):
        self._stubborn()
        deaf = self.daemons.find('deaf')
        self.daemons.stop('deaf', wait_seconds=0.1)
        self.assertFalse(processes.is_alive(deaf))

    def test_a_sweep_finds_children_and_what_was_never_written_down(self):
        # A program has its environment only some time after it was started.
        heard, told = os.pipe()
        self.addCleanup(os.close, heard)
        self.daemons.start(
            'one', ['sh', '-c', 'sleep 60 & echo up; sleep 60'], stdout=told
        )
        os.close(told)
        self.assertEqual(b'up\n', os.read(heard, 3))
        for record in (self.directory / 'run').iterdir():
            record.unlink()
        self.assertTrue(processes.belonging(self.directory))
        self.daemons.sweep()
        self.assertEqual([], processes.belonging(self.directory))

    def test_a_process_lives_until_its_last_thread_has_ended(self):
        heard, told = os.pipe()
        self.addCleanup(os.close, heard)
        self.daemons.start(
            'one', [sys.executable, '-c', _HEADLESS], stdout=told
        )
        os.close(told)
        self.assertEqual(b'up\n', os.read(heard, 3))
        pid = self.daemons.find('one').pid
        self.assertTrue(self.daemons.is_alive('one'))
        self.assertEqual([pid], processes.belonging(self.directory))
        self.daemons.sweep()
        self.assertFalse(self.daemons.is_alive('one'))

    def test_a_sweep_takes_along_what_is_below_and_nothing_else(self):
        below = processes.Processes(self.directory / 'host')
        beside = processes.Processes(
            self.directory.with_name(f'{self.directory.name}-beside')
        )
        self.addCleanup(beside.directory.rmdir)
        self.addCleanup((beside.directory / 'log').rmdir)
        self.addCleanup((beside.directory / 'log/one.log').unlink)
        self.addCleanup((beside.directory / 'run').rmdir)
        self.addCleanup(beside.stop, 'one')
        below.start('one', ['sleep', '60'])
        beside.start('one', ['sleep', '60'])
        self.daemons.sweep()
        self.assertFalse(below.is_alive('one'))
        self.assertTrue(beside.is_alive('one'))

    def test_a_number_that_somebody_else_has_now_is_left_alone(self):
        with subprocess.Popen(['sleep', '60']) as other:
            self.addCleanup(other.kill)
            (self.directory / 'run').mkdir()
            (self.directory / 'run' / 'one.json').write_bytes(
                msgspec.json.encode(
                    processes.Process('one', other.pid, started_ticks=1)
                )
            )
            self.assertFalse(self.daemons.is_alive('one'))
            self.daemons.signal('one', signal.SIGKILL)
            self.daemons.stop('one')
            self.daemons.sweep()
            self.assertIsNone(other.poll())
            other.kill()

    def test_last_words_are_the_last_line_that_has_any(self):
        self.assertEqual('', self.daemons.last_words('one'))
        self.daemons.start('one', ['sh', '-c', 'echo first; echo last; echo'])
        pid = self.daemons.find('one').pid
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        self.assertEqual('last', self.daemons.last_words('one'))

    def test_a_program_that_is_missing_is_named(self):
        with self.assertRaisesRegex(errors.LabError, '^no-such is not inst'):
            self.daemons.start('one', ['no-such'])

    def _stubborn(self):
        fifo = self.directory / 'deaf'
        os.mkfifo(fifo)
        self.daemons.start('deaf', ['sh', '-c', _STUBBORN, str(fifo)])
        fifo.read_text()  # Waits until it has stopped to listen.
