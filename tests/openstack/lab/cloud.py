"""The laboratory: brought up, asked, and taken away again."""

import collections.abc
import functools
import json
import pathlib
import shutil
import typing
import urllib.error
import urllib.request

import amqp
import kombu
import openstack

from kvm_balancer import errors
from kvm_balancer.lab import broker
from kvm_balancer.lab import processes
from kvm_balancer.lab import programs
from kvm_balancer.lab import waiting
from tests.openstack.lab import computes
from tests.openstack.lab import configuration
from tests.openstack.lab import database
from tests.openstack.lab import environment
from tests.openstack.lab import foundation
from tests.openstack.lab import images
from tests.openstack.lab import qemu
from tests.openstack.lab import records

_PROGRAMS = pathlib.Path(__file__).with_name('programs')
#: A thread for each of Nova's services that may ask at once.
_THREADS = '8'
#: Nova's services are given so long to end by themselves.
_ENDING_SECONDS = 60.0
_WSGI = {
    'keystone': 'keystone.wsgi.api',
    'placement': 'placement.wsgi.api',
    'nova': 'nova.wsgi.osapi_compute',
}


class NovaLab:
    """A Nova with its computes, Placement and Keystone.

    :param directory: absolute; it makes it, and keeps everything in it
    """

    def __init__(
        self,
        directory: pathlib.Path,
        options: configuration.Options | None = None,
    ) -> None:
        self.directory = directory
        self.options = options or configuration.Options()
        self.processes = processes.Processes(directory)

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

        :raises LabError: when something is missing, ends or is too slow
        """
        self._bin = environment.make()
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
        made.bootstrap()
        self.broker.wait()
        self._start_services(made)
        with self.connect() as there:
            waiting.until(
                lambda: self._knows_computes(there),
                'all computes to be known to Nova',
            )
        self.wait_for_scheduler()

    def down(self) -> None:
        """End everything, and remove what it kept."""
        # The computes tell their end over the broker: they come first.
        processes.stop_all(
            (
                self.computes.daemons(host).find(self.computes.name(host))
                for host in self.hosts
            ),
            _ENDING_SECONDS,
        )
        self.processes.sweep(_ENDING_SECONDS)
        qemu.clear(self.directory)
        shutil.rmtree(self.directory, ignore_errors=True)

    # Parts of it

    def _start_services(self, made: foundation.Foundation) -> None:
        """Start everything; most of it can wait for the rest by itself."""
        self.start('nova-conductor')
        self.start_scheduler()
        self._serve('keystone', OS_KEYSTONE_CONFIG_FILES='keystone.conf')
        self._serve('placement')
        self.start_api()
        self._run(
            'neighbours',
            str(_PROGRAMS / 'neighbours.py'),
            self.files.address('neighbours'),
            str(self._images),
        )
        self._wait_for('keystone')
        with self.connect() as there:
            made.fill_catalog(there.identity)
        for name in self.files.ports:
            self._wait_for(name)
        for host in self.hosts:
            self.start_compute(host)

    def start_api(self) -> None:
        """Start Nova's API; also again."""
        self._serve('nova')

    def wait_for_api(self) -> None:
        """Wait until Nova's API answers."""
        self._wait_for('nova')

    def start(self, program: str, *files: str) -> None:
        """Start a service of Nova's.

        :param files: of its own, besides ``nova.conf``
        """
        self.processes.start(
            program,
            [
                *self._marked(),
                str(self._bin / program),
                *self._config_files('nova.conf', *files),
            ],
        )

    def start_scheduler(self) -> None:
        """Start Nova's scheduler; also again."""
        self.start('nova-scheduler', 'scheduler.conf')

    def wait_for_scheduler(self) -> None:
        """Wait until Nova's scheduler hears what is sent to it.

        A compute tells all schedulers that a server is gone; where none has
        ever listened, that goes wrong, and the server with it.
        """
        waiting.until(
            self._scheduler_listens,
            "Nova's scheduler to listen",
            runs=lambda: self.processes.is_alive('nova-scheduler'),
            said=lambda: self.processes.last_words('nova-scheduler'),
        )

    def _scheduler_listens(self) -> bool:
        url = self.broker.url.replace('rabbit://', 'pyamqp://')
        with kombu.Connection(url) as connection:
            found = kombu.Exchange('scheduler_fanout', 'fanout', passive=True)
            try:
                found(connection.default_channel).declare()
            except amqp.exceptions.NotFound:
                return False
        return True

    def start_compute(self, host: str) -> None:
        """Start the compute of a host; also again."""
        self.computes.start(
            host, self._bin, self._config_files('nova.conf', f'{host}.conf')
        )

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

    def _marked(self) -> list[str]:
        """Return what has a program and its children found by their mounts.

        Workers of Nova's services give themselves a name, and lose the
        environment that would tell whose they are.
        """
        mark = self.directory / 'mark'
        mark.mkdir(exist_ok=True)
        source = processes.mount_source(self.directory)
        return [
            'unshare',
            '--mount',
            'sh',
            '-c',
            f'mount -t tmpfs -o size=4k "{source}" "{mark}" && exec "$@"',
            'sh',
        ]

    def _config_files(self, *names: str) -> list[str]:
        return [f'--config-file={self.files.etc / name}' for name in names]

    def _run(self, name: str, *arguments: str, **variables: str) -> None:
        self.processes.start(
            name, [str(self._bin / 'python'), *arguments], variables
        )

    def _serve(self, name: str, **variables: str) -> None:
        self._run(
            name,
            str(_PROGRAMS / 'wsgi.py'),
            _WSGI[name],
            self.files.address(name),
            _THREADS,
            **{f'OS_{name.upper()}_CONFIG_DIR': str(self.files.etc)},
            **variables,
        )

    def _wait_for(self, name: str) -> None:
        path = '/v2.1' if name == 'nova' else '/'
        url = f'http://{self.files.address(name)}{path}'
        waiting.until(
            lambda: _answers(url),
            f'{name} to answer',
            runs=lambda: self.processes.is_alive(name),
            said=lambda: self.processes.last_words(name),
        )

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


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=30.0):
            return True
    except urllib.error.HTTPError:
        # It may say that a token is needed.
        return True
    except OSError:
        return False
