"""``kvm-balancer plan``: what would be moved, by the agent or from a file."""

import argparse
import json
from typing import Any

from kvm_balancer.cmd import agent_client
from kvm_balancer.cmd import frontier_drawing
from kvm_balancer.cmd import listing
from kvm_balancer.cmd import offline
from kvm_balancer.cmd import plan_view


class Plan(listing.Record):
    """Make a plan and show it; nothing is moved.

    What is left to do after its first moves is drawn below it.
    """

    columns = plan_view.COLUMNS

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        offline.add_arguments(parser)

    def record(self, parsed_args: argparse.Namespace) -> listing.Row:
        self._row = self._made(parsed_args)
        return self._row

    def _made(self, parsed_args: argparse.Namespace) -> listing.Row:
        if parsed_args.fleet is not None:
            return plan_from_file(self.app.conf, parsed_args)
        wanted = offline.asked(parsed_args)
        patience = wanted.get('budget_seconds', 0)
        with agent_client.connected(self.app.conf, patience) as agent:
            return agent.make_plan(**wanted)

    def produce_output(
        self, parsed_args: argparse.Namespace, names: Any, values: Any
    ) -> int:
        """Print a table of moves to people, the whole document to programs."""
        if parsed_args.formatter == 'json':
            document = dict(zip(names, values, strict=True))
            self.app.stdout.write(json.dumps(document, indent=1) + '\n')
            return 0
        code = int(super().produce_output(parsed_args, names, values) or 0)
        if parsed_args.formatter == 'table' and not parsed_args.columns:
            frontier_drawing.show(self._row, self.app.stdout)
        return code


def plan_from_file(
    conf: Any, parsed_args: argparse.Namespace
) -> dict[str, Any]:
    """Plan for the fleet of a document; return the plan document.

    :raises ConfigurationError: when the file cannot be read, or a policy or
        option is wrong
    :raises DocumentError: when it holds no fleet
    """
    from kvm_balancer.messages import plan_document

    return plan_document.to_builtins(offline.planned(conf, parsed_args).plan)
