"""``kvm-balancer hosts`` and ``instances``: the fleet as the agent sees it."""

import argparse

from kvm_balancer.cmd import agent_client
from kvm_balancer.cmd import listing


def _host_state(row: listing.Row) -> str:
    return 'silent' if row.get('silent') else listing.text(row.get('state'))


class Hosts(listing.Listing):
    """List the hosts and their load."""

    columns = (
        listing.Column('name', 'Host'),
        listing.Column('shown_state', 'State'),
        listing.Column('zone', 'Zone'),
        listing.count('cpus', 'CPUs'),
        listing.Column('cpu_load', 'CPU', listing.percent, right=True),
        listing.Column('memory_load', 'Memory', listing.percent, right=True),
        listing.Column(
            'pressure_cpu', 'Pressure %', listing.number(1), right=True
        ),
        listing.count('instances', 'Instances'),
        listing.count('sample_age_seconds', 'Age s'),
    )

    def rows(self, parsed_args: argparse.Namespace) -> list[listing.Row]:
        with agent_client.connected(self.app.conf) as agent:
            rows = agent.hosts()
        if parsed_args.formatter == 'table':
            for row in rows:
                row['shown_state'] = _host_state(row)
        return rows


class Instances(listing.Listing):
    """List the instances, where they are and what they use."""

    columns = (
        listing.Column('id', 'Id', listing.short_id),
        listing.Column('name', 'Name'),
        listing.Column('host', 'Host'),
        listing.Column('owner', 'Owner'),
        listing.Column('state', 'State'),
        listing.count('vcpus', 'vCPUs'),
        listing.count('memory_mib', 'MiB'),
        listing.count('cpu_usage', 'CPU', 2),
        listing.count('dirty_rate_mib_s', 'Dirty MiB/s', 1),
        listing.Column('movable', 'Moves', listing.yes),
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            '--host', metavar='NAME', help='Only those on this host.'
        )

    def rows(self, parsed_args: argparse.Namespace) -> list[listing.Row]:
        with agent_client.connected(self.app.conf) as agent:
            return agent.instances(parsed_args.host)
