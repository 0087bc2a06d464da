"""A laboratory for a test: names of its own, and nothing left behind."""

import os
import pathlib
import subprocess
import tempfile

import testtools

from kvm_balancer.lab import processes


class LabTestCase(testtools.TestCase):
    """A test that needs real hosts.

    On a machine that cannot carry them it fails, and says why.
    """

    #: One letter, by which laboratories of one process differ.
    letter = 'x'

    def setUp(self):
        super().setUp()
        self.name = f'{self.letter}{os.getpid() % 10**7}'
        temporary = tempfile.TemporaryDirectory(prefix='kvm-balancer-')
        self.addCleanup(temporary.cleanup)
        self.directory = pathlib.Path(temporary.name) / 'lab'
        self.before = self.traces()
        self.addCleanup(self.assert_nothing_is_left)

    def assert_nothing_is_left(self):
        self.assertEqual(self.before, self.traces())
        self.assertFalse(self.directory.exists())

    def traces(self):
        """Return what of this laboratory is seen on the machine."""
        links = pathlib.Path('/sys/class/net').iterdir()
        mounts = pathlib.Path('/proc/self/mountinfo').read_text().split('\n')
        return {
            'interfaces': sorted(
                path.name for path in links if path.name.startswith(self.name)
            ),
            'mounts': [line for line in mounts if str(self.directory) in line],
            'processes': processes.belonging(self.directory),
            'namespaces': subprocess.run(
                ['ip', 'netns'], capture_output=True, text=True, check=True
            ).stdout.count(self.name),
        }
