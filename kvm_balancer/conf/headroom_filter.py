"""Options of group ``[headroom_filter]``."""

from typing import Any

from oslo_config import cfg

GROUP = 'headroom_filter'

OPTS: list[cfg.Opt] = [
    cfg.IntOpt(
        'failures',
        default=1,
        min=0,
        help="""
Hosts of every zone for whose failure room is left: what runs on the enabled
hosts of a zone fits on them without so many of the largest, in memory, virtual
CPUs and disk as a whole; and of any one of them each instance has a place on
the others, where it had one before. Used where ``headroom`` is among
``[planner] filters``. Raised, drains may have to stop half-way, and say so; 0
asks for neither. Related: ``[consolidate] failures``.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this group on *conf*."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return the options of this group, for the configuration generator."""
    return [(GROUP, OPTS)]
