"""The whole loop: a hot host is relieved by real live migration."""

import contextlib
import json
import pathlib
import queue
import subprocess
import sys
import time

from oslo_config import cfg

from kvm_balancer.bus import notifications
from kvm_balancer.conf import opts
from kvm_balancer.messages import migration as messages
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

    @contextlib.contextmanager
    def _outcomes(self):
        """Listen in: yield a queue of the ids of migrations that end."""
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf([f'--config-file={self.directory}/etc/agent.conf'])
        ended = queue.SimpleQueue()

        def take(payload):
            ended.put(messages.decode_outcome(payload).migration_id)

        # A queue of its own: the agent's outcomes are the agent's.
        listener = notifications.OutcomeListener(conf, take, pool=self.name)
        try:
            listener.start()
            yield ended
        finally:
            listener.stop()

    def _ended(self):
        """Wait until the agent has outcomes, and all migrations ended."""
        until = time.monotonic() + _RELIEVED_SECONDS
        told = set()
        with self._outcomes() as outcomes:
            while True:
                rows = self._ask('migrations', 'list')
                left = {row['id'] for row in rows if not row['ended_at']}
                if rows and not left:
                    return rows
                seconds = until - time.monotonic()
                if seconds <= 0:
                    self.fail(f'the agent has no outcome of {left}')
                if rows and left <= told:
                    # The agent is about to take them as well.
                    continue
                try:
                    told.add(outcomes.get(timeout=seconds))
                except queue.Empty:
                    self.fail(f'no migration ended: {self._ask("status")}')

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
