"""What the linters, the type checker and the document checkers say."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_DOCUMENTS = ('README.rst', 'CONTRIBUTING.rst', 'doc/source', 'releasenotes')


class ToolsTest(unittest.TestCase):
    def _run(self, *command):
        done = subprocess.run(
            [sys.executable, '-m', *command],
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.assertEqual(0, done.returncode, f'\n{done.stdout}')

    def test_code_follows_the_rules(self):
        """ruff finds nothing to complain of."""
        self._run('ruff', 'check', '--quiet', '.')

    def test_code_is_formatted(self):
        """ruff would format nothing otherwise."""
        self._run('ruff', 'format', '--quiet', '--check', '.')

    def test_code_follows_the_hacking_rules(self):
        """The OpenStack hacking checks find nothing."""
        self._run('flake8')

    def test_code_is_typed(self):
        """mypy, as strict as it can be, finds nothing."""
        self._run('mypy')

    def test_documents_are_well_formed(self):
        """doc8 finds nothing in the documents."""
        self._run('doc8', '--quiet', *_DOCUMENTS)

    def test_documentation_builds(self):
        """Sphinx builds the documentation, and warns of nothing."""
        self._build('doc/source')

    def test_release_notes_build(self):
        """Every release note can be read, and shown."""
        self._build('releasenotes/source')

    def _build(self, source):
        with tempfile.TemporaryDirectory() as folder:
            self._run('sphinx', '-q', '-W', '--keep-going', source, folder)
