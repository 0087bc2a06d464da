"""``kvm-balancer plans``: what the agent planned, and what came of it."""

import argparse
from typing import Any

from kvm_balancer.cmd import agent_client
from kvm_balancer.cmd import arguments
from kvm_balancer.cmd import frontier_drawing
from kvm_balancer.cmd import frontier_view
from kvm_balancer.cmd import listing

#: What the other columns of a list take of a line.
_MARGIN = 60


def _why(value: Any) -> str:
    return listing.one_per_line([listing.text(value)], _MARGIN)


def _policies(value: Any) -> str:
    return listing.text(value).replace(',', ',\n')


def _moves(value: Any) -> str:
    return listing.one_per_line(
        f'{place}. {move.get("instance")} from {move.get("source")} to '
        f'{move.get("destination")}'
        + (f' [{move["state"]}]' if move.get('state') else '')
        + f': {move.get("reason")}'
        for place, move in enumerate(value or ())
    )


def _purposes(value: Any) -> str:
    return frontier_view.purposes(value or {})


def _frontier(value: Any) -> str:
    return frontier_view.table(value or {})


class List(listing.Listing):
    """List the latest plans, newest first."""

    columns = (
        listing.Column('id', 'Id', listing.short_id),
        listing.Column('created_at', 'Made', listing.short_time),
        listing.Column('policy', 'Policy', _policies),
        listing.Column('state', 'State'),
        listing.count('moves', 'Moves'),
        listing.Column('summary', 'Why', _why),
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        arguments.add_limit(parser, 'plans')

    def rows(self, parsed_args: argparse.Namespace) -> list[listing.Row]:
        with agent_client.connected(self.app.conf) as agent:
            return agent.plans(parsed_args.limit)


class Show(listing.Record):
    """Show one plan, its moves and the reason of each.

    What was to be left to do after its first moves is drawn below it.
    """

    columns = (
        listing.Column('id', 'Id'),
        listing.Column('created_at', 'Made', listing.local_time),
        listing.Column('policy', 'Policy'),
        listing.Column('mode', 'Mode'),
        listing.Column('state', 'State'),
        listing.Column('summary', 'Why', lambda v: listing.one_per_line([v])),
        listing.Column('moves', 'Moves', _moves),
        listing.Column('document', 'For', _purposes),
        listing.Column('document', 'In parts', _frontier),
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            'plan', metavar='ID', help='Its id, or the beginning of it.'
        )

    def record(self, parsed_args: argparse.Namespace) -> listing.Row:
        with agent_client.connected(self.app.conf) as agent:
            self._row = agent.plan(parsed_args.plan)
        return self._row

    def produce_output(
        self, parsed_args: argparse.Namespace, names: Any, values: Any
    ) -> int:
        code = int(super().produce_output(parsed_args, names, values) or 0)
        if parsed_args.formatter == 'table' and not parsed_args.columns:
            made = self._row.get('document') or {}
            frontier_drawing.show(made, self.app.stdout)
        return code
