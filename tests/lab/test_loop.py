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
_PATIENCE_SECONDS = 600
#: What the agent takes to see that a host is hot, and to relieve it, on a
#: machine that has the time.
_HOT_SECONDS = 60
#: The lab's limit of CPU load, and what is well above it.
_LIMIT, _HOT = 0.8, 0.95
#: More than the agent can change its mind.
_LOOKS = 20


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
        until = time.monotonic() + _PATIENCE_SECONDS
        told = set()
        with self._outcomes() as outcomes:
            while True:
                rows = self._ask('migrations', 'list')
                left = {row['id'] for row in rows if not row['ended_at']}
                if rows and not left:
                    return rows
                if time.monotonic() > until:
                    self.fail(
                        f'the agent has no outcome of {left}: '
                        f'{self._ask("status")}, {self._ask("hosts")}'
                    )
                if rows and left <= told:
                    # The agent is about to take them as well.
                    continue
                try:
                    told.add(outcomes.get(timeout=_HOT_SECONDS))
                except queue.Empty:
                    if not rows:
                        self._crowd('host-1')

    def _crowd(self, name):
        """Let a host have so few cores that its guests are too many.

        Guests that get little of a busy machine use less of a host than
        they were told to; the agent rightly sees none that is hot then.
        """
        (host,) = [row for row in self._ask('hosts') if row['name'] == name]
        if 0.0 < host['cpu_load'] < _LIMIT:
            cpus = host['cpus'] * host['cpu_load'] / _HOT
            done = self._lab('load', name, f'--cpus={cpus:.4f}')
            self.assertEqual(0, done.returncode, done.stderr)

    def _settled(self):
        """Return migrations and status of one moment, with none under way."""
        before = self._ended()
        for _ in range(_LOOKS):
            seen = self._lab('status', '-f', 'json')
            after = self._ended()
            if after == before:
                return after, seen
            before = after
        raise AssertionError(f'the agent goes on and on: {before}')

    def test_the_hot_host_is_relieved_and_no_guest_harmed(self):
        self.addCleanup(self._lab, 'down')
        up = self._lab('up', f'--name={self.name}')
        self.assertEqual((0, ''), (up.returncode, up.stderr))
        rows, seen = self._settled()
        self.assertEqual(0, seen.returncode, seen.stdout)
        fleet = json.loads(seen.stdout)
        self.assertEqual([], fleet['problems'])
        where = {one['uuid']: one['hosts'] for one in fleet['guests']}
        self.assertEqual(8, len(where))
        in_order = sorted(rows, key=lambda row: row['ended_at'])
        for row in in_order:
            self.assertEqual('completed', row['outcome'], row)
            self.assertGreater(row['total_ms'], 0)
            self.assertIsNotNone(row['downtime_ms'])
        # Others may have to make room first for what it gives away.
        self.assertIn('host-1', {row['source'] for row in rows})
        last = {row['instance']: row['destination'] for row in in_order}
        for instance, host in last.items():
            self.assertEqual([host], where[instance])
        self.assertEqual(0, self._lab('down').returncode)
