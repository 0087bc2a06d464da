"""The laboratory of the campaign: two hosts, broker, agent, executors."""

import collections
import contextlib
import json
import logging
import pathlib
import sqlite3
import subprocess
import threading
import time
import uuid

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.bus import notifications
from kvm_balancer.bus import rpc
from kvm_balancer.conf import opts
from kvm_balancer.lab import bootsector
from kvm_balancer.lab import description
from kvm_balancer.lab import fleet
from kvm_balancer.lab import hosts
from kvm_balancer.messages import migration as messages
from kvm_balancer.service import executor_client

_ANSWER_SECONDS = 10.0
#: Shorter than usual, so that 200 runs end on the same day.
_OVERRIDES = """
[executor]
lease_seconds = 30
outbox_retry_seconds = 1
[libvirt]
poll_interval_seconds = 0.2
"""


class Outcomes:
    """What was told on the bus, by migration, in its order."""

    def __init__(self):
        self._told = collections.defaultdict(list)
        self._news = threading.Condition()

    def take(self, payload):
        ended = messages.decode_outcome(payload)
        with self._news:
            self._told[ended.migration_id].append(ended)
            self._news.notify_all()

    def of(self, migration_id):
        with self._news:
            return list(self._told[migration_id])

    def wait(self, migration_id, seconds):
        with self._news:
            self._news.wait_for(lambda: self._told[migration_id], seconds)
            return list(self._told[migration_id])


class Ground:
    """The laboratory, up, and the bus, listened to.

    :param directory: is made; its name is that of the laboratory
    """

    def __init__(self, directory: pathlib.Path):
        wanted = description.describe(
            directory,
            directory.name,
            hosts=2,
            services=True,
            keepalive_seconds=1,
        )
        self.lab = fleet.Lab(wanted, print)
        self.outcomes = Outcomes()
        self._number = 0
        self._cleanup = contextlib.ExitStack()

    def __enter__(self):
        try:
            self._up()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(self, *_):
        self._cleanup.close()

    def _up(self):
        self.lab.claim()
        self._cleanup.callback(self.lab.down)
        for host in self.lab.hosts:
            # Before the host has a view of its own of what is mounted.
            host.state.mkdir(parents=True)
            _run(
                'mount', '-t', 'tmpfs', '-o', f'size={hosts.STATE_BYTES}',
                'kvm-balancer-faults', str(host.state),
            )  # fmt: skip
            self._cleanup.callback(_run, 'umount', '-l', str(host.state))
        self.lab.make('advise')
        self.lab.calibrate()
        self._override()
        self._listen()

    def _override(self):
        for host in self.lab.hosts:
            path = self.lab.services.executor_configuration(host)
            path.write_text(path.read_text() + _OVERRIDES)
            host.processes.stop('executor')
            self.lab.services.start_executor(host)

    def _listen(self):
        logging.getLogger('oslo.messaging').setLevel(logging.CRITICAL)
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        path = self.lab.services.agent_configuration
        conf([f'--config-file={path}'])
        self._conf = conf
        # A queue of its own: the agent's outcomes are the agent's.
        listener = notifications.OutcomeListener(
            conf, self.outcomes.take, pool='faults'
        )
        listener.start()
        self._cleanup.callback(listener.stop)
        self.executors = executor_client.ExecutorClient(conf, _ANSWER_SECONDS)
        self._cleanup.callback(self.executors.close)
        self.agent = rpc.AgentCaller(conf, _ANSWER_SECONDS)
        self._cleanup.callback(self.agent.close)
        for host in self.lab.hosts:
            self.wait_for_executor(host)

    def wait_for_executor(self, host, seconds=60.0):
        """Wait until the executor of *host* takes commands."""
        self._wait(lambda: self.executors.state(host.name, 'nobody'), seconds)

    def wait_for_agent(self, seconds=60.0):
        """Wait until the agent answers."""
        self._wait(lambda: self.agent.call('status'), seconds)

    @staticmethod
    def _wait(ask, seconds):
        until = time.monotonic() + seconds
        while True:
            try:
                ask()
            except errors.NotFound:
                return
            except errors.KVMBalancerError:
                if time.monotonic() > until:
                    raise
                threading.Event().wait(0.2)
            else:
                return

    def add_guest(self, load: bootsector.Load, memory_mib=96):
        """Start a guest that has not been there before, on the first host."""
        self._number += 1
        return self.lab.add_guest(
            description.Guest(
                name=f'guest-{self._number}',
                uuid=str(uuid.uuid4()),
                host=self.lab.hosts[0].name,
                memory_mib=memory_mib,
                load=load,
                storage_port=description.storage_port(self._number % 1000),
                monitored=True,
            )
        )

    def journal(self, host):
        """Return what the executor of *host* keeps, by table."""
        path = host.state / 'executor.sqlite'
        with contextlib.closing(sqlite3.connect(path, timeout=5)) as file:
            file.row_factory = sqlite3.Row
            return {
                table: [
                    dict(row) for row in file.execute(f'SELECT * FROM {table}')
                ]
                for table in ('journal', 'messages', 'leases')
            }

    def recorded(self, migration_id):
        """Return what the agent says of a migration."""
        return json.loads(
            json.dumps(
                self.agent.call('show_migration', migration_id=migration_id),
                default=str,
            )
        )


def _run(*argv):
    subprocess.run(argv, check=False)
