"""How programs start and end."""

import contextlib
import io
import subprocess
import sys
import unittest
from unittest import mock

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.cmd import startup

# What the services load, in one process and with nothing else.
_LIBRARIES = """
import kvm_balancer.cmd
import oslo_config.cfg
import oslo_db.api
import oslo_log.log
import oslo_messaging
import oslo_service.service
import oslo_service.backend as backend
import futurist
import sys
if any(name.startswith('eventlet.') for name in sys.modules):
    raise SystemExit('eventlet takes memory')
backend.get_backend()
print(backend.get_backend_type().value)
"""

# All that an executor loads before it takes its first command.
_EXECUTOR = """
import sys
import kvm_balancer.cmd.executor
import kvm_balancer.service.executor_service
import kvm_balancer.migration.convergence.adaptive
import kvm_balancer.virt.libvirt.driver
heavy = {'cryptography', 'eventlet', 'numpy', 'sqlalchemy', 'rich'}
print(*sorted(heavy & {name for name, one in sys.modules.items() if one}))
"""


def _raise(error: BaseException) -> None:
    raise error


class StartTest(unittest.TestCase):
    def test_libraries_are_quiet_and_use_threads(self):
        """No library of a program writes a warning when it is loaded."""
        done = subprocess.run(
            [sys.executable, '-c', _LIBRARIES],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual('', done.stderr)
        self.assertEqual('threading', done.stdout.strip())

    def test_an_executor_does_without_what_plans_and_certificates_take(self):
        """It runs on every host: 20 MiB of it would be for nothing."""
        done = subprocess.run(
            [sys.executable, '-c', _EXECUTOR],
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual('', done.stdout.strip())


class EndTest(unittest.TestCase):
    def _run(self, program):
        stderr = io.StringIO()
        with (
            mock.patch.object(sys, 'argv', ['/usr/bin/kvm-balancer']),
            contextlib.redirect_stderr(stderr),
        ):
            code = startup.run(program)
        return code, stderr.getvalue()

    def test_expected_errors_are_one_line_and_a_code(self):
        """Each kind of expected error has its code and a single line."""
        table = (
            (errors.ConfigurationError('a: no such policy'), 2),
            (errors.PluginError('filter "x" does not load'), 2),
            (errors.BusError('no broker at 192.0.2.1'), 1),
            (errors.DocumentError('line one\nline two'), 1),
            (cfg.ConfigFilesNotFoundError(['/nowhere.conf']), 2),
            (cfg.ConfigFileValueError('not an integer'), 2),
            (cfg.NoSuchOptError('pace'), 2),
            (KeyboardInterrupt(), 130),
        )
        for error, expected in table:
            with self.subTest(error=error):
                code, text = self._run(lambda error=error: _raise(error))
                self.assertEqual(expected, code)
                self.assertEqual(1, text.count('\n'), text)
                self.assertTrue(text.startswith('kvm-balancer: '), text)

    def test_success_says_nothing(self):
        """A program's own code is kept, and none means success."""
        for returned, expected in ((None, 0), (0, 0), (3, 3)):
            with self.subTest(returned=returned):
                self.assertEqual(
                    (expected, ''), self._run(lambda r=returned: r)
                )

    def test_a_bug_keeps_its_traceback(self):
        """An error that nobody raised on purpose passes through."""
        with self.assertRaises(ZeroDivisionError):
            self._run(lambda: 1 // 0)
