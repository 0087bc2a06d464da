"""Options of group ``[drain]``: the policy that empties draining hosts."""

from typing import Any

from oslo_config import cfg

GROUP = 'drain'

OPTS: list[cfg.Opt] = [
    cfg.FloatOpt(
        'limit',
        default=0.8,
        min=0.01,
        max=1.0,
        help="""
CPU load, as a share of all cores, that no host is brought over by what
leaves the draining ones. Raised, more places are open, and hosts may get
hotter; an instance that has no place under it stays, and the plan says so.
Related: ``[relieve] limit``.
""",
    ),
    cfg.FloatOpt(
        'hold_seconds',
        default=0.0,
        min=0.0,
        help="""
Seconds for which instances must be on draining hosts before the policy
acts. 0 acts at first sight: an operator has marked the host. Raised, there is
time to take a mark back.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this group on *conf*."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return the options of this group, for the configuration generator."""
    return [(GROUP, OPTS)]
