"""Options of group ``[relieve]``: the policy that relieves hot hosts."""

from typing import Any

from oslo_config import cfg

GROUP = 'relieve'

_HELP = """
The policy that relieves hot hosts. Zones and aggregates may have limits of
their own: a group [relieve:zone:NAME] or [relieve:aggregate:NAME] has the
same options, save hold_seconds, and what it does not set is as here. What an
aggregate says goes before what its zone says; of several aggregates of one
host the lowest limit counts, and the widest margin. A limit holds for the
hosts that are there, as sources and as destinations.
"""

OPTS: list[cfg.Opt] = [
    cfg.FloatOpt(
        'limit',
        default=0.8,
        min=0.01,
        max=1.0,
        help="""
CPU load over which a host is relieved, as a share of all its cores. Raised,
hosts may get hotter before anything moves. Related: ``margin``,
``hold_seconds``; the limits of memory, steal and pressure stand below.
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
        'memory_limit',
        default=0.97,
        min=0.0,
        max=1.0,
        help="""
Share of its memory that may be in use on a host, as its kernel says
(MemTotal without MemAvailable), before it is relieved; 0 for no limit. It is
brought under it by ``margin``. Lowered, hosts keep more memory free where it
is overcommitted; under what instances are allocated it moves them for nothing.
A host of which nobody has measured it is never over it. Related: ``[host]
memory_allocation_ratio``, ``memory_pressure_limit``.
""",
    ),
    cfg.FloatOpt(
        'allocation_limit',
        default=1.0,
        min=0.0,
        help="""
Share of the memory that may be allocated to instances of a host
(``memory_allocation_ratio``, without ``memory_reserved_mib``) that may be
before it is relieved; 0 for no limit. It is brought to the limit, without
margin. Over 1, hosts may keep more than new instances would get.
""",
    ),
    cfg.FloatOpt(
        'steal_limit',
        default=0.1,
        min=0.0,
        help="""
Cores that the instances of a host may wait for all together, as a share of
its cores, before it is relieved; 0 for no limit. Raised, instances wait
longer for a core where more virtual CPUs want to run than there are cores.
""",
    ),
    cfg.FloatOpt(
        'cpu_pressure_limit',
        default=0.8,
        min=0.0,
        max=1.0,
        help="""
Share of time in which something on a host may wait for a core (the kernel's
pressure stall, "some", of ten seconds) before it is relieved; 0 for no limit.
With very many virtual CPUs on a host some waits most of the time: raise it
there, or rely on ``steal_limit``. It is brought under its limit by as much of
it as ``margin`` is of ``limit``; a kernel that does not tell is never over it.
""",
    ),
    cfg.FloatOpt(
        'memory_pressure_limit',
        default=0.2,
        min=0.0,
        max=1.0,
        help="""
The same of what waits for memory: for pages that have to be made free, or to
come back from swap. Instances with the most memory in use go first.
""",
    ),
    cfg.FloatOpt(
        'io_pressure_limit',
        default=0.8,
        min=0.0,
        max=1.0,
        help="""
The same of what waits for disks. Instances that read and write most go first;
where storage is shared, moving them may not help: raise it there.
""",
    ),
    cfg.FloatOpt(
        'hold_seconds',
        default=120.0,
        min=0.0,
        help="""
Seconds for which a host that is over a limit must have been so, or within
``margin`` of it, before the policy acts. Each host waits by itself, and two
thirds of it where every single sample had its CPU over ``limit``. Raised,
short bursts move nothing; 0 acts at first sight. Related: ``margin``,
``[samples] ewma_seconds``, ``[samples] lasting_seconds``.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this group on *conf*."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options of this group, for the configuration generator."""
    return [(cfg.OptGroup(GROUP, help=_HELP), OPTS)]
