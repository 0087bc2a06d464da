"""``kvm-balancer lab load``: change what a lab does, while it runs."""

import argparse
import dataclasses
import typing

from kvm_balancer import errors
from kvm_balancer.cmd import action
from kvm_balancer.cmd import arguments
from kvm_balancer.cmd import lab

if typing.TYPE_CHECKING:
    from kvm_balancer.lab import fleet

_CHANGES = (
    'cpu',
    'dirty',
    'working_set',
    'cpus',
    'memory',
    'overhead',
    'bandwidth',
)


class Load(action.Action):
    """Change what guests or hosts of a lab do, while it runs.

    A guest's load, or that of every guest on a host, changes at once. A
    host's cores, memory and overhead are what it claims to have: the
    machine's are shared by all.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        lab.add_directory(parser)
        parser.add_argument(
            'target', metavar='HOST|GUEST', help='A host or a guest.'
        )
        guest = parser.add_argument_group('guests')
        guest.add_argument(
            '--cpu',
            type=arguments.amount,
            metavar='CORES',
            help='0 to 1 core.',
        )
        guest.add_argument(
            '--dirty',
            type=arguments.amount,
            metavar='MIB_S',
            help='Memory written a second.',
        )
        guest.add_argument(
            '--working-set',
            type=arguments.whole_number(1, 1_000_000),
            metavar='MIB',
            help='Memory that it writes over and over.',
        )
        host = parser.add_argument_group('hosts')
        host.add_argument(
            '--cpus', type=arguments.size, help='Cores it claims.'
        )
        host.add_argument(
            '--memory',
            type=arguments.size,
            metavar='MIB',
            help='Memory it claims.',
        )
        host.add_argument(
            '--overhead',
            type=arguments.amount,
            metavar='CORES',
            help='Cores in use by anything but guests.',
        )
        host.add_argument(
            '--bandwidth',
            type=arguments.amount,
            metavar='MIB_S',
            help='Limit its network to so much each way; 0: no limit.',
        )

    def act(self, parsed_args: argparse.Namespace) -> action.Row:
        asked = {name: getattr(parsed_args, name) for name in _CHANGES}
        changes = {k: v for k, v in asked.items() if v is not None}
        if not changes:
            raise errors.ConfigurationError(
                f'nothing is to be changed on {parsed_args.target}: give an '
                'option such as --cpu or --bandwidth'
            )
        there = lab.found(parsed_args)
        target = parsed_args.target
        is_host = target in {host.name for host in there.hosts}
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
            host = there.host(target)
            if claims:
                there.set_readings(host, **claims)
            if parsed_args.bandwidth is not None:
                host.limit_bandwidth(parsed_args.bandwidth or None)
        elif claims or parsed_args.bandwidth is not None:
            raise errors.ConfigurationError(
                f'{target} is no host of this lab: cores, memory, overhead '
                f'and bandwidth are set for hosts'
            )
        self._set_loads(there, target, is_host, parsed_args)
        return {'target': target, **changes}

    @staticmethod
    def _set_loads(
        there: 'fleet.Lab',
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
            there.guest(target)
        if not wanted:
            return
        from kvm_balancer.lab import status

        for row in status.look(there).guests:
            if target in (row.name, row.uuid, *(row.hosts if is_host else ())):
                guest = there.guest(row.name)
                load = dataclasses.replace(guest.description.load, **wanted)
                there.set_load(guest, there.host(row.hosts[0]), load)
