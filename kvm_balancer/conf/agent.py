"""Options of the agent, which watches, decides and commands."""

from typing import Any

from oslo_config import cfg

from kvm_balancer.conf import groups

GROUP = cfg.OptGroup(
    'agent',
    title='Agent',
    help='What the agent decides, how often, and how much of it it does.',
)

OPTS = [
    cfg.StrOpt(
        'mode',
        default='advise',
        choices=[
            ('advise', 'plans are made, kept and shown, never carried out'),
            ('automatic', 'plans are carried out'),
        ],
        help="""
Whether plans are carried out.

A fresh installation only advises. Look at its plans for a while
(``kvm-balancer plans``) before you set ``automatic``.
""",
    ),
    cfg.FloatOpt(
        'interval_seconds',
        default=30.0,
        min=0.5,
        max=86400.0,
        help="""
Seconds between two decisions; a third of it while a host gets hot, until it
is clear whether it stays so.

Shorter reacts faster and costs more CPU time. Related:
``[executor] sample_interval_seconds``, and the hold times of the policies.
""",
    ),
    cfg.ListOpt(
        'policies',
        default=['relieve', 'spread'],
        help="""
Policies that run, in order of precedence: those that act make one plan, each
going on where the one before it stopped. Names from the entry points
``kvm_balancer.policies``. A zone or an aggregate may have others: ``run`` in
``[policies:zone:NAME]`` or ``[policies:aggregate:NAME]``.
""",
    ),
    cfg.IntOpt(
        'max_migrations',
        default=8,
        min=1,
        max=10000,
        help="""
Most migrations under way in the whole fleet at one time.

Each host has limits of its own besides: ``[host] max_incoming`` and
``max_outgoing``.
""",
    ),
    cfg.FloatOpt(
        'instance_cooldown_seconds',
        default=7200.0,
        min=0.0,
        help="""
Seconds for which an instance is left alone after it was moved, or after a
migration of it failed. Longer means calmer instances and slower balancing.
""",
    ),
    cfg.FloatOpt(
        'host_cooldown_seconds',
        default=60.0,
        min=0.0,
        help="""
Seconds for which no plan touches a host after a migration from or to it
ended, so that its load is seen as it is before it is judged again.
""",
    ),
    cfg.FloatOpt(
        'undo_seconds',
        default=21600.0,
        min=0.0,
        help="""
Seconds after a move within which moving the same instance again has to be
worth more, by ``[planner] undo_factor``; what is under a cooldown is not
moved at all. 0 for none. Raised, instances go back and forth less.
""",
    ),
    cfg.FloatOpt(
        'command_retry_seconds',
        default=30.0,
        min=1.0,
        help="""
Seconds without news of a migration after which its executor is asked again.
Commands carry the id of their migration: asking twice starts it once.
""",
    ),
    cfg.FloatOpt(
        'command_lost_seconds',
        default=300.0,
        min=1.0,
        help="""
Seconds for which the executor of a migration is asked in vain until it is
recorded that nobody knows how the migration ended, and the plan goes on
without it. What the executor tells when it is back takes the place of that.
Lowered, a host that boots again may be called lost; raised, a person learns
later that one is. Related: ``command_retry_seconds``.
""",
    ),
    cfg.FloatOpt(
        'rpc_timeout_seconds',
        default=10.0,
        min=0.5,
        help="""
Seconds for which an executor's answer to a command is waited for.
""",
    ),
    cfg.FloatOpt(
        'announce_seconds',
        default=10.0,
        min=0.5,
        max=3600.0,
        help="""
Seconds between two announcements of the fleet's state to schedulers of Nova
that have the balancer's weigher or filter. Related: their ``[kvm_balancer]
stale_seconds``, which has to be some times as long.
""",
    ),
    cfg.IntOpt(
        'keep_days',
        default=90,
        min=1,
        help="""
Days for which plans and outcomes are kept in the database.
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
