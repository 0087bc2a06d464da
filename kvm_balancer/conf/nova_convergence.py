"""Options of group ``[nova_convergence]``: convergence as Nova has it."""

from typing import Any

from oslo_config import cfg

from kvm_balancer.migration.convergence import nova

GROUP = 'nova_convergence'

_DEFAULTS = nova.Params()

OPTS: list[cfg.Opt] = [
    cfg.IntOpt(
        'steps',
        default=_DEFAULTS.steps,
        min=3,
        help="""
Steps in which the limit of downtime rises to ``[migration] max_downtime_ms``,
which is Nova's ``live_migration_downtime``. Raised, it rises more smoothly and
for longer. Nova's ``live_migration_downtime_steps``.
""",
    ),
    cfg.FloatOpt(
        'step_seconds',
        default=_DEFAULTS.step_seconds,
        min=0.0,
        help="""
Seconds of each step, for each GiB of the instance (at least 2 GiB). Raised, an
instance that does not converge is copied for longer before it may stand still
for longer. Nova's ``live_migration_downtime_delay``. Related: ``steps``.
""",
    ),
    cfg.FloatOpt(
        'timeout_seconds',
        default=_DEFAULTS.timeout_seconds,
        min=0.0,
        help="""
Seconds after which the copy is ended, for each GiB of the instance; 0 for
never. Its memory counts for at least 2 GiB, and each disk that is copied along. ``[migration] time_limit_seconds``, where set, takes its
place. Nova's ``live_migration_completion_timeout``. Related:
``timeout_action``.
""",
    ),
    cfg.StrOpt(
        'timeout_action',
        default=_DEFAULTS.timeout_action,
        choices=[
            (nova.ABORT, 'the instance stays where it is'),
            (
                nova.FORCE_COMPLETE,
                'post-copy where allowed, else a stop that fits '
                '[migration] max_downtime_ms, else the instance stays',
            ),
        ],
        help="""
What is done at the timeout. Unlike Nova's own
``live_migration_timeout_action`` it never stops an instance for longer than it
is allowed.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this group on *conf*."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return the options of this group, for the configuration generator."""
    return [(GROUP, OPTS)]
