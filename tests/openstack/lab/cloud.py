"""The laboratory: brought up, asked, and taken away again."""

import collections.abc
import concurrent.futures
import json
import pathlib
import shutil
import typing
import urllib.error
import urllib.request

import openstack

from kvm_balancer import errors
from kvm_balancer.lab import broker
from kvm_balancer.lab import processes
from kvm_balancer.lab import programs
from kvm_balancer.lab import waiting
from tests.openstack.lab import configuration
from tests.openstack.lab import database
from tests.openstack.lab import environment

_PROGRAMS = pathlib.Path(__file__).with_name('programs')
#: A thread for each of Nova's services that may ask at once.
_THREADS = '8'
#: Nova's services are given so long to end by themselves.
_ENDING_SECONDS = 20.0
#: Where Nova's cells are, by its own configuration.
_SERVER = '{scheme}://{username}:{password}@{hostname}:{port}'
_CELL_0 = f'{_SERVER}/nova_cell0'
_CELL_1 = f'{_SERVER}/nova_cell1'
_TRANSPORT = f'{_SERVER}/{{path}}'
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
        self.broker = broker.Broker(directory / 'rabbit')
        self.database = database.Database(directory, self.processes)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names of the computes."""
        return self.options.hosts

    def up(self) -> None:
        """Bring everything up, and wait until all computes are known.

        :raises LabError: when something is missing, ends or is too slow
        """
        self._bin = environment.make()
        self.broker.begin()
        self.files = configuration.Configuration(
            self.directory, self.database, self.broker.url, self.options
        )
        self.files.write()
        shutil.copy(
            self._bin.parent / 'etc' / 'nova' / 'api-paste.ini', self.files.etc
        )
        self.set_load({})
        self._start_database()
        self._bootstrap()
        self.broker.wait()
        self._start_services()
        with self.connect() as there:
            waiting.until(
                lambda: self._knows_computes(there),
                'all computes to be known to Nova',
            )

    def down(self) -> None:
        """End everything, and remove what it kept."""
        # The computes tell their end over the broker: they come first.
        self.stop(*(f'compute-{host}' for host in self.hosts))
        self.processes.sweep(_ENDING_SECONDS)
        shutil.rmtree(self.directory, ignore_errors=True)

    # Parts of it

    def _start_services(self) -> None:
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
        )
        self._wait_for('keystone')
        self._fill_catalog()
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

    def start_compute(self, host: str) -> None:
        """Start the compute of a host; also again."""
        self._run(
            f'compute-{host}',
            str(_PROGRAMS / 'compute.py'),
            *self._config_files('nova.conf', f'{host}.conf'),
            LAB_LOAD=str(self._load),
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

    def _start_database(self) -> None:
        """Start it with all tables; they are made once and kept."""
        kept = environment.schemas()
        if kept.exists():
            self.database.copy(kept)
            self.database.start()
            return
        self.database.prepare()
        self.database.start()
        self._make_schemas()
        self.database.keep(kept)

    def _make_schemas(self) -> None:
        """Make all tables; the services do not depend on each other."""
        nova = self._commands('nova-manage', 'nova.conf')
        with concurrent.futures.ThreadPoolExecutor() as pool:
            made = [
                pool.submit(
                    self._commands('keystone-manage', 'keystone.conf'),
                    'db_sync',
                ),
                pool.submit(
                    self._commands('placement-manage', 'placement.conf'),
                    'db sync',
                ),
                # Cells keep where databases and broker are in other words,
                # so that the tables serve any laboratory.
                pool.submit(
                    nova,
                    'api_db sync',
                    f'cell_v2 map_cell0 --database_connection {_CELL_0}',
                    f'cell_v2 create_cell --name cell1 '
                    f'--database_connection {_CELL_1} '
                    f'--transport-url {_TRANSPORT}',
                    'db sync',
                ),
            ]
            for one in made:
                one.result()

    def _bootstrap(self) -> None:
        """Give Keystone its keys and its administrator."""
        auth_url = self.files.auth_url
        self._commands('keystone-manage', 'keystone.conf')(
            'fernet_setup --keystone-user root --keystone-group root',
            'credential_setup --keystone-user root --keystone-group root',
            f'bootstrap --bootstrap-password {configuration.PASSWORD} '
            f'--bootstrap-region-id {configuration.REGION} '
            f'--bootstrap-public-url {auth_url} '
            f'--bootstrap-internal-url {auth_url} '
            f'--bootstrap-admin-url {auth_url}',
        )

    def _commands(
        self, program: str, file: str
    ) -> collections.abc.Callable[..., None]:
        """Return what runs commands of a program, one after another."""
        begin = [str(self._bin / program), *self._config_files(file)]

        def run(*commands: str) -> None:
            for command in commands:
                programs.run([*begin, *command.split()])

        return run

    def _fill_catalog(self) -> None:
        with self.connect() as there:
            identity = there.identity
            project = identity.create_project(
                name='service', domain_id='default'
            )
            user = identity.create_user(
                name='nova',
                password=configuration.PASSWORD,
                domain_id='default',
                default_project_id=project.id,
            )
            for role in identity.roles():
                if role.name in ('admin', 'service'):
                    identity.assign_project_role_to_user(project, user, role)
            for kind, name, url in configuration.endpoints(self.files):
                service = identity.create_service(type=kind, name=name)
                for interface in ('public', 'internal'):
                    identity.create_endpoint(
                        service_id=service.id,
                        interface=interface,
                        url=url,
                        region_id=configuration.REGION,
                    )

    def _knows_computes(self, there: openstack.connection.Connection) -> bool:
        for host in self.hosts:
            if not self.processes.is_alive(f'compute-{host}'):
                said = self.processes.last_words(f'compute-{host}')
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
