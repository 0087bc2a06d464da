"""Options of the notifications of Nova that the agent listens to."""

from typing import Any

from oslo_config import cfg

from kvm_balancer.conf import groups

GROUP = cfg.OptGroup(
    'nova_notifications',
    title='Notifications of Nova',
    help="""
How the agent hears at once of what changes in Nova.

Without them it still asks: see ``[nova] reconcile_seconds``.
""",
)

OPTS = [
    cfg.BoolOpt(
        'enabled',
        default=True,
        help="""
Listen to Nova's notifications. Used only where ``[nova] auth_type`` is set.
""",
    ),
    cfg.StrOpt(
        'transport_url',
        secret=True,
        default='',
        help="""
Nova's broker, as ``transport_url`` of its own ``[DEFAULT]`` or
``[oslo_messaging_notifications]``. Empty for the broker of the balancer.
""",
    ),
    cfg.StrOpt(
        'exchange',
        default='nova',
        help="""
Exchange that Nova sends its notifications to: its ``control_exchange``. It
has to be there, and is not made here.
""",
    ),
    cfg.ListOpt(
        'topics',
        default=['versioned_notifications', 'notifications'],
        help="""
Topics that are listened to. Nova's ``[notifications] notification_format``
says which it has; its ``versioned_notifications_topics`` may name one that is
for the balancer alone.
""",
    ),
    cfg.StrOpt(
        'pool',
        default='kvm_balancer',
        help="""
Name of the agent's own queue on these topics. Every listener by another name
gets a copy of each notification. The queue holds 10,000 of them for ten
minutes at most, and is gone when no agent has read it for an hour.
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
