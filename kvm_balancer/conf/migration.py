"""Options of group ``[migration]``: what a migration may do by default."""

from typing import Any

from oslo_config import cfg

from kvm_balancer.migration import request

GROUP = 'migration'

_HELP = """
What a migration may do by default. Zones and aggregates may have it
otherwise: a group [migration:zone:NAME] or [migration:aggregate:NAME]
has the same options, save convergence, and what it does not set is as
here. What an aggregate says goes before what its zone says. Of the two
hosts of a migration, and of several aggregates of one host, the
stricter is heeded where safety is concerned, so that more is granted
only where both hosts grant it; how the stream is carried, as by
parallel_connections, is for the source to say. What the metadata of an
instance asks is laid over all of that.
"""

OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        'convergence',
        default='adaptive',
        help="""
Name of the plugin that decides whether a copy converges, and what to do where
it does not (entry points ``kvm_balancer.convergence``).
""",
    ),
    cfg.BoolOpt(
        'auto_converge',
        default=True,
        help="""
Slow the guest down when it writes memory faster than it can be sent. The
hypervisor does it by steps; see ``max_throttle_percent`` for how far.
""",
    ),
    cfg.IntOpt(
        'max_throttle_percent',
        default=99,
        min=0,
        max=99,
        help="""
The most a guest may be slowed down, in percent of its CPU time; 99 is all
that a hypervisor does. When it is reached and the copy still does not
converge, the next means is used at once (post-copy where allowed, else the
longest stop that is allowed, else the migration is given up). 0 turns
``auto_converge`` off. Raised, more guests converge, at the expense of what
runs in them.
""",
    ),
    cfg.IntOpt(
        'auto_converge_initial_percent',
        default=0,
        min=0,
        max=99,
        help="""
First step of the throttle, in percent; 0 for the hypervisor's own (20 on
QEMU). Raised, a guest that does not converge is found out sooner, and slowed
down harder. Related: ``auto_converge_increment_percent``.
""",
    ),
    cfg.IntOpt(
        'auto_converge_increment_percent',
        default=0,
        min=0,
        max=99,
        help="""
Further steps of the throttle, in percent; 0 for the hypervisor's own (10 on
QEMU). They are made smaller where they would pass ``max_throttle_percent``.
""",
    ),
    cfg.BoolOpt(
        'post_copy',
        default=False,
        help="""
Let a guest that does not converge run on the destination before all of its
memory is there. It always ends, and the guest is hardly slowed down; but if
either host or the network between them fails meanwhile, the guest stands
still or is lost. The kernel of the destination must allow userfaultfd.
""",
    ),
    cfg.BoolOpt(
        'post_copy_by_instance',
        default=False,
        help="""
Let an instance's own metadata allow post-copy for it where ``post_copy`` is
off. That an instance's metadata forbids it counts always. Turned on, whoever
may change the metadata of an instance decides over that risk for it.
""",
    ),
    cfg.FloatOpt(
        'post_copy_patience',
        default=1.05,
        min=1.0,
        max=1000.0,
        help="""
Where ``post_copy`` is allowed: how many times the time of one full pass and
post-copy after it pre-copy may take, before post-copy is chosen. It trades
time against post-copy's risk of a stream that breaks: raised, more guests
converge without it, and what does not converge takes longer. Below 1.5
post-copy comes before ``auto_converge`` acts, although a throttle is allowed:
the hypervisor slows a guest down after two passes that left too much, and then
step by step, so that some guests need 4 or more for a throttle of 50 %. When
the throttle may not rise further (``max_throttle_percent``), and what it did
will not do, post-copy comes at once. Predictions count with the same.
""",
    ),
    cfg.IntOpt(
        'max_downtime_ms',
        default=500,
        min=1,
        max=2000000,
        help="""
The longest time, in milliseconds, in which the guest may stand still at the
switch. A migration begins with at most 300 and goes up to this where it has
to. Raised, more guests converge, and stand still for longer.
""",
    ),
    cfg.IntOpt(
        'bandwidth_mib_s',
        default=0,
        min=0,
        help="""
Limit of the memory stream of one migration in MiB per second; 0 for none.
Lowered, it spares the network, takes longer, and lets fewer guests converge.
""",
    ),
    cfg.FloatOpt(
        'time_limit_seconds',
        default=0.0,
        min=0.0,
        help="""
After this many seconds a migration is ended one way or the other: by
post-copy where allowed, by a stop that fits ``max_downtime_ms``, or by giving
up. 0 for no limit: it is given up when nothing is gained any more.
""",
    ),
    cfg.IntOpt(
        'parallel_connections',
        default=0,
        min=0,
        max=255,
        help="""
Streams that carry the memory of one migration; 0 or 1 for a single one.
Raised, a fast network is filled better, at the expense of CPU on both hosts.
""",
    ),
    cfg.StrOpt(
        'compression',
        default='',
        help="""
Method that compresses the stream; empty for none. ``xbzrle`` for a single
stream; ``zlib`` or ``zstd`` for parallel connections, since libvirt 9.4.
""",
    ),
    cfg.BoolOpt(
        'tls',
        default=False,
        help="""
Encrypt the stream. Both hosts need the hypervisor's certificates for
migration.
""",
    ),
    cfg.BoolOpt(
        'copy_storage',
        default=False,
        help="""
Copy disks along that are files which only the source has; otherwise an
instance with such disks stays where it is. It takes as long as the disks are
large, before the memory's turn comes. Both hosts need an active storage pool
of libvirt's for the directory of each file. Related: ``keep_source_disks``.
""",
    ),
    cfg.FloatOpt(
        'storage_time_limit_seconds',
        default=0.0,
        min=0.0,
        help="""
Give a migration up whose disks take longer than this to be copied; 0 for no
limit but that what is left of them has to fall: after 10 minutes without (an
hour by the ``profile`` ``drain``) it is given up: a guest may write faster
than they are copied. ``time_limit_seconds`` does not count while they are.
Related: ``copy_storage``, ``profile``.
""",
    ),
    cfg.BoolOpt(
        'keep_source_disks',
        default=True,
        help="""
Leave the files of disks that were copied on the source, as they were at the
switch, for somebody to delete. As long as one is there, its instance is not
moved back to that host: a file that is there already is never written over.
Turned off, they are deleted once the instance runs on the destination, and
the source has let go of it.
""",
    ),
    cfg.BoolOpt(
        'trust_disk_paths',
        default=False,
        help="""
Take a block device, and an image that others are laid over, for the same one
where both hosts have one of that path and nothing says whether it is.
Otherwise such an instance stays where it is: libvirt would migrate it onto
whatever disk has that path on the destination. Turn it on where all paths
mean the same on all hosts, as of volume groups that they share, and where
images of one name are copies of each other. What is seen to be another disk is
refused all the same.
""",
    ),
    cfg.StrOpt(
        'profile',
        default=request.Profile.BALANCE.value,
        choices=[
            (
                request.Profile.BALANCE.value,
                'give up early: another instance will do',
            ),
            (request.Profile.DRAIN.value, 'try for longer: it must go'),
        ],
        help="""
How much is tried before a migration is given up. A drain asks for ``drain``
by itself.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this group on *conf*."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options of this group, for the configuration generator."""
    return [(cfg.OptGroup(GROUP, help=_HELP), OPTS)]


def options(conf: cfg.ConfigOpts) -> request.Options:
    """Return what *conf* allows a migration that asks for nothing else."""
    group = conf[GROUP]
    return request.Options(
        auto_converge=group.auto_converge,
        auto_converge_initial_percent=group.auto_converge_initial_percent,
        auto_converge_increment_percent=(
            group.auto_converge_increment_percent
        ),
        max_throttle_percent=group.max_throttle_percent,
        post_copy=group.post_copy,
        max_downtime_ms=group.max_downtime_ms,
        bandwidth_mib_s=group.bandwidth_mib_s,
        time_limit_seconds=group.time_limit_seconds,
        parallel_connections=group.parallel_connections,
        compression=group.compression,
        tls=group.tls,
        profile=request.Profile(group.profile),
        post_copy_by_instance=group.post_copy_by_instance,
        post_copy_patience=group.post_copy_patience,
        copy_storage=group.copy_storage,
        storage_time_limit_seconds=group.storage_time_limit_seconds,
        keep_source_disks=group.keep_source_disks,
        trust_disk_paths=group.trust_disk_paths,
    )
