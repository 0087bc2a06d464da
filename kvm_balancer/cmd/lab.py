"""``kvm-balancer lab``: a real fleet on this machine."""

import argparse
import collections.abc
import dataclasses
import json
import pathlib
import time
import typing
from typing import Any

from cliff import command

from kvm_balancer import errors
from kvm_balancer.cmd import agent_client
from kvm_balancer.cmd import arguments
from kvm_balancer.cmd import cli
from kvm_balancer.cmd import configuration
from kvm_balancer.cmd import listing
from kvm_balancer.lab import prerequisites

if typing.TYPE_CHECKING:
    from kvm_balancer.lab import fleet

_DIRECTORY = '/var/lib/kvm-balancer-lab'
_NAME = 'kvmlab'
_FIRST_SAMPLES_SECONDS = 60


def _add_directory(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--directory',
        type=pathlib.Path,
        default=pathlib.Path(_DIRECTORY),
        metavar='DIR',
        help='Where the lab keeps everything (default: %(default)s).',
    )


def _found(parsed_args: argparse.Namespace) -> 'fleet.Lab':
    """Return the lab that is up.

    :raises LabError: when there is none, or this machine cannot have one
    """
    prerequisites.check(guests=False, services=False)
    # Needs libvirt's binding, which has been looked for by now.
    from kvm_balancer.lab import fleet

    return fleet.Lab.find(parsed_args.directory)


class Up(command.Command):
    """Bring up hosts, guests, broker, agent and executors on this machine.

    Everything is the lab's own: network namespaces, bridge, libvirt daemons
    and RabbitMQ. One host starts hot. Needs root.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_directory(parser)
        parser.add_argument(
            '--name',
            default=_NAME,
            help='Begins the names of its interfaces; with a name and a '
            'directory each, several labs stand side by side (default: '
            '%(default)s).',
        )
        parser.add_argument(
            '--network',
            metavar='A.B.C.D/24',
            help='Addresses of its own (default: some of 10.96.0.0/11 that '
            'follow from the name).',
        )
        parser.add_argument(
            '--hosts',
            type=arguments.whole_number(1, 100),
            default=3,
            metavar='N',
            help='Number of hosts (default: %(default)s).',
        )
        parser.add_argument(
            '--guests',
            type=arguments.whole_number(0, 1000),
            default=8,
            metavar='N',
            help='Number of guests (default: %(default)s); more than half of '
            'them start on the first host.',
        )
        parser.add_argument(
            '--mode',
            choices=('automatic', 'advise'),
            default='automatic',
            help='What the agent does with its plans (default: %(default)s).',
        )
        parser.add_argument(
            '--no-services',
            action='store_true',
            help='Hosts and guests only: no broker, agent nor executors.',
        )
        parser.add_argument(
            '--tls',
            action='store_true',
            help='libvirt and RabbitMQ answer by TLS only, with certificates '
            "of the lab's own authority.",
        )
        parser.add_argument(
            '--keepalive',
            type=arguments.whole_number(1, 3600),
            default=5,
            metavar='SECONDS',
            help='After how long without an answer, and then five times '
            'more, libvirt asks whether its peer lives (default: '
            '%(default)s).',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        began = time.monotonic()
        services = not parsed_args.no_services
        prerequisites.check(
            guests=bool(parsed_args.guests),
            services=services,
            tls=parsed_args.tls,
        )
        from kvm_balancer.lab import description
        from kvm_balancer.lab import fleet

        wanted = description.describe(
            parsed_args.directory,
            parsed_args.name,
            parsed_args.hosts,
            network=parsed_args.network,
            tls=parsed_args.tls,
            keepalive_seconds=parsed_args.keepalive,
            services=services,
        )
        wanted = description.with_guests(wanted, parsed_args.guests)
        lab = fleet.Lab(wanted, self._tell)
        lab.claim()
        try:
            lab.make(parsed_args.mode)
            _wait_for_samples(lab)
        except errors.LabError as error:
            raise errors.LabError(
                f'{error} (what is up already goes away by '
                f"'kvm-balancer lab down'; logs are in {lab.directory})"
            ) from None
        lab.say('the lab is up')
        if lab.services:
            self._tell(
                f'ask its agent: kvm-balancer --config-file '
                f'{lab.services.agent_configuration} hosts'
            )
        self._tell(f'{time.monotonic() - began:.1f} seconds in all')

    def _tell(self, line: str) -> None:
        print(line, file=self.app.stdout, flush=True)


def _wait_for_samples(lab: 'fleet.Lab') -> None:
    """Wait until the agent answers and has heard of every host.

    :raises LabError: when it does not, or a program has ended
    """
    if lab.services is None:
        return
    conf = configuration.load(
        cli.PROGRAM, [str(lab.services.agent_configuration)]
    )
    until = time.monotonic() + _FIRST_SAMPLES_SECONDS
    heard: set[str] = set()
    while heard != {host.name for host in lab.hosts}:
        lab.services.check(lab.hosts)
        if time.monotonic() > until:
            silent = {host.name for host in lab.hosts} - heard
            raise errors.LabError(
                f'the agent has not heard of {", ".join(sorted(silent))} in '
                f'{_FIRST_SAMPLES_SECONDS} seconds'
            )
        try:
            with agent_client.connected(conf) as agent:
                heard = {row['name'] for row in agent.hosts()}
        except errors.BusError:
            pass
        time.sleep(0.2)
    lab.say('the agent has samples of every host')


class Down(command.Command):
    """Clear away a lab, also one that came up half-way only."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_directory(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        _found(parsed_args).down()


class Status(listing.Record):
    """Show hosts and guests of a lab, and whether all is well with it.

    The exit code is 1 when it is not: something does not run, a guest runs
    twice or nowhere, or has found its memory damaged.
    """

    columns = (
        listing.Column('name', 'Lab'),
        listing.Column('directory', 'Directory'),
        listing.Column('virtualisation', 'Guests run by'),
        listing.Column('broker', 'Broker', lambda value: _alive(value)),
        listing.Column('agent', 'Agent', lambda value: _alive(value)),
        listing.Column('hosts', 'Hosts', lambda value: _hosts(value)),
        listing.Column('guests', 'Guests', lambda value: _guests(value)),
        listing.Column(
            'problems', 'Problems', lambda value: '\n'.join(value) or 'none'
        ),
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        _add_directory(parser)

    def record(self, parsed_args: argparse.Namespace) -> listing.Row:
        lab = _found(parsed_args)
        from kvm_balancer.lab import status

        seen = status.look(lab)
        self._healthy = not seen.problems
        return dict(json.loads(json.dumps(dataclasses.asdict(seen))))

    def run(self, parsed_args: argparse.Namespace) -> int:
        return int(super().run(parsed_args)) or int(not self._healthy)


def _alive(value: Any) -> str:
    if value is None:
        return 'not part of it'
    return 'alive' if value else 'DEAD'


def _hosts(rows: collections.abc.Iterable[dict[str, Any]]) -> str:
    return '\n'.join(
        f'{row["name"]}  {row["address"]}  '
        f'libvirtd {_alive(row["libvirtd"])}, '
        f'executor {_alive(row["executor"])}, '
        f'{listing.text(row["guests"])} guests, '
        f'{row["cpu_load"]:.0%} of {row["cpus"]:g} cores wanted'
        for row in rows
    )


def _guests(rows: collections.abc.Iterable[dict[str, Any]]) -> str:
    return '\n'.join(
        f'{row["name"]}  on {"+".join(row["hosts"]) or "NO HOST"}  '
        f'{row["cpu"]:.2f} cores, {row["dirty_mib_s"]:g} MiB/s over '
        f'{row["working_set_mib"]} MiB, round {row["rounds"]}, '
        f'{row["damaged"]} damaged'
        for row in rows
    )


class Load(command.Command):
    """Change what guests or hosts of a lab do, while it runs.

    A guest's load, or that of every guest on a host, changes at once. A
    host's cores, memory and overhead are what it claims to have: the
    machine's are shared by all.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        _add_directory(parser)
        parser.add_argument(
            'target', metavar='HOST|GUEST', help='A host or a guest.'
        )
        guest = parser.add_argument_group('guests')
        guest.add_argument(
            '--cpu', type=float, metavar='CORES', help='0 to 1 core.'
        )
        guest.add_argument(
            '--dirty',
            type=float,
            metavar='MIB_S',
            help='Memory written a second.',
        )
        guest.add_argument(
            '--working-set',
            type=int,
            metavar='MIB',
            help='Memory that it writes over and over.',
        )
        host = parser.add_argument_group('hosts')
        host.add_argument('--cpus', type=float, help='Cores it claims.')
        host.add_argument(
            '--memory', type=float, metavar='MIB', help='Memory it claims.'
        )
        host.add_argument(
            '--overhead',
            type=float,
            metavar='CORES',
            help='Cores in use by anything but guests.',
        )
        host.add_argument(
            '--bandwidth',
            type=float,
            metavar='MIB_S',
            help='Limit its network to so much each way; 0: no limit.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        lab = _found(parsed_args)
        target = parsed_args.target
        is_host = target in {host.name for host in lab.hosts}
        claims = {
            name: value
            for name, value in (
                ('cpus', parsed_args.cpus),
                ('memory_mib', parsed_args.memory),
                ('cpu_overhead', parsed_args.overhead),
            )
            if value is not None
        }
        if is_host:
            host = lab.host(target)
            if claims:
                lab.set_readings(host, **claims)
            if parsed_args.bandwidth is not None:
                host.limit_bandwidth(parsed_args.bandwidth or None)
        elif claims or parsed_args.bandwidth is not None:
            raise errors.ConfigurationError(
                f'{target} is no host of this lab: cores, memory, overhead '
                f'and bandwidth are set for hosts'
            )
        self._set_loads(lab, target, is_host, parsed_args)

    @staticmethod
    def _set_loads(
        lab: 'fleet.Lab',
        target: str,
        is_host: bool,
        parsed_args: argparse.Namespace,
    ) -> None:
        wanted = {
            name: value
            for name, value in (
                ('cpu', parsed_args.cpu),
                ('dirty_mib_s', parsed_args.dirty),
                ('working_set_mib', parsed_args.working_set),
            )
            if value is not None
        }
        if not is_host:
            lab.guest(target)
        if not wanted:
            return
        from kvm_balancer.lab import status

        for row in status.look(lab).guests:
            if target in (row.name, row.uuid, *(row.hosts if is_host else ())):
                guest = lab.guest(row.name)
                load = dataclasses.replace(guest.description.load, **wanted)
                lab.set_load(guest, lab.host(row.hosts[0]), load)
