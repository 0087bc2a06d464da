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
            'capacity',
        ],
        help="""
Filters that say where an instance may go; all have to agree. Names from the
entry points ``kvm_balancer.filters``, in the order in which a plan counts
refusals. A filter that is left out is a rule that plans break: the order of
moves is only safe with ``capacity`` and ``groups``.
""",
    ),
    cfg.ListOpt(
        'weighers',
        default=['cpu', 'memory', 'bandwidth'],
        help="""
Weighers that choose among the places that are equally good for the policy.
Names from the entry points ``kvm_balancer.weighers``. Related:
``weigher_multipliers``.
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
