"""The script that runs the groups of tests and adds their totals up."""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import textwrap
import unittest

_TOOLS = pathlib.Path(__file__).resolve().parents[3] / 'tools'

_MIXED = """
    class T(unittest.TestCase):
        def test_a(self):
            pass
        def test_b(self):
            self.fail('b')
        def test_c(self):
            self.skipTest('c')
        @unittest.expectedFailure
        def test_d(self):
            self.fail('d')
"""
_PASSING = """
    class T(unittest.TestCase):
        def test_a(self):
            pass
"""
_DYING = """
    class T(unittest.TestCase):
        def test_a(self):
            os._exit(0)
"""


class RunTestsTest(unittest.TestCase):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        (self.root / 'tools').mkdir()
        for script in ('run_tests.py', 'durations.py'):
            shutil.copy(_TOOLS / script, self.root / 'tools')
        (self.root / '.stestr.conf').write_text('[DEFAULT]\ntop_dir=./\n')

    def _write(self, group, source):
        folder = self.root / 'tests' / group
        folder.mkdir(parents=True)
        (self.root / 'tests' / '__init__.py').touch()
        (folder / '__init__.py').touch()
        (folder / 'test_it.py').write_text(
            'import os\nimport unittest\n' + textwrap.dedent(source)
        )

    def _run(self, *groups):
        done = subprocess.run(
            [sys.executable, 'tools/run_tests.py', *groups],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
        )
        self.lines = done.stdout.splitlines()
        return done.returncode, self.lines[-1]

    def test_totals_of_groups_are_added_up(self):
        """Passed, failed and skipped are summed, and a failure is told."""
        self._write('unit', _MIXED)
        self._write('contract', _PASSING)
        expected = '3 passed, 1 failed, 1 skipped'
        self.assertEqual((1, expected), self._run('unit', 'contract'))
        kept = self.root / '.test-results' / 'totals'
        self.assertEqual(f'{expected}\n', kept.read_text())

    def test_failures_are_told_at_the_end(self):
        """The last lines name what failed and why, after all groups."""
        self._write('unit', _MIXED)
        self._write('contract', _PASSING)
        self._run('unit', 'contract')
        told = self.lines.index('FAILED tests.unit.test_it.T.test_b (fail)')
        self.assertEqual('    AssertionError: b', self.lines[-2])
        self.assertGreater(
            told, max(i for i, n in enumerate(self.lines) if '--- ' in n)
        )

    def test_success_is_told(self):
        """All passed is the one case that ends with zero."""
        self._write('unit', _PASSING)
        self.assertEqual(
            (0, '1 passed, 0 failed, 0 skipped'), self._run('unit')
        )

    def test_tests_that_cannot_be_loaded_are_a_failure(self):
        """A module that does not import counts as one failed."""
        self._write('unit', 'import no_such_module\n')
        self.assertEqual(
            (1, '0 passed, 1 failed, 0 skipped'), self._run('unit')
        )

    def test_a_runner_that_dies_is_a_failure(self):
        """A test that takes its runner with it counts as failed."""
        self._write('unit', _DYING)
        self.assertEqual(
            (1, '0 passed, 1 failed, 0 skipped'), self._run('unit')
        )

    def test_a_group_without_tests_is_a_failure(self):
        """No test at all is not a success."""
        self._write('unit', '')
        self.assertEqual(
            (1, '0 passed, 1 failed, 0 skipped'), self._run('unit')
        )

    def test_what_tests_took_before_is_no_result(self):
        """It is forgotten with the test, and that of others is kept."""
        lab = {'tests.lab.test_it.T.test_a': 7}
        self._write('unit', 'import no_such_module\n')
        (self.root / 'tests' / 'durations.json').write_text(
            json.dumps({'tests.unit.test_it.T.test_a': 9, **lab})
        )
        self.assertEqual(
            (1, '0 passed, 1 failed, 0 skipped'), self._run('unit')
        )
        kept = self.root / '.test-results' / 'durations.json'
        self.assertEqual(lab, json.loads(kept.read_text()))

    def test_what_runs_on_demand_runs_where_it_is_named(self):
        self._write('openstack', _PASSING)
        self.assertEqual(
            (0, '1 passed, 0 failed, 0 skipped'), self._run('openstack')
        )
