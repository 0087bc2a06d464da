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
            'name of a host. A file that is called like one of those is '
            'named with its folder: ./NAME.',
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
        if parsed_args.plan is not None:
            offline.refuse_asked(parsed_args, f'plan {parsed_args.plan}')
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

    subject, path = parsed_args.subject, parsed_args.plan
    fleet = offline.fleet(parsed_args.fleet)
    meant = None
    try:
        meant = subjects.find(fleet, subject)
    except errors.NotFound:
        # A file does not hide what is called like it.
        if not subject or not pathlib.Path(subject).is_file():
            raise
        if path is not None:
            raise errors.ConfigurationError(
                f'{subject} is a plan itself: leave --plan out'
            ) from None
        path = subject
    made = None
    if path is not None:
        made = _read_plan(path)
        offline.refuse_asked(parsed_args, path)
    planned = offline.planned(conf, parsed_args, fleet, made)
    answering = answers.Answers(planned.fleet, planned.context, planned.plan)
    found = answering.plan(subject) if meant is None else answering.of(meant)
    return explanation_document.to_builtins(found)


def _read_plan(path: str) -> 'plans.Plan':
    from kvm_balancer.messages import plan_document

    document = offline.read(path, '--plan')
    try:
        return plan_document.decode(document)
    except errors.DocumentError as error:
        raise errors.DocumentError(f'{path}: {error}') from error
