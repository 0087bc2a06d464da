"""Options of the simulated driver."""

from typing import Any

from oslo_config import cfg

from kvm_balancer.conf import groups

GROUP = cfg.OptGroup(
    'simulated',
    title='Simulated fleet',
    help='A fleet that exists in memory only, for demonstrations and tests.',
)

OPTS = [
    cfg.StrOpt(
        'fleet',
        default='',
        help="""
File with the simulated fleet, of the form ``kvm-balancer/fleet/1``, as
``kvm-balancer fleet export`` writes it.

Needed where ``[executor] driver`` is ``simulated``; ``[host] name`` says which
of its hosts this is. Executors in one process that name the same file have
one fleet; in processes of their own each has a fleet of its own, in which a
migration really ends on the other host and nobody else sees it there.
""",
    ),
    cfg.FloatOpt(
        'speed',
        default=1.0,
        min=0.01,
        max=1000.0,
        help="""
How many times as fast as described the hardware of the fleet is.

The migration network, what guests write to memory, the swing of their load
and what a migration takes besides all go that much faster; times that are
measured are real ones. Raised, a demonstration is over sooner. Set
``[host] migration_mib_s`` that much higher as well, or predictions are too
slow by this factor.
""",
    ),
    cfg.IntOpt(
        'seed',
        default=0,
        min=0,
        help="""
Seed of the load over time and of what goes wrong: the same seed makes the
same fleet behave the same. Related: ``failure_rate``.
""",
    ),
    cfg.FloatOpt(
        'failure_rate',
        default=0.0,
        min=0.0,
        max=1.0,
        help="""
Share of migrations that go wrong: the destination does not answer, the link
is cut during the copy, or the call says that it failed although it did not.
Raised to 1, all of them.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this group on *conf*."""
    groups.register(conf, GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options of this group, for the configuration generator."""
    return [(GROUP, OPTS)]
