"""The laboratory itself: up, interrupted, and away without a trace."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

from kvm_balancer.lab import processes
from tests.lab import appearance
from tests.openstack import ground
from tests.openstack.lab import environment

#: What shows that it is under way so far, and no further.
_MOMENTS = {
    'written down': 'nova-lab.json',
    'the broker starts': 'rabbit/run/rabbitmq.json',
    'the database starts': 'run/mariadb.json',
    'the APIs start': 'run/nova.json',
}


class LabTest(unittest.TestCase):
    """By hand, as the manual says."""

    def setUp(self):
        super().setUp()
        temporary = tempfile.TemporaryDirectory(prefix='kvm-balancer-nova-')
        self.folder = pathlib.Path(self.enterContext(temporary))
        self.directory = self.folder / 'lab'

    def begin(self, command, *options):
        """Start a command, in a group of processes as a terminal does."""
        return subprocess.Popen(
            [
                sys.executable,
                '-m',
                'tests.openstack.lab',
                command,
                str(self.directory),
                *options,
            ],
            cwd=environment.ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )

    def run_to_its_end(self, command, *options):
        """Run a command; return its exit code, and the last it said."""
        with self.begin(command, *options) as program:
            said = program.stdout.read()
        return program.returncode, said.splitlines()[-1]

    def assert_nothing_is_left(self):
        self.assertEqual([], processes.belonging(self.directory))
        self.assertEqual([], list(self.folder.iterdir()))
        mounts = pathlib.Path('/proc/self/mountinfo').read_text()
        self.assertNotIn(str(self.folder), mounts)

    def interrupt_at(self, file):
        with self.begin('up', '--hosts=1') as up:
            try:
                came = appearance.wait(
                    self.directory / file, up.pid, ground.PATIENCE_SECONDS
                )
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(up.pid, signal.SIGINT)
            told = up.stdout.read()
        self.assertTrue(came, f'it did not come to {file}: {told}')
        self.assertEqual(130, up.returncode, told)
        self.assertIn('interrupted', told)
        self.assertNotIn('Traceback', told)

    def test_one_that_is_interrupted_leaves_nothing_behind(self):
        for moment, file in _MOMENTS.items():
            with self.subTest(moment):
                self.interrupt_at(file)
                self.assert_nothing_is_left()

    def test_it_is_up_once_and_leaves_nothing_behind(self):
        """Workers that have another name than they were started by, too."""
        self.addCleanup(self.run_to_its_end, 'down')
        code, said = self.run_to_its_end('up', '--hosts=1')
        self.assertEqual(0, code, said)
        there = processes.belonging(self.directory)
        self.assertTrue(there)
        code, said = self.run_to_its_end('up')
        self.assertEqual(
            (
                1,
                f'a laboratory is in {self.directory} already: take it down '
                f'first',
            ),
            (code, said),
        )
        self.assertEqual(there, processes.belonging(self.directory))
        code, said = self.run_to_its_end('down')
        self.assertEqual(0, code, said)
        self.assert_nothing_is_left()
        self.assertEqual(
            (1, f'there is no laboratory in {self.directory}'),
            self.run_to_its_end('down'),
        )

    def test_what_is_not_its_own_stays(self):
        """It takes no directory that is in use, and removes none."""
        self.directory.mkdir()
        file = self.directory / 'precious'
        file.touch()
        for command, said in (
            (
                'up',
                f'{self.directory} is not an empty directory: choose another '
                f'one',
            ),
            ('down', f'there is no laboratory in {self.directory}'),
        ):
            with self.subTest(command):
                self.assertEqual((1, said), self.run_to_its_end(command))
                self.assertTrue(file.exists())
