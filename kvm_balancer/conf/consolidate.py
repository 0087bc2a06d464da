"""Options of group ``[consolidate]``: the policy that empties hosts."""

from typing import Any

from oslo_config import cfg

GROUP = 'consolidate'

OPTS: list[cfg.Opt] = [
    cfg.FloatOpt(
        'limit',
        default=0.8,
        min=0.01,
        max=1.0,
        help="""
CPU load, as a share of all cores, that no host is brought over. Raised,
more hosts get empty and the others hotter. Kept under ``[relieve] limit``,
or ``relieve`` undoes what this policy did.
""",
    ),
    cfg.IntOpt(
        'failures',
        default=1,
        min=0,
        max=100,
        help="""
Hosts of every zone that may fail at once: what runs in the zone still fits
on the others that are in use, in memory, virtual CPUs, disk and CPU, even
where the largest fail. Raised, fewer hosts get empty; 0 leaves no room.
""",
    ),
    cfg.IntOpt(
        'start',
        default=0,
        min=0,
        help="""
The policy acts when more hosts than this could be emptied, by what is
proven. Raised, instances are left alone for small gains. Related:
``hold_seconds``.
""",
    ),
    cfg.FloatOpt(
        'hold_seconds',
        default=3600.0,
        min=0.0,
        help="""
Seconds for which so many hosts could be emptied before the policy acts.
Raised, a quiet hour empties nothing; 0 acts at first sight.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this group on *conf*."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return the options of this group, for the configuration generator."""
    return [(GROUP, OPTS)]
