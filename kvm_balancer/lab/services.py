"""Agent and executors of the laboratory: their configuration and processes.

They are the real programs, run by the interpreter that runs the laboratory.
"""

import collections.abc
import pathlib
import sys

from kvm_balancer import errors
from kvm_balancer.lab import broker
from kvm_balancer.lab import description
from kvm_balancer.lab import hosts
from kvm_balancer.lab import processes
from kvm_balancer.lab import programs

#: Of an option group: its options.
Settings = collections.abc.Mapping[str, collections.abc.Mapping[str, object]]

_SAMPLE_SECONDS = 2

# What one guest's migration may use of the wire, so that several fit: the
# veth pairs themselves have no limit.
_MIGRATION_MIB_S = 256


def write_configuration(path: pathlib.Path, settings: Settings) -> None:
    """Write a configuration file that only its owner may read.

    An option whose value is a list stands there once for each.
    """
    lines = []
    for group, options in settings.items():
        lines.append(f'[{group}]')
        for name, value in options.items():
            values = value if isinstance(value, list) else [value]
            # In values, oslo.config takes a dollar for a reference.
            lines += [
                f'{name} = {str(one).replace("$", "$$")}' for one in values
            ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text('\n'.join([*lines, '']))


def journal(host: hosts.Host) -> pathlib.Path:
    """Return the file of a host's executor."""
    return host.state / 'executor.sqlite'


class Services:
    """Agent and executors.

    :param lab: the laboratory
    :param bus: its broker
    """

    def __init__(self, lab: description.Lab, bus: broker.Broker) -> None:
        self.lab = lab
        self.bus = bus
        self.processes = processes.Processes(lab.path)

    @property
    def agent_configuration(self) -> pathlib.Path:
        """The agent's file; the command line can use it as well."""
        return self.lab.path / 'etc' / 'agent.conf'

    def executor_configuration(self, host: hosts.Host) -> pathlib.Path:
        """The file of one host's executor."""
        return self.lab.path / 'etc' / f'executor-{host.name}.conf'

    def configure(
        self, fleet: collections.abc.Iterable[hosts.Host], mode: str
    ) -> None:
        """Write the files of all.

        :param mode: of the agent: ``automatic`` or ``advise``
        """
        write_configuration(self.agent_configuration, self._agent(mode))
        for host in fleet:
            write_configuration(
                self.executor_configuration(host), self._executor(host)
            )

    def prepare_database(self) -> None:
        """Bring the agent's database to the schema of this version.

        :raises LabError: when that fails
        """
        programs.run(
            [
                *self._program('kvm-balancer', self.agent_configuration),
                'db',
                'upgrade',
            ]
        )

    def start_agent(self) -> None:
        """Start the agent on the machine; also again, after it was killed."""
        self.processes.start(
            'agent',
            self._program('kvm-balancer-agent', self.agent_configuration),
        )

    def start_executor(
        self,
        host: hosts.Host,
        environment: collections.abc.Mapping[str, str] | None = None,
    ) -> None:
        """Start the executor in its host; also again.

        :param environment: what to add to its own
        """
        path = self.executor_configuration(host)
        host.start(
            'executor',
            self._program('kvm-balancer-executor', path),
            environment,
        )

    def check(self, fleet: collections.abc.Iterable[hosts.Host]) -> None:
        """Check that agent and executors still run.

        :raises LabError: names one that has ended, and its last words
        """
        daemons = {'the agent': (self.processes, 'agent')}
        for host in fleet:
            what = f'the executor of {host.name}'
            daemons[what] = (host.processes, 'executor')
        for what, (where, name) in daemons.items():
            if not where.is_alive(name):
                told = where.last_words(name) or 'without a word'
                raise errors.LabError(f'{what} has ended: {told}')

    @staticmethod
    def _program(name: str, configuration: pathlib.Path) -> list[str]:
        """Return how to call a program that is installed beside Python."""
        script = pathlib.Path(sys.executable).with_name(name)
        return [str(script), '--config-file', str(configuration)]

    def _bus(self) -> dict[str, dict[str, object]]:
        settings: dict[str, dict[str, object]] = {
            'DEFAULT': {'transport_url': self.bus.url}
        }
        if self.bus.pki is not None:
            settings['oslo_messaging_rabbit'] = {
                'ssl': True,
                'ssl_ca_file': self.bus.pki / 'cacert.pem',
            }
        return settings

    def _agent(self, mode: str) -> Settings:
        settings = self._bus()
        store = self.lab.path / 'agent.sqlite'
        return settings | {
            'database': {'connection': f'sqlite:///{store}'},
            'agent': {
                'mode': mode,
                'interval_seconds': 5,
                'policies': 'relieve',
                'instance_cooldown_seconds': 60,
                'host_cooldown_seconds': 5,
            },
            'migration': {'post_copy': True},
            'relieve': {
                'limit': 0.8,
                'margin': 0.1,
                'hold_seconds': 10,
                # Guests wait for cores of the one machine that carries all
                # hosts: that says nothing about the host that they are on.
                'steal_limit': 0,
            },
            'samples': {
                'silent_after_seconds': 5 * _SAMPLE_SECONDS,
                'ewma_seconds': 5 * _SAMPLE_SECONDS,
            },
        }

    def _executor(self, host: hosts.Host) -> Settings:
        settings = self._bus()
        return settings | {
            'executor': {
                'driver': 'libvirt',
                'manage': 'metadata',
                'sample_interval_seconds': _SAMPLE_SECONDS,
                'state_path': journal(host),
            },
            'host': {
                'name': host.name,
                'zone': 'lab',
                'migration_address': host.address,
                'migration_mib_s': _MIGRATION_MIB_S,
                'memory_reserved_mib': 0,
                'readings_file': host.readings,
            },
            'libvirt': {
                'uri': 'qemu:///system',
                'peer_uri': host.uri,
                'keepalive_interval_seconds': self.lab.keepalive_seconds,
            },
        }
