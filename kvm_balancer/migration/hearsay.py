"""The outcome of a migration that nobody saw end, as far as it goes. Pure.

Who tells it has only the command, or what is left of it: no figures, and no
story but this one line.
"""

from kvm_balancer.migration import request
from kvm_balancer.model import outcome
from kvm_balancer.model import plan


def settling(migration_id: str) -> str:
    """Return the command by which a person says how one ended."""
    return (
        f'kvm-balancer migrations settle {migration_id} --as completed|failed '
        '--reason TEXT'
    )


def outcome_of(
    wanted: request.Request,
    kind: outcome.OutcomeKind,
    reason: str,
    at: float,
) -> outcome.Outcome:
    """Return the record of a migration.

    :param at: when it is told, seconds since the epoch
    """
    return outcome.Outcome(
        migration_id=wanted.migration_id,
        instance=wanted.instance,
        source=wanted.source,
        destination=wanted.destination,
        outcome=kind,
        mode=plan.Mode.PRE_COPY,
        reason=reason,
        accepted_at=wanted.accepted_at,
        ended_at=at,
        total_ms=(at - wanted.accepted_at) * 1000.0,
        downtime_ms=None,
        transferred_mib=0.0,
        iterations=0,
        max_throttle_percent=0,
        predicted=wanted.predicted,
        story=(outcome.StoryLine(at, kind.value, reason),),
        plan_id=wanted.plan_id,
    )
