"""``kvm-balancer lab``: a real fleet on this machine."""

import argparse
import collections.abc
import dataclasses
import json
import pathlib
import time
import typing
from typing import Any

from kvm_balancer import errors
from kvm_balancer.cmd import action
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


def add_directory(parser: argparse.ArgumentParser) -> None:
    """Add ``--directory``."""
    parser.add_argument(
        '--directory',
        type=pathlib.Path,
        default=pathlib.Path(_DIRECTORY),
        metavar='DIR',
        help='Where the lab keeps everything (default: %(default)s).',
    )


def found(parsed_args: argparse.Namespace) -> 'fleet.Lab':
    """Return the lab that is up.

    :raises LabError: when there is none, or this machine cannot have one
    """
    prerequisites.check(guests=False, services=False)
    # Needs libvirt's binding, which has been looked for by now.
    from kvm_balancer.lab import fleet

    return fleet.Lab.find(parsed_args.directory)


class Up(action.Action):
    """Bring up hosts, guests, broker, agent and executors on this machine.

    Everything is the lab's own: network namespaces, bridge, libvirt daemons
    and RabbitMQ. One host starts hot. Needs root.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_directory(parser)
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
        _add_size(parser)
        _add_manner(parser)

    def act(self, parsed_args: argparse.Namespace) -> action.Row:
        began = time.monotonic()
        shown = self.progress_stream(parsed_args)

        def tell(line: str) -> None:
            print(line, file=shown, flush=True)

        services = not parsed_args.no_services
        prerequisites.check(
            guests=bool(parsed_args.guests),
            services=services,
            tls=parsed_args.tls,
            linux=bool(parsed_args.linux),
            leases=parsed_args.leases,
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
            leases=parsed_args.leases,
        )
        wanted = description.with_guests(wanted, parsed_args.guests)
        wanted = description.with_linux_guests(wanted, parsed_args.linux)
        lab = fleet.Lab(wanted, tell)
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
            tell(
                f'ask its agent: kvm-balancer --config-file '
                f'{lab.services.agent_configuration} hosts'
            )
        seconds = time.monotonic() - began
        tell(f'{seconds:.1f} seconds in all')
        return _summary(lab, seconds)


def _summary(lab: 'fleet.Lab', seconds: float) -> action.Row:
    """Return what a program needs to know to use a lab that came up."""
    return {
        'directory': str(lab.directory),
        'hosts': [
            {'name': host.name, 'address': host.address, 'uri': host.uri}
            for host in lab.hosts
        ],
        'guests': [
            {'name': one.description.name, 'uuid': one.description.uuid}
            for one in lab.guests
        ],
        'linux_guests': [
            {'name': one.name, 'uuid': one.uuid, 'address': one.address}
            for one in lab.linux_guests
        ],
        'agent_configuration': (
            str(lab.services.agent_configuration) if lab.services else None
        ),
        'seconds': round(seconds, 1),
    }


def _add_size(parser: argparse.ArgumentParser) -> None:
    """Add what says how large a lab is, and what its agent does."""
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
        '--linux',
        type=arguments.whole_number(0, 100),
        default=0,
        metavar='N',
        help='Number of Linux guests besides (default: %(default)s), which '
        'have disk, network card and clock, and watch them.',
    )
    parser.add_argument(
        '--mode',
        choices=('automatic', 'advise'),
        default='automatic',
        help='What the agent does with its plans (default: %(default)s).',
    )


def _add_manner(parser: argparse.ArgumentParser) -> None:
    """Add what says of which parts a lab consists."""
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
        '--leases',
        action='store_true',
        help="libvirt's lock manager runs on every host, and every guest "
        'has a lease: none can be started twice.',
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


class Down(action.Action):
    """Clear away a lab, also one that came up half-way only."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_directory(parser)

    def act(self, parsed_args: argparse.Namespace) -> action.Row:
        found(parsed_args).down()
        return {'directory': str(parsed_args.directory), 'removed': True}


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
            'linux_guests', 'Linux guests', lambda value: _linux_guests(value)
        ),
        listing.Column(
            'problems', 'Problems', lambda value: '\n'.join(value) or 'none'
        ),
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_directory(parser)

    def record(self, parsed_args: argparse.Namespace) -> listing.Row:
        lab = found(parsed_args)
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


def _linux_guests(rows: collections.abc.Iterable[dict[str, Any]]) -> str:
    return (
        '\n'.join(
            f'{row["name"]}  on {"+".join(row["hosts"]) or "NO HOST"}  '
            f'{row["address"]}, {row["report"]["disk"]["checked"]} blocks '
            f'checked, {row["report"]["disk"]["damaged"]} damaged, clock '
            f'{row["report"]["clock"]["back"]} times back'
            for row in rows
        )
        or 'none'
    )
