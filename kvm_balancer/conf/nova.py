"""Options of what Nova owns: how Nova is reached, and how it is used.

Credentials, and how the APIs are found, are options of keystoneauth, as
every OpenStack service has them; they are here where it is installed.
"""

from typing import Any

from oslo_config import cfg
from oslo_utils import importutils

from kvm_balancer import errors
from kvm_balancer.conf import groups

GROUP = cfg.OptGroup(
    'nova',
    title='Nova',
    help="""
How servers of Nova are moved, and what is known of them.

Nova is used where ``auth_type`` is set. It needs a user with the role admin,
best by an application credential.
""",
)
PLACEMENT = cfg.OptGroup(
    'placement',
    title='Placement',
    help='How the Placement API is found; credentials are those of [nova].',
)
NEUTRON = cfg.OptGroup(
    'neutron',
    title='Neutron',
    help="""
How the Networking API is found; credentials are those of [nova].

Asked for ports of servers that are devices of their hosts, as of SR-IOV. A
cloud may be without it.
""",
)
#: Other APIs than Nova's that are found by options of their own.
_BESIDE = (PLACEMENT, NEUTRON)

OPTS = [
    cfg.BoolOpt(
        'dangerous_migrate_behind_nova',
        default=False,
        help="""
DANGEROUS. Treat servers of Nova like any other instance, and migrate them
through libvirt behind Nova's back.

Nova then has the wrong host for them, Placement and Neutron the wrong
allocations and ports; Nova may stop a server that runs elsewhere, or start it
a second time and destroy its disk. Meant for a cloud whose Nova is gone for
good. It has to be set for the agent and for the executors; whichever does not
have it refuses.
""",
    ),
    cfg.StrOpt(
        'force_complete',
        default='never',
        choices=[
            ('never', 'it is not used: what does not converge is aborted'),
            (
                'post-copy',
                'Nova switches to post-copy: its own [libvirt] '
                'live_migration_permit_post_copy is true on all computes',
            ),
            ('pause', 'the guest stands still until it is across'),
        ],
        help="""
What Nova's ``force_complete`` does in this cloud, and thereby whether it may
be used for a migration that does not converge.

Related: ``[migration] post_copy``, which has to allow it as well, and the
metadata ``kvm_balancer:post_copy`` of servers.
""",
    ),
    cfg.FloatOpt(
        'poll_interval_seconds',
        default=2.0,
        min=0.1,
        max=60.0,
        help="""
Seconds between two looks at a migration under way: three to four calls to
Nova for each. Raised, ends are seen later, and Nova is asked less.
""",
    ),
    cfg.FloatOpt(
        'observe_interval_seconds',
        default=0.5,
        min=0.0,
        max=60.0,
        help="""
Seconds between two questions to the executor of the source, which watches
migrations that Nova carries out by a read-only connection to its libvirt.
Raised, passes are judged later. 0 asks none, and goes by Nova's figures
alone, as is done where the source has no executor. Related:
``force_complete``, ``poll_interval_seconds``.
""",
    ),
    cfg.FloatOpt(
        'appear_seconds',
        default=60.0,
        min=1.0,
        max=3600.0,
        help="""
Seconds after which a migration that Nova was asked for, and has no record of,
is given up. It is not asked for again.
""",
    ),
    cfg.FloatOpt(
        'stuck_seconds',
        default=900.0,
        min=10.0,
        max=86400.0,
        help="""
Seconds without anything new in Nova's records of a migration after which it
counts as stuck: Nova is told to abort it, and its outcome is read off where
the server is. Has to be longer than a migration waits for its turn in a
compute, see Nova's ``max_concurrent_live_migrations``, and, with drivers that
tell no figures, than the longest migration.
""",
    ),
    cfg.BoolOpt(
        'move_pinned',
        default=False,
        help="""
Move servers with pinned CPUs, NUMA nodes or huge pages as well.

Nova finds out whether another host has room for them, and the balancer cannot
tell beforehand: such a migration may well fail before it begins. Servers with
devices of their hosts are never moved. Related: ``move_sriov``.
""",
    ),
    cfg.BoolOpt(
        'move_sriov',
        default=False,
        help="""
Move servers with network ports of SR-IOV (``direct``, ``macvtap`` and the
like) as well.

Nova finds out whether another host has such a device, and the balancer cannot
tell beforehand. It takes ``direct`` ports away from the guest for the time of
the migration: what has no other path to the network is cut off for as long.
Which servers have such ports is told by Neutron, see ``[neutron]``.
""",
    ),
    cfg.FloatOpt(
        'reconcile_seconds',
        default=60.0,
        min=1.0,
        max=86400.0,
        help="""
Seconds between two questions to Nova for what has changed. Notifications are
followed at once besides; shorter makes up sooner for those that were lost.
Related: ``relist_seconds``, ``stale_seconds``.
""",
    ),
    cfg.FloatOpt(
        'relist_seconds',
        default=3600.0,
        min=10.0,
        max=604800.0,
        help="""
Seconds between two complete lists of all servers, by pages of 1000.
""",
    ),
    cfg.FloatOpt(
        'stale_seconds',
        default=600.0,
        min=10.0,
        max=86400.0,
        help="""
Age of what is known of the cloud from which it is not believed any more, and
no server is moved. Has to be some times ``reconcile_seconds``.
""",
    ),
    cfg.IntOpt(
        'max_per_host',
        default=1,
        min=1,
        max=100,
        help="""
Most migrations from or to one compute that has no executor, at one time.
Nova's own limit is ``max_concurrent_live_migrations``, 1 by default: what is
more waits for its turn there.
""",
    ),
    cfg.IntOpt(
        'max_migrations',
        default=8,
        min=1,
        max=1000,
        help="""
Most migrations under way through Nova at one time.
""",
    ),
]


def _loading() -> Any:
    return importutils.try_import('keystoneauth1.loading')


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this module on *conf*."""
    for group in (GROUP, *_BESIDE):
        groups.register(conf, group)
    conf.register_opts(OPTS, group=GROUP)
    loading = _loading()
    if loading is None:
        # What says that Nova is wanted has to be known without it, too.
        for name in ('auth_type', 'auth_section'):
            conf.register_opt(cfg.StrOpt(name), group=GROUP)
        return
    loading.register_auth_conf_options(conf, GROUP.name)
    loading.register_session_conf_options(conf, GROUP.name)
    for group in (GROUP, *_BESIDE):
        loading.register_adapter_conf_options(conf, group.name)
    # A silent API must not be waited for without end.
    conf.set_default('timeout', 60, group=GROUP.name)


def auth_type(conf: cfg.ConfigOpts) -> str:
    """Return who Nova is spoken to as; empty where Nova is not used.

    ``auth_section`` may name the group that says so.
    """
    found: str | None = conf[_section(conf)].auth_type
    return found or ''


def _section(conf: cfg.ConfigOpts) -> str:
    """Return the name of the group that says who Nova is spoken to as."""
    return str(conf.nova.auth_section or GROUP.name)


def register_found(conf: cfg.ConfigOpts) -> None:
    """Register the credentials that the plugin ``auth_type`` names needs.

    Which they are is known only when the files have been read.

    :raises ConfigurationError: when there is no such plugin
    """
    section = _section(conf)
    if section != GROUP.name:
        conf.register_opt(cfg.StrOpt('auth_type'), group=section)
    wanted, loading = auth_type(conf), _loading()
    if loading is None or not wanted:
        return
    try:
        credentials = loading.get_auth_plugin_conf_options(wanted)
    except Exception as error:
        raise errors.ConfigurationError(
            f'[{section}] auth_type is {wanted!r}: {error}'
        ) from error
    conf.register_opts(credentials, group=section)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options of this module, for the configuration generator."""
    loading = _loading()
    if loading is None:
        return [(GROUP, OPTS)]
    plugins = ('v3applicationcredential', 'password')
    credentials = {
        option.dest: option
        for plugin in plugins
        for option in loading.get_auth_plugin_conf_options(plugin)
    }
    return [
        (
            GROUP,
            [
                *OPTS,
                *loading.get_auth_common_conf_options(),
                *(credentials[name] for name in sorted(credentials)),
                *loading.get_session_conf_options(),
                *loading.get_adapter_conf_options(),
            ],
        ),
        *((group, loading.get_adapter_conf_options()) for group in _BESIDE),
    ]
