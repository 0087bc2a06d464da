"""Groups ``[policies:zone:NAME]`` and ``[policies:aggregate:NAME]``.

They say which policies run on the hosts of a zone or an aggregate, instead
of those of ``[agent] policies``. Which there are stands in the files alone,
so these groups are registered once those are read.
"""

import collections.abc
from typing import TYPE_CHECKING

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.conf import agent
from kvm_balancer.conf import place_groups

if TYPE_CHECKING:
    from kvm_balancer.policies import assignment

GROUP = 'policies'

OPTS: list[cfg.Opt] = [
    cfg.ListOpt(
        'run',
        help="""
Policies that run on the hosts of this zone or aggregate, in order of
precedence, instead of ``[agent] policies``; empty for none. They move
instances among these hosts alone. Of a host's aggregates the first by name
that has such a group counts, and it counts before the host's zone.
""",
    ),
]


def groups(conf: cfg.ConfigOpts) -> list[str]:
    """Return the names of the groups that the files of *conf* hold."""
    return place_groups.find(conf, GROUP)


def register_found(conf: cfg.ConfigOpts) -> None:
    """Register the groups that the files of *conf* hold.

    :raises ConfigurationError: when one is neither of a zone nor of an
        aggregate
    """
    for section in conf.list_all_sections():
        if section.lower() == GROUP:
            # Of everywhere it is [agent] that says it.
            place_groups.split(section, GROUP)
    place_groups.register(conf, GROUP, OPTS)


def read(conf: cfg.ConfigOpts) -> 'assignment.Assignment':
    """Return which policies run where.

    :raises ConfigurationError: when a group is not of a zone or an
        aggregate, or says nothing, or a policy is named twice
    """
    # Arithmetic starts threads, which have to know of signals first.
    from kvm_balancer.policies import assignment

    register_found(conf)
    found: dict[str, dict[str, assignment.Names]] = {
        kind: {} for kind in place_groups.KINDS
    }
    for group in groups(conf):
        kind, name = place_groups.split(group, GROUP)
        names = conf[group].run
        if names is None:
            raise errors.ConfigurationError(
                f'[{group}] does not say which policies run there: write '
                'run = relieve,spread, or run = for none'
            )
        found[kind][name] = tuple(one for one in names if one)
    read_in = assignment.Assignment(
        default=tuple(conf[agent.GROUP.name].policies),
        zones=found['zone'],
        aggregates=found['aggregate'],
    )
    for option, named in options(read_in):
        twice = [name for name in named if named.count(name) > 1]
        if twice:
            raise errors.ConfigurationError(
                f'{option} names {twice[0]} {named.count(twice[0])} times: '
                'once is enough'
            )
    return read_in


def options(
    assigned: 'assignment.Assignment',
) -> collections.abc.Iterator[tuple[str, tuple[str, ...]]]:
    """Go through the options that policies were read from, and the names."""
    yield f'[{agent.GROUP.name}] policies', assigned.default
    for kind, places in zip(
        place_groups.KINDS, (assigned.zones, assigned.aggregates), strict=True
    ):
        for name, names in places.items():
            yield f'[{GROUP}:{kind}:{name}] run', names
