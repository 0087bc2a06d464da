"""The whole loop: a hot host is relieved by real live migration."""

import json
import pathlib
import subprocess
import sys
import time

from tests.lab import ground

_PROGRAM = str(pathlib.Path(sys.executable).with_name('kvm-balancer'))
_RELIEVED_SECONDS = 120


class LoopTest(ground.LabTestCase):
    letter = 'l'

    def _lab(self, command, *options):
        return subprocess.run(
            [
                _PROGRAM,
                'lab',
                command,
                f'--directory={self.directory}',
                *options,
            ],
            capture_output=True,
            text=True,
            check=False,
        )

    def _ask(self, *command):
        """Return the agent's answer to a command."""
        return json.loads(
            subprocess.run(
                [
                    _PROGRAM,
                    f'--config-file={self.directory}/etc/agent.conf',
                    *command,
                    '-f',
                    'json',
                ],
                capture_output=True,
                check=True,
            ).stdout
        )

    def _ended(self):
        """Wait until the agent has an outcome, and all migrations ended."""
        until = time.monotonic() + _RELIEVED_SECONDS
        rows = []
        while not rows or not all(row['ended_at'] for row in rows):
            if time.monotonic() > until:
                self.fail(f'no migration has ended: {self._ask("status")}')
            time.sleep(1)
            rows = self._ask('migrations', 'list')
        return rows

    def test_the_hot_host_is_relieved_and_no_guest_harmed(self):
        self.addCleanup(self._lab, 'down')
        up = self._lab('up', f'--name={self.name}')
        self.assertEqual((0, ''), (up.returncode, up.stderr))
        rows = self._ended()

        seen = self._lab('status', '-f', 'json')
        self.assertEqual(0, seen.returncode, seen.stdout)
        fleet = json.loads(seen.stdout)
        self.assertEqual([], fleet['problems'])
        where = {one['uuid']: one['hosts'] for one in fleet['guests']}
        self.assertEqual(8, len(where))
        for row in rows:
            self.assertEqual('completed', row['outcome'], row)
            self.assertEqual('host-1', row['source'])
            self.assertEqual([row['destination']], where[row['instance']])
            self.assertGreater(row['total_ms'], 0)
            self.assertIsNotNone(row['downtime_ms'])
        self.assertEqual(0, self._lab('down').returncode)
