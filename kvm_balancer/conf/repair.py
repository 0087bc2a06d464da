"""Options of group ``[repair]``: the policy that mends broken rules."""

from typing import Any

from oslo_config import cfg

GROUP = 'repair'

OPTS: list[cfg.Opt] = [
    cfg.FloatOpt(
        'hold_seconds',
        default=60.0,
        min=0.0,
        help="""
Seconds for which a hard rule must be broken before the policy acts. Raised,
migrations that somebody else has under way are given time to end; 0 acts at
first sight.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this group on *conf*."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return the options of this group, for the configuration generator."""
    return [(GROUP, OPTS)]
