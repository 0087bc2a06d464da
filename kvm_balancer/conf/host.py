"""Options that say what this host is to the balancer."""

import socket
from typing import Any

from oslo_config import cfg

from kvm_balancer.conf import groups

GROUP = cfg.OptGroup(
    'host',
    title='Host',
    help='What this host offers to instances, and which of them may come.',
)

OPTS = [
    cfg.HostAddressOpt(
        'name',
        default=socket.gethostname(),
        sample_default='<this host name>',
        help="""
Name of this host in the fleet.

Every host needs a name of its own: samples, plans and commands carry it. On a
host of an OpenStack cloud set it to what nova-compute uses as its ``host``.
""",
    ),
    cfg.StrOpt(
        'zone',
        default='',
        help="""
Availability zone of this host.

The filter ``zone`` lets instances go to hosts of their own zone only. Empty
is a zone as well, that of all hosts without one.
""",
    ),
    cfg.ListOpt(
        'aggregates',
        default=[],
        help="""
Names of the aggregates that this host belongs to.

An instance that requires aggregates goes only to hosts that have them all.
""",
    ),
    cfg.StrOpt(
        'state',
        default='enabled',
        choices=[
            ('enabled', 'instances come and go'),
            ('disabled', 'instances may leave, none comes'),
            ('draining', 'all movable instances leave, none comes'),
        ],
        help="""
Whether instances may come to this host and should leave it, when the
executor starts.
""",
    ),
    cfg.FloatOpt(
        'cpu_allocation_ratio',
        default=16.0,
        min=0.1,
        help="""
Virtual CPUs that may be allocated for each thread of this host.

Raise it to pack more mostly idle instances. What the instances really use is
measured and limited apart from it.
""",
    ),
    cfg.FloatOpt(
        'memory_allocation_ratio',
        default=1.0,
        min=0.1,
        help="""
MiB that may be allocated to instances for each MiB of memory that
``memory_reserved_mib`` leaves. Over 1.0 the host may run out of memory.
""",
    ),
    cfg.FloatOpt(
        'disk_allocation_ratio',
        default=1.0,
        min=0.1,
        help="""
GiB that may be allocated to instances for each GiB of ``disk_gib``.
""",
    ),
    cfg.FloatOpt(
        'memory_reserved_mib',
        default=512.0,
        min=0.0,
        help="""
MiB of memory kept for the host itself: kernel, libvirt, QEMU's own. Raised,
fewer instances fit.
""",
    ),
    cfg.FloatOpt(
        'disk_gib',
        default=0.0,
        min=0.0,
        help="""
GiB of local disk for instances; 0 where disks are on shared storage and do
not limit where an instance may go.
""",
    ),
    cfg.StrOpt(
        'migration_address',
        default='',
        help="""
Address of this host to which other hosts send the memory of instances.

Name or address in the network that is meant for migrations. Empty: the host
that ``[libvirt] peer_uri`` names. See also ``migration_mib_s``.
""",
    ),
    cfg.FloatOpt(
        'migration_mib_s',
        default=1120.0,
        min=1.0,
        help="""
MiB a second that this host's migration network carries; the default is what
10 Gbit/s do in practice. Predictions and the order of moves rely on it, or on
what the interface itself says where that is less; stated too high where the
interface does not say, moves take longer than was planned. Where several migrations
leave or reach this host at a time each is limited to its share of it, or of
what the interface itself says where that is less; stated too low, they are
slower than they need be. One alone is not limited.
""",
    ),
    cfg.FloatOpt(
        'migration_free_percent',
        default=5.0,
        min=0.0,
        max=100.0,
        help="""
Percentage of the migration network that has to be free before a migration may
leave or reach this host; 0 for none.

What others send over the interface is measured. It carries what
``migration_mib_s`` states, or what the interface itself tells where that is
less or nothing is stated; where neither is known, the check could not tell
and nothing is refused. Raised, migrations keep away from a busy network
sooner. A migration with a ``bandwidth_mib_s`` of its own needs no more than
that.
""",
    ),
    cfg.IntOpt(
        'max_incoming',
        default=2,
        min=0,
        max=100,
        help="""
Migrations that may come to this host at the same time; 0 for none ever.
They share ``migration_mib_s``. The executor reserves for no more; see
``[executor] lease_seconds``.
""",
    ),
    cfg.IntOpt(
        'max_outgoing',
        default=2,
        min=0,
        max=100,
        help="""
Migrations that may leave this host at the same time; 0 for none ever. They
share ``migration_mib_s``.
""",
    ),
    cfg.ListOpt(
        'cpu_compatible_with',
        default=[],
        help="""
CPU models, as libvirt names them, from which instances may come to this host
beside its own model. The hypervisor compares the CPU of each instance again
before it is moved.
""",
    ),
    cfg.StrOpt(
        'readings_file',
        default='',
        help="""
JSON file that stands for the readings of this host as a whole.

For laboratories in which many hosts share one machine: ``{"cpus": 4,
"memory_mib": 2048, "cpu_overhead": 0.5, "pressure": {"cpu_some": 10}}``. It is
read for every sample; what the instances use is still measured. Empty: the
kernel of this machine is asked.
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
