"""``kvm-balancer hosts`` and ``instances``: the fleet as the agent sees it."""

import argparse

from kvm_balancer.cmd import agent_client
from kvm_balancer.cmd import listing


def _host_state(row: listing.Row) -> str:
    return 'silent' if row.get('silent') else listing.text(row.get('state'))


def _moves(row: listing.Row) -> str:
    """Say whether an instance may be moved, or that it is Nova's."""
    if row.get('owner') == 'nova':
        return 'nova'
    return listing.yes(row.get('movable'))


class Hosts(listing.Listing):
    """List the hosts and their load.

    PSI is the share of time in which some task waited for a CPU. More is in
    -f json.
    """

    columns = (
        listing.name('name', 'Host'),
        listing.Column('shown_state', 'State'),
        listing.name('zone', 'Zone'),
        listing.Column('cpu_load', 'CPU', listing.percent, right=True),
        listing.Column('memory_load', 'Mem', listing.percent, right=True),
        listing.Column('pressure_cpu', 'PSI %', listing.number(1), right=True),
        listing.count('instances', 'Inst.'),
        listing.count('sample_age_seconds', 'Age s'),
    )

    def rows(self, parsed_args: argparse.Namespace) -> list[listing.Row]:
        with agent_client.connected(self.app.conf) as agent:
            rows = agent.hosts()
        rows.sort(key=lambda row: listing.natural(row.get('name')))
        if parsed_args.formatter == 'table':
            for row in rows:
                row['shown_state'] = _host_state(row)
        return rows


class Release(listing.Record):
    """Let an instance be moved again that was left where it came back to."""

    columns = (
        listing.Column('instance', 'Instance'),
        listing.Column('released', 'Released'),
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument('id', metavar='ID', help='Id of the instance.')

    def record(self, parsed_args: argparse.Namespace) -> listing.Row:
        with agent_client.connected(self.app.conf) as agent:
            return agent.release(parsed_args.id)


class Instances(listing.Listing):
    """List the instances, where they are and what they use.

    CPU is in cores, and Dirty in MiB/s. Moves says whether the agent may move
    one; Nova's are Nova's. More is in -f json.
    """

    columns = (
        listing.Column('id', 'Id', listing.short_id),
        listing.name('name', 'Name'),
        listing.name('host', 'Host'),
        listing.count('vcpus', 'vCPUs'),
        listing.count('memory_mib', 'MiB'),
        listing.count('cpu_usage', 'CPU', 2),
        listing.count('dirty_rate_mib_s', 'Dirty', 1),
        listing.Column('shown_moves', 'Moves'),
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            '--host', metavar='NAME', help='Only those on this host.'
        )

    def rows(self, parsed_args: argparse.Namespace) -> list[listing.Row]:
        with agent_client.connected(self.app.conf) as agent:
            rows = agent.instances(parsed_args.host)
        rows.sort(key=lambda row: listing.natural(row.get('name')))
        if parsed_args.formatter == 'table':
            for row in rows:
                row['shown_moves'] = _moves(row)
        return rows
