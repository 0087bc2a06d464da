"""``kvm-balancer fleet export`` and ``status``: the agent as a whole."""

import argparse
import json

from cliff import command

from kvm_balancer import errors
from kvm_balancer.cmd import agent_client
from kvm_balancer.cmd import cli
from kvm_balancer.cmd import listing


class Export(command.Command):
    """Write the fleet as the agent sees it: kvm-balancer/fleet/1, JSON."""

    app: cli.Application

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--output',
            metavar='FILE',
            help='Write to this file instead of standard output.',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        with agent_client.connected(self.app.conf) as agent:
            document = json.dumps(agent.fleet(), indent=1)
        if parsed_args.output is None:
            self.app.stdout.write(document + '\n')
            return
        try:
            with open(parsed_args.output, 'w') as target:  # noqa: PTH123
                target.write(document + '\n')
        except OSError as error:
            raise errors.ConfigurationError(
                f'{parsed_args.output} cannot be written: {error.strerror}'
            ) from error


class Status(listing.Record):
    """Show what the agent is doing."""

    def record(self, parsed_args: argparse.Namespace) -> listing.Row:
        with agent_client.connected(self.app.conf) as agent:
            row = agent.status()
        self.columns = tuple(
            listing.Column(key, key.replace('_', ' ').capitalize())
            for key in row
        )
        return row
