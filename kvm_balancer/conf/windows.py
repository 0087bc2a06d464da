"""Options of groups ``[windows]`` and ``[windows:zone:NAME]``.

When instances may be moved. A zone that has a group of its own goes by what
is set there, and by ``[windows]`` for what is not.
"""

from typing import Any
import zoneinfo

from oslo_config import cfg

from kvm_balancer import errors
from kvm_balancer.conf import place_groups
from kvm_balancer.planner import schedule

GROUP = 'windows'
_KIND = 'zone'

OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        'timezone',
        default='UTC',
        help="""
Time zone in which ``open`` and ``freeze`` are meant, as ``Europe/Berlin``.
Daylight saving time is heeded: 22:00 is 22:00 on the clocks of the place.
""",
    ),
    cfg.MultiStrOpt(
        'open',
        default=[],
        help="""
Change windows: instances are moved within them alone; repeat the line for
several. ``Mon-Fri 22:00-06:00``, ``Sat,Sun`` (whole days), ``01:00-05:00``
(every day), or dates: ``2026-12-05 08:00 to 2026-12-06 20:00``. None: always.
A move starts only where it is expected to end before its window does.
Related: ``freeze``.
""",
    ),
    cfg.MultiStrOpt(
        'freeze',
        default=[],
        help="""
Times in which nothing is moved, whatever ``open`` says; repeat the line for
several. Written as ``open`` is: ``2026-12-23 18:00 to 2027-01-02``. What
runs when a freeze begins goes on.
""",
    ),
]


_ZONE_OPTS = [place_groups.without_default(option) for option in OPTS]


def groups(conf: cfg.ConfigOpts) -> list[str]:
    """Return the names of the groups of zones in the files of *conf*."""
    return place_groups.find(conf, GROUP)


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this group on *conf*."""
    conf.register_opts(OPTS, group=GROUP)


def register_found(conf: cfg.ConfigOpts) -> None:
    """Register the groups that the files of *conf* hold.

    :raises ConfigurationError: when one is not of a zone
    """
    for group in groups(conf):
        _zone(group)
        conf.register_opts(_ZONE_OPTS, group=group)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return the options of this group, for the configuration generator."""
    return [(GROUP, OPTS)]


def read(conf: cfg.ConfigOpts) -> schedule.Schedules:
    """Return when what may be moved.

    :raises ConfigurationError: when a span or a time zone is none
    """
    register_found(conf)
    default = _schedule(conf, GROUP)
    return schedule.Schedules(
        default,
        {_zone(group): _schedule(conf, group) for group in groups(conf)},
    )


def _zone(group: str) -> str:
    _, kind, *rest = group.split(':', 2)
    name = rest[0].strip() if rest else ''
    if kind.lower() != _KIND or not name:
        raise errors.ConfigurationError(
            f'[{group}] is not of a zone: write [{GROUP}:{_KIND}:NAME]'
        )
    return name


def _schedule(conf: cfg.ConfigOpts, group: str) -> schedule.Schedule:
    def value(name: str) -> Any:
        own = conf[group][name]
        return conf[GROUP][name] if own is None else own

    try:
        zone = zoneinfo.ZoneInfo(value('timezone'))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise errors.ConfigurationError(
            f'[{group}] timezone: there is no time zone '
            f'{value("timezone")!r}: write one such as Europe/Berlin'
        ) from None
    return schedule.Schedule(
        windows=_spans(group, 'open', value('open')),
        freezes=_spans(group, 'freeze', value('freeze')),
        zone=zone,
    )


def _spans(
    group: str, name: str, texts: list[str]
) -> tuple[schedule.Span, ...]:
    try:
        return tuple(schedule.parse(text) for text in texts if text.strip())
    except ValueError as error:
        raise errors.ConfigurationError(f'[{group}] {name}: {error}') from None
