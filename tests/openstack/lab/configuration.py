"""The configuration files of Keystone, Placement, Nova and its computes."""

import collections.abc
import dataclasses
import enum
import pathlib

from kvm_balancer.lab import ports
from kvm_balancer.lab import services
from tests.openstack.lab import computes
from tests.openstack.lab import database

#: Of everybody in this cloud.
PASSWORD = 'secret'
REGION = 'RegionOne'
APIS = ('keystone', 'placement', 'nova', 'neighbours')


class Guests(enum.StrEnum):
    """What servers are."""

    RECORDS = 'records'
    QEMU = 'qemu'


@dataclasses.dataclass(frozen=True)
class Options:
    """What a test may want otherwise.

    :ivar hosts: names of the computes
    :ivar guests: what servers are
    :ivar update_seconds: between two metrics of a compute
    :ivar max_migrations: from one compute at a time
    :ivar scheduler: settings of nova-scheduler alone, by group
    :ivar libvirt: of Nova's ``[libvirt]``, where guests are QEMU's
    """

    hosts: tuple[str, ...] = ('cmp1', 'cmp2', 'cmp3')
    guests: Guests = Guests.RECORDS
    update_seconds: int = 2
    max_migrations: int = 2
    scheduler: computes.Settings = dataclasses.field(default_factory=dict)
    libvirt: dict[str, object] = dataclasses.field(default_factory=dict)


class Configuration:
    """Writes the files, and knows where everybody listens.

    :param directory: of the laboratory
    :param bus: ``transport_url`` of its broker
    :param programs: the directory of Nova's programs
    """

    def __init__(
        self,
        directory: pathlib.Path,
        server: database.Database,
        bus: str,
        options: Options,
        those: computes.Computes,
        programs: pathlib.Path,
    ) -> None:
        self._directory = directory
        self._server = server
        self._bus = bus
        self._options = options
        self._computes = those
        self._programs = programs
        self.etc = directory / 'etc'
        self.ports = {name: ports.free(those.address) for name in APIS}

    def address(self, api: str) -> str:
        """Return host and port of an API."""
        return f'{self._computes.address}:{self.ports[api]}'

    @property
    def auth_url(self) -> str:
        """Return where Keystone is."""
        return f'http://{self.address("keystone")}/v3'

    @property
    def policies(self) -> pathlib.Path:
        """Return Nova's policy file: Nova reads it whenever it changes."""
        return self.etc / 'policy.yaml'

    def write(self) -> None:
        """Write all files."""
        for name, settings in (
            ('keystone', self._keystone()),
            ('placement', self._placement()),
            ('nova', self._nova()),
            ('scheduler', self._options.scheduler),
            *((host, self._compute(host)) for host in self._options.hosts),
        ):
            services.write_configuration(self.etc / f'{name}.conf', settings)
        self.policies.write_text('{}\n')

    def options(self, *names: str) -> list[str]:
        """Return what has a program read these files."""
        return [f'--config-file={self.etc / name}.conf' for name in names]

    def credentials(self) -> dict[str, object]:
        """Return what keystoneauth takes: the user of the services."""
        return {
            'auth_type': 'password',
            'auth_url': self.auth_url,
            'username': 'nova',
            'password': PASSWORD,
            'project_name': 'service',
            'user_domain_id': 'default',
            'project_domain_id': 'default',
            'region_name': REGION,
        }

    def _checked(self) -> dict[str, object]:
        return {
            'www_authenticate_uri': f'http://{self.address("keystone")}',
            **self.credentials(),
        }

    def _keystone(self) -> computes.Settings:
        return {
            'database': {'connection': self._server.url('keystone')},
            'token': {'provider': 'fernet'},
            'fernet_tokens': {'key_repository': self.etc / 'fernet-keys'},
            'credential': {'key_repository': self.etc / 'credential-keys'},
        }

    def _placement(self) -> computes.Settings:
        return {
            'placement_database': {
                'connection': self._server.url('placement')
            },
            'api': {'auth_strategy': 'keystone'},
            'keystone_authtoken': self._checked(),
        }

    def _nova(self) -> computes.Settings:
        own, neighbours = self.credentials(), self.address('neighbours')
        return {
            'DEFAULT': {
                'state_path': self._state('nova'),
                'transport_url': self._bus,
                'my_ip': self._computes.address,
                'compute_monitors': 'cpu.virt_driver',
                'update_resources_interval': self._options.update_seconds,
                'report_interval': 5,
                'service_down_time': 20,
                'sync_power_state_interval': 30,
                'graceful_shutdown_timeout': 10,
                'manager_shutdown_timeout': 5,
                'cpu_allocation_ratio': 4.0,
                'max_concurrent_live_migrations': self._options.max_migrations,
            },
            'oslo_policy': {'policy_file': self.policies},
            'quota': {'instances': -1, 'cores': -1, 'ram': -1},
            'api_database': {'connection': self._server.url('nova_api')},
            'database': {'connection': self._server.url('nova_cell1')},
            'oslo_concurrency': {'lock_path': self._state('nova') / 'lock'},
            'keystone_authtoken': self._checked(),
            'placement': own,
            'keystone': own,
            'cinder': own,
            'neutron': {
                **own,
                'endpoint_override': f'http://{neighbours}/network',
            },
            'glance': {'endpoint_override': f'http://{neighbours}/image'},
            'vnc': {'enabled': False},
            'notifications': {
                'notification_format': 'both',
                'notify_on_state_change': 'vm_and_task_state',
            },
            'oslo_messaging_notifications': {'driver': 'messagingv2'},
            'conductor': {'workers': 1},
            'scheduler': {
                'workers': 1,
                'discover_hosts_in_cells_interval': 2,
            },
        }

    def _compute(self, host: str) -> computes.Settings:
        found = self._computes.settings(host, self._programs)
        own = {'host': host, 'state_path': self._state(host)}
        return {
            **found,
            'DEFAULT': {**found['DEFAULT'], **own},
            'oslo_concurrency': {'lock_path': self._state(host) / 'lock'},
        }

    def _state(self, name: str) -> pathlib.Path:
        path = self._directory / 'state' / name
        (path / 'lock').mkdir(parents=True, exist_ok=True)
        return path


def endpoints(
    made: Configuration,
) -> collections.abc.Iterator[tuple[str, str, str]]:
    """Yield type, name and URL of what is to be in the catalog."""
    neighbours = made.address('neighbours')
    yield 'compute', 'nova', f'http://{made.address("nova")}/v2.1'
    yield 'placement', 'placement', f'http://{made.address("placement")}'
    yield 'image', 'glance', f'http://{neighbours}/image'
    yield 'network', 'neutron', f'http://{neighbours}/network'
