"""Options of group ``[spread]``: the policy that evens load out."""

from typing import Any

from oslo_config import cfg

GROUP = 'spread'

OPTS: list[cfg.Opt] = [
    cfg.FloatOpt(
        'start',
        default=0.15,
        min=0.0,
        max=1.0,
        help="""
Spread of CPU load (its standard deviation over the hosts, 0 to 1) over which
the policy acts. Raised, more imbalance is put up with. Where it is under
``target``, ``target`` counts. Related: ``hold_seconds``.
""",
    ),
    cfg.FloatOpt(
        'target',
        default=0.10,
        min=0.0,
        max=1.0,
        help="""
Spread of CPU load at which the policy stops. Lowered, hosts are more alike,
for many more moves; too close to ``start``, it has to act again soon.
""",
    ),
    cfg.FloatOpt(
        'hold_seconds',
        default=600.0,
        min=0.0,
        help="""
Seconds for which the spread must be over ``start`` before the policy acts.
Raised, short bursts move nothing; 0 acts at first sight.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this group on *conf*."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return the options of this group, for the configuration generator."""
    return [(GROUP, OPTS)]
