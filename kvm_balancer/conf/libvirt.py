"""Options of the libvirt driver."""

from typing import Any

from oslo_config import cfg

from kvm_balancer.conf import groups

GROUP = cfg.OptGroup(
    'libvirt',
    title='libvirt',
    help='How libvirt is reached, by the executor and by other hosts.',
)

OPTS = [
    cfg.StrOpt(
        'uri',
        default='qemu:///system',
        help="""
Where the executor reaches the libvirt of its host.

Best left as it is: an executor stands on the host that it samples, and sees
for example whether a disk is on shared storage.
""",
    ),
    cfg.StrOpt(
        'peer_uri',
        default='',
        sample_default='qemu+tls://<host>/system',
        help="""
Where the libvirts of other hosts reach this one, to migrate instances here.

It travels with every sample. libvirt itself opens it, with its own
credentials and not with those of the executor: use TLS (``qemu+tls://``)
between hosts, and ``qemu+tcp://`` in laboratories only. Empty:
``qemu+tls://`` and the name of this host, ``[host] name``.
""",
    ),
    cfg.FloatOpt(
        'connect_timeout_seconds',
        default=10.0,
        min=0.1,
        max=600.0,
        help="""
Seconds that opening a connection to a libvirt may take before it counts as
unreachable. Raised, a migration to a host that is down is given up later.
""",
    ),
    cfg.IntOpt(
        'keepalive_interval_seconds',
        default=5,
        min=0,
        max=3600,
        help="""
Seconds between two keepalive messages to a libvirt that is silent; 0 for
none, with which a host that vanishes is waited for without end.
""",
    ),
    cfg.IntOpt(
        'keepalive_count',
        default=3,
        min=1,
        max=100,
        help="""
Keepalive messages without an answer after which a libvirt counts as
unreachable: ``keepalive_interval_seconds`` times this number plus one, in seconds.
Should be no more than what libvirtd itself allows its peers.
""",
    ),
    cfg.FloatOpt(
        'poll_interval_seconds',
        default=0.5,
        min=0.05,
        max=60.0,
        help="""
Seconds between two looks at the figures of a running migration. Boundaries
and ends are told by libvirt at once; this is for what lies between.
""",
    ),
    cfg.BoolOpt(
        'repeat_announcement',
        default=True,
        help="""
Have QEMU announce the network cards of an instance once more, where the bridge
of the host that it left has not heard of them at their new place. libvirt marks
the instance as tainted by that (``custom-monitor``), which changes nothing for
it.
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
