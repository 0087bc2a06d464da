"""Options of group ``[relieve]``: the policy that relieves hot hosts."""

from typing import Any

from oslo_config import cfg

GROUP = 'relieve'

OPTS: list[cfg.Opt] = [
    cfg.FloatOpt(
        'limit',
        default=0.8,
        min=0.01,
        max=1.0,
        help="""
CPU load over which a host is relieved, as a share of all its cores. Raised,
hosts may get hotter before anything moves. Related: ``margin``,
``hold_seconds``.
""",
    ),
    cfg.FloatOpt(
        'margin',
        default=0.05,
        min=0.0,
        max=0.5,
        help="""
How far under ``limit`` a host is brought, and its instances' destinations
stay, as a share of all cores: relief begins over ``limit`` and ends so far
under it. Raised, more is moved at a time, and a small change of load does not
make a host hot again. A limit given to ``kvm-balancer plan`` is met without.
""",
    ),
    cfg.FloatOpt(
        'hold_seconds',
        default=120.0,
        min=0.0,
        help="""
Seconds for which a host that is over ``limit`` must have been so, or within
``margin`` of it, before the policy acts. Each host waits by itself. Raised,
short bursts move nothing; 0 acts at first sight. Related: ``margin``,
``[samples] ewma_seconds``.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this group on *conf*."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return the options of this group, for the configuration generator."""
    return [(GROUP, OPTS)]
