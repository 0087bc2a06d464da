"""Options of the measurement of dirty rates, by the executor."""

from typing import Any

from oslo_config import cfg
from oslo_config import types

GROUP = cfg.OptGroup(
    'dirty_rate',
    title='Dirty rates',
    help='How the executor measures what instances write to their memory.',
)

OPTS = [
    cfg.FloatOpt(
        'interval_seconds',
        default=300.0,
        min=0.0,
        max=86400.0,
        help="""
Least seconds between two measurements of one instance; 0 for none at all.

Predictions of migrations rest on them: without any, an instance counts as
one that does not write. One instance is measured at a time, so that with
many of them it takes longer: the sum of ``windows_seconds`` for each.
A measurement costs the hypervisor a look at 512 pages per GiB of memory and
window, and the instance nothing; instances with less than 128 MiB, and those
that are migrating, are passed over. Raised, predictions follow changes of
load more slowly.
""",
    ),
    cfg.ListOpt(
        'windows_seconds',
        default=[1, 4, 16],
        item_type=types.Integer(1, 60),
        help="""
Lengths of the windows of a measurement, 1 to 60 seconds each.

What is dirty after a short and after a long time tells how much memory an
instance rewrites over and over (its hot set), and how fast it writes to the
rest. The longest should not be much shorter than the copy of its memory
takes; with a single window no hot set is found.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this module on *conf*."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options of this module, for the configuration generator."""
    return [(GROUP, OPTS)]
