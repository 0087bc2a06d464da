"""The laboratory: brought up, asked, and taken away again."""

import collections.abc
import concurrent.futures
import functools
import json
import pathlib
import shutil
import time
import typing

import openstack

from kvm_balancer import errors
from kvm_balancer.lab import broker
from kvm_balancer.lab import processes
from kvm_balancer.lab import programs
from kvm_balancer.lab import waiting
from tests.openstack.lab import computes
from tests.openstack.lab import configuration
from tests.openstack.lab import control_plane
from tests.openstack.lab import database
from tests.openstack.lab import environment
from tests.openstack.lab import foundation
from tests.openstack.lab import images
from tests.openstack.lab import ledger
from tests.openstack.lab import qemu
from tests.openstack.lab import records

#: Nova's services are given so long to end by themselves.
_ENDING_SECONDS = 60.0


class NovaLab:
    """A Nova with its computes, Placement and Keystone.

    :param directory: absolute; it makes it, and keeps everything in it
    :param tell: takes a line, where something of it has come up
    """

    def __init__(
        self,
        directory: pathlib.Path,
        options: configuration.Options | None = None,
        tell: collections.abc.Callable[[str], None] = lambda line: None,
    ) -> None:
        self.directory = directory
        self.options = options or configuration.Options()
        self.processes = processes.Processes(directory)
        self._tell = tell
        self._began = time.monotonic()

    @classmethod
    def find(cls, directory: pathlib.Path) -> 'NovaLab':
        """Return the laboratory of a directory, up or half-way up.

        :raises LabError: when there is none
        """
        options = ledger.read(directory)
        if options is None:
            raise errors.LabError(f'there is no laboratory in {directory}')
        return cls(directory, options)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names of the computes."""
        return self.options.hosts

    @functools.cached_property
    def computes(self) -> computes.Computes:
        """What nova-compute runs on."""
        if self.options.guests is configuration.Guests.QEMU:
            return qemu.Qemu(
                self.directory, self.options.hosts, self.options.libvirt
            )
        return records.Records(self.directory, self.options.hosts, self._load)

    def up(self) -> None:
        """Bring everything up, and wait until all computes are known.

        :raises LabError: when the directory is taken, or something is
            missing, ends or is too slow; what was made stays for ``down``
        """
        self.claim()
        self.make()

    def claim(self) -> None:
        """Take the directory.

        :raises LabError: when it is not empty
        """
        ledger.claim(self.directory, self.options)

    def make(self) -> None:
        """Make what the directory was taken for.

        :raises LabError: when something is missing, ends or is too slow
        """
        self._bin = environment.make()
        self._say('the programs of Keystone, Placement and Nova are there')
        self.computes.up()
        address = self.computes.address
        self.broker = broker.Broker(self.directory / 'rabbit', address)
        self.broker.begin()
        server = database.Database(self.directory, self.processes, address)
        self.files = configuration.Configuration(
            self.directory,
            server,
            self.broker.url,
            self.options,
            self.computes,
            self._bin,
        )
        self.files.write()
        shutil.copy(
            self._bin.parent / 'etc' / 'nova' / 'api-paste.ini', self.files.etc
        )
        self.set_load({})
        images.make(self._images)
        made = foundation.Foundation(self._bin, self.files, server)
        made.start_database()
        self._say('the database has all tables')
        self._start_services(made)
        with self.connect() as there:
            waiting.until(
                lambda: self._knows_computes(there),
                'all computes to be known to Nova',
            )
        self.control.wait_for_scheduler()
        self._say(f'Nova knows {", ".join(self.hosts)}')

    def down(self) -> None:
        """End everything, and remove what it kept; also half-way up."""
        # What they would do at their ends is of no use to anybody.
        processes.kill_all(self.directory)
        self.processes.sweep()
        qemu.clear(self.directory)
        ledger.clear(self.directory)

    # Parts of it

    def _say(self, line: str) -> None:
        """Tell *line*, with the seconds since the beginning."""
        self._tell(f'[{time.monotonic() - self._began:5.1f} s] {line}')

    def _start_services(self, made: foundation.Foundation) -> None:
        self.control = control_plane.ControlPlane(
            self.directory, self._bin, self.files, self.broker.url
        )
        with concurrent.futures.ThreadPoolExecutor() as pool:
            # The services are not done with themselves before it is.
            bootstrap = pool.submit(made.bootstrap)
            self.broker.wait()
            self._say('the broker answers')
            self.control.start(self._images)
            bootstrap.result()
        self.control.wait_for('keystone')
        with self.connect() as there:
            made.fill_catalog(there.identity)
        for name in self.files.ports:
            self.control.wait_for(name)
        self._say('the APIs answer')
        for host in self.hosts:
            self.start_compute(host)

    def start_compute(self, host: str) -> None:
        """Start the compute of a host; also again."""
        self.computes.start(host, self._bin, self.files.options('nova', host))

    def stop(self, *names: str) -> None:
        """End some of its daemons."""
        processes.stop_all(
            (self.processes.find(name) for name in names), _ENDING_SECONDS
        )

    def set_load(self, cores: collections.abc.Mapping[str, float]) -> None:
        """Say what servers use: cores by uuid."""
        self._load.parent.mkdir(parents=True, exist_ok=True)
        new = self._load.with_suffix('.new')
        new.write_text(json.dumps(dict(cores)))
        new.replace(self._load)

    def load(self) -> dict[str, float]:
        """Return what servers use: cores by uuid."""
        return typing.cast(
            dict[str, float], json.loads(self._load.read_text())
        )

    def run(self, *argv: str) -> str:
        """Run a program of Nova's Python to its end; return what it wrote."""
        return programs.run([str(self._bin / 'python'), *argv])

    def connect(
        self, user: str = 'admin', project: str = 'admin'
    ) -> openstack.connection.Connection:
        """Return a connection, as administrator if nobody else is named."""
        return openstack.connect(
            auth={
                'auth_url': self.files.auth_url,
                'username': user,
                'password': configuration.PASSWORD,
                'project_name': project,
                'user_domain_id': 'default',
                'project_domain_id': 'default',
            },
            region_name=configuration.REGION,
            compute_default_microversion='2.96',
            placement_default_microversion='1.31',
        )

    @property
    def _images(self) -> pathlib.Path:
        return self.directory / 'images'

    @property
    def _load(self) -> pathlib.Path:
        return self.directory / 'state' / 'load.json'

    def _knows_computes(self, there: openstack.connection.Connection) -> bool:
        for host in self.hosts:
            daemons = self.computes.daemons(host)
            name = self.computes.name(host)
            if not daemons.is_alive(name):
                said = daemons.last_words(name)
                raise errors.LabError(f'nova-compute of {host}: {said}')
        # Without details: those are asked of the computes themselves.
        found = {
            one.name
            for one in there.compute.hypervisors(details=False)
            if one.state == 'up'
        }
        return found >= set(self.hosts)
