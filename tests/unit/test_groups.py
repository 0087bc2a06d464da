"""The groups of ``tools/run_tests.py`` have the tests that they name."""

import importlib
import pathlib
import sys
import unittest
from unittest import mock

_ROOT = pathlib.Path(__file__).resolve().parents[2]


class GroupsTest(unittest.TestCase):
    def test_what_is_named_for_every_run_is_there(self):
        """One that got another name would be left out without a word."""
        path = [str(_ROOT / 'tools'), *sys.path]
        with mock.patch.object(sys, 'path', path):
            groups = importlib.import_module('run_tests')
        folder = _ROOT / 'tests' / groups.FOLDERS['nova']
        written = ''.join(one.read_text() for one in folder.glob('test_*.py'))
        for name in groups.NOVA:
            with self.subTest(name):
                self.assertIn(f'def {name}(', written)
