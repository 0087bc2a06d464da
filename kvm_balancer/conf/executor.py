"""Options of the executor, one of which runs on every host."""

from typing import Any

from oslo_config import cfg

from kvm_balancer.conf import groups

GROUP = cfg.OptGroup(
    'executor',
    title='Executor',
    help='What the executor of a host samples, moves and keeps.',
)

OPTS = [
    cfg.StrOpt(
        'driver',
        default='libvirt',
        help="""
Driver that samples this host and moves its instances.

A name from the entry points ``kvm_balancer.drivers``. ``libvirt`` drives the
libvirtd of this host; ``simulated`` is for demonstrations and tests and
touches no hypervisor.
""",
    ),
    cfg.StrOpt(
        'manage',
        default='none',
        choices=[
            ('none', 'no instance is ever moved: they count as load only'),
            ('all', 'every instance of this host may be moved'),
            ('metadata', 'those whose domain metadata says so'),
            ('names', 'those whose name matches ``manage_names``'),
        ],
        help="""
Which instances of this host may be moved.

Instances that do not qualify count as load and are never touched. An
instance that carries Nova's metadata is never moved by this executor,
whatever stands here; one whose own metadata opts out is not either. Related:
``[nova] dangerous_migrate_behind_nova``.
""",
    ),
    cfg.ListOpt(
        'manage_names',
        default=[],
        help="""
Shell-style patterns of instance names that may be moved, for example
``web-*,cache-?``. Used only where ``manage`` is ``names``.
""",
    ),
    cfg.FloatOpt(
        'sample_interval_seconds',
        default=10.0,
        min=0.5,
        max=3600.0,
        help="""
Seconds between two samples of this host.

A longer interval means less traffic and slower reactions. It has to be well
below ``[samples] silent_after_seconds`` of the agent, which takes a host for
silent after that time without a sample.
""",
    ),
    cfg.StrOpt(
        'state_path',
        default='/var/lib/kvm-balancer-executor/executor.sqlite',
        help="""
File in which the executor keeps the migrations it has accepted and the
outcomes that the broker has not confirmed yet.

It has to survive a reboot: an outcome leaves it only once the broker has it.
""",
    ),
    cfg.FloatOpt(
        'lease_seconds',
        deprecated_name='room_lease_seconds',
        default=60.0,
        min=5.0,
        max=3600.0,
        help="""
Seconds for which memory of this host that is reserved for an instance to come
is kept without a word from the executor of its source: the term of a lease.

While its migration runs the source renews the lease several times a term.
When the source is lost, nobody else gets that memory before the time has
passed, and neither does anybody after a restart of this executor: the leases
of its earlier run hold for as long. Raised, a destination keeps memory longer
for nobody; lowered, a short outage of the message bus lets leases lapse.
See also ``[host] max_incoming``.
""",
    ),
    cfg.FloatOpt(
        'outbox_retry_seconds',
        default=5.0,
        min=0.1,
        max=600.0,
        help="""
Seconds after which an outcome is offered to the broker again when the broker
did not take it.
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
