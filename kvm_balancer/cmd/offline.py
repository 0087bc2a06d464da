"""What is asked of a fleet in a file: its plan is made by this program."""

import argparse
import dataclasses
import pathlib
import time
from typing import Any
from typing import TYPE_CHECKING

from kvm_balancer import errors
from kvm_balancer.cmd import arguments

if TYPE_CHECKING:
    from kvm_balancer.model import fleet as columns
    from kvm_balancer.model import plan as plans
    from kvm_balancer.planner import context as contexts


#: of what is called otherwise in a request
_OPTIONS = {'policies': '--policy', 'budget_seconds': '--budget'}


@dataclasses.dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and what it was made of."""

    fleet: 'columns.Fleet'
    context: 'contexts.Context'
    plan: 'plans.Plan'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a plan can be asked for."""
    parser.add_argument(
        '--fleet',
        metavar='FILE',
        help='Plan for the fleet in this file (kvm-balancer/fleet/1) '
        'instead of asking the agent.',
    )
    parser.add_argument(
        '--policy',
        metavar='NAME[,NAME]',
        type=names,
        help='Policies to follow for all hosts, one after the other '
        '(default: those that are configured, by zone and aggregate).',
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
        help='CPU load that no host is to be over (policy relieve), or to be '
        'brought over (policies drain and consolidate).',
    )
    parser.add_argument(
        '--max-moves',
        type=arguments.whole_number(1, 1000000),
        metavar='N',
        help='Make at most so many moves (default: no limit).',
    )
    parser.add_argument(
        '--max-gib',
        type=arguments.size,
        metavar='N',
        help='Copy at most so many GiB, disks included (default: no limit).',
    )
    parser.add_argument(
        '--prefer',
        choices=('moves', 'gib', 'balance'),
        help='What to be sparing with (default: [planner] prefer).',
    )
    parser.add_argument(
        '--budget',
        type=arguments.span(0.001, 86400.0),
        metavar='SECONDS',
        help='Search for at most so long (default: [planner] budget_seconds).',
    )
    parser.add_argument(
        '--eagerness',
        type=arguments.whole_number(1, 5),
        metavar='1-5',
        help='How much gain is worth a move: 1 for what is mandatory and '
        'nothing else, 5 for the slightest gain '
        '(default: [planner] eagerness).',
    )


def names(text: str) -> list[str]:
    """Parse names with commas between them."""
    return [name.strip() for name in text.split(',') if name.strip()]


def asked(parsed_args: argparse.Namespace) -> dict[str, Any]:
    """Return what a plan is asked for, without what it is not asked for."""
    found = {
        'policies': parsed_args.policy,
        'target': parsed_args.target,
        'limit': parsed_args.limit,
        'max_moves': parsed_args.max_moves,
        'max_gib': parsed_args.max_gib,
        'prefer': parsed_args.prefer,
        'budget_seconds': parsed_args.budget,
        'eagerness': parsed_args.eagerness,
    }
    return {name: one for name, one in found.items() if one is not None}


def refuse_asked(parsed_args: argparse.Namespace, path: str) -> None:
    """Refuse what only a plan that is made now could be asked for.

    :param path: of the plan that is there, or its id
    :raises ConfigurationError: naming the options
    """
    found = ', '.join(
        _OPTIONS.get(name, f'--{name}'.replace('_', '-'))
        for name in asked(parsed_args)
    )
    if found:
        raise errors.ConfigurationError(
            f'{path} is explained as it was made: leave {found} out'
        )


def read(path: str, option: str) -> bytes:
    """Return what is in a file.

    :param option: that names it
    :raises ConfigurationError: when it cannot be read
    """
    if not path:
        raise errors.ConfigurationError(f'{option} needs a file name')
    try:
        return pathlib.Path(path).read_bytes()
    except OSError as error:
        raise errors.ConfigurationError(
            f'{path} cannot be read: {error.strerror}'
        ) from error


def fleet(path: str) -> 'columns.Fleet':
    """Return the fleet of a document.

    :raises ConfigurationError: when the file cannot be read
    :raises DocumentError: when it holds no fleet
    """
    # Arithmetic takes a while to load.
    from kvm_balancer.messages import fleet_document

    try:
        return fleet_document.decode(read(path, '--fleet'))
    except errors.DocumentError as error:
        raise errors.DocumentError(f'{path}: {error}') from error


def planned(
    conf: Any,
    parsed_args: argparse.Namespace,
    whole: 'columns.Fleet | None' = None,
    made: 'plans.Plan | None' = None,
) -> Planned:
    """Plan for the fleet of a document.

    :param whole: that fleet, where it is read already
    :param made: a plan that is there already, instead of a new one
    :raises ConfigurationError: when the file cannot be read, or a policy or
        option is wrong
    :raises DocumentError: when it holds no fleet
    """
    # Arithmetic and plugins take a third of a second to load.
    from kvm_balancer.policies import assignment
    from kvm_balancer.policies import composition
    from kvm_balancer.service import convergence
    from kvm_balancer.service import planning
    from kvm_balancer.service import plugins
    from kvm_balancer.service import restraint

    wanted = planning.Wanted(**asked(parsed_args))
    wanted.check(conf)
    context = plugins.make_context(conf, convergence.read_migration(conf))
    if whole is None:
        whole = fleet(parsed_args.fleet)
    began = time.monotonic()
    now, held_back = time.time(), restraint.read(conf)
    context = dataclasses.replace(
        wanted.within(context), elapsed=lambda: time.monotonic() - began
    ).restrained(
        held_back.closed_zones(whole, now), held_back.allowance(whole, now)
    )
    parts = wanted.parts(conf, whole)
    context = dataclasses.replace(
        context, unattended=assignment.unattended(parts, whole)
    )
    if made is None:
        made = composition.propose_parts(parts, whole, context)
        warnings = (*made.warnings, *wanted.misplaced(conf, whole))
        made = dataclasses.replace(made, warnings=warnings)
    return Planned(whole, context, made)
