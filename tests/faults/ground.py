"""The laboratory of the campaign: two hosts, broker, agent, executors."""

import contextlib
import dataclasses
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
from kvm_balancer.lab import services
from kvm_balancer.service import executor_client
from tests.faults import outcomes

_ANSWER_SECONDS = 10.0
_MEMORY_MIB = 48
#: A guest that is to check its memory now writes so much of it a second.
FAST_MIB_S = 100.0
#: Shorter than usual, so that 200 runs end on the same day.
_OVERRIDES = """
[executor]
lease_seconds = 6
outbox_retry_seconds = 1
[libvirt]
poll_interval_seconds = 0.2
"""


class Ground:
    """The laboratory, up, and the bus, listened to.

    :param directory: is made; its name is that of the laboratory
    :param guarded: libvirt's lock manager runs, and guests have leases
    :param tell: takes a line of what happens while it comes up
    """

    def __init__(
        self,
        directory: pathlib.Path,
        guarded: bool = False,
        tell=lambda line: None,
    ):
        self.guarded = guarded
        wanted = description.describe(
            directory,
            directory.name,
            hosts=2,
            services=True,
            keepalive_seconds=1,
            leases=guarded,
        )
        self.lab = fleet.Lab(wanted, tell)
        self.outcomes = outcomes.Outcomes()
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
            self._mount(
                host.state,
                *('-t', 'tmpfs', '-o', f'size={hosts.STATE_BYTES}'),
                'kvm-balancer-faults',
            )
            self._mount(host.images, '-o', 'loop', self._disk(host))
            # No volume of the pool.
            (host.images / 'lost+found').rmdir()
        self.lab.make('advise')
        for host in self.lab.hosts:
            host.offer_images()
        self.lab.calibrate()
        self._override()
        self._listen()

    def _mount(self, place, *what):
        place.mkdir(parents=True)
        _run('mount', *what, str(place))
        self._cleanup.callback(_unmount, place)

    @staticmethod
    def _disk(host):
        """Make a disk for the images of a host, and return its file.

        No file system in memory: before Linux 6.6 none takes direct I/O.
        """
        path = host.directory / 'images.ext4'
        with path.open('wb') as disk:
            disk.truncate(hosts.STATE_BYTES)
        # No room is kept for root, who is to find it full.
        _run('mkfs.ext4', '-q', '-m', '0', '-O', '^has_journal', str(path))
        return str(path)

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

    def add_guest(
        self,
        load: bootsector.Load,
        local_disk: bool = False,
        has_card: bool = False,
    ):
        """Start a guest that has not been there before, on the first host.

        It goes over its memory fast once, and then does as *load* says.

        :param local_disk: its disk is a file that only its host has
        :param has_card: it has a network card
        """
        self._number += 1
        fast = dataclasses.replace(load, dirty_mib_s=FAST_MIB_S)
        guest = self.lab.add_guest(
            description.Guest(
                name=f'guest-{self._number}',
                uuid=str(uuid.uuid4()),
                host=self.lab.hosts[0].name,
                memory_mib=_MEMORY_MIB,
                load=fast,
                storage_port=description.storage_port(self._number % 1000),
                monitored=True,
                exact=True,
                writes_disk=True,
                local_disk=local_disk,
                mac=description.silent_mac(self._number) if has_card else '',
            )
        )
        self.lab.set_load(guest, self.lab.hosts[0], load)
        return guest

    def journal(self, host):
        """Return what the executor of *host* keeps, by table."""
        path = services.journal(host)
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


def _unmount(place):
    if place.is_mount():
        _run('umount', '-l', str(place))


def _run(*argv):
    subprocess.run(argv, check=True)
