"""Options of group ``[capacity_filter]``."""

from typing import Any

from oslo_config import cfg

GROUP = 'capacity_filter'

OPTS: list[cfg.Opt] = [
    cfg.FloatOpt(
        'cpu_limit',
        default=1.0,
        min=0.01,
        help="""
Measured CPU load that no arrival may bring a host over, as a share of all
its cores. Lowered, hosts keep a reserve; how many virtual CPUs may be
allocated is the business of ``[host] cpu_allocation_ratio``.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this group on *conf*."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return the options of this group, for the configuration generator."""
    return [(GROUP, OPTS)]
