"""Options of group ``[budgets]``: how much may be moved in an hour."""

from typing import Any

from oslo_config import cfg

GROUP = 'budgets'

OPTS: list[cfg.Opt] = [
    cfg.IntOpt(
        'moves_per_hour',
        default=0,
        min=0,
        help="""
Most moves that are begun in any hour, in the whole fleet; 0 for no limit.
Plans are made of what is left of it, the most useful moves first. Raised,
more is moved at once. Related: ``[planner] max_moves``, of one plan.
""",
    ),
    cfg.FloatOpt(
        'gib_per_hour',
        default=0.0,
        min=0.0,
        help="""
Most memory, in GiB, that moves begun in any hour are expected to copy, in
the whole fleet; 0 for no limit. Related: ``[planner] max_gib``, of one plan.
""",
    ),
    cfg.IntOpt(
        'host_moves_per_hour',
        default=0,
        min=0,
        help="""
Most moves that are begun in any hour from and to one host together; 0 for no
limit. Raised, hosts are disturbed more often. Related:
``[agent] host_cooldown_seconds``.
""",
    ),
    cfg.FloatOpt(
        'nic_gib_per_hour',
        default=0.0,
        min=0.0,
        help="""
Most memory, in GiB, that goes over the migration network of one host in any
hour, in each direction by itself; 0 for no limit. One that is less than an
instance has keeps that instance where it is.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this group on *conf*."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return the options of this group, for the configuration generator."""
    return [(GROUP, OPTS)]
