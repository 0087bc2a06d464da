"""Options of the measurement of dirty rates, by the executor."""

from typing import Any

from oslo_config import cfg
from oslo_config import types

from kvm_balancer.conf import groups

GROUP = cfg.OptGroup(
    'dirty_rate',
    title='Dirty rates',
    help='How the executor measures what instances write to their memory.',
)

#: A round of an instance holds up the others on its host for so long.
MOST_SECONDS = 120


class _Interval(types.Float):
    """Seconds, at least 1, or 0 for never."""

    def __call__(self, value: Any) -> float:
        found = float(super().__call__(value) or 0.0)
        if 0.0 < found < 1.0:
            raise ValueError('should be 0 for never, or at least 1 second')
        return found


class _Windows(types.List):
    """Lengths of windows: one at least, and not too much in all."""

    def __call__(self, value: Any) -> list[int]:
        found: list[int] = super().__call__(value)
        if not found:
            raise ValueError(
                'should name one window at least; interval_seconds = 0 turns '
                'measurements off'
            )
        if sum(set(found)) > MOST_SECONDS:
            raise ValueError(
                f'should not be more than {MOST_SECONDS} seconds in all'
            )
        return found


OPTS = [
    cfg.Opt(
        'interval_seconds',
        type=_Interval(0.0, 86400.0),
        default=300.0,
        help="""
Least seconds between two measurements of one instance, 1 to 86400; 0 for none
at all.

Predictions of migrations rest on them: without any, an instance counts as
one that does not write. One instance is measured at a time, so that with
many of them it takes longer: the sum of ``windows_seconds`` for each.
A measurement costs the hypervisor a look at 512 pages per GiB of memory and
window, and the instance nothing; instances with less than 128 MiB, and those
that are migrating, are passed over. Raised, predictions follow changes of
load more slowly.
""",
    ),
    cfg.Opt(
        'windows_seconds',
        type=_Windows(types.Integer(1, 60)),
        default=[1, 2, 4, 8, 16],
        help="""
Lengths of the windows of a measurement, 1 to 60 seconds each and 120 in all.

What is dirty after a short and after a long time tells how much memory an
instance rewrites over and over (its hot set), and how fast it writes to the
rest. Windows that end before all of the hot set is dirty tell its rate, and
the longer they are the better; the longest should not be much shorter than
the copy of its memory takes. With a single window no hot set is found.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this module on *conf*."""
    groups.register(conf, GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options of this module, for the configuration generator."""
    return [(GROUP, OPTS)]
