"""``lab down`` leaves nothing, whenever ``lab up`` was killed."""

import pathlib
import signal
import subprocess
import sys

from kvm_balancer.lab import ledger
from tests.lab import appearance
from tests.lab import ground

_PROGRAM = pathlib.Path(sys.executable).with_name('kvm-balancer')

_PATIENCE_SECONDS = 600

#: What shows that it is under way so far, and no further.
_MOMENTS = {
    'written down': 'lab.json',
    'a host has its namespaces': 'hosts/host-1/run/holder.json',
    'libvirtd starts': 'hosts/host-1/run/libvirtd.json',
    'the broker starts': 'broker/run/rabbitmq.json',
    'a guest has its disk': 'run/disk-guest-1.json',
    'a guest runs': 'guests/guest-1/serial.log',
    'the agent starts': 'run/agent.json',
}


class DownTest(ground.LabTestCase):
    letter = 'd'

    def _killed_at(self, file):
        argv = [
            str(_PROGRAM),
            'lab',
            'up',
            f'--name={self.name}',
            f'--directory={self.directory}',
            '--hosts=2',
            '--guests=2',
        ]
        with subprocess.Popen(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as up:
            try:
                came = appearance.wait(
                    self.directory / file, up.pid, _PATIENCE_SECONDS
                )
            finally:
                up.send_signal(signal.SIGKILL)
            told = up.stdout.read()
        self.assertTrue(came, f'lab up did not come to {file}: {told}')

    def _down(self):
        return subprocess.run(
            [str(_PROGRAM), 'lab', 'down', f'--directory={self.directory}'],
            capture_output=True,
            text=True,
            check=False,
        )

    def test_nothing_is_left_of_one_that_was_killed(self):
        for moment, file in _MOMENTS.items():
            with self.subTest(moment):
                self._killed_at(file)
                self.addCleanup(self._down)
                self.assertIsNotNone(ledger.read(self.directory))
                done = self._down()
                self.assertEqual((0, ''), (done.returncode, done.stderr))
                self.assert_nothing_is_left()

    def test_where_there_is_none_it_says_so_in_one_line(self):
        done = self._down()
        self.assertEqual(1, done.returncode)
        self.assertEqual(
            f'kvm-balancer: there is no lab in {self.directory}\n',
            done.stderr,
        )
