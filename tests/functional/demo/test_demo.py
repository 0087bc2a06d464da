"""The demonstration as a person runs it: a program, its words, its result."""

import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import unittest

from kvm_balancer.cmd.demo import fleet
from kvm_balancer.cmd.demo import theatre
from kvm_balancer.cmd.demo import verdict
from kvm_balancer.cmd.demo import watching
from tests.fixtures import patience

_PROGRAM = pathlib.Path(sys.executable).with_name('kvm-balancer')
#: A slow machine that does other things besides; it ends by itself long
#: before.
_PATIENCE_SECONDS = 1200
_SECONDS = 600


class DemoTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def start(self, *arguments):
        program = subprocess.Popen(
            [
                str(_PROGRAM),
                'demo',
                f'--result={self.folder / "result"}',
                *arguments,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
        )
        self.addCleanup(program.kill)
        return program

    def test_it_balances_says_so_and_leaves_a_picture(self):
        """It ends by itself with success, and with nothing on stderr."""
        program = self.start(f'--seconds={_SECONDS}', '--seed=2')
        said, complaints = program.communicate(timeout=_PATIENCE_SECONDS)
        self.assertEqual('', complaints)
        self.assertEqual(0, program.returncode, said)
        self.assertRegex(said, r'instances that exist exactly once: 100 of')
        (spread,) = re.findall(r'spread of CPU load +(\S+) +(\S+)', said)
        self.assertGreater(float(spread[0]), theatre.Goals().start)
        self.assertLessEqual(float(spread[1]), theatre.Goals().target)
        for name in ('demo.png', 'demo.svg', 'demo.log'):
            file = self.folder / 'result' / name
            self.assertGreater(file.stat().st_size, 1000, name)

    def test_ctrl_c_ends_it_in_one_line(self):
        """Interrupted, it takes everything down and says only that."""
        # A shell that starts the tests in the background lets them ignore
        # it, and what they start would inherit that.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        program = self.start(f'--seconds={_SECONDS}')
        self.assertIsNotNone(program.stdout)
        with patience.limited(program, _PATIENCE_SECONDS):
            program.stdout.readline()
            # the next line comes once the whole fleet is up
            program.stdout.readline()
        program.send_signal(signal.SIGINT)
        _, complaints = program.communicate(timeout=_PATIENCE_SECONDS)
        self.assertEqual('kvm-balancer: interrupted\n', complaints)
        self.assertEqual(130, program.returncode)


class StoreTest(unittest.TestCase):
    """What the agent keeps is what happened in the simulated world."""

    def test_outcomes_in_the_store_equal_the_migrations_made(self):
        made = fleet.make_fleet(3)
        goals = theatre.Goals()
        origins = {
            uid: made.hosts.name[made.instances.host[row]]
            for row, uid in enumerate(made.instances.id)
        }
        with theatre.Theatre(made, goals, 3) as stage:
            seen = watching.watch(stage, goals, _SECONDS)
            rows = stage.agent.migrations(limit=1000)
            executions = stage.executions()
        self.assertTrue(verdict.is_over(seen, goals))
        self.assertLessEqual(seen.last.spread, goals.target)
        expected = {uid: [name] for uid, name in origins.items()}
        for row in reversed(rows):
            self.assertEqual('completed', row['outcome'], row['reason'])
            self.assertEqual([row['source']], expected[row['instance']])
            expected[row['instance']] = [row['destination']]
        self.assertEqual(expected, executions)
        found = verdict.judge(seen, goals, executions, len(origins))
        self.assertEqual((), found.problems)
