"""Options of group ``[planner]``: what plans respect, prefer and may cost."""

from typing import Any

from oslo_config import cfg
from oslo_config import types

GROUP = 'planner'

OPTS: list[cfg.Opt] = [
    cfg.ListOpt(
        'filters',
        default=[
            'host_state',
            'stale_host',
            'zone',
            'cpu_compatibility',
            'aggregates',
            'groups',
            'soft_groups',
            'capacity',
        ],
        help="""
Filters that say where an instance may go; all have to agree. Names from the
entry points ``kvm_balancer.filters``, in the order in which a plan counts
refusals. A filter that is left out is a rule that plans break: the order of
moves is only safe with ``capacity`` and ``groups``. ``headroom`` is off: add
it to leave room for the failure of hosts (``[headroom_filter]``).
""",
    ),
    cfg.ListOpt(
        'weighers',
        default=['cpu', 'memory', 'bandwidth'],
        help="""
Weighers that choose among the places that are equally good for the policy.
Names from the entry points ``kvm_balancer.weighers``. One that is not
built in makes ``spread`` ask for every instance that it looks at, which takes
longer. Related: ``weigher_multipliers``.
""",
    ),
    cfg.Opt(
        'weigher_multipliers',
        type=types.Dict(types.Float()),
        default={},
        help="""
How much each weigher counts: ``cpu:2.0,bandwidth:0.5``. What a weigher says
is brought to 0 to 1 and multiplied by this. Raised, it counts more against
the others; 0 turns it off, below 0 it prefers the opposite. 1.0 for weighers
that are not named here.
""",
    ),
    cfg.IntOpt(
        'max_moves',
        default=0,
        min=0,
        help="""
Most moves in one plan; 0 for no limit. The moves that help most come first,
so a small number makes careful plans, and more of them. Related: ``max_gib``.
""",
    ),
    cfg.FloatOpt(
        'max_gib',
        default=0.0,
        min=0.0,
        help="""
Most memory, in GiB, that the migrations of one plan have to copy; 0 for no
limit. Related: ``max_moves``.
""",
    ),
    cfg.FloatOpt(
        'budget_seconds',
        default=5.0,
        min=0.0,
        help="""
Seconds that the search for one plan may take; it then returns the best it
has found. 0 for no limit. Raised, large fleets get better plans.
""",
    ),
    cfg.StrOpt(
        'prefer',
        default='moves',
        choices=[
            ('moves', 'the fewest moves'),
            ('gib', 'the least memory to copy, in more and smaller moves'),
            ('balance', 'between the two'),
        ],
        help="""
What a plan is sparing with.
""",
    ),
    cfg.IntOpt(
        'eagerness',
        default=3,
        min=1,
        max=5,
        help="""
How much gain is worth a move: 1 does only what is mandatory (``repair`` and
``drain``), 5 takes the slightest gain. Between them a move has to bring so
many times what it costs: 10 times at 2, 3 times at 3, as much at 4. Raised,
loads are evener, for more moves. Related: ``horizon_seconds``.
""",
    ),
    cfg.FloatOpt(
        'horizon_seconds',
        default=3600.0,
        min=1.0,
        help="""
Seconds for which loads are expected to stay as they are: what a move brings
is counted for so long, against what its migration costs. Raised, moves are
worth more; where loads change by the hour, lower it. Related: ``eagerness``.
""",
    ),
    cfg.FloatOpt(
        'undo_factor',
        default=4.0,
        min=1.0,
        help="""
How many times as much a move has to be worth of an instance that was moved
within ``[agent] undo_seconds``. Raised, instances go back and forth less.
""",
    ),
    cfg.ListOpt(
        'pinned_names',
        default=[],
        help="""
Shell-style patterns of the names of instances that no plan moves, for
example ``db-*,*-master``. They count as load. Instances can also opt out by
their own metadata, and hosts by ``[executor] manage``.
""",
    ),
    cfg.IntOpt(
        'seed',
        default=0,
        min=0,
        help="""
Seed of whatever a search draws at random. The same fleet, options and seed
give the same plan, unless ``budget_seconds`` cuts it short.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this group on *conf*."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return the options of this group, for the configuration generator."""
    return [(GROUP, OPTS)]
