"""``kvm-balancer explain``: why this move, and why not that one."""

import argparse
import json
import pathlib
from typing import Any
from typing import TYPE_CHECKING

from kvm_balancer import errors
from kvm_balancer.cmd import agent_client
from kvm_balancer.cmd import listing
from kvm_balancer.cmd import offline

if TYPE_CHECKING:
    from kvm_balancer.model import plan as plans

#: What the frame and the longest title leave to the lines.
_MARGIN = 30
_TITLE = 20


class Explain(listing.Record):
    """Explain a plan, an instance or a host.

    Why a move is made, why of this instance and to this host; why an
    instance stays, or a host stays hot; which filter or rule decided it, and
    what would change it. Of an instance or a host, the plan that is
    explained is made now, unless --plan names another.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            'subject',
            metavar='PLAN|INSTANCE|HOST',
            help="A plan's id, or with --fleet the file it is in "
            '(kvm-balancer/plan/1); the id or the name of an instance; the '
            'name of a host.',
        )
        parser.add_argument(
            '--plan',
            metavar='ID|FILE',
            help='The plan that moves the instance or the host, or does not '
            '(default: one that is made now).',
        )
        offline.add_arguments(parser)

    def record(self, parsed_args: argparse.Namespace) -> listing.Row:
        if parsed_args.fleet is not None:
            return explain_from_file(self.app.conf, parsed_args)
        wanted = offline.asked(parsed_args)
        patience = wanted.get('budget_seconds', 0)
        with agent_client.connected(self.app.conf, patience) as agent:
            return agent.explain(
                parsed_args.subject, parsed_args.plan, **wanted
            )

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[list[str], list[Any]]:
        row = self.record(parsed_args)
        if parsed_args.formatter != 'table':
            return list(row), list(row.values())
        titles = [one['title'] for one in row['sections']]
        return (
            [listing.wrapped(title, _TITLE) for title in titles],
            [
                listing.one_per_line(one['lines'], _MARGIN)
                for one in row['sections']
            ],
        )

    def produce_output(
        self, parsed_args: argparse.Namespace, names: Any, values: Any
    ) -> int:
        """Print sections to people, the whole document to programs."""
        if parsed_args.formatter == 'json':
            document = dict(zip(names, values, strict=True))
            self.app.stdout.write(json.dumps(document, indent=1) + '\n')
            return 0
        return int(super().produce_output(parsed_args, names, values) or 0)


def explain_from_file(
    conf: Any, parsed_args: argparse.Namespace
) -> dict[str, Any]:
    """Explain by the fleet of a document.

    :raises ConfigurationError: when a file cannot be read, or an option is
        wrong
    :raises DocumentError: when a file does not hold what it should
    :raises NotFound: when the subject is nothing of the fleet
    """
    from kvm_balancer.messages import explanation_document
    from kvm_balancer.planner.explanation import answers
    from kvm_balancer.planner.explanation import subjects

    subject = parsed_args.subject
    is_plan = pathlib.Path(subject).is_file()
    if is_plan and parsed_args.plan is not None:
        raise errors.ConfigurationError(
            f'{subject} is a plan itself: leave --plan out'
        )
    path = subject if is_plan else parsed_args.plan
    made = None if path is None else _read_plan(path)
    planned = offline.planned(conf, parsed_args, made)
    answering = answers.Answers(planned.fleet, planned.context, planned.plan)
    found = (
        answering.plan(subject)
        if is_plan
        else answering.of(subjects.find(planned.fleet, subject))
    )
    return explanation_document.to_builtins(found)


def _read_plan(path: str) -> 'plans.Plan':
    from kvm_balancer.messages import plan_document

    document = offline.read(path, '--plan')
    try:
        return plan_document.decode(document)
    except errors.DocumentError as error:
        raise errors.DocumentError(f'{path}: {error}') from error
