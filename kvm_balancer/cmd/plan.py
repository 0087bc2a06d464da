"""``kvm-balancer plan``: what would be moved, by the agent or from a file."""

import argparse
import json
import pathlib
import time
from typing import Any

from kvm_balancer import errors
from kvm_balancer.cmd import agent_client
from kvm_balancer.cmd import arguments
from kvm_balancer.cmd import listing
from kvm_balancer.cmd import plan_view

#: only a plan made here, from a file, can be asked for these
_OFFLINE = ('max_gib', 'prefer', 'budget')


class Plan(listing.Record):
    """Make a plan and show it; nothing is moved."""

    columns = plan_view.COLUMNS

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            '--fleet',
            metavar='FILE',
            help='Plan for the fleet in this file (kvm-balancer/fleet/1) '
            'instead of asking the agent.',
        )
        parser.add_argument(
            '--policy',
            metavar='NAME[,NAME]',
            type=_names,
            help='Policies to follow, one after the other '
            '(default: [agent] policies).',
        )
        parser.add_argument(
            '--target',
            type=arguments.share,
            metavar='SPREAD',
            help='Spread of CPU load to reach (policy spread).',
        )
        parser.add_argument(
            '--limit',
            type=arguments.share,
            metavar='LOAD',
            help='CPU load that no host is to be over (policy relieve).',
        )
        parser.add_argument(
            '--max-moves',
            type=arguments.whole_number(1, 1000000),
            metavar='N',
            help='Make at most so many moves.',
        )
        parser.add_argument(
            '--max-gib',
            type=arguments.whole_number(1, 1000000000),
            metavar='N',
            help='Copy at most so much memory.',
        )
        parser.add_argument(
            '--prefer',
            choices=('moves', 'gib', 'balance'),
            help='What to be sparing with (default: [planner] prefer).',
        )
        parser.add_argument(
            '--budget',
            type=arguments.whole_number(1, 86400),
            metavar='SECONDS',
            help='Search for at most so long '
            '(default: [planner] budget_seconds).',
        )

    def record(self, parsed_args: argparse.Namespace) -> listing.Row:
        if parsed_args.fleet is not None:
            return plan_from_file(self.app.conf, parsed_args)
        for name in _OFFLINE:
            if getattr(parsed_args, name) is not None:
                raise errors.ConfigurationError(
                    f'--{name.replace("_", "-")} needs --fleet: the agent '
                    f'has options of its own, in [planner]'
                )
        with agent_client.connected(self.app.conf) as agent:
            return agent.make_plan(
                parsed_args.policy,
                parsed_args.target,
                parsed_args.limit,
                parsed_args.max_moves,
            )

    def produce_output(
        self, parsed_args: argparse.Namespace, names: Any, values: Any
    ) -> int:
        """Print a table of moves to people, the whole document to programs."""
        if parsed_args.formatter == 'json':
            document = dict(zip(names, values, strict=True))
            self.app.stdout.write(json.dumps(document, indent=1) + '\n')
            return 0
        return int(super().produce_output(parsed_args, names, values) or 0)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(',') if name.strip()]


def plan_from_file(
    conf: Any, parsed_args: argparse.Namespace
) -> dict[str, Any]:
    """Plan for the fleet of a document; return the plan document.

    :raises ConfigurationError: when the file cannot be read, or a policy or
        option is wrong
    :raises DocumentError: when it holds no fleet
    """
    # Arithmetic and plugins take a third of a second to load.
    from kvm_balancer.conf import migration_scopes
    from kvm_balancer.messages import fleet_document
    from kvm_balancer.messages import plan_document
    from kvm_balancer.policies import composition
    from kvm_balancer.service import plugins

    policies = plugins.load_policies(
        conf,
        conf.agent.policies
        if parsed_args.policy is None
        else parsed_args.policy,
        target=parsed_args.target,
        limit=parsed_args.limit,
    )
    context = plugins.make_context(conf, migration_scopes.read(conf))
    if not parsed_args.fleet:
        raise errors.ConfigurationError('--fleet needs a file name')
    try:
        document = pathlib.Path(parsed_args.fleet).read_bytes()
    except OSError as error:
        raise errors.ConfigurationError(
            f'{parsed_args.fleet} cannot be read: {error.strerror}'
        ) from error
    try:
        fleet = fleet_document.decode(document)
    except errors.DocumentError as error:
        raise errors.DocumentError(f'{parsed_args.fleet}: {error}') from error
    began = time.monotonic()
    made = composition.propose(
        policies,
        fleet,
        plugins.limited(
            context,
            lambda: time.monotonic() - began,
            max_moves=parsed_args.max_moves,
            max_gib=parsed_args.max_gib,
            budget_seconds=parsed_args.budget,
            prefer=parsed_args.prefer,
        ),
    )
    return plan_document.to_builtins(made)
